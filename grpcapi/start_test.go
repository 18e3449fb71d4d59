package grpcapi_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

const requestID = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"

// simulate calls the author's method.
func (s *system) simulate(t *testing.T, r *longrunpb.SimulateRequest) string {
	t.Helper()
	op, err := s.starter.Simulate(t.Context(), r)
	if err != nil {
		t.Fatalf("Simulate(%v): %v", r, err)
	}
	return op.GetName()
}

// IDM-01: the same request again, also in parallel, is the same operation.
// IDM-06: ids compare without case.
func TestStart_RequestID(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	var mu sync.Mutex
	names := map[string]int{}
	var calls sync.WaitGroup
	for i := range 50 {
		calls.Go(func() {
			id := []string{requestID, strings.ToUpper(requestID)}[i%2]
			op, err := s.starter.Simulate(t.Context(), &longrunpb.SimulateRequest{Parent: parent, RequestId: id})
			if err != nil {
				t.Errorf("Simulate: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			names[op.GetName()]++
		})
	}
	calls.Wait()
	if len(names) != 1 || len(s.list(t, parent)) != 1 {
		t.Errorf("names = %v, want one, 50 times", names)
	}
}

// IDM-02: the reply shows the current state. IDM-08: also after a restart.
func TestStart_RequestIDAfterEnd(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.session = s.openSession(t, 0)
	r := &longrunpb.SimulateRequest{Parent: parent, RequestId: requestID}
	name := s.simulate(t, r)
	s.claim(t, s.session).finish(t, longrun.Result{})
	again := newSystemOn(t, s.store, settings{})
	op, err := again.starter.Simulate(t.Context(), r)
	if err != nil || op.GetName() != name || !op.GetDone() {
		t.Errorf("Simulate again = %v, %v; want %q done", op, err, name)
	}
}

// IDM-03: a start that failed is not remembered.
func TestStart_FailureIsNotRemembered(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	fail := true
	longrun.Begin(s.svc, simulate, func(context.Context, *longrunpb.SimulateRequest, *longrun.Draft) error {
		if fail {
			return failure
		}
		return nil
	})
	r := &longrunpb.SimulateRequest{Parent: parent, RequestId: requestID}
	_, err := s.starter.Simulate(t.Context(), r)
	expect(t, err, want{code: codes.FailedPrecondition, reason: "FAILED_PRECONDITION"})
	fail = false
	s.get(t, s.simulate(t, r))
}

// IDM-04: the same id for another request is INVALID_ARGUMENT. IDM-05: ids count
// per parent. IDM-07: without one every start is new.
func TestStart_RequestIDScope(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	first := s.simulate(t, &longrunpb.SimulateRequest{Parent: parent, RequestId: requestID})
	_, err := s.starter.Simulate(t.Context(), &longrunpb.SimulateRequest{Parent: parent, RequestId: requestID, ProgressSteps: 3})
	expect(t, err, want{code: codes.InvalidArgument, reason: longrun.ReasonRequestIDReused, field: "request_id"})
	if other := s.simulate(t, &longrunpb.SimulateRequest{Parent: "projects/p2", RequestId: requestID}); other == first {
		t.Errorf("name under another parent = %q, want a new one", other)
	}
	if a, b := s.start(t, parent), s.start(t, parent); a == b {
		t.Errorf("name = %q twice without a request id, want two operations", a)
	}
}

// IDM-06: what is not a UUID4 is INVALID_ARGUMENT.
func TestStart_MalformedRequestID(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, id := range []string{
		"x", requestID + "0", "{" + requestID + "}", "urn:uuid:" + requestID, strings.ReplaceAll(requestID, "-", ""),
		"00000000-0000-0000-0000-000000000000", longrun.NewID().String(), strings.Repeat("a", 1<<20),
	} {
		_, err := s.starter.Simulate(t.Context(), &longrunpb.SimulateRequest{Parent: parent, RequestId: id})
		expect(t, err, want{code: codes.InvalidArgument, reason: longrun.ReasonInvalidField, field: "request_id"})
	}
	if got := s.list(t, parent); len(got) != 0 {
		t.Errorf("List = %q, want none", got)
	}
}

// VAL-02, VAL-03: a valid dry run is a done operation with a response and no name,
// and nothing is stored. VAL-04: so there is none that goes on, and what is started in
// earnest beside it is an operation like any other.
func TestStart_ValidateOnly(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	op, err := s.starter.Simulate(t.Context(), &longrunpb.SimulateRequest{Parent: parent, ValidateOnly: true})
	if err != nil || !op.GetDone() || op.GetResponse() == nil || op.GetName() != "" {
		t.Errorf("Simulate = %v, %v; want it done, with a response and no name", op, err)
	}
	_, err = s.starter.Simulate(t.Context(), &longrunpb.SimulateRequest{Parent: "//", ValidateOnly: true})
	expect(t, err, want{code: codes.InvalidArgument, reason: longrun.ReasonInvalidField, field: "parent"})
	if got := s.list(t, "-"); len(got) != 0 {
		t.Errorf("List = %q, want none", got)
	}
	name := s.simulate(t, &longrunpb.SimulateRequest{Parent: parent})
	if got := s.list(t, "-"); !slices.Equal(got, []string{name}) || s.get(t, name).GetDone() {
		t.Errorf("List = %q, want %s running", got, name)
	}
	s.cancel(t, name)
	s.delete(t, name)
}

// PAR-01: several operations on one resource run side by side without a conflict key; with
// one they wait, are refused or take over, as the policy of each start says. That is
// documented at conflict_key and ConflictPolicy.
func TestStart_OneResource(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.session = s.openSession(t, 0)
	for range 2 {
		name := s.simulate(t, &longrunpb.SimulateRequest{Parent: parent})
		if r := s.claim(t, s.session); r == nil || r.name != name {
			t.Fatalf("claimed %v, want %s beside the other", r, name)
		}
	}
	holder := s.startKeyed(t, longrunpb.ConflictPolicy_CONFLICT_POLICY_UNSPECIFIED)
	if r := s.claim(t, s.session); r == nil || r.name != holder {
		t.Fatalf("claimed %v, want the holder %s", r, holder)
	}
	queued := s.startKeyed(t, longrunpb.ConflictPolicy_QUEUE)
	if r := s.claim(t, s.session); r != nil || metadataOf(t, s.get(t, queued)).GetState() != longrunpb.OperationMetadata_PENDING {
		t.Errorf("claimed %v, want %s to wait", r, queued)
	}
	_, err := s.starter.Simulate(t.Context(), &longrunpb.SimulateRequest{Parent: parent, ConflictKey: "shelf", OnConflict: longrunpb.ConflictPolicy_REJECT})
	expect(t, err, want{code: codes.Aborted, reason: longrun.ReasonConcurrentOperation})
	s.startKeyed(t, longrunpb.ConflictPolicy_PREEMPT)
	expect(t, statusError(s.get(t, queued)), want{code: codes.Aborted, reason: longrun.ReasonOperationPreempted})
}

// PAR-02, PAR-03: a busy resource that refuses makes the starting call fail with
// ABORTED, and no operation. POL-05: nothing tells the caller to repeat the call as it is.
func TestStart_Reject(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	holder := s.startKeyed(t, longrunpb.ConflictPolicy_REJECT)
	_, err := s.starter.Simulate(t.Context(), &longrunpb.SimulateRequest{Parent: parent, ConflictKey: "shelf", OnConflict: longrunpb.ConflictPolicy_REJECT})
	expect(t, err, want{code: codes.Aborted, reason: longrun.ReasonConcurrentOperation})
	for _, d := range status.Convert(err).Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok {
			t.Errorf("detail = %v, want no RetryInfo", r)
		}
	}
	if got := s.list(t, parent); !slices.Equal(got, []string{holder}) {
		t.Errorf("List = %q, want the holder alone", got)
	}
}

// PAR-04: queued operations are not done, and run in the order of their start.
// PAR-06: the next runs as soon as the one before has ended, however it did.
func TestStart_Queue(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.session = s.openSession(t, 0)
	var queued []string
	for range 4 {
		queued = append(queued, s.startKeyed(t, longrunpb.ConflictPolicy_QUEUE))
	}
	for i, result := range []longrun.Result{{}, {Err: failure}, {Err: longrun.ErrCancelled}, {}} {
		r := s.claim(t, s.session)
		if r == nil || r.name != queued[i] {
			t.Fatalf("run %d = %v, want %q", i, r, queued[i])
		}
		if next := s.claim(t, s.session); next != nil {
			t.Fatalf("claimed %q beside %q, want one at a time", next.name, r.name)
		}
		if result.Err == longrun.ErrCancelled {
			s.cancel(t, r.name)
		}
		r.finish(t, result)
	}
}

// PAR-05: the newest pre-empts; an older one that waits ends ABORTED at once.
func TestStart_Preempt(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.session = s.openSession(t, 0)
	older := s.startKeyed(t, longrunpb.ConflictPolicy_QUEUE)
	newest := s.startKeyed(t, longrunpb.ConflictPolicy_PREEMPT)
	expect(t, statusError(s.get(t, older)), want{code: codes.Aborted, reason: longrun.ReasonOperationPreempted})
	if r := s.claim(t, s.session); r == nil || r.name != newest {
		t.Errorf("claimed %v, want the newest", r)
	}
}

// GRPC-06, CAN-15: the start call's deadline never reaches the operation, and its
// traceparent does.
func TestStart_TraceParent(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for sent, kept := range map[string]string{traceparent: traceparent, "garbage": "", "": ""} {
		ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "traceparent", sent), time.Minute)
		op, err := s.starter.Simulate(ctx, &longrunpb.SimulateRequest{Parent: parent})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		ops, err := s.store.Get(t.Context(), s.idOf(t, op.GetName()))
		if err != nil || ops[0].TraceParent != kept || !ops[0].DeadlineTime.IsZero() {
			t.Errorf("record = %+v, %v; want TraceParent %q and no deadline", ops[0], err, kept)
		}
	}
}

