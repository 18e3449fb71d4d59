package dispatch_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/dispatch"
	"github.com/longrun-dev/longrun/longrunpb"
)

// wantOverloaded checks that a client is told to come again, and when (POL-04,
// ERR-10).
func wantOverloaded(t *testing.T, err error) {
	t.Helper()
	wantError(t, err, codes.Unavailable, longrun.ReasonOverloaded, "")
	for _, d := range status.Convert(err).Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok && r.GetRetryDelay().AsDuration() > 0 {
			return
		}
	}
	t.Errorf("error = %v, want a RetryInfo with a delay", err)
}

// longAcquire waits for work for as long as a call may.
func longAcquire(session string, call int64) *longrunpb.AcquireOperationsRequest {
	return &longrunpb.AcquireOperationsRequest{
		Session: session, Methods: []string{resize}, Call: call, WaitTimeout: durationpb.New(longrun.MaxWait),
	}
}

// POL-04: beyond the acquires that may wait, one that finds nothing is UNAVAILABLE;
// one that finds something gets it, one that does not wait is answered, and the place
// of one that has ended is free again.
func TestAcquire_Overload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newSystem(t, dispatch.Options{MaxAcquires: 1})
		one, other := x.open(), x.open()
		waited := make(chan error, 1)
		go func() {
			r, err := x.AcquireOperations(x.ctx, longAcquire(one, 1))
			if err == nil && len(r.GetOperations()) != 1 {
				t.Errorf("the one that waits has got %v, want one operation", r)
			}
			waited <- err
		}()
		synctest.Wait()
		_, err := x.AcquireOperations(x.ctx, longAcquire(other, 1))
		wantOverloaded(t, err)
		if got := x.acquire(other, 2, 1); len(got) != 0 {
			t.Errorf("an acquire that does not wait has got %v, want nothing", got)
		}
		x.beat(other, 0) // whoever is in is not shut out
		x.start(resize)
		if err := <-waited; err != nil {
			t.Fatalf("the acquire that waits: %v", err)
		}
		x.start(resize)
		if r, err := x.AcquireOperations(x.ctx, longAcquire(other, 3)); err != nil || len(r.GetOperations()) != 1 {
			t.Errorf("an acquire after the first has ended = %v, %v, want one operation", r, err)
		}
		if got := took(func() { _, err = x.AcquireOperations(x.ctx, longAcquire(other, 4)) }); err != nil || got != longrun.MaxWait {
			t.Errorf("an acquire that waits took %v, %v, want %v", got, err, longrun.MaxWait)
		}
	})
}

// A caller that goes away gives its place back, and so does a session that is over.
func TestAcquire_OverloadGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newSystem(t, dispatch.Options{MaxAcquires: 1})
		one, other := x.open(), x.open()
		ctx, cancel := context.WithCancel(x.ctx)
		gone := make(chan error, 1)
		go func() {
			_, err := x.AcquireOperations(ctx, longAcquire(one, 1))
			gone <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-gone; status.Code(err) != codes.Canceled {
			t.Errorf("the acquire of a caller that has gone: %v", err)
		}
		synctest.Wait()
		if _, err := x.CloseSession(x.ctx, &longrunpb.CloseSessionRequest{Session: one}); err != nil {
			t.Fatal(err)
		}
		if got := took(func() { x.acquireWith(longAcquire(other, 1)) }); got != longrun.MaxWait {
			t.Errorf("an acquire took %v, want that it waits for %v", got, longrun.MaxWait)
		}
	})
}

// Of beats that wait, a session has one: the older is answered at once, and neither is
// refused.
func TestBeat_NewerAnswersOlder(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		type answer struct {
			after time.Duration
			err   error
		}
		beat := func(c chan<- answer) {
			begin := time.Now()
			_, err := x.BeatSession(x.ctx, longBeat(session, 0))
			c <- answer{time.Since(begin), err}
		}
		older, newer := make(chan answer, 1), make(chan answer, 1)
		go beat(older)
		time.Sleep(3 * time.Second)
		go beat(newer)
		if got := <-older; got.err != nil || got.after != 3*time.Second {
			x.t.Errorf("the older beat was answered after %v, %v, want 3s", got.after, got.err)
		}
		if got := <-newer; got.err != nil || got.after != 10*time.Second {
			x.t.Errorf("the newer beat was answered after %v, %v, want 10s", got.after, got.err)
		}
	})
}
