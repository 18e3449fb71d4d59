package longrun_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/longrun-dev/longrun"
)

// A waited is what a call of Wait has answered, and when.
type waited struct {
	op    *longrun.Operation
	err   error
	after time.Duration
	at    time.Time
}

// wait calls Wait on a goroutine of its own.
func (s *system) wait(ctx context.Context, n longrun.Name, timeout time.Duration) <-chan waited {
	c, start := make(chan waited, 1), time.Now()
	go func() {
		op, err := s.svc.Wait(ctx, n, timeout)
		c <- waited{op, err, time.Since(start), time.Now()}
	}()
	return c
}

func TestWait_Until(t *testing.T) {
	for _, tt := range []struct {
		name     string
		timeout  time.Duration
		deadline time.Duration // of the caller; 0 for none
		want     time.Duration
	}{
		{"WAI-03 the timeout", time.Second, 0, time.Second},
		{"WAI-04 WAI-06 the cap", time.Hour, 0, longrun.MaxWait},
		{"WAI-05 a little before the deadline", time.Minute, 2 * time.Second, 1750 * time.Millisecond},
		{"WAI-05 of a short deadline, three quarters", time.Minute, 200 * time.Millisecond, 150 * time.Millisecond},
		{"WAI-07 zero: at once", 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := newSystem(t, longrun.Options{})
				op := sys.running(t, longrun.StartOptions{})
				ctx := t.Context()
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				got := <-sys.wait(ctx, op.Name(), tt.timeout)
				if got.err != nil || got.op.State != longrun.Running || got.after != tt.want {
					t.Errorf("Wait = %v, %v after %v; want RUNNING after %v", got.op, got.err, got.after, tt.want)
				}
			})
		})
	}
}

// WAI-08: a negative timeout is INVALID_ARGUMENT.
func TestWait_Negative(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	_, err := sys.svc.Wait(t.Context(), sys.start(t, longrun.StartOptions{}).Name(), -1)
	wantError(t, err, codes.InvalidArgument, longrun.ReasonInvalidTimeout)
	if got := fieldOf(err); got != "timeout" {
		t.Errorf("field = %q, want timeout", got)
	}
}

// WAI-01, WAI-12, WAI-11: what ends a wait, at the moment it happens.
func TestWait_Ends(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(t *testing.T, sys *system, op *longrun.Operation)
		want func(t *testing.T, got waited)
	}{
		{"WAI-01 done", func(t *testing.T, sys *system, op *longrun.Operation) { sys.finish(t, op, longrun.Result{}) },
			func(t *testing.T, got waited) {
				if got.err != nil || got.op.State != longrun.Succeeded {
					t.Errorf("Wait = %v, %v; want SUCCEEDED", got.op, got.err)
				}
			}},
		{"WAI-12 cancelled", func(t *testing.T, sys *system, op *longrun.Operation) {
			if err := sys.svc.Cancel(t.Context(), op.Name()); err != nil {
				t.Error(err)
			}
			sys.finish(t, op, longrun.Result{Err: longrun.ErrCancelled})
		}, func(t *testing.T, got waited) {
			if got.err != nil || got.op.State != longrun.Cancelled || got.op.Error.Code != 1 {
				t.Errorf("Wait = %v, %v; want CANCELLED", got.op, got.err)
			}
		}},
		{"WAI-11 deleted", func(t *testing.T, sys *system, op *longrun.Operation) {
			if err := sys.svc.Delete(t.Context(), op.Name()); err != nil {
				t.Error(err)
			}
		}, func(t *testing.T, got waited) {
			wantError(t, got.err, codes.NotFound, longrun.ReasonOperationNotFound)
		}},
		{"WAI-15 the service drains", func(t *testing.T, sys *system, _ *longrun.Operation) { sys.svc.Drain() },
			func(t *testing.T, got waited) {
				if got.err != nil || got.op.State != longrun.Running {
					t.Errorf("Wait = %v, %v; want the latest state", got.op, got.err)
				}
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := newSystem(t, longrun.Options{})
				op := sys.running(t, longrun.StartOptions{})
				answer := sys.wait(t.Context(), op.Name(), time.Minute)
				time.Sleep(time.Second)
				synctest.Wait()
				tt.end(t, sys, op)
				got := <-answer
				if got.after != time.Second {
					t.Errorf("answered after %v, want 1s", got.after)
				}
				tt.want(t, got)
			})
		})
	}
}

// WAI-02: one that is done already is answered at once, and so is a drained
// service.
func TestWait_AtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		done := sys.finish(t, sys.running(t, longrun.StartOptions{}), longrun.Result{})
		if got := <-sys.wait(t.Context(), done.Name(), time.Minute); got.err != nil || got.op.State != longrun.Succeeded || got.after != 0 {
			t.Errorf("Wait = %v, %v after %v; want SUCCEEDED at once", got.op, got.err, got.after)
		}
		pending := sys.start(t, longrun.StartOptions{})
		sys.svc.Drain()
		if got := <-sys.wait(t.Context(), pending.Name(), time.Minute); got.err != nil || got.op.State != longrun.Pending || got.after != 0 {
			t.Errorf("WAI-15: Wait = %v, %v after %v; want the latest state at once", got.op, got.err, got.after)
		}
	})
}