// Limits of what is started: each is kept at its limit and refused one past it.
func TestStart_Limits(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	labels := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprintf("k%d", i)] = ""
		}
		return m
	}
	as := func(n int) string { return strings.Repeat("a", n) }
	umlauts := func(n int) string { return strings.Repeat("ä", n) }
	for _, tt := range []struct {
		field, reason string
		at, past      longrun.StartRequest
	}{
		{"method", "", longrun.StartRequest{Method: as(longrun.MaxMethodBytes)}, longrun.StartRequest{Method: as(longrun.MaxMethodBytes + 1)}},
		{"request", longrun.ReasonPayloadTooLarge, longrun.StartRequest{Request: largeAny(t, longrun.MaxRequestBytes)}, longrun.StartRequest{Request: largeAny(t, longrun.MaxRequestBytes+1)}},
		{"request", "", longrun.StartRequest{Request: deepAny(t, longrun.MaxAnyDepth)}, longrun.StartRequest{Request: deepAny(t, longrun.MaxAnyDepth+1)}},
		{"execution_timeout", "", longrun.StartRequest{ExecutionTimeout: longrun.MaxExecutionTimeout}, longrun.StartRequest{ExecutionTimeout: longrun.MaxExecutionTimeout + 1}},
		{"execution_timeout", "", longrun.StartRequest{ExecutionTimeout: 1}, longrun.StartRequest{ExecutionTimeout: -1}},
		{"max_failures", "", longrun.StartRequest{MaxFailures: longrun.MaxFailuresLimit}, longrun.StartRequest{MaxFailures: longrun.MaxFailuresLimit + 1}},
		{"conflict_key", "", starting(longrun.StartOptions{ConflictKey: as(longrun.MaxConflictKeyBytes)}), starting(longrun.StartOptions{ConflictKey: as(longrun.MaxConflictKeyBytes + 1)})},
		{"labels", "", starting(longrun.StartOptions{Labels: labels(longrun.MaxLabels)}), starting(longrun.StartOptions{Labels: labels(longrun.MaxLabels + 1)})},
		{"labels", "", starting(longrun.StartOptions{Labels: map[string]string{umlauts(longrun.MaxLabelChars): ""}}), starting(longrun.StartOptions{Labels: map[string]string{umlauts(longrun.MaxLabelChars + 1): ""}})},
		{"labels", "", starting(longrun.StartOptions{Labels: map[string]string{"k": umlauts(longrun.MaxLabelChars)}}), starting(longrun.StartOptions{Labels: map[string]string{"k": umlauts(longrun.MaxLabelChars + 1)}})},
		{"target", "", starting(longrun.StartOptions{Target: as(longrun.MaxTargetBytes)}), starting(longrun.StartOptions{Target: as(longrun.MaxTargetBytes + 1)})},
		{"verb", "", starting(longrun.StartOptions{Verb: as(longrun.MaxTargetBytes)}), starting(longrun.StartOptions{Verb: as(longrun.MaxTargetBytes + 1)})},
		{"api_version", "", starting(longrun.StartOptions{APIVersion: as(longrun.MaxTargetBytes)}), starting(longrun.StartOptions{APIVersion: as(longrun.MaxTargetBytes + 1)})},
		{"metadata", longrun.ReasonPayloadTooLarge, starting(longrun.StartOptions{Metadata: largeAny(t, longrun.MaxMetadataBytes)}), starting(longrun.StartOptions{Metadata: largeAny(t, longrun.MaxMetadataBytes+1)})},
		{"metadata", "", starting(longrun.StartOptions{Metadata: deepAny(t, longrun.MaxAnyDepth)}), starting(longrun.StartOptions{Metadata: deepAny(t, longrun.MaxAnyDepth+1)})},
	} {
		s.get(t, s.simulate(t, s.startWith(tt.at)))
		if tt.reason == "" {
			tt.reason = longrun.ReasonInvalidField
		}
		_, err := s.starter.Simulate(t.Context(), s.startWith(tt.past))
		expect(t, err, want{code: codes.InvalidArgument, reason: tt.reason, field: tt.field})
	}
}

