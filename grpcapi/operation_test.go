package grpcapi_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// OP-01: the wire shape is the shared message, with nothing of our own in it.
func TestOperation_WireShape(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	numbers := map[protoreflect.Name]protoreflect.FieldNumber{"name": 1, "metadata": 2, "done": 3, "error": 4, "response": 5}
	fields := (&longrunningpb.Operation{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); numbers[f.Name()] != f.Number() {
			t.Errorf("field %s = %d, want %d", f.Name(), f.Number(), numbers[f.Name()])
		}
	}
	for _, name := range s.fixtures(t, parent).all() {
		if unknown := s.get(t, name).ProtoReflect().GetUnknown(); len(unknown) > 0 {
			t.Errorf("Get has unknown fields: %x", unknown)
		}
	}
}

// OP-02: while it is not done there is neither error nor response.
func TestOperation_RunningHasNoResult(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	running, pending := s.run(t, parent), s.start(t, parent)
	for range 100 {
		for _, name := range []string{running.name, pending} {
			if op := s.get(t, name); op.GetDone() || op.GetResult() != nil {
				t.Fatalf("Get = %v, want no result", op)
			}
		}
	}
}

// OP-03: a done one has exactly one of them. OP-09: failed and cancelled ones
// have an error. OP-10: a cancelled one is kept, with code 1. OP-12: codes are
// google.rpc's. OP-13: Get of them is OK all the same.
func TestOperation_DoneHasOneResult(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	f := s.fixtures(t, parent)
	for name, code := range map[string]codes.Code{f.S: codes.OK, f.E: codes.FailedPrecondition, f.C: codes.Canceled} {
		op := s.get(t, name)
		if !op.GetDone() || (op.GetResponse() != nil) == (op.GetError() != nil) {
			t.Errorf("Get = %v, want done with one result", op)
		}
		if got := codes.Code(op.GetError().GetCode()); got != code {
			t.Errorf("error.code = %v, want %v", got, code)
		}
	}
}

// OP-04: a method that returns nothing has an Empty response.
func TestOperation_EmptyResponse(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.run(t, parent)
	r.finish(t, longrun.Result{})
	if got, want := s.get(t, r.name).GetResponse().GetTypeUrl(), "type.googleapis.com/google.protobuf.Empty"; got != want {
		t.Errorf("response type = %q, want %q", got, want)
	}
}

// OP-05: the response is what the method returned, under its own type. OP-07: the
// prefix of type URLs.
func TestOperation_ResponseType(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	op := s.get(t, s.fixtures(t, parent).S)
	if got, want := op.GetResponse().GetTypeUrl(), "type.googleapis.com/longrun.v1.CommandResponse"; got != want {
		t.Errorf("response type = %q, want %q", got, want)
	}
	if got, want := op.GetMetadata().GetTypeUrl(), "type.googleapis.com/longrun.v1.OperationMetadata"; got != want {
		t.Errorf("metadata type = %q, want %q", got, want)
	}
}

// OP-08: error.code is one of 1..16, whatever the work returns. OP-11: the error
// has the content of a direct one, an ErrorInfo too; ERR-07: no internals.
func TestOperation_ErrorCode(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	withInfo, err := status.New(codes.NotFound, "no such shelf").WithDetails(&errdetails.ErrorInfo{Reason: "SHELF_NOT_FOUND", Domain: domain})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		err    error
		code   codes.Code
		reason string
	}{
		{status.Error(codes.FailedPrecondition, "the shelf is full"), codes.FailedPrecondition, longrun.ReasonOperationFailed},
		{withInfo.Err(), codes.NotFound, "SHELF_NOT_FOUND"},
		{withCode(0), codes.Internal, longrun.ReasonInternal},
		{withCode(99), codes.Internal, longrun.ReasonInternal},
		{errDetail, codes.Internal, longrun.ReasonInternal},
		{context.Canceled, codes.Internal, longrun.ReasonInternal},
	} {
		r := s.run(t, parent)
		r.finish(t, longrun.Result{Err: tt.err})
		got := s.get(t, r.name)
		if got.GetError() == nil {
			t.Fatalf("Get after %v = %v, want an error", tt.err, got)
		}
		expect(t, status.ErrorProto(got.GetError()), want{code: tt.code, reason: tt.reason})
	}
}

// withCode is an error whose Status has a code that a Status must not have.
type withCode codes.Code

func (c withCode) Error() string { return "strange" }

func (c withCode) GRPCStatus() *status.Status {
	return status.FromProto(&statuspb.Status{Code: int32(c), Message: "strange"})
}