// WAI-10: unknown names, deleted ones and those of other parents are NOT_FOUND at
// once, in the same words.
func TestWait_NotFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		op := sys.start(t, longrun.StartOptions{Parent: "projects/p"})
		gone := sys.start(t, longrun.StartOptions{})
		if err := sys.svc.Delete(t.Context(), gone.Name()); err != nil {
			t.Fatal(err)
		}
		foreign, err := longrun.ParseName("operations/does-not-exist")
		if err != nil {
			t.Fatal(err)
		}
		for what, n := range map[string]longrun.Name{
			"unknown": {ID: longrun.NewID()}, "another parent's": {Parent: "projects/q", ID: op.ID}, "no parent": {ID: op.ID},
			"deleted": gone.Name(), "not one of ours": foreign, "zero": {},
		} {
			got := <-sys.wait(t.Context(), n, time.Minute)
			if got.after != 0 {
				t.Errorf("%s: answered after %v, want at once", what, got.after)
			}
			wantError(t, got.err, codes.NotFound, longrun.ReasonOperationNotFound)
		}
	})
}

// WAI-14, CAN-15: a caller that goes away is let go, and the operation goes on.
func TestWait_CallerGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		op := sys.running(t, longrun.StartOptions{})
		ctx, cancel := context.WithCancel(t.Context())
		answer := sys.wait(ctx, op.Name(), time.Minute)
		time.Sleep(time.Second)
		cancel()
		got := <-answer
		wantError(t, got.err, codes.Canceled, longrun.ReasonCallerGone)
		if now := sys.get(t, op.Name()); now.State != longrun.Running || now.CancelRequested {
			t.Errorf("operation = %v, cancel requested %v; want it untouched", now.State, now.CancelRequested)
		}
	})
}

// WAI-13: many waiters on one operation all wake, and share their reads.
func TestWait_Many(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		op := sys.running(t, longrun.StartOptions{})
		var answers []<-chan waited
		for range 1000 {
			answers = append(answers, sys.wait(t.Context(), op.Name(), time.Minute))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := sys.store.count("Get"); got > 1000 {
			t.Errorf("1000 waiters made %d reads in ten seconds, want them shared", got)
		}
		sys.finish(t, op, longrun.Result{})
		for _, answer := range answers {
			if got := <-answer; got.err != nil || got.op.State != longrun.Succeeded || got.after != 10*time.Second {
				t.Fatalf("Wait = %v, %v after %v; want SUCCEEDED after 10s", got.op, got.err, got.after)
			}
		}
	})
}

// WAI-13: a waiter is no poller.
func TestWait_CostsFewReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		op := sys.running(t, longrun.StartOptions{})
		before := sys.store.count("Get")
		<-sys.wait(t.Context(), op.Name(), time.Minute)
		if got := sys.store.count("Get") - before; got > 20 {
			t.Errorf("one waiter made %d reads in a minute, want one in some seconds", got)
		}
	})
}

// Over and over until it is done: the function Wait gives response or error.
func TestWaitFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		op := sys.running(t, longrun.StartOptions{})
		time.AfterFunc(5*time.Minute, func() { sys.finish(t, op, longrun.Result{Response: packed(t, int64Value(7))}) })
		got, err := longrun.Wait(t.Context(), sys.svc, resize, op.Name())
		if err != nil || got.Value != 7 {
			t.Errorf("Wait = %v, %v; want 7", got, err)
		}
		_, err = longrun.Wait(t.Context(), sys.svc, resize, longrun.Name{ID: longrun.NewID()})
		wantError(t, err, codes.NotFound, longrun.ReasonOperationNotFound)

		endless := sys.running(t, longrun.StartOptions{})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		start := time.Now()
		_, err = longrun.Wait(ctx, sys.svc, resize, endless.Name())
		if code := longrun.CodeOf(err); code != codes.DeadlineExceeded || time.Since(start) > 3*time.Minute {
			t.Errorf("Wait = %v after %v, want DEADLINE_EXCEEDED after 3m", err, time.Since(start))
		}
		sys.svc.Drain()
		_, err = longrun.Wait(t.Context(), sys.svc, resize, endless.Name())
		wantError(t, err, codes.Unavailable, longrun.ReasonUnavailable)
	})
}

// WAI-13: all who wait get a record of their own, to keep and to change.
func TestWait_RecordsAreNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		op := sys.running(t, longrun.StartOptions{})
		a, b := sys.wait(t.Context(), op.Name(), time.Minute), sys.wait(t.Context(), op.Name(), time.Minute)
		synctest.Wait()
		ended := sys.finish(t, op, longrun.Result{})
		first, second := <-a, <-b
		if first.op == second.op || first.op == ended {
			t.Error("two of those who wait have the same record")
		}
	})
}
