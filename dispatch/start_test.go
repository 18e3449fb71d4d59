package dispatch_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

const requestID = "0d5a3f3c-91a5-4d0e-9b6e-0c5a6f3d1e42"

func TestStart_AllFields(t *testing.T) {
	bubble(t, func(x *system) {
		name := x.startWith(&longrunpb.StartOperationRequest{
			Parent: "projects/p", Method: "/images.v1.Images/Resize", Request: text("in"), RequestId: requestID,
			ConflictKey: "image-1", OnConflict: longrunpb.ConflictPolicy_QUEUE, Metadata: text("first"),
			ExecutionTimeout: durationpb.New(time.Minute), MaxFailures: 7, AtMostOnce: true, Labels: map[string]string{"size": "small"},
		})
		op := x.get(name)
		if op.Parent != "projects/p" || op.Method != "/images.v1.Images/Resize" || !proto.Equal(op.Request, text("in")) ||
			op.RequestID != requestID || op.ConflictKey != "image-1" || op.OnConflict != longrun.Queue || !proto.Equal(op.Metadata, text("first")) ||
			op.ExecutionTimeout != time.Minute || op.MaxFailures != 7 || !op.AtMostOnce || op.Labels["size"] != "small" {
			x.t.Errorf("stored %+v", op)
		}
	})
}

func TestStart_Defaults(t *testing.T) {
	bubble(t, func(x *system) {
		op := x.get(x.start(resize))
		if op.MaxFailures != longrun.DefaultMaxFailures || op.ExecutionTimeout != 0 || op.Metadata != nil || op.Pinned || op.AtMostOnce || op.State != longrun.Pending {
			x.t.Errorf("stored %+v", op)
		}
	})
}

func TestStart_Invalid(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		untyped := &anypb.Any{Value: []byte("x")}
		for _, tt := range []struct {
			field string
			r     *longrunpb.StartOperationRequest
		}{
			{"method", &longrunpb.StartOperationRequest{}},
			{"method", &longrunpb.StartOperationRequest{Method: "not a method"}},
			{"method", &longrunpb.StartOperationRequest{Method: strings.Repeat("m", longrun.MaxMethodBytes+1)}},
			{"parent", &longrunpb.StartOperationRequest{Method: resize, Parent: "projects/-"}},
			{"request_id", &longrunpb.StartOperationRequest{Method: resize, RequestId: "again"}},
			{"request", &longrunpb.StartOperationRequest{Method: resize, Request: untyped}},
			{"metadata", &longrunpb.StartOperationRequest{Method: resize, Metadata: untyped}},
			{"execution_timeout", &longrunpb.StartOperationRequest{Method: resize, ExecutionTimeout: negative}},
			{"execution_timeout", &longrunpb.StartOperationRequest{Method: resize, ExecutionTimeout: endless}},
			{"execution_timeout", &longrunpb.StartOperationRequest{Method: resize, ExecutionTimeout: torn}},
			{"execution_timeout", &longrunpb.StartOperationRequest{Method: resize, ExecutionTimeout: durationpb.New(longrun.MaxExecutionTimeout + 1)}},
			{"max_failures", &longrunpb.StartOperationRequest{Method: resize, MaxFailures: -1}},
			{"max_failures", &longrunpb.StartOperationRequest{Method: resize, MaxFailures: longrun.MaxFailuresLimit + 1}},
			{"on_conflict", &longrunpb.StartOperationRequest{Method: resize, OnConflict: longrunpb.ConflictPolicy_REJECT}},
			{"on_conflict", &longrunpb.StartOperationRequest{Method: resize, ConflictKey: "k", OnConflict: 99}},
			{"labels", &longrunpb.StartOperationRequest{Method: resize, Labels: map[string]string{"A": ""}}},
			{"call", &longrunpb.StartOperationRequest{Method: resize, Call: 1}},
			{"call", &longrunpb.StartOperationRequest{Method: resize, Session: session}},
			{"call", &longrunpb.StartOperationRequest{Method: resize, Session: session, Call: -1}},
			{"conflict_key", &longrunpb.StartOperationRequest{Method: resize, Session: session, Call: 1, ConflictKey: "k"}},
		} {
			_, err := x.StartOperation(x.ctx, tt.r)
			wantInvalid(x.t, err, tt.field)
		}
		_, err := x.StartOperation(x.ctx, &longrunpb.StartOperationRequest{Method: resize, Request: sized(longrun.MaxRequestBytes + 200)})
		wantError(x.t, err, codes.InvalidArgument, longrun.ReasonPayloadTooLarge, "request")
		page, err := x.svc.List(x.ctx, longrun.ListRequest{Parent: "-"})
		if err != nil || len(page.Operations) != 0 {
			x.t.Errorf("%d operations are stored, %v, want none (OP-19)", len(page.Operations), err)
		}
	})
}