// OP-14, CON-06: metadata shows progress, which does not go back.
func TestOperation_Progress(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.run(t, parent)
	last := int64(0)
	for _, units := range []int64{1, 5, 3, 9} {
		r.report(t, &longrunpb.OperationMetadata{Progress: &longrunpb.Progress{CompletedUnits: units, TotalUnits: 10}})
		got := metadataOf(t, s.get(t, r.name)).GetProgress().GetCompletedUnits()
		if got < last || got < units {
			t.Errorf("completed_units = %d after a report of %d, want no step back from %d", got, units, last)
		}
		last = got
	}
}

// OP-15: metadata stays after completion, of unchanged type, with end_time.
// OP-26: create_time is set once; end_time is absent until done, and not earlier.
func TestOperation_MetadataTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		r := s.run(t, parent)
		before := s.get(t, r.name)
		m := metadataOf(t, before)
		if m.GetCreateTime() == nil || m.GetEndTime() != nil {
			t.Errorf("times while running = %v, want create_time and no end_time", m)
		}
		time.Sleep(time.Minute)
		r.finish(t, longrun.Result{})
		after := s.get(t, r.name)
		if after.GetMetadata().GetTypeUrl() != before.GetMetadata().GetTypeUrl() {
			t.Errorf("metadata type = %q, want %q as before", after.GetMetadata().GetTypeUrl(), before.GetMetadata().GetTypeUrl())
		}
		end := metadataOf(t, after)
		if !proto.Equal(end.GetCreateTime(), m.GetCreateTime()) {
			t.Errorf("create_time = %v, want %v as before", end.GetCreateTime(), m.GetCreateTime())
		}
		if got := end.GetEndTime().AsTime().Sub(m.GetCreateTime().AsTime()); got != time.Minute {
			t.Errorf("end_time - create_time = %v, want 1m0s", got)
		}
		time.Sleep(time.Minute)
		if again := metadataOf(t, s.get(t, r.name)); !proto.Equal(again, end) {
			t.Errorf("metadata later = %v, want %v", again, end)
		}
	})
}

// OP-16: what is done never changes: not by time, Cancel, or a restart.
func TestOperation_DoneIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		f := s.fixtures(t, parent)
		before := map[string]*longrunningpb.Operation{}
		for _, name := range f.done() {
			before[name] = s.get(t, name)
		}
		for range 6 {
			time.Sleep(10 * time.Second)
			again := newSystemOn(t, s.store, settings{})
			for _, name := range f.done() {
				again.cancel(t, name)
				if got := again.get(t, name); !proto.Equal(got, before[name]) {
					t.Errorf("Get = %v, want it as before: %v", got, before[name])
				}
			}
		}
	})
}

// OP-17: every operation carries its own canonical name.
func TestOperation_Name(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	names := s.fixtures(t, parent).all()
	for _, name := range names {
		if got := s.get(t, name).GetName(); got != name {
			t.Errorf("name by Get = %q, want %q", got, name)
		}
	}
	for _, name := range s.fixtures(t, "").done() {
		op, err := s.ops.WaitOperation(t.Context(), &longrunningpb.WaitOperationRequest{Name: name})
		if err != nil || op.GetName() != name {
			t.Errorf("name by Wait = %q, %v; want %q", op.GetName(), err, name)
		}
	}
	slices.Reverse(names)
	if got := s.list(t, parent); !slices.Equal(got, names) {
		t.Errorf("names by List = %q, want %q", got, names)
	}
}

// OP-18: errors that do not end the operation are Status values in metadata.
func TestOperation_Warnings(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.run(t, parent)
	r.report(t, &longrunpb.OperationMetadata{Warnings: []*statuspb.Status{status.New(codes.NotFound, "book 7 is missing").Proto()}})
	r.finish(t, longrun.Result{})
	w := metadataOf(t, s.get(t, r.name)).GetWarnings()
	if len(w) != 1 || codes.Code(w[0].GetCode()) != codes.NotFound {
		t.Errorf("warnings = %v, want NOT_FOUND", w)
	}
}

// OP-19: what stops the work from starting is the starting call's error, and
// nothing is stored; an error during the work is the operation's.
func TestOperation_WhereErrorsGo(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	longrun.Begin(s.svc, simulate, func(_ context.Context, r *longrunpb.SimulateRequest, _ *longrun.Draft) error {
		return status.ErrorProto(r.GetStartError())
	})
	_, err := s.starter.Simulate(t.Context(), &longrunpb.SimulateRequest{Parent: parent, StartError: status.New(codes.NotFound, "no such shelf").Proto()})
	expect(t, err, want{code: codes.NotFound, reason: "NOT_FOUND"})
	if got := s.list(t, parent); len(got) != 0 {
		t.Errorf("List after a start that failed = %q, want none", got)
	}
	s.session = s.openSession(t, 0)
	name := s.start(t, parent)
	s.claim(t, s.session).finish(t, longrun.Result{Err: failure})
	if got := s.get(t, name).GetError().GetMessage(); got != "the shelf is full" {
		t.Errorf("error.message = %q, want the work's", got)
	}
}

