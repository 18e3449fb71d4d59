package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun/client"
)

func of(cc grpc.ClientConnInterface, op *longrunningpb.Operation) *handle {
	return client.New[*wrapperspb.StringValue, *wrapperspb.Int64Value](cc, op)
}

// OP-21: an action that is finished at once may be answered by a done operation.
// The client looks at that first, and asks nobody.
func TestNew_Done(t *testing.T) {
	t.Parallel()
	f := &fake{}
	op := of(serve(t, f).conn(), succeeded(t, wrapperspb.String("a book")))
	if !op.Done() || op.Name() != name {
		t.Errorf("Done, Name = %v, %q; want true, %q", op.Done(), op.Name(), name)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 {
		got, err := op.Poll(ended)
		want(t, got, err, "a book")
		got, err = op.Wait(ended)
		want(t, got, err, "a book")
		got.Value = "the caller's own"
	}
	if n := len(f.asked("get")) + len(f.asked("wait")); n != 0 {
		t.Errorf("the server was asked %d times, want 0", n)
	}
}

// VAL-03: a done operation may have no name; then nothing is stored, and nobody is
// asked. It needs no connection.
func TestNew_DoneWithoutName(t *testing.T) {
	t.Parallel()
	nameless := succeeded(t, wrapperspb.String("valid"))
	nameless.Name = ""
	f := &fake{}
	for _, cc := range []grpc.ClientConnInterface{nil, serve(t, f).conn()} {
		op := of(cc, nameless)
		got, err := op.Wait(t.Context())
		want(t, got, err, "valid")
		got, err = op.Poll(t.Context())
		want(t, got, err, "valid")
		if err := errors.Join(op.Cancel(t.Context()), op.Delete(t.Context())); err != nil {
			t.Errorf("Cancel and Delete = %v; want nil", err)
		}
	}
	if len(f.calls) != 0 {
		t.Errorf("the server was asked %v, want nothing", f.calls)
	}
}

func TestNew_NothingToAsk(t *testing.T) {
	t.Parallel()
	conn := serve(t, &fake{get: always(running(t, 1), nil)}).conn()
	for _, tt := range []struct {
		name string
		op   *handle
		want codes.Code
	}{
		{"nil operation", of(conn, nil), codes.InvalidArgument},
		{"no name", of(conn, &longrunningpb.Operation{}), codes.InvalidArgument},
		{"resumed without a name", client.Resume[*wrapperspb.StringValue, *wrapperspb.Int64Value](conn, ""), codes.InvalidArgument},
		{"nil connection", of(nil, running(t, 1)), codes.FailedPrecondition},
		{"typed nil connection", of((*grpc.ClientConn)(nil), running(t, 1)), codes.FailedPrecondition},
		{"neither", of(nil, nil), codes.InvalidArgument},
	} {
		if tt.op.Done() {
			t.Errorf("%s: Done = true, want false", tt.name)
		}
		_, err := tt.op.Poll(t.Context())
		_, waited := tt.op.Wait(t.Context())
		for call, err := range map[string]error{"Poll": err, "Wait": waited, "Cancel": tt.op.Cancel(t.Context()), "Delete": tt.op.Delete(t.Context())} {
			if status.Code(err) != tt.want {
				t.Errorf("%s: %s = %v, want %v", tt.name, call, err, tt.want)
			}
		}
	}
}

func TestPoll(t *testing.T) {
	t.Parallel()
	f := &fake{get: func(_ context.Context, n int) (*longrunningpb.Operation, error) {
		switch n {
		case 1:
			return running(t, 10), nil
		case 2:
			return nil, status.Error(codes.Unavailable, "away")
		}
		return succeeded(t, wrapperspb.String("a book")), nil
	}}
	op := follow(t, f)

	got, err := op.Poll(t.Context())
	if got != nil || err != nil || op.Done() {
		t.Errorf("Poll of a running operation = %v, %v, Done = %v; want nil, nil, false", got, err, op.Done())
	}
	if md, err := op.Metadata(); err != nil || md.GetValue() != 10 {
		t.Errorf("Metadata = %v, %v; want 10", md, err)
	}
	// One call, and its error. What was known stays known.
	if _, err := op.Poll(t.Context()); status.Code(err) != codes.Unavailable || op.Done() {
		t.Errorf("Poll = %v, Done = %v; want UNAVAILABLE, false", err, op.Done())
	}
	if md, err := op.Metadata(); err != nil || md.GetValue() != 10 {
		t.Errorf("Metadata = %v, %v; want 10", md, err)
	}
	got, err = op.Poll(t.Context())
	want(t, got, err, "a book")
	got, err = op.Poll(t.Context())
	want(t, got, err, "a book")
	if n := len(f.asked("get")); n != 3 {
		t.Errorf("the server was asked %d times, want 3", n)
	}
	if _, err := op.Metadata(); !errors.Is(err, client.ErrNoMetadata) {
		t.Errorf("Metadata of an answer that has none = %v, want ErrNoMetadata", err)
	}
}

// OP-11: the error of an operation has the details of a direct one. OP-16: it never
// changes, and is not asked for again.
func TestPoll_Failed(t *testing.T) {
	t.Parallel()
	st, err := status.New(codes.FailedPrecondition, "the shelf is full").WithDetails(&errdetails.ErrorInfo{Reason: "SHELF_FULL", Domain: "library.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{get: always(failed(st), nil)}
	op := follow(t, f)
	for range 2 {
		got, err := op.Poll(t.Context())
		if got != nil || !op.Done() {
			t.Errorf("Poll = %v, Done = %v; want nil, true", got, op.Done())
		}
		if s, ok := status.FromError(err); !ok || !proto.Equal(s.Proto(), st.Proto()) {
			t.Errorf("error = %v, want %v", err, st)
		}
	}
	if n := len(f.asked("get")); n != 1 {
		t.Errorf("the server was asked %d times, want 1", n)
	}
}

// OP-10: a cancelled operation has the error code 1.
func TestCancel(t *testing.T) {
	t.Parallel()
	f := &fake{
		get:    always(failed(status.New(codes.Canceled, "cancelled")), nil),
		cancel: func(string) error { return nil },
	}
	op := follow(t, f)
	if err := op.Cancel(t.Context()); err != nil || op.Done() {
		t.Errorf("Cancel = %v, Done = %v; want nil, false: the work may go on", err, op.Done())
	}
	if _, err := op.Poll(t.Context()); status.Code(err) != codes.Canceled || !op.Done() {
		t.Errorf("Poll = %v, Done = %v; want CANCELLED, true", err, op.Done())
	}
	if err := op.Cancel(t.Context()); err != nil {
		t.Errorf("Cancel of a done operation = %v, want nil", err)
	}
	for _, c := range f.asked("cancel") {
		if c.name != name {
			t.Errorf("cancelled %q, want %q", c.name, name)
		}
	}
}

// A service may have neither (MIX-02), and says so.
func TestCancelDelete_Errors(t *testing.T) {
	t.Parallel()
	f := &fake{delete: func(string) error { return status.Error(codes.NotFound, "none") }}
	op := follow(t, f)
	wantCode(t, op.Cancel(t.Context()), codes.Unimplemented)
	wantCode(t, op.Delete(t.Context()), codes.NotFound)
	if got := f.asked("delete"); len(got) != 1 || got[0].name != name {
		t.Errorf("deleted %v, want %q once", got, name)
	}
}

// What a lying or broken server says is never taken for success.
func TestResult_Amiss(t *testing.T) {
	t.Parallel()
	detail := packed(t, &errdetails.ErrorInfo{Reason: "ODD"})
	codeless := failed(status.New(codes.Aborted, "all is well"))
	codeless.GetError().Code = 0
	codeless.GetError().Details = []*anypb.Any{detail}
	empty := succeeded(t, &emptypb.Empty{})
	empty.GetResponse().Reset()
	for _, tt := range []struct {
		name string
		op   *longrunningpb.Operation
		want []string // in the message
	}{
		// OP-03: done without a result.
		{"no result", &longrunningpb.Operation{Name: name, Done: true}, []string{name, "no result"}},
		// OP-08: an error whose code is OK.
		{"code 0", codeless, []string{name, `"all is well"`}},
		{"nil error", &longrunningpb.Operation{Done: true, Result: &longrunningpb.Operation_Error{}}, []string{"code OK"}},
		{"nil response", &longrunningpb.Operation{Done: true, Result: &longrunningpb.Operation_Response{}}, []string{"of no type", "google.protobuf.StringValue"}},
		{"response without a type", empty, []string{"of no type"}},
		// OP-06: the response is what the method promises, or it is an error.
		{"another type", succeeded(t, wrapperspb.Int64(1)), []string{"google.protobuf.Int64Value", `"google.protobuf.StringValue"`}},
		{"not that type", &longrunningpb.Operation{Done: true, Result: &longrunningpb.Operation_Response{
			Response: &anypb.Any{TypeUrl: "type.googleapis.com/google.protobuf.StringValue", Value: []byte{0xff}},
		}}, []string{"not a valid"}},
	} {
		op := of(nil, tt.op)
		got, err := op.Poll(t.Context())
		if got != nil || status.Code(err) != codes.Internal || !op.Done() {
			t.Errorf("%s: Poll = %v, %v, Done = %v; want nil, INTERNAL, true", tt.name, got, err, op.Done())
		}
		for _, s := range tt.want {
			if err != nil && !strings.Contains(err.Error(), s) {
				t.Errorf("%s: error = %q, want %q in it", tt.name, err, s)
			}
		}
		if _, waited := op.Wait(t.Context()); waited == nil || waited.Error() != err.Error() {
			t.Errorf("%s: Wait = %v, want %v", tt.name, waited, err)
		}
	}
	if _, err := of(nil, codeless).Poll(t.Context()); len(status.Convert(err).Details()) != 1 {
		t.Errorf("details = %v, want those of the server", status.Convert(err).Details())
	}
}

// A result beside done=false is none (OP-02).
func TestPoll_ResultBeforeDone(t *testing.T) {
	t.Parallel()
	early := succeeded(t, wrapperspb.String("half a book"))
	early.Done = false
	op := follow(t, &fake{get: always(early, nil)})
	if got, err := op.Poll(t.Context()); got != nil || err != nil || op.Done() {
		t.Errorf("Poll = %v, %v, Done = %v; want nil, nil, false", got, err, op.Done())
	}
}

// google.protobuf.Any promises no type.
func TestTypes_Any(t *testing.T) {
	t.Parallel()
	done := succeeded(t, wrapperspb.String("a book"))
	done.Metadata = packed(t, wrapperspb.Int64(7))
	op := client.New[*anypb.Any, *anypb.Any](nil, done)
	got, err := op.Wait(t.Context())
	if err != nil || !proto.Equal(got, done.GetResponse()) {
		t.Errorf("Wait = %v, %v; want %v", got, err, done.GetResponse())
	}
	got.Reset() // the caller's own
	if again, err := op.Wait(t.Context()); err != nil || again.GetTypeUrl() == "" {
		t.Errorf("Wait = %v, %v; want the response again", again, err)
	}
	if md, err := op.Metadata(); err != nil || !md.MessageIs(&wrapperspb.Int64Value{}) {
		t.Errorf("Metadata = %v, %v; want an Any of Int64Value", md, err)
	}
	done.Result = &longrunningpb.Operation_Response{}
	if got, err := client.New[*anypb.Any, *anypb.Any](nil, done).Wait(t.Context()); got == nil || err != nil {
		t.Errorf("Wait = %v, %v; want an Any that holds nothing", got, err)
	}
}

// An interface promises no more than its methods.
func TestTypes_Interface(t *testing.T) {
	t.Parallel()
	type named interface {
		proto.Message
		GetName() string
	}
	done := succeeded(t, wrapperspb.String("a book"))
	if got, err := client.New[proto.Message, proto.Message](nil, done).Wait(t.Context()); err != nil || !proto.Equal(got, wrapperspb.String("a book")) {
		t.Errorf("Wait = %v, %v; want a StringValue", got, err)
	}
	_, err := client.New[named, named](nil, done).Wait(t.Context())
	if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "StringValue") || !strings.Contains(err.Error(), "named") {
		t.Errorf("Wait = %v, want INTERNAL that names both types", err)
	}
	done.GetResponse().TypeUrl = "type.googleapis.com/nobody.Knows"
	_, err = client.New[proto.Message, proto.Message](nil, done).Wait(t.Context())
	if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "nobody.Knows") {
		t.Errorf("Wait = %v, want INTERNAL that names the type", err)
	}
}

func TestMetadata_Amiss(t *testing.T) {
	t.Parallel()
	op := of(nil, &longrunningpb.Operation{Name: name, Metadata: packed(t, wrapperspb.String("x"))})
	md, err := op.Metadata()
	if md != nil || status.Code(err) != codes.Internal {
		t.Errorf("Metadata = %v, %v; want nil, INTERNAL", md, err)
	}
	for _, s := range []string{"metadata", "google.protobuf.StringValue", `"google.protobuf.Int64Value"`, name} {
		if err != nil && !strings.Contains(err.Error(), s) {
			t.Errorf("error = %q, want %q in it", err, s)
		}
	}
}

// The name is the one that was first heard, whatever a server says later: a
// server may answer with the canonical form of what it was asked for.
func TestName_Stays(t *testing.T) {
	t.Parallel()
	renamed := running(t, 1)
	renamed.Name = ""
	f := &fake{get: always(renamed, nil)}
	op := follow(t, f)
	for range 2 {
		if _, err := op.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.asked("get"); op.Name() != name || got[1].name != name {
		t.Errorf("Name = %q, asked for %q; want %q", op.Name(), got[1].name, name)
	}
}

// Options of the caller are for each call, beside Wait's own.
func TestOptions_ReachTheCall(t *testing.T) {
	t.Parallel()
	f := &fake{
		wait: func(ctx context.Context, _ int) (*longrunningpb.Operation, error) {
			return succeeded(t, wrapperspb.String("a book")), grpc.SetHeader(ctx, metadata.Pairs("served-by", "fake"))
		},
		cancel: func(string) error { return nil },
		delete: func(string) error { return nil },
	}
	op := follow(t, f)
	var header metadata.MD
	opts := make([]grpc.CallOption, 1, 9)
	opts[0] = grpc.Header(&header)
	got, err := op.Wait(t.Context(), opts...)
	want(t, got, err, "a book")
	if got := header.Get("served-by"); len(got) != 1 || got[0] != "fake" {
		t.Errorf("header = %v, want what the server sent", header)
	}
	if spare := opts[:2][1]; spare != nil {
		t.Errorf("Wait has written %v behind the caller's options", spare)
	}
}

// Everything may be called at once. OP-16: a slower answer to an earlier question
// does not undo what is done.
func TestOperation_Concurrently(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	f := &fake{
		get: func(_ context.Context, n int) (*longrunningpb.Operation, error) {
			if n%2 == 1 {
				<-release
				return running(t, int64(n)), nil
			}
			return succeeded(t, wrapperspb.String("a book")), nil
		},
		wait:   func(context.Context, int) (*longrunningpb.Operation, error) { return running(t, 1), nil },
		cancel: func(string) error { return nil },
	}
	op := follow(t, f)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if _, err := op.Poll(t.Context()); err != nil {
				t.Errorf("Poll: %v", err)
			}
			if op.Done() && i%2 == 0 {
				_, _ = op.Metadata() // whichever answer came last
			}
		})
		all.Go(func() {
			got, err := op.Wait(t.Context())
			want(t, got, err, "a book")
			if err := op.Cancel(t.Context()); err != nil {
				t.Errorf("Cancel: %v", err)
			}
		})
	}
	// The operation is done now; the polls that were asked before end after it.
	if _, err := op.Wait(t.Context()); err != nil {
		t.Errorf("Wait: %v", err)
	}
	close(release)
	all.Wait()
	if !op.Done() {
		t.Error("Done = false, want true")
	}
}

func TestResume_KnowsNothing(t *testing.T) {
	t.Parallel()
	op := follow(t, &fake{get: always(running(t, 3), nil)})
	if _, err := op.Metadata(); !errors.Is(err, client.ErrNoMetadata) || op.Done() {
		t.Errorf("Metadata = %v, Done = %v; want ErrNoMetadata, false", err, op.Done())
	}
	if _, err := op.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	md, err := op.Metadata()
	if got := fmt.Sprint(md.GetValue(), err); got != "3 <nil>" {
		t.Errorf("Metadata = %s, want 3 <nil>", got)
	}
}