// IDM-01: the same request twice, and 50 times in parallel, is one operation.
func TestStart_RequestID(t *testing.T) {
	bubble(t, func(x *system) {
		var mu sync.Mutex
		var wait sync.WaitGroup
		names := map[string]int{}
		for range 50 {
			wait.Go(func() {
				op, err := x.StartOperation(x.ctx, &longrunpb.StartOperationRequest{Method: resize, RequestId: requestID, Request: text("in")})
				if err != nil {
					x.t.Errorf("StartOperation: %v", err)
				}
				mu.Lock()
				defer mu.Unlock()
				names[op.GetName()]++
			})
		}
		wait.Wait()
		if len(names) != 1 {
			x.t.Errorf("50 requests have made %v, want one operation", names)
		}
		ops := x.acquire(x.open(), 1, 10)
		if len(ops) != 1 {
			x.t.Fatalf("acquired %d operations, want 1", len(ops))
		}
		// IDM-06: UUIDs are no text.
		upper := &longrunpb.StartOperationRequest{Method: resize, RequestId: strings.ToUpper(requestID), Request: text("in")}
		if got := x.startWith(upper).String(); got != ops[0].GetOperation() {
			x.t.Errorf("name = %s, want %s", got, ops[0].GetOperation())
		}
		// IDM-04: the same id for another request.
		upper.Request = text("out")
		_, err := x.StartOperation(x.ctx, upper)
		wantError(x.t, err, codes.InvalidArgument, longrun.ReasonRequestIDReused, "request_id")
	})
}

// IDM-02: a repeated start of an operation that has ended shows its end.
func TestStart_RequestIDAfterTheEnd(t *testing.T) {
	bubble(t, func(x *system) {
		r := &longrunpb.StartOperationRequest{Method: resize, RequestId: requestID}
		name := x.startWith(r)
		session := x.open()
		x.finish(succeed(session, x.acquireOne(session, 1)))
		op, err := x.StartOperation(x.ctx, r)
		if err != nil || op.GetName() != name.String() || !op.GetDone() || !proto.Equal(op.GetResponse(), text("done")) {
			x.t.Errorf("StartOperation = %v, %v, want %s with its response", op, err, name)
		}
	})
}

// IDM-07: without an id, two starts are two operations.
func TestStart_NoRequestID(t *testing.T) {
	bubble(t, func(x *system) {
		first, second := x.start(resize), x.start(resize)
		if first == second {
			x.t.Error("two starts have made one operation")
		}
	})
}

// VAL-01, VAL-03: checked, not stored, and no name.
func TestStart_ValidateOnly(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		for _, r := range []*longrunpb.StartOperationRequest{
			{Method: resize, ValidateOnly: true},
			{Method: resize, ValidateOnly: true, Session: session, Call: 1},
		} {
			op, err := x.StartOperation(x.ctx, r)
			want := &longrunningpb.Operation{Done: true, Result: &longrunningpb.Operation_Response{Response: pack(&emptypb.Empty{})}}
			if err != nil || !proto.Equal(op, want) {
				x.t.Errorf("StartOperation = %v, %v, want %v", op, err, want)
			}
		}
		if got := x.acquire(session, 1, 1); len(got) != 0 {
			x.t.Errorf("acquired %v, want none", got)
		}
		_, err := x.StartOperation(x.ctx, &longrunpb.StartOperationRequest{Method: resize, ValidateOnly: true, MaxFailures: -1})
		wantInvalid(x.t, err, "max_failures")
	})
}

func TestStart_Conflict(t *testing.T) {
	bubble(t, func(x *system) {
		start := func(p longrunpb.ConflictPolicy) (longrun.Name, error) {
			op, err := x.StartOperation(x.ctx, &longrunpb.StartOperationRequest{Method: resize, ConflictKey: "image-1", OnConflict: p})
			if err != nil {
				return longrun.Name{}, err
			}
			return x.name(op.GetName()), nil
		}
		session := x.open()
		first, _ := start(longrunpb.ConflictPolicy_CONFLICT_POLICY_UNSPECIFIED)
		run := x.acquireOne(session, 1)
		// PAR-04: the next one waits.
		second, err := start(longrunpb.ConflictPolicy_CONFLICT_POLICY_UNSPECIFIED)
		if err != nil || len(x.acquire(session, 2, 1)) != 0 {
			x.t.Errorf("a queued operation was refused (%v) or acquired", err)
		}
		// PAR-02, PAR-03: or is refused by the starting call.
		_, err = start(longrunpb.ConflictPolicy_REJECT)
		wantError(x.t, err, codes.Aborted, longrun.ReasonConcurrentOperation, "")
		// PAR-06: the next one goes when the first has ended.
		x.finish(succeed(session, run))
		run = x.acquireOne(session, 3)
		if run.GetOperation() != second.String() {
			x.t.Errorf("acquired %s, want %s", run.GetOperation(), second)
		}
		// PAR-05: or takes the key away.
		third, _ := start(longrunpb.ConflictPolicy_PREEMPT)
		x.finish(succeed(session, run))
		x.wantState(first, longrun.Succeeded, 0)
		x.wantState(second, longrun.Failed, codes.Aborted)
		x.wantState(third, longrun.Pending, 0)
	})
}

