package dispatch_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

func wantStop(t *testing.T, got []*longrunpb.StoppedOperation, op *longrunpb.AcquiredOperation, cause longrunpb.StoppedOperation_Cause) {
	t.Helper()
	if len(got) != 1 || got[0].GetOperation() != op.GetOperation() || got[0].GetAttempt() != op.GetAttempt() || got[0].GetCause() != cause {
		t.Errorf("stop = %v, want %s, attempt %d, %v", got, op.GetOperation(), op.GetAttempt(), cause)
	}
}

func TestBeat_WaitsForAThirdOfTheTTL(t *testing.T) {
	bubble(t, func(x *system) {
		for _, ttl := range []time.Duration{longrun.MinSessionTTL, 30 * time.Second, longrun.MaxSessionTTL} {
			r, err := x.OpenSession(x.ctx, &longrunpb.OpenSessionRequest{Ttl: durationpb.New(ttl)})
			if err != nil {
				x.t.Fatal(err)
			}
			got := took(func() { _, err = x.BeatSession(x.ctx, longBeat(r.GetSession(), 0)) })
			if err != nil || got != ttl/3 {
				x.t.Errorf("a beat took %v, %v, want %v", got, err, ttl/3)
			}
		}
	})
}

func TestBeat_Wait(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		for _, tt := range []struct {
			wait *durationpb.Duration
			want time.Duration
		}{
			{nil, 0}, {durationpb.New(0), 0}, {durationpb.New(3 * time.Second), 3 * time.Second},
		} {
			r := beatOf(session, 0)
			r.WaitTimeout = tt.wait
			if got := took(func() { x.BeatSession(x.ctx, r) }); got != tt.want {
				x.t.Errorf("wait_timeout %v: took %v, want %v", tt.wait, got, tt.want)
			}
		}
	})
}

// A beat answers a little before the caller's deadline (as WAI-05).
func TestBeat_CallersDeadline(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		for _, tt := range []struct{ left, want time.Duration }{
			{4 * time.Second, 3750 * time.Millisecond}, {400 * time.Millisecond, 300 * time.Millisecond},
		} {
			ctx, cancel := context.WithTimeout(x.ctx, tt.left)
			var err error
			got := took(func() { _, err = x.BeatSession(ctx, longBeat(session, 0)) })
			cancel()
			if err != nil || got != tt.want {
				x.t.Errorf("with %v left: took %v, %v, want %v", tt.left, got, err, tt.want)
			}
		}
	})
}

// CAN-01: a cancel reaches the worker at once, and CAN-03: the operation ends
// with code 1 when the worker says so.
func TestBeat_CancelAnswersEarly(t *testing.T) {
	bubble(t, func(x *system) {
		name := x.start(resize)
		session := x.open()
		op := x.acquireOne(session, 1)
		time.AfterFunc(4*time.Second, func() { x.cancel(op) })
		var r *longrunpb.BeatSessionResponse
		var err error
		got := took(func() { r, err = x.BeatSession(x.ctx, longBeat(session, 1, op)) })
		if err != nil || got != 4*time.Second {
			x.t.Fatalf("the beat took %v, %v, want 4s", got, err)
		}
		wantStop(x.t, r.GetStop(), op, longrunpb.StoppedOperation_CANCELLED)
		x.finish(fail(session, op, codes.Canceled))
		x.wantState(name, longrun.Cancelled, codes.Canceled)
	})
}

// What must stop is said in every beat until it has ended, but to a worker that
// beats again at once only every second: not in a tight loop.
func TestBeat_SaysItAgain(t *testing.T) {
	bubble(t, func(x *system) {
		x.start(resize)
		session := x.open()
		op := x.acquireOne(session, 1)
		x.cancel(op)
		for i, want := range []time.Duration{0, time.Second, time.Second} {
			var r *longrunpb.BeatSessionResponse
			var err error
			if got := took(func() { r, err = x.BeatSession(x.ctx, longBeat(session, 1, op)) }); err != nil || got != want {
				x.t.Errorf("beat %d took %v, %v, want %v", i+1, got, err, want)
			}
			wantStop(x.t, r.GetStop(), op, longrunpb.StoppedOperation_CANCELLED)
		}
		wantStop(x.t, x.beat(session, 1, op), op, longrunpb.StoppedOperation_CANCELLED)
		x.finish(fail(session, op, codes.Canceled))
		if got := x.beat(session, 1); len(got) != 0 {
			x.t.Errorf("stop = %v after the end, want none", got)
		}
	})
}

