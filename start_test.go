package longrun_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// CON-01, CON-02: what Start returns is stored, and ready to be claimed.
func TestStart(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{Retention: time.Hour})
	ctx := longrun.WithCaller(t.Context(), "alice")
	ctx = longrun.WithTraceParent(ctx, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	op, err := longrun.Start(ctx, sys.svc, resize, wrapperspb.String("a.png"), longrun.StartOptions{
		Parent: "projects/p", Labels: map[string]string{"env": "prod"}, Target: "images/a", Verb: "resize", APIVersion: "v1",
	})
	if err != nil {
		t.Fatal(err)
	}
	if op.State != longrun.Pending || op.Parent != "projects/p" || op.Method != word || op.Caller != "alice" || op.Labels["env"] != "prod" {
		t.Errorf("Start = %+v", op)
	}
	if op.TraceParent == "" || op.MaxFailures != longrun.DefaultMaxFailures || op.Retention != time.Hour || op.Revision != 1 {
		t.Errorf("trace %q, failures %d, retention %v, revision %d", op.TraceParent, op.MaxFailures, op.Retention, op.Revision)
	}
	req := &wrapperspb.StringValue{}
	if err := op.Request.UnmarshalTo(req); err != nil || req.Value != "a.png" {
		t.Errorf("request = %v, %v", req, err)
	}
	md := sys.metadata(t, op)
	if md.Target != "images/a" || md.Verb != "resize" || md.ApiVersion != "v1" {
		t.Errorf("metadata = %v", md)
	}
	if got := sys.get(t, op.Name()); got.Name() != op.Name() || got.Revision != 1 {
		t.Errorf("GET-02: Get = %+v", got)
	}
}

// A trace context that is not well-formed is dropped, and a caller is local
// until somebody says otherwise.
func TestStart_ContextOfTheCaller(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	for _, trace := range []string{"", "x", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"} {
		ctx := longrun.WithTraceParent(longrun.WithCaller(t.Context(), ""), trace)
		op, err := sys.svc.Start(ctx, longrun.StartRequest{Method: word})
		if err != nil || op.TraceParent != "" || op.Caller != longrun.LocalCaller {
			t.Errorf("trace %q: started by %q with %q, %v", trace, op.Caller, op.TraceParent, err)
		}
	}
}

// The order of the checks, the same through every door: authorize, validate,
// request id, hook, create.
func TestStart_Order(t *testing.T) {
	t.Parallel()
	var log []string
	authorized, hook := error(nil), error(nil)
	sys := newSystem(t, longrun.Options{Authorize: func(_ context.Context, verb longrun.Verb, parent string) error {
		log = append(log, fmt.Sprintf("authorize %s %s", verb, parent))
		return authorized
	}})
	longrun.Begin(sys.svc, resize, func(context.Context, *wrapperspb.StringValue, *longrun.Draft) error {
		log = append(log, "hook")
		return hook
	})
	sys.store.onCall("List", func() error { log = append(log, "request id"); return nil })
	sys.store.onCall("Create", func() error { log = append(log, "create"); return nil })
	start := func(o longrun.StartOptions) ([]string, error) {
		log = nil
		_, err := longrun.Start(t.Context(), sys.svc, resize, wrapperspb.String("x"), o)
		return log, err
	}
	good := longrun.StartOptions{Parent: "projects/p", RequestID: requestID}
	bad := longrun.StartOptions{Parent: "projects/p", RequestID: "no uuid"}

	authorized = errors.New("no")
	got, err := start(bad)
	wantError(t, err, codes.PermissionDenied, longrun.ReasonPermissionDenied) // AUT-02
	wantLog(t, got, "authorize start projects/p")

	authorized = nil
	got, err = start(bad)
	wantError(t, err, codes.InvalidArgument, longrun.ReasonInvalidField)
	wantLog(t, got, "authorize start projects/p")

	hook = status.Error(codes.FailedPrecondition, "not now")
	got, err = start(good)
	if longrun.CodeOf(err) != codes.FailedPrecondition {
		t.Errorf("OP-19: Start = %v, want the hook's error", err)
	}
	wantLog(t, got, "authorize start projects/p", "request id", "hook")

	hook = nil
	got, err = start(good) // IDM-03: the failed start is not remembered
	if err != nil {
		t.Error(err)
	}
	wantLog(t, got, "authorize start projects/p", "request id", "hook", "create")

	hook = errors.New("must not be asked")
	got, err = start(good) // IDM-01: never the author's own error
	if err != nil {
		t.Error(err)
	}
	wantLog(t, got, "authorize start projects/p", "request id")
}

func wantLog(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("what was done: %q, want %q", got, want)
	}
}