// OP-21: an action that ends at once may return a done operation.
func TestOperation_DoneAtOnce(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.session = s.openSession(t, 0)
	s.author.do = func(ctx context.Context, r *longrunpb.SimulateRequest) (*longrun.Operation, error) {
		op, err := s.svc.Start(ctx, longrun.StartRequest{Method: method, StartOptions: longrun.StartOptions{Parent: parent}})
		if err != nil {
			return nil, err
		}
		s.claim(t, s.session).finish(t, longrun.Result{})
		return s.svc.Get(ctx, op.Name())
	}
	op, err := s.starter.Simulate(t.Context(), &longrunpb.SimulateRequest{})
	if err != nil || !op.GetDone() || op.GetResponse() == nil {
		t.Fatalf("Simulate = %v, %v; want it done", op, err)
	}
	if got := s.get(t, op.GetName()); !proto.Equal(got, op) {
		t.Errorf("Get = %v, want %v", got, op)
	}
}

// shelf is a resource that operations work on.
type shelf struct{ books int }

// handleShelf gives the author's method a handler that puts a book on a shelf, and
// opens the session that runs it.
func (s *system) handleShelf(t *testing.T) *shelf {
	t.Helper()
	sh := &shelf{}
	longrun.Handle(s.svc, simulate, func(context.Context, *longrunpb.SimulateRequest, *longrun.Run[*longrunpb.OperationMetadata]) (*anypb.Any, error) {
		sh.books++
		return nil, nil
	})
	s.session = s.openSession(t, longrun.MaxSessionTTL)
	return sh
}

// work runs the handler for one operation.
func (sh *shelf) work(t *testing.T, s *system) {
	t.Helper()
	r := s.claim(t, s.session)
	if r == nil {
		t.Fatal("there is no work")
	}
	task, err := s.svc.Work().Task(r.op, longrun.TaskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r.finish(t, task.Run(t.Context()))
}

// OP-24: when the operation is done, the resource is in its final state.
func TestOperation_DoneMeansSteady(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	sh := s.handleShelf(t)
	name := s.start(t, parent)
	if s.get(t, name).GetDone() || sh.books != 0 {
		t.Errorf("done before the work")
	}
	sh.work(t, s)
	if !s.get(t, name).GetDone() || sh.books != 1 {
		t.Errorf("books = %d, done = %v; want 1, true", sh.books, s.get(t, name).GetDone())
	}
}

// OP-25: the conventional names and numbers of metadata. OP-27: times end in
// _time, and no enum is shown as UNSPECIFIED.
func TestOperation_MetadataFields(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	fields := (&longrunpb.OperationMetadata{}).ProtoReflect().Descriptor().Fields()
	conventional := []protoreflect.Name{"create_time", "end_time", "target", "verb", "status_message", "requested_cancellation", "api_version"}
	for i, name := range conventional {
		if f := fields.ByName(name); f == nil || int(f.Number()) != i+1 {
			t.Errorf("field %d is not %s", i+1, name)
		}
	}
	for i := range fields.Len() {
		f := fields.Get(i)
		isTime := f.Message() != nil && f.Message().FullName() == "google.protobuf.Timestamp"
		if isTime != strings.HasSuffix(string(f.Name()), "_time") {
			t.Errorf("field %s: Timestamp = %v", f.Name(), isTime)
		}
	}
	r := s.runRequest(t, longrun.StartRequest{Method: method, StartOptions: longrun.StartOptions{
		Parent: parent, Target: "shelves/7", Verb: "fill", APIVersion: "v1",
	}})
	s.cancel(t, r.name)
	for _, name := range append(s.fixtures(t, parent).all(), r.name, s.start(t, parent)) {
		text := protojson.Format(metadataOf(t, s.get(t, name)))
		if strings.Contains(text, "UNSPECIFIED") {
			t.Errorf("metadata = %s, want nothing unspecified", text)
		}
		if name != r.name {
			continue
		}
		for _, key := range []string{"createTime", "target", "verb", "requestedCancellation", "apiVersion"} {
			if !strings.Contains(text, `"`+key+`"`) {
				t.Errorf("metadata = %s, want %s in it", text, key)
			}
		}
	}
}

// OP-25: metadata of the author's own gets the conventional fields that it has.
func TestOperation_OwnMetadata(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.runRequest(t, longrun.StartRequest{Method: method, StartOptions: longrun.StartOptions{Parent: parent, Metadata: &emptypb.Empty{}}})
	if got := s.get(t, r.name).GetMetadata().GetTypeUrl(); got != "type.googleapis.com/google.protobuf.Empty" {
		t.Errorf("metadata type = %q, want the author's", got)
	}
}
