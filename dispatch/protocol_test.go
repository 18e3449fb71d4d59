package dispatch_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/dispatch"
	"github.com/longrun-dev/longrun/longrunpb"
)

// The rules of a remote session, of which the model showed each to be necessary
// (hole H2): a reply may be lost, late or out of order, and yet no run begins
// twice and none is forgotten.

// The reply of an Acquire is slow; beats without it pass. Its call is not closed,
// so the claim stays, and the run that begins late is the only one.
func TestProtocol_LateAcquireReply(t *testing.T) {
	bubble(t, func(x *system) {
		name := x.start(resize)
		slow, other := x.open(), x.open()
		late := x.acquireOne(slow, 1) // what the worker has not seen yet
		x.beat(slow, 0)
		x.beat(slow, 0)
		if got := x.acquire(other, 1, 1); len(got) != 0 {
			x.t.Fatalf("another worker acquired %v, want none", got)
		}
		if stop := x.beat(slow, 1, late); len(stop) != 0 {
			x.t.Errorf("stop = %v for a claim that holds, want none", stop)
		}
		x.finish(succeed(slow, late))
		x.wantState(name, longrun.Succeeded, 0)
	})
}

// The worker gives a call up and closes it. What it had claimed is released at
// once, without a failure, and a reply that comes yet is of no use.
func TestProtocol_ClosedCall(t *testing.T) {
	bubble(t, func(x *system) {
		name := x.start(resize)
		session, other := x.open(), x.open()
		ignored := x.acquireOne(session, 1)
		x.beat(session, 1)
		if got := x.get(name); got.State != longrun.Pending || got.Failures != 0 {
			x.t.Errorf("State = %v, Failures = %d, want PENDING, 0", got.State, got.Failures)
		}
		again := x.acquireOne(other, 1)
		if again.GetAttempt() != 2 {
			x.t.Errorf("Attempt = %d, want 2", again.GetAttempt())
		}
		_, err := x.FinishOperation(x.ctx, succeed(session, ignored))
		wantClaimLost(x.t, err)
	})
}

// A call that reaches the server after it was closed claims nothing.
func TestProtocol_LateAcquireRequest(t *testing.T) {
	bubble(t, func(x *system) {
		x.start(resize)
		session := x.open()
		x.beat(session, 3)
		for call := range int64(3) {
			if got := x.acquire(session, call+1, 1); len(got) != 0 {
				x.t.Errorf("closed call %d acquired %v, want none", call+1, got)
			}
		}
		x.acquireOne(session, 4)
	})
}

// A worker that stops naming an operation when it sends its Finish, and not when
// that was answered, loses it when the Finish is lost: the operation is released
// and the repeated Finish refused. So it names it until the answer.
func TestProtocol_DroppingEarly(t *testing.T) {
	bubble(t, func(x *system) {
		name := x.start(resize)
		session := x.open()
		op := x.acquireOne(session, 1)
		x.beat(session, 1, op)
		x.beat(session, 1) // Finish was sent, and is lost
		if got := x.get(name).State; got != longrun.Pending {
			x.t.Errorf("State = %v, want PENDING", got)
		}
		_, err := x.FinishOperation(x.ctx, succeed(session, op))
		wantClaimLost(x.t, err)

		op = x.acquireOne(session, 2)
		x.finish(succeed(session, op)) // its answer is lost
		x.beat(session, 2, op)
		x.finish(succeed(session, op))
		x.beat(session, 2)
		x.wantState(name, longrun.Succeeded, 0)
	})
}

// Beats may overtake one another: an old beat closes what it closes, and says
// nothing of later calls.
func TestProtocol_BeatsOutOfOrder(t *testing.T) {
	bubble(t, func(x *system) {
		x.start(resize)
		x.start(resize)
		session := x.open()
		first := x.acquireOne(session, 1)
		old := beatOf(session, 1, first)
		second := x.acquireOne(session, 2)
		x.beat(session, 2, first, second)
		if _, err := x.BeatSession(x.ctx, old); err != nil {
			x.t.Fatal(err)
		}
		x.finish(succeed(session, first))
		x.finish(succeed(session, second))
	})
}

// A late answer of one call does not disturb another that is under way.
func TestProtocol_CallsSideBySide(t *testing.T) {
	bubble(t, func(x *system) {
		for range 3 {
			x.start(resize)
		}
		session := x.open()
		a, b := x.acquireOne(session, 2), x.acquireOne(session, 1)
		if a.GetOperation() == b.GetOperation() {
			x.t.Fatal("two calls have claimed the same operation")
		}
		x.beat(session, 1, b) // call 2 is open
		x.finish(succeed(session, a))
		x.finish(succeed(session, b))
	})
}