// An operation that a session starts is claimed by it, as attempt 1, and offered
// to nobody else.
func TestStart_Session(t *testing.T) {
	bubble(t, func(x *system) {
		session, other := x.open(), x.open()
		name := x.startClaimed(session, 1)
		op := x.get(name)
		if op.State != longrun.Running || op.Claim.Attempt != 1 || op.Claim.Call != 1 || !op.Pinned || !op.AtMostOnce {
			x.t.Errorf("stored %+v, want it claimed by call 1 as attempt 1", op)
		}
		if got := x.acquire(other, 1, 1); len(got) != 0 {
			x.t.Errorf("another session acquired %v", got)
		}
		run := &longrunpb.AcquiredOperation{Operation: name.String(), Attempt: 1}
		if stop := x.beat(session, 1, run); len(stop) != 0 {
			x.t.Errorf("stop = %v, want none", stop)
		}
		x.finish(succeed(session, run))
		x.wantState(name, longrun.Succeeded, 0)
	})
}

// A replay whose claim is this session's is the same operation; one whose claim is
// another's is ABORTED.
func TestStart_SessionReplay(t *testing.T) {
	bubble(t, func(x *system) {
		session, other := x.open(), x.open()
		r := &longrunpb.StartOperationRequest{Method: resize, RequestId: requestID, Session: session, Call: 1}
		name := x.startWith(r)
		if again := x.startWith(r); again != name {
			x.t.Errorf("the same start again is %s, want %s", again, name)
		}
		r.Session = other
		_, err := x.StartOperation(x.ctx, r)
		wantClaimLost(x.t, err)
	})
}

func TestStart_SessionWhileDraining(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		x.svc.Drain()
		_, err := x.StartOperation(x.ctx, &longrunpb.StartOperationRequest{Method: resize, Session: session, Call: 1})
		wantError(x.t, err, codes.Unavailable, longrun.ReasonUnavailable, "")
		x.start(resize) // for whoever works elsewhere
	})
}

// Whatever ends the run of a session-started operation, it is never repeated:
// nobody else could do it.
func TestStart_SessionNeverRepeats(t *testing.T) {
	for _, tt := range []struct {
		how  string
		end  func(x *system, session string, op *longrunpb.AcquiredOperation) error
		code codes.Code
	}{
		{"release", func(x *system, session string, op *longrunpb.AcquiredOperation) error {
			_, err := x.ReleaseOperation(x.ctx, &longrunpb.ReleaseOperationRequest{Name: op.GetOperation(), Session: session, Attempt: 1})
			return err
		}, codes.Aborted},
		{"retry_delay", func(x *system, session string, op *longrunpb.AcquiredOperation) error {
			r := fail(session, op, codes.ResourceExhausted)
			r.RetryDelay = durationpb.New(time.Second)
			_, err := x.FinishOperation(x.ctx, r)
			return err
		}, codes.Aborted},
		{"UNAVAILABLE", func(x *system, session string, op *longrunpb.AcquiredOperation) error {
			_, err := x.FinishOperation(x.ctx, fail(session, op, codes.Unavailable))
			return err
		}, codes.Unavailable},
		{"session closed", func(x *system, session string, _ *longrunpb.AcquiredOperation) error {
			_, err := x.CloseSession(x.ctx, &longrunpb.CloseSessionRequest{Session: session})
			x.sweepFor(time.Second)
			return err
		}, codes.Aborted},
		{"session lost", func(x *system, _ string, _ *longrunpb.AcquiredOperation) error {
			x.sweepFor(40 * time.Second)
			return nil
		}, codes.Aborted},
	} {
		t.Run(tt.how, func(t *testing.T) {
			bubble(t, func(x *system) {
				session := x.open()
				name := x.startClaimed(session, 1)
				if err := tt.end(x, session, &longrunpb.AcquiredOperation{Operation: name.String(), Attempt: 1}); err != nil {
					t.Fatal(err)
				}
				x.wantState(name, longrun.Failed, tt.code)
			})
		})
	}
}
