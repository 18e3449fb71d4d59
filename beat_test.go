package longrun_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longrun-dev/longrun"
)

// H8: a beat that hangs until its caller gives it up breaks the contact; one whose
// caller goes away at once does not.
func TestBeat_Hanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			name  string
			hangs time.Duration
			judge bool
		}{{"caller in a hurry", 10 * time.Millisecond, true}, {"store that hangs", 3 * time.Second, false}} {
			sys := newSystem(t, longrun.Options{})
			dead, judge := sys.session(t, longrun.SessionOptions{TTL: 5 * time.Second}), sys.session(t, longrun.SessionOptions{})
			sys.start(t, longrun.StartOptions{})
			held, err := sys.work.Claim(t.Context(), longrun.ClaimRequest{Session: dead, Want: []longrun.Want{{Method: word, N: 1}}})
			if err != nil || len(held.Operations) != 1 {
				t.Fatalf("Claim = %v, %v", held, err)
			}
			for range 10 {
				time.Sleep(time.Second)
				if _, err := sys.work.Beat(t.Context(), longrun.BeatRequest{Session: judge}); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), tt.hangs)
			sys.store.onCall("Beat", func() error { <-ctx.Done(); return longrun.ErrUnknown })
			if _, err := sys.work.Beat(ctx, longrun.BeatRequest{Session: judge}); err == nil {
				t.Error("Beat of a store that hangs: no error")
			}
			cancel()
			sys.store.onCall("Beat", func() error { return nil })
			if err := sys.work.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := sys.get(t, held.Operations[0].Name()).State == longrun.Pending; got != tt.judge {
				t.Errorf("%s: taken back %v, want %v", tt.name, got, tt.judge)
			}
		}
	})
}