// A session-started operation follows the same rule, but is never repeated: if
// its call is closed and it is not named, it ends.
func TestProtocol_ClosedStart(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		name := x.startClaimed(session, 1)
		x.beat(session, 0)
		x.wantState(name, longrun.Running, 0)
		x.beat(session, 1, &longrunpb.AcquiredOperation{Operation: name.String(), Attempt: 1})
		x.wantState(name, longrun.Running, 0)
		x.beat(session, 1)
		x.wantState(name, longrun.Failed, codes.Aborted)
	})
}

// The answer to a claim is lost between store and server; the same call again
// finds what it has claimed.
func TestProtocol_UnknownOutcome(t *testing.T) {
	bubble(t, func(x *system) {
		name := x.start(resize)
		session := x.open()
		x.store.loseClaims.Store(1)
		r := &longrunpb.AcquireOperationsRequest{Session: session, Methods: []string{resize}, Call: 1}
		_, err := x.AcquireOperations(x.ctx, r)
		wantError(x.t, err, codes.Unavailable, longrun.ReasonUnavailable, "")
		ops := x.acquireWith(r)
		if len(ops) != 1 || ops[0].GetOperation() != name.String() || ops[0].GetAttempt() != 1 {
			x.t.Errorf("acquired %v, want %s, attempt 1", ops, name)
		}
	})
}

// IDM-08, CON-02: another server on the same store knows the requests, the tokens
// and the claims of the first, as after a restart.
func TestProtocol_AnotherServer(t *testing.T) {
	bubble(t, func(x *system) {
		request := &longrunpb.StartOperationRequest{Method: resize, RequestId: requestID}
		name := x.startWith(request)
		session := x.open()
		op := x.acquireOne(session, 1)
		y := serve(x.t, x.store, longrun.Options{}, dispatch.Options{})
		if again := y.startWith(request); again != name {
			x.t.Errorf("the same start at another server is %s, want %s", again, name)
		}
		if again := y.acquireOne(session, 1); again.GetOperation() != op.GetOperation() || again.GetAttempt() != 1 {
			x.t.Errorf("the same call at another server gave %v, want %v", again, op)
		}
		if stop := y.beat(session, 1, op); len(stop) != 0 {
			x.t.Errorf("stop = %v, want none", stop)
		}
		y.finish(succeed(session, op))
		x.wantState(name, longrun.Succeeded, 0)
	})
}

// AUT-02, AUT-03: who may not start or work is refused by every call, whatever it
// asks for.
func TestProtocol_PermissionDenied(t *testing.T) {
	bubble(t, func(x *system) {
		name, session := x.start(resize), x.open()
		denied := longrun.Options{Authorize: func(context.Context, longrun.Verb, string) error { return errors.New("no") }}
		y := serve(x.t, x.store, denied, dispatch.Options{})
		errs := y.everyCall(session, name.String())
		_, errs["open"] = y.OpenSession(x.ctx, &longrunpb.OpenSessionRequest{Ttl: negative})
		_, errs["start for others"] = y.StartOperation(x.ctx, &longrunpb.StartOperationRequest{Method: "not a method"})
		for call, err := range errs {
			if got := status.Code(err); got != codes.PermissionDenied {
				x.t.Errorf("%s: %v, want PERMISSION_DENIED", call, err)
			}
		}
		x.wantState(name, longrun.Pending, 0)
	})
}

// CON-03: many workers that wait side by side take each operation exactly once.
func TestProtocol_ManyWorkers(t *testing.T) {
	const workers, operations = 20, 200
	bubble(t, func(x *system) {
		var wait sync.WaitGroup
		var done atomic.Int64
		for range workers {
			session := x.open()
			wait.Go(func() {
				for call := int64(1); done.Load() < operations; call++ {
					r := waiting(session, call, resize)
					r.MaxOperations, r.WaitTimeout = 3, durationpb.New(time.Second)
					for _, op := range x.acquireWith(r) {
						if op.GetAttempt() != 1 {
							x.t.Errorf("attempt = %d, want 1", op.GetAttempt())
						}
						x.finish(succeed(session, op))
						done.Add(1)
					}
				}
			})
		}
		for range operations {
			x.start(resize)
		}
		wait.Wait()
		if got := done.Load(); got != operations {
			x.t.Errorf("%d runs, want %d", got, operations)
		}
	})
}
