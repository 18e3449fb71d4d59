package longruntest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
)

// Patience is how long Done and Until wait, by the test's clock. A bubble's clock
// passes it in a second, so that a test of an operation that never ends fails and
// does not hang; outside a bubble go test gives up before. Who expects more of an
// operation sleeps first.
const Patience = 24 * time.Hour

// lookAgain is how often Until looks although nothing has said that there is
// something to see.
const lookAgain = 10 * time.Second

// Get returns the operation as it is now. An error ends the test.
func (s *System) Get(t testing.TB, op *longrun.Operation) *longrun.Operation {
	t.Helper()
	got, err := s.observer.Get(t.Context(), op.Name())
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return got
}

// Done waits until the operation is done and returns it, whatever process there is
// meanwhile. An error ends the test, and so does an operation that has not ended
// after Patience.
func (s *System) Done(t testing.TB, op *longrun.Operation) *longrun.Operation {
	t.Helper()
	for end := time.Now().Add(Patience); ; {
		got, err := s.observer.Wait(t.Context(), op.Name(), longrun.MaxWait)
		switch {
		case err != nil:
			t.Fatalf("Wait: %v", err)
		case got.State.Done():
			return got
		case !time.Now().Before(end):
			t.Fatalf("%s is %v after %v, want it done", op.Name(), got.State, Patience)
		}
	}
}

// Until waits until is reports true of the operation, and returns it as it then is.
// It looks after every change, and every ten seconds. A change that is followed by
// another at once may go unseen. An operation that ends, or lasts for Patience,
// without ever being what was waited for ends the test.
func (s *System) Until(t testing.TB, op *longrun.Operation, is func(*longrun.Operation) bool) *longrun.Operation {
	t.Helper()
	hints, stop := s.watch(t.Context(), op.ID)
	defer stop()
	timer := time.NewTicker(lookAgain)
	defer timer.Stop()
	for end := time.Now().Add(Patience); ; {
		got := s.Get(t, op)
		switch {
		case is(got):
			return got
		case got.State.Done():
			t.Fatalf("%s has ended as %s, and was not seen as what was waited for", op.Name(), ending(got))
		case !time.Now().Before(end):
			t.Fatalf("%s is %v after %v, and was not seen as what was waited for", op.Name(), got.State, Patience)
		}
		select {
		case <-hints:
		case <-timer.C:
		}
	}
}

// watch returns a channel that says when the operation may have changed, until stop.
func (s *System) watch(ctx context.Context, id longrun.ID) (hints <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	c, ended := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		// Without hints there is the ticker of whoever listens.
		_ = s.store.Watch(ctx, func(h longrun.Hint) {
			if !h.All && !slices.Contains(h.IDs, id) {
				return
			}
			select {
			case c <- struct{}{}:
			default:
			}
		})
	}()
	return c, func() {
		cancel()
		<-ended
	}
}