// Limits of what a run ends with.
func TestFinish_Limits(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, tt := range []struct {
		field, reason string
		at, past      longrun.Result
	}{
		{"response", longrun.ReasonPayloadTooLarge, longrun.Result{Response: largeAny(t, longrun.MaxResponseBytes)}, longrun.Result{Response: largeAny(t, longrun.MaxResponseBytes+1)}},
		{"response", longrun.ReasonInvalidField, longrun.Result{Response: deepAny(t, longrun.MaxAnyDepth)}, longrun.Result{Response: deepAny(t, longrun.MaxAnyDepth+1)}},
		{"metadata", longrun.ReasonPayloadTooLarge, longrun.Result{Metadata: largeAny(t, longrun.MaxMetadataBytes)}, longrun.Result{Metadata: largeAny(t, longrun.MaxMetadataBytes+1)}},
		{"error", longrun.ReasonPayloadTooLarge, longrun.Result{Err: largeError(t, longrun.MaxErrorBytes)}, longrun.Result{Err: largeError(t, longrun.MaxErrorBytes+1)}},
		{"retry_delay", longrun.ReasonInvalidField, longrun.Result{Err: longrun.RetryAfter(longrun.MaxRetryDelay, nil)}, longrun.Result{Err: longrun.RetryAfter(longrun.MaxRetryDelay+time.Microsecond, nil)}},
	} {
		r := &run{s: s, op: s.runUnpinned(t)}
		_, err := s.svc.Work().Finish(t.Context(), r.op.Name(), r.op.Claim, tt.past)
		expect(t, err, want{code: codes.InvalidArgument, reason: tt.reason, field: tt.field})
		r.finish(t, tt.at)
		s.get(t, r.op.Name().String())
	}
}

