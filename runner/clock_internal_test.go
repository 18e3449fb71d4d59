package runner

import (
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
)

// Trust lasts a TTL, and a little less, from before the beat was sent, by
// whichever clock says that more has passed.
func TestTrusted(t *testing.T) {
	t.Parallel()
	svc, err := longrun.New(inmem.New(), longrun.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(svc, Options{SessionTTL: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	wall := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name       string
		mono, wall time.Duration // how far each clock has gone since the beat was sent
		lost       bool
		want       bool
	}{
		{"at once", 0, 0, false, true},
		{"just before its end", 9899 * time.Millisecond, 9899 * time.Millisecond, false, true},
		{"at its end", 9900 * time.Millisecond, 9900 * time.Millisecond, false, false},
		{"after it", time.Hour, time.Hour, false, false},
		{"the machine slept: the monotonic clock stood still", time.Second, time.Hour, false, false},
		{"the wall clock was set back", time.Hour, -time.Hour, false, false},
		{"the wall clock was set back a little", time.Second, -time.Hour, false, true},
		{"lost", 0, 0, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := newEngine(r, nil)
			s := &session{sent: moment{mono: time.Minute, wall: wall}, lost: tt.lost}
			e.now = func() moment { return moment{mono: time.Minute + tt.mono, wall: wall.Add(tt.wall)} }
			if got := e.trusted(s); got != tt.want {
				t.Errorf("trusted = %v, want %v", got, tt.want)
			}
		})
	}
}

// The clock of a process reads both.
func TestClock(t *testing.T) {
	t.Parallel()
	now := clockFrom(time.Now())
	a := now()
	time.Sleep(time.Millisecond)
	b := now()
	if d := b.since(a); d < time.Millisecond || b.mono <= a.mono || !b.wall.After(a.wall) {
		t.Errorf("since = %v (%v to %v), want at least 1ms on both clocks", d, a, b)
	}
}

// The store's clock and ours need not agree on what time it is.
func TestUntilStore(t *testing.T) {
	t.Parallel()
	svc, err := longrun.New(inmem.New(), longrun.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(svc, Options{})
	if err != nil {
		t.Fatal(err)
	}
	e := newEngine(r, nil)
	store := time.Now().Add(-100 * time.Hour)
	e.now = func() moment { return moment{mono: 7 * time.Second} }
	e.current = &session{heard: moment{mono: 5 * time.Second}, store: store}
	if got, want := e.untilStore(store.Add(10*time.Second)), 8*time.Second; got != want {
		t.Errorf("untilStore = %v, want %v", got, want)
	}
	e.current.store = time.Time{}
	if got := e.untilStore(time.Now().Add(time.Hour)); got < 59*time.Minute || got > time.Hour {
		t.Errorf("untilStore before the first answer = %v, want an hour", got)
	}
}

func TestJitter(t *testing.T) {
	t.Parallel()
	for range 1000 {
		if d := jitter(10 * time.Second); d < 8*time.Second || d > 12*time.Second {
			t.Fatalf("jitter(10s) = %v, want 8s to 12s", d)
		}
	}
}