// News are said at once, also to a worker that was told something a moment ago.
func TestBeat_NewsBesideOldStops(t *testing.T) {
	bubble(t, func(x *system) {
		x.start(resize)
		x.start(resize)
		session := x.open()
		ops := x.acquire(session, 1, 2)
		x.cancel(ops[0])
		x.beat(session, 1, ops...)
		time.AfterFunc(300*time.Millisecond, func() { x.cancel(ops[1]) })
		var r *longrunpb.BeatSessionResponse
		got := took(func() { r, _ = x.BeatSession(x.ctx, longBeat(session, 1, ops...)) })
		if got != 300*time.Millisecond || len(r.GetStop()) != 2 {
			x.t.Errorf("the beat took %v and says %v, want 300ms and two stops", got, r.GetStop())
		}
	})
}

func TestBeat_Causes(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		// PAR-05: a newer operation takes the conflict key.
		key := &longrunpb.StartOperationRequest{Method: resize, ConflictKey: "image-1", OnConflict: longrunpb.ConflictPolicy_PREEMPT}
		old := x.startWith(key)
		op := x.acquireOne(session, 1)
		x.startWith(key)
		wantStop(x.t, x.beat(session, 1, op), op, longrunpb.StoppedOperation_PREEMPTED)
		x.finish(succeed(session, op))
		x.wantState(old, longrun.Failed, codes.Aborted) // CAN-14
		newer := x.acquireOne(session, 2)               // PAR-06
		x.finish(succeed(session, newer))

		late := x.startWith(&longrunpb.StartOperationRequest{Method: resize, ExecutionTimeout: durationpb.New(2 * time.Second)})
		op = x.acquireOne(session, 3)
		if op.GetDeadlineTime().AsTime() != x.get(late).DeadlineTime {
			x.t.Errorf("deadline_time = %v, want %v", op.GetDeadlineTime().AsTime(), x.get(late).DeadlineTime)
		}
		time.Sleep(2*time.Second + time.Millisecond)
		wantStop(x.t, x.beat(session, 3, op), op, longrunpb.StoppedOperation_DEADLINE_PASSED)
		x.finish(fail(session, op, codes.DeadlineExceeded))
		x.wantState(late, longrun.Failed, codes.DeadlineExceeded)

		// A run that is not the session's: of another attempt, ended, or no
		// operation at all.
		wantStop(x.t, x.beat(session, 3, op), op, longrunpb.StoppedOperation_CLAIM_LOST)
		foreign := &longrunpb.AcquiredOperation{Operation: "projects/p/operations/none", Attempt: 1}
		wantStop(x.t, x.beat(session, 3, foreign), foreign, longrunpb.StoppedOperation_CLAIM_LOST)
	})
}

// PAR-05: a preemption is heard with the next beat at the latest.
func TestBeat_PreemptedWhileWaiting(t *testing.T) {
	bubble(t, func(x *system) {
		key := &longrunpb.StartOperationRequest{Method: resize, ConflictKey: "image-1", OnConflict: longrunpb.ConflictPolicy_PREEMPT}
		x.startWith(key)
		session := x.open()
		op := x.acquireOne(session, 1)
		started := make(chan struct{})
		time.AfterFunc(time.Second, func() {
			defer close(started)
			x.startWith(key)
		})
		defer func() { <-started }() // the beat may be answered before the start is
		var stop []*longrunpb.StoppedOperation
		got := took(func() {
			for len(stop) == 0 {
				r, err := x.BeatSession(x.ctx, longBeat(session, 1, op))
				if err != nil {
					x.t.Fatal(err)
				}
				stop = r.GetStop()
			}
		})
		wantStop(x.t, stop, op, longrunpb.StoppedOperation_PREEMPTED)
		if limit := longrun.DefaultSessionTTL / 3; got > limit {
			x.t.Errorf("heard after %v, want within %v", got, limit)
		}
	})
}

// A hint makes the server look again; what the worker has finished meanwhile is
// not told as lost.
func TestBeat_FinishedMeanwhile(t *testing.T) {
	bubble(t, func(x *system) {
		x.start(resize)
		x.start(resize)
		session := x.open()
		ops := x.acquire(session, 1, 2)
		time.AfterFunc(time.Second, func() { x.finish(succeed(session, ops[0])) })
		time.AfterFunc(2*time.Second, func() { x.cancel(ops[1]) })
		r, err := x.BeatSession(x.ctx, longBeat(session, 1, ops...))
		if err != nil {
			x.t.Fatal(err)
		}
		wantStop(x.t, r.GetStop(), ops[1], longrunpb.StoppedOperation_CANCELLED)
	})
}