// runUnpinned starts an operation and claims it, so that it may be repeated.
func (s *system) runUnpinned(t *testing.T) *longrun.Operation {
	t.Helper()
	if s.session.IsZero() {
		s.session = s.openSession(t, 0)
	}
	s.start(t, parent)
	return s.claim(t, s.session).op
}

func starting(o longrun.StartOptions) longrun.StartRequest {
	return longrun.StartRequest{StartOptions: o}
}

// startWith lets the author's method start r.
func (s *system) startWith(r longrun.StartRequest) *longrunpb.SimulateRequest {
	if r.Method == "" {
		r.Method = method
	}
	s.author.do = func(ctx context.Context, _ *longrunpb.SimulateRequest) (*longrun.Operation, error) {
		return s.svc.Start(ctx, r)
	}
	return &longrunpb.SimulateRequest{}
}

// largeAny is an Any that takes so many bytes.
func largeAny(t *testing.T, size int) *anypb.Any {
	t.Helper()
	a := &anypb.Any{TypeUrl: "type.googleapis.com/example.Unknown"}
	a.Value = make([]byte, size-proto.Size(a)-6)
	for proto.Size(a) < size {
		a.Value = append(a.Value, 0)
	}
	if proto.Size(a) != size {
		t.Fatalf("Any has %d bytes, want %d", proto.Size(a), size)
	}
	return a
}

// deepAny is so many Anys, one in the other.
func deepAny(t *testing.T, depth int) *anypb.Any {
	t.Helper()
	a := pack(t, &longrunpb.CommandResponse{})
	for range depth - 1 {
		a = pack(t, a)
	}
	return a
}

// largeError is a Status that takes so many bytes together with its ErrorInfo.
func largeError(t *testing.T, size int) error {
	t.Helper()
	st, err := status.New(codes.DataLoss, "").WithDetails(&errdetails.ErrorInfo{Reason: "BOOK_LOST", Domain: domain})
	if err != nil {
		t.Fatal(err)
	}
	p := st.Proto()
	for p.Message = strings.Repeat("m", size-200); proto.Size(p) < size; {
		p.Message += "m"
	}
	return status.ErrorProto(p)
}