// OP-19: what is wrong with a start is told by the starting call.
func TestStart_Invalid(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	tooDeep := packed(t, &emptypb.Empty{})
	for range longrun.MaxAnyDepth {
		tooDeep = packed(t, tooDeep)
	}
	many := map[string]string{}
	for i := range longrun.MaxLabels + 1 {
		many[fmt.Sprintf("l%d", i)] = ""
	}
	label := func(k, v string) longrun.StartRequest {
		return longrun.StartRequest{StartOptions: longrun.StartOptions{Labels: map[string]string{k: v}}}
	}
	for name, tt := range map[string]struct {
		r     longrun.StartRequest
		field string
	}{
		"method":            {longrun.StartRequest{Method: "a b"}, "method"},
		"method, slash":     {longrun.StartRequest{Method: "/x"}, "method"},
		"method, long":      {longrun.StartRequest{Method: strings.Repeat("m", longrun.MaxMethodBytes+1)}, "method"},
		"parent":            {longrun.StartRequest{StartOptions: longrun.StartOptions{Parent: "/p"}}, "parent"},
		"parent, long":      {longrun.StartRequest{StartOptions: longrun.StartOptions{Parent: strings.Repeat("p", longrun.MaxParentBytes+1)}}, "parent"},
		"request, large":    {longrun.StartRequest{Request: sized(longrun.MaxRequestBytes + 1)}, "request"},
		"request, deep":     {longrun.StartRequest{Request: tooDeep}, "request"},
		"timeout":           {longrun.StartRequest{ExecutionTimeout: -1}, "execution_timeout"},
		"timeout, long":     {longrun.StartRequest{ExecutionTimeout: longrun.MaxExecutionTimeout + 1}, "execution_timeout"},
		"failures":          {longrun.StartRequest{MaxFailures: -1}, "max_failures"},
		"failures, many":    {longrun.StartRequest{MaxFailures: longrun.MaxFailuresLimit + 1}, "max_failures"},
		"policy":            {longrun.StartRequest{StartOptions: longrun.StartOptions{ConflictKey: "k", OnConflict: longrun.Preempt + 1}}, "on_conflict"},
		"policy, no key":    {longrun.StartRequest{StartOptions: longrun.StartOptions{OnConflict: longrun.Reject}}, "on_conflict"},
		"key, long":         {longrun.StartRequest{StartOptions: longrun.StartOptions{ConflictKey: strings.Repeat("k", longrun.MaxConflictKeyBytes+1)}}, "conflict_key"},
		"key, not UTF-8":    {longrun.StartRequest{StartOptions: longrun.StartOptions{ConflictKey: "\xff"}}, "conflict_key"},
		"key with session":  {longrun.StartRequest{Session: longrun.NewSessionID(), StartOptions: longrun.StartOptions{ConflictKey: "k"}}, "conflict_key"},
		"session and In":    {longrun.StartRequest{Session: longrun.NewSessionID(), StartOptions: longrun.StartOptions{In: sys.store}}, "session"},
		"target, long":      {longrun.StartRequest{StartOptions: longrun.StartOptions{Target: strings.Repeat("t", longrun.MaxTargetBytes+1)}}, "target"},
		"verb, not UTF-8":   {longrun.StartRequest{StartOptions: longrun.StartOptions{Verb: "\xff"}}, "verb"},
		"labels, many":      {longrun.StartRequest{StartOptions: longrun.StartOptions{Labels: many}}, "labels"},
		"label, no key":     {label("", "v"), "labels"},
		"label, digit":      {label("1a", "v"), "labels"},
		"label, upper":      {label("Env", "v"), "labels"},
		"label, value":      {label("env", "Prod"), "labels"},
		"label, space":      {label("env", "a b"), "labels"},
		"label, long":       {label(strings.Repeat("k", longrun.MaxLabelChars+1), ""), "labels"},
		"label, long value": {label("k", strings.Repeat("v", longrun.MaxLabelChars+1)), "labels"},
		"label, not UTF-8":  {label("k", "\xff"), "labels"},
		"metadata, large":   {longrun.StartRequest{StartOptions: longrun.StartOptions{Metadata: sized(longrun.MaxMetadataBytes + 1)}}, "metadata"},
		"metadata, deep":    {longrun.StartRequest{StartOptions: longrun.StartOptions{Metadata: tooDeep}}, "metadata"},
	} {
		if tt.r.Method == "" {
			tt.r.Method = word
		}
		_, err := sys.svc.Start(t.Context(), tt.r)
		if got := longrun.CodeOf(err); got != codes.InvalidArgument || fieldOf(err) != tt.field {
			t.Errorf("%s: Start = %v with field %q, want INVALID_ARGUMENT with %q", name, err, fieldOf(err), tt.field)
		}
	}
	if _, err := sys.svc.Start(t.Context(), longrun.StartRequest{}); fieldOf(err) != "method" {
		t.Errorf("no method: Start = %v", err)
	}
	if page := sys.list(t, longrun.ListRequest{Parent: "-"}); len(page.Operations) != 0 {
		t.Errorf("%d operations were stored, want none", len(page.Operations))
	}
}

