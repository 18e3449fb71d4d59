package grpcapi_test

import (
	"context"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun"
)

// wait waits for an operation; a negative timeout is none.
func (s *system) wait(ctx context.Context, name string, timeout time.Duration) (*longrunningpb.Operation, error) {
	r := &longrunningpb.WaitOperationRequest{Name: name}
	if timeout >= 0 {
		r.Timeout = durationpb.New(timeout)
	}
	return s.ops.WaitOperation(ctx, r)
}

const noTimeout = -1

// expectWait checks that a Wait that begins now takes so long, is OK, and shows
// an operation that is done or not.
func (s *system) expectWait(t *testing.T, ctx context.Context, name string, timeout, takes time.Duration, state state) {
	t.Helper()
	var op *longrunningpb.Operation
	var err error
	took := elapsed(func() { op, err = s.wait(ctx, name, timeout) })
	if err != nil || took != takes || op.GetDone() != (state == done) {
		t.Errorf("Wait = %v, %v after %v; want it %s after %v", op, err, took, state, takes)
	}
}

type state string

const (
	done    state = "done"
	running state = "running"
)

// finishIn ends the run after some time.
func (r *run) finishIn(t *testing.T, d time.Duration, result longrun.Result) {
	go func() {
		time.Sleep(d)
		r.finish(t, result)
	}()
}

// WAI-01: blocks until done. WAI-03: or until the timeout, and then it is OK with
// the latest state.
func TestWait_DoneOrTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		r := s.run(t, parent)
		r.finishIn(t, 3*time.Second, longrun.Result{})
		s.expectWait(t, t.Context(), r.name, time.Second, time.Second, running)
		s.expectWait(t, t.Context(), r.name, 10*time.Second, 2*time.Second, done)
	})
}

// WAI-02: a done one returns at once.
func TestWait_AlreadyDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		for _, name := range s.fixtures(t, parent).done() {
			s.expectWait(t, t.Context(), name, 10*time.Second, 0, done)
		}
	})
}

// WAI-04: no timeout means as long as is permitted: up to the deadline of the
// call, or the server's cap. POL-08: the service config that Google publishes gives
// Wait no deadline, so clients come without either, and the cap is what ends it.
func TestWait_NoTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		r := s.run(t, parent)
		s.expectWait(t, t.Context(), r.name, noTimeout, longrun.MaxWait, running)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		s.expectWaitEndsBefore(t, ctx, r.name, noTimeout)
	})
}

// expectWaitEndsBefore checks that a Wait is OK a little before ctx's deadline.
func (s *system) expectWaitEndsBefore(t *testing.T, ctx context.Context, name string, timeout time.Duration) {
	t.Helper()
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	var err error
	took := elapsed(func() { _, err = s.wait(ctx, name, timeout) })
	if margin := left - took; err != nil || margin <= 0 || margin > 250*time.Millisecond {
		t.Errorf("Wait with %v left: %v after %v, want OK a little earlier", left, err, took)
	}
}

// WAI-05: a deadline that is shorter than the timeout governs, and the reply
// arrives before it.
func TestWait_Deadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		r := s.run(t, parent)
		for _, left := range []time.Duration{2 * time.Second, 100 * time.Millisecond} {
			ctx, cancel := context.WithTimeout(t.Context(), left)
			s.expectWaitEndsBefore(t, ctx, r.name, 60*time.Second)
			cancel()
		}
	})
}

// WAI-06: a timeout above the server's cap is cut, not refused; and not wrapped
// where it is longer than Go's durations.
func TestWait_Cap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		r := s.run(t, parent)
		s.expectWait(t, t.Context(), r.name, longrun.MaxWait, longrun.MaxWait, running)
		s.expectWait(t, t.Context(), r.name, longrun.MaxWait+1, longrun.MaxWait, running)
		s.expectWait(t, t.Context(), r.name, time.Hour, longrun.MaxWait, running)
		for _, seconds := range []int64{math.MaxInt64 / int64(time.Second), math.MaxInt64/int64(time.Second) + 1, maxSeconds} {
			var err error
			took := elapsed(func() { err = s.waitFor(t, r.name, &durationpb.Duration{Seconds: seconds}) })
			if err != nil || took != longrun.MaxWait {
				t.Errorf("Wait with %d s: %v after %v, want OK after %v", seconds, err, took, longrun.MaxWait)
			}
		}
	})
}

// maxSeconds is the longest Duration of protobuf.
const maxSeconds = 315_576_000_000

func (s *system) waitFor(t *testing.T, name string, timeout *durationpb.Duration) error {
	t.Helper()
	_, err := s.ops.WaitOperation(t.Context(), &longrunningpb.WaitOperationRequest{Name: name, Timeout: timeout})
	return err
}

// WAI-07: zero returns at once. WAI-09: callers must expect to be answered early.
func TestWait_Zero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		s.expectWait(t, t.Context(), s.run(t, parent).name, 0, 0, running)
	})
}

// WAI-08: a negative or invalid Duration is INVALID_ARGUMENT with field "timeout".
func TestWait_InvalidTimeout(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	f := s.fixtures(t, parent)
	for _, d := range []*durationpb.Duration{
		{Seconds: -1}, {Nanos: -1}, {Seconds: -maxSeconds}, {Seconds: -maxSeconds - 1}, {Seconds: maxSeconds + 1}, {Seconds: math.MinInt64},
		{Seconds: math.MaxInt64}, {Seconds: 1, Nanos: -1}, {Seconds: -1, Nanos: 1}, {Nanos: 1_000_000_000}, {Nanos: math.MinInt32},
	} {
		for _, name := range []string{f.R, f.S, "operations/none"} { // validation comes before existence
			expect(t, s.waitFor(t, name, d), badTimeout)
		}
	}
}

