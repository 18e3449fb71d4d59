package longrun_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun"
)

// wantOverloaded checks that a caller is told to come again, and when.
func wantOverloaded(t *testing.T, err error) {
	t.Helper()
	wantError(t, err, codes.Unavailable, longrun.ReasonOverloaded)
	for _, d := range status.Convert(err).Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok && r.GetRetryDelay().AsDuration() == time.Second {
			return
		}
	}
	t.Errorf("error = %v, want RetryInfo with a second", err)
}

// POL-04, ERR-10: one waiter more than there may be is UNAVAILABLE, with a delay. What
// needs no waiting is answered as ever.
func TestWait_Overload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{MaxWaiters: 2})
		op, done := sys.running(t, longrun.StartOptions{}), sys.running(t, longrun.StartOptions{})
		sys.finish(t, done, longrun.Result{})
		one, two := sys.wait(t.Context(), op.Name(), time.Minute), sys.wait(t.Context(), op.Name(), time.Minute)
		synctest.Wait()
		got := <-sys.wait(t.Context(), op.Name(), time.Minute)
		wantOverloaded(t, got.err)
		if got.after != 0 {
			t.Errorf("the refusal took %v, want at once", got.after)
		}
		if got := <-sys.wait(t.Context(), op.Name(), 0); got.err != nil || got.op.State != longrun.Running {
			t.Errorf("a wait of no time = %v, %v, want RUNNING", got.op, got.err)
		}
		if got := <-sys.wait(t.Context(), done.Name(), time.Minute); got.err != nil || got.op.State != longrun.Succeeded {
			t.Errorf("a wait for what is done = %v, %v, want SUCCEEDED", got.op, got.err)
		}
		got = <-sys.wait(t.Context(), longrun.Name{ID: longrun.NewID()}, time.Minute)
		wantError(t, got.err, codes.NotFound, longrun.ReasonOperationNotFound)
		sys.get(t, op.Name())
		sys.finish(t, op, longrun.Result{})
		for _, c := range []<-chan waited{one, two} {
			if got := <-c; got.err != nil || got.op.State != longrun.Succeeded {
				t.Errorf("one of those who waited = %v, %v, want SUCCEEDED", got.op, got.err)
			}
		}
	})
}

// The place of a waiter is free again however its wait ends (WAI-14).
func TestWait_GivesItsPlaceBack(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *system, *longrun.Operation, context.CancelFunc){
		"done": func(t *testing.T, sys *system, op *longrun.Operation, _ context.CancelFunc) {
			sys.finish(t, op, longrun.Result{})
		},
		"time is over":    func(*testing.T, *system, *longrun.Operation, context.CancelFunc) { time.Sleep(time.Minute) },
		"caller has gone": func(_ *testing.T, _ *system, _ *longrun.Operation, cancel context.CancelFunc) { cancel() },
		"deleted": func(t *testing.T, sys *system, op *longrun.Operation, _ context.CancelFunc) {
			if err := sys.svc.Delete(t.Context(), op.Name()); err != nil {
				t.Fatal(err)
			}
		},
		"the store is away": func(_ *testing.T, sys *system, _ *longrun.Operation, _ context.CancelFunc) {
			sys.store.onCall("Get", func() error { return errors.New("away") })
			time.Sleep(time.Minute)
			sys.store.onCall("Get", nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := newSystem(t, longrun.Options{MaxWaiters: 1})
				op, other := sys.running(t, longrun.StartOptions{}), sys.running(t, longrun.StartOptions{})
				for range 3 { // a place that is given back twice would show
					ctx, cancel := context.WithCancel(t.Context())
					first := sys.wait(ctx, op.Name(), time.Minute)
					synctest.Wait()
					wantOverloaded(t, (<-sys.wait(t.Context(), other.Name(), time.Second)).err)
					end(t, sys, op, cancel)
					<-first
					cancel()
					op = sys.running(t, longrun.StartOptions{})
				}
				if got := <-sys.wait(t.Context(), other.Name(), time.Second); got.err != nil || got.after != time.Second {
					t.Errorf("the next wait = %v after %v, want a second", got.err, got.after)
				}
			})
		})
	}
}

// WAI-13: as many may wait as is said where nobody says otherwise, and not one more.
func TestWait_DefaultRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		op := sys.running(t, longrun.StartOptions{})
		ends := make(chan error, longrun.DefaultMaxWaiters)
		for range longrun.DefaultMaxWaiters {
			go func() {
				_, err := sys.svc.Wait(t.Context(), op.Name(), time.Minute)
				ends <- err
			}()
		}
		synctest.Wait()
		wantOverloaded(t, (<-sys.wait(t.Context(), op.Name(), time.Minute)).err)
		sys.finish(t, op, longrun.Result{})
		for range longrun.DefaultMaxWaiters {
			if err := <-ends; err != nil {
				t.Fatalf("one of those who waited: %v", err)
			}
		}
	})
}

func TestNew_NegativeWaiters(t *testing.T) {
	t.Parallel()
	if _, err := longrun.New(newSystem(t, longrun.Options{}).store, longrun.Options{MaxWaiters: -1}); err == nil {
		t.Error("New with MaxWaiters -1 = nil, want an error")
	}
}