// Every limit has room for what is just at it.
func TestStart_AtTheLimits(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	deep := packed(t, &emptypb.Empty{})
	for range longrun.MaxAnyDepth - 1 {
		deep = packed(t, deep)
	}
	labels := map[string]string{"\u00e4_-9": "\u65e5\u672c"} // letters of any script
	for i := range longrun.MaxLabels - 1 {
		labels[fmt.Sprintf("k%062d", i)] = strings.Repeat("v", longrun.MaxLabelChars)
	}
	for name, r := range map[string]longrun.StartRequest{
		"method":   {Method: strings.Repeat("m", longrun.MaxMethodBytes)},
		"grpc":     {Method: "/google.cloud.translation.v3.TranslationService/BatchTranslateText"},
		"request":  {Request: sized(longrun.MaxRequestBytes)},
		"deep":     {Request: deep},
		"timeout":  {ExecutionTimeout: longrun.MaxExecutionTimeout},
		"failures": {MaxFailures: longrun.MaxFailuresLimit},
		"key":      {StartOptions: longrun.StartOptions{ConflictKey: strings.Repeat("k", longrun.MaxConflictKeyBytes)}},
		"labels":   {StartOptions: longrun.StartOptions{Labels: labels}},
		"target":   {StartOptions: longrun.StartOptions{Target: strings.Repeat("t", longrun.MaxTargetBytes)}},
		"metadata": {StartOptions: longrun.StartOptions{Metadata: sized(longrun.MaxMetadataBytes)}},
		"parent":   {StartOptions: longrun.StartOptions{Parent: strings.Repeat("p", longrun.MaxParentBytes)}},
	} {
		if r.Method == "" {
			r.Method = word
		}
		if _, err := sys.svc.Start(t.Context(), r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sized is a payload of exactly n bytes.
func sized(n int) *anypb.Any {
	a := &anypb.Any{TypeUrl: "type.googleapis.com/acme.Blob"}
	over := n - len(a.TypeUrl) - 2
	for pad := 2; pad <= 6; pad++ {
		a.Value = make([]byte, max(over-pad, 0))
		if protoSize(a) == n {
			return a
		}
	}
	panic("no payload of this size")
}

// A method of which the process knows the type takes no other.
func TestStart_WrongRequestType(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	longrun.Handle(sys.svc, resize, func(context.Context, *wrapperspb.StringValue, *longrun.Run[*longrunpb.OperationMetadata]) (*wrapperspb.Int64Value, error) {
		return nil, nil
	})
	_, err := sys.svc.Start(t.Context(), longrun.StartRequest{Method: word, Request: packed(t, int64Value(1))})
	wantError(t, err, codes.InvalidArgument, longrun.ReasonInvalidField)
	if _, err := sys.svc.Start(t.Context(), longrun.StartRequest{Method: word, Request: packed(t, wrapperspb.String("x"))}); err != nil {
		t.Error(err)
	}
}

// NM-13, AUT-03: the parent of a start is the method's to say.
func TestStart_MethodParent(t *testing.T) {
	t.Parallel()
	var asked string
	sys := newSystem(t, longrun.Options{Authorize: func(_ context.Context, _ longrun.Verb, parent string) error { asked = parent; return nil }})
	m := resize
	m.Parent = func(r *wrapperspb.StringValue) string { return "projects/" + r.Value }
	_, err := longrun.Start(t.Context(), sys.svc, m, wrapperspb.String("mine"), longrun.StartOptions{Parent: "projects/forged"})
	wantError(t, err, codes.InvalidArgument, longrun.ReasonInvalidField)
	if asked != "projects/mine" {
		t.Errorf("authorized for %q, want projects/mine", asked)
	}
	op, err := longrun.Start(t.Context(), sys.svc, m, wrapperspb.String("mine"), longrun.StartOptions{Parent: "projects/mine"})
	if err != nil || op.Parent != "projects/mine" {
		t.Errorf("started %v, %v; want it under projects/mine", op, err)
	}
	// The same through the door of names, once the method is known.
	longrun.Begin(sys.svc, m, func(context.Context, *wrapperspb.StringValue, *longrun.Draft) error { return nil })
	op, err = sys.svc.Start(t.Context(), longrun.StartRequest{Method: word, Request: packed(t, wrapperspb.String("mine"))})
	if err != nil || op.Parent != "projects/mine" {
		t.Errorf("started under %q, %v; want projects/mine", op.Parent, err)
	}
}

// A method that is known has metadata of its type, whoever starts it; a request
// that is absent stays absent.
func TestStart_Payloads(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	longrun.Begin(sys.svc, resize, func(context.Context, *wrapperspb.StringValue, *longrun.Draft) error { return nil })
	_, err := sys.svc.Start(t.Context(), longrun.StartRequest{Method: word, StartOptions: longrun.StartOptions{Metadata: packed(t, int64Value(1))}})
	wantError(t, err, codes.InvalidArgument, longrun.ReasonInvalidField)
	_, err = sys.svc.Start(t.Context(), longrun.StartRequest{Method: word, StartOptions: longrun.StartOptions{Metadata: &longrunpb.OperationMetadata{StatusMessage: "x"}}})
	if err != nil {
		t.Error(err)
	}
	for _, absent := range []*anypb.Any{nil, {}} {
		op, err := sys.svc.Start(t.Context(), longrun.StartRequest{Method: "handled-elsewhere", Request: absent})
		if err != nil || op.Request != nil {
			t.Errorf("Start = %v, %v; want no request", op, err)
		}
	}
}