// WAI-10: an unknown name is NOT_FOUND at once.
func TestWait_Unknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		elsewhere := "projects/p2/operations/" + s.run(t, parent).op.ID.String()
		for _, name := range []string{"operations/none", "operations/" + longrun.NewID().String(), elsewhere} {
			took := elapsed(func() {
				_, err := s.wait(t.Context(), name, time.Minute)
				expectNamed(t, err, notFound, name)
			})
			if took >= time.Second {
				t.Errorf("NOT_FOUND took %v, want no waiting", took)
			}
		}
	})
}

// WAI-11: one that is deleted while somebody waits is NOT_FOUND promptly.
func TestWait_Deleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		r := s.run(t, parent)
		go func() {
			time.Sleep(time.Second)
			s.delete(t, r.name)
		}()
		took := elapsed(func() {
			_, err := s.wait(t.Context(), r.name, 30*time.Second)
			expectNamed(t, err, notFound, r.name)
		})
		if took != time.Second {
			t.Errorf("NOT_FOUND after %v, want 1s", took)
		}
	})
}

// WAI-12: a Cancel wakes the waiter when the operation is done.
func TestWait_Cancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		r := s.run(t, parent)
		go func() {
			time.Sleep(time.Second)
			s.cancel(t, r.name)
		}()
		r.finishIn(t, 3*time.Second, longrun.Result{Err: longrun.ErrCancelled})
		s.expectWait(t, t.Context(), r.name, 30*time.Second, 3*time.Second, done)
		s.expectCancelled(t, r.name)
	})
}

// WAI-13: many waiters of one operation all wake, and while they wait they cost
// the store no more than one.
func TestWait_Many(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := &countingStore{Store: newSystem(t).store}
		s := newSystemOn(t, counted, settings{})
		r := s.run(t, parent)
		const waiters = 1000
		var waits sync.WaitGroup
		for range waiters {
			waits.Go(func() {
				op, err := s.wait(t.Context(), r.name, time.Minute)
				if err != nil || !op.GetDone() {
					t.Errorf("Wait = %v, %v; want it done", op, err)
				}
			})
		}
		synctest.Wait()
		counted.gets.Store(0)
		r.finishIn(t, 20*time.Second, longrun.Result{})
		if took := elapsed(waits.Wait); took != 20*time.Second {
			t.Errorf("all waiters are answered after %v, want 20s", took)
		}
		if n := counted.gets.Load(); n > 20 {
			t.Errorf("%d reads in 20s for %d waiters of one operation, want them shared", n, waiters)
		}
	})
}

// WAI-14: a client that goes away frees the waiter.
func TestWait_ClientGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		r := s.run(t, parent)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(time.Second)
			cancel()
		}()
		_, err := s.wait(ctx, r.name, time.Hour)
		if got := status.Code(err); got != codes.Canceled {
			t.Errorf("code = %v, want Canceled", got)
		}
		// All handlers have returned, or this would last for MaxWait.
		if took := elapsed(s.server.GracefulStop); took >= time.Second {
			t.Errorf("GracefulStop took %v, want the waiter gone", took)
		}
	})
}

// WAI-15: when the server stops, whoever waits is answered with the latest state,
// and nobody has to wait any more.
func TestWait_Drain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		r := s.run(t, parent)
		go func() {
			time.Sleep(time.Second)
			s.svc.Drain()
		}()
		s.expectWait(t, t.Context(), r.name, time.Minute, time.Second, running)
		s.expectWait(t, t.Context(), r.name, time.Minute, 0, running)
	})
}

// WAI-16: who may not is told before anything else.
func TestWait_Permission(t *testing.T) {
	t.Parallel()
	s := newSystemWith(t, settings{Options: longrun.Options{Authorize: deny("bob")}, server: callersByMetadata()})
	name := s.start(t, parent)
	for _, timeout := range []*durationpb.Duration{nil, {Seconds: -1}, {Nanos: math.MaxInt32}} {
		for _, n := range []string{name, parent + "/operations/none"} {
			_, err := s.ops.WaitOperation(as(t, "bob"), &longrunningpb.WaitOperationRequest{Name: n, Timeout: timeout})
			expectNamed(t, err, denied, n)
		}
	}
}

// WAI-08: whatever is sent as a timeout is obeyed or INVALID_ARGUMENT.
func FuzzWaitTimeout(f *testing.F) {
	f.Add(int64(0), int32(0))
	f.Add(int64(-1), int32(0))
	f.Add(int64(1), int32(-1))
	f.Add(int64(math.MaxInt64), int32(math.MaxInt32))
	f.Fuzz(func(t *testing.T, seconds int64, nanos int32) {
		synctest.Test(t, func(t *testing.T) {
			s := newSystem(t)
			name := s.start(t, parent)
			d := &durationpb.Duration{Seconds: seconds, Nanos: nanos}
			var err error
			took := elapsed(func() { err = s.waitFor(t, name, d) })
			valid := d.CheckValid() == nil && seconds >= 0 && nanos >= 0
			switch {
			case !valid:
				expect(t, err, badTimeout)
			case err != nil || took != min(d.AsDuration(), longrun.MaxWait):
				t.Errorf("Wait(%v): %v after %v", d, err, took)
			}
		})
	})
}