// A beat that waits ends when its session does, with the next look at the store.
func TestBeat_SessionClosedMeanwhile(t *testing.T) {
	bubble(t, func(x *system) {
		x.start(resize)
		session := x.open()
		op := x.acquireOne(session, 1)
		time.AfterFunc(time.Second, func() {
			x.CloseSession(x.ctx, &longrunpb.CloseSessionRequest{Session: session})
			x.cancel(op)
		})
		_, err := x.BeatSession(x.ctx, longBeat(session, 1, op))
		wantSessionLost(x.t, err)
	})
}

// WAI-15: a drain answers who waits at once, and a beat still renews.
func TestBeat_Drain(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		time.AfterFunc(3*time.Second, x.svc.Drain)
		for _, want := range []time.Duration{3 * time.Second, 0} {
			var err error
			if got := took(func() { _, err = x.BeatSession(x.ctx, longBeat(session, 0)) }); err != nil || got != want {
				x.t.Errorf("the beat took %v, %v, want %v", got, err, want)
			}
		}
	})
}

// WAI-14, CAN-15: a caller that goes frees what waited for it, and ends nothing.
func TestBeat_CallerGone(t *testing.T) {
	bubble(t, func(x *system) {
		name := x.start(resize)
		session := x.open()
		op := x.acquireOne(session, 1)
		ctx, cancel := context.WithCancel(x.ctx)
		time.AfterFunc(time.Second, cancel)
		if _, err := x.BeatSession(ctx, longBeat(session, 1, op)); err == nil {
			x.t.Error("BeatSession of a caller that has gone: no error")
		}
		synctest.Wait()
		x.wantState(name, longrun.Running, 0)
	})
}

func TestBeat_Invalid(t *testing.T) {
	bubble(t, func(x *system) {
		session, name := x.open(), x.start(resize).String()
		for _, tt := range []struct {
			field, reason string
			change        func(*longrunpb.BeatSessionRequest)
		}{
			{"closed_call", longrun.ReasonInvalidField, func(r *longrunpb.BeatSessionRequest) { r.ClosedCall = -1 }},
			{"wait_timeout", longrun.ReasonInvalidTimeout, func(r *longrunpb.BeatSessionRequest) { r.WaitTimeout = negative }},
			{"wait_timeout", longrun.ReasonInvalidTimeout, func(r *longrunpb.BeatSessionRequest) { r.WaitTimeout = endless }},
			{"wait_timeout", longrun.ReasonInvalidTimeout, func(r *longrunpb.BeatSessionRequest) { r.WaitTimeout = torn }},
			{"held[1].operation", longrun.ReasonInvalidOperationName, func(r *longrunpb.BeatSessionRequest) {
				r.Held = []*longrunpb.HeldOperation{{Operation: name, Attempt: 1}, {Operation: "operations/", Attempt: 1}}
			}},
			{"held[0].attempt", longrun.ReasonInvalidField, func(r *longrunpb.BeatSessionRequest) {
				r.Held = []*longrunpb.HeldOperation{{Operation: name}}
			}},
		} {
			r := beatOf(session, 0)
			tt.change(r)
			_, err := x.BeatSession(x.ctx, r)
			wantError(x.t, err, codes.InvalidArgument, tt.reason, tt.field)
		}
	})
}

func TestBeat_HeldLimit(t *testing.T) {
	bubble(t, func(x *system) {
		r := beatOf(x.open(), 0)
		for i := range longrun.MaxHeld {
			r.Held = append(r.Held, &longrunpb.HeldOperation{Operation: fmt.Sprintf("operations/%d", i), Attempt: 1})
		}
		got, err := x.BeatSession(x.ctx, r)
		if err != nil || len(got.GetStop()) != longrun.MaxHeld {
			x.t.Errorf("1,000 held: %d stops, %v, want 1000", len(got.GetStop()), err)
		}
		r.Held = append(r.Held, r.Held[0])
		_, err = x.BeatSession(x.ctx, r)
		wantInvalid(x.t, err, "held")
	})
}
