package cli

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

// A signal is answered with what comes and what another would do, and then signals
// are the system's again. All is said before the command returns.
func TestRunUntil_Signal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		talk := newScreen()
		ctx, signal := context.WithCancel(t.Context())
		hooked := true
		go signal()
		err := (&app{err: talk}).runUntil(ctx, func() { hooked = false }, func(ctx context.Context) error {
			<-ctx.Done()
			return nil
		})
		if err != nil || hooked {
			t.Errorf("runUntil = %v, hooked = %t; want nil, false", err, hooked)
		}
		for _, line := range []string{"longrun: stopping; once more stops at once\n", "longrun: stopped\n"} {
			if got := strings.Count(talk.String(), line); got != 1 {
				t.Errorf("%q was said %d times, want once:\n%s", line, got, talk)
			}
		}
	})
}

// A server that ends by itself has not been asked to stop, and nobody says so, also
// not when the signals are given back after it.
func TestRunUntil_EndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		talk := newScreen()
		ctx, stop := context.WithCancel(t.Context())
		broken := errors.New("accept: broken")
		if err := (&app{err: talk}).runUntil(ctx, stop, func(context.Context) error { return broken }); err != broken {
			t.Errorf("runUntil = %v, want %v", err, broken)
		}
		stop()
		synctest.Wait()
		if got := talk.String(); got != "" {
			t.Errorf("said %q, want nothing", got)
		}
	})
}
