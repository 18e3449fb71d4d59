package dispatch

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/longrun-dev/longrun"
)

func wantTake(t *testing.T, d *desk, id longrun.SessionID, n int, want bool) {
	t.Helper()
	if _, ok := d.take(id, n); ok != want {
		t.Errorf("take(%d) = %v, want %v", n, ok, want)
	}
}

// A session that was opened here holds nothing; room under way counts.
func TestDesk_Take(t *testing.T) {
	t.Parallel()
	d, id := newDesk(10), longrun.NewSessionID()
	wantTake(t, d, id, 1, false) // nobody has counted
	d.opened(id, longrun.MaxSessionTTL)
	wantTake(t, d, id, longrun.MaxHeld-100, true)
	wantTake(t, d, id, 101, false)
	wantTake(t, d, id, 100, true)
	d.settle(id, 100, 0)
	wantTake(t, d, id, 100, true)
	d.settle(id, 100, 60)
	wantTake(t, d, id, 41, false)
	wantTake(t, d, id, 40, true)
}

// What was given while the store was asked is not forgotten by its answer.
func TestDesk_CountedMeanwhile(t *testing.T) {
	t.Parallel()
	d, id := newDesk(10), longrun.NewSessionID()
	granted, _ := d.take(id, 50)
	d.settle(id, 0, 30) // another call, after the list was read
	if got := d.counted(id, longrun.MaxHeld-50, granted, 50); got != 20 {
		t.Errorf("room for %d, want 20", got)
	}
	if got := d.counted(id, longrun.MaxHeld+5, granted, 50); got != 0 {
		t.Errorf("room for %d in a session that holds too many, want 0", got)
	}
}

func TestDesk_Forget(t *testing.T) {
	t.Parallel()
	d, id := newDesk(10), longrun.NewSessionID()
	d.opened(id, longrun.MaxSessionTTL)
	d.forget(id)
	if len(d.notes) != 0 {
		t.Errorf("%d notes, want none", len(d.notes))
	}
}

// Sessions of which nothing is heard are forgotten, but not while a call of
// theirs is under way.
func TestDesk_Prunes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, silent, busy := newDesk(10), longrun.NewSessionID(), longrun.NewSessionID()
		d.opened(silent, longrun.MaxSessionTTL/2)
		d.opened(busy, longrun.MaxSessionTTL/2)
		d.take(busy, 1)
		time.Sleep(longrun.MaxSessionTTL)
		d.opened(longrun.NewSessionID(), longrun.MaxSessionTTL)
		if len(d.notes) != 3 {
			t.Errorf("%d notes after the longest TTL, want 3", len(d.notes))
		}
		time.Sleep(2 * pruneEvery)
		d.opened(longrun.NewSessionID(), longrun.MaxSessionTTL)
		if d.notes[silent] != nil || d.notes[busy] == nil {
			t.Errorf("notes of the silent %v, of the busy %v, want none and one", d.notes[silent], d.notes[busy])
		}
	})
}

// The same news are due again after a second, others at once.
func TestDesk_Due(t *testing.T) {
	t.Parallel()
	d, id, now := newDesk(10), longrun.NewSessionID(), time.Now()
	stop := func() longrun.Stop {
		return longrun.Stop{Name: longrun.Name{ID: longrun.NewID()}, Attempt: 1, Why: longrun.ErrCancelled}
	}
	a, b := stop(), stop()
	for _, tt := range []struct {
		stops []longrun.Stop
		want  time.Time
	}{
		{nil, time.Time{}},
		{[]longrun.Stop{a}, now.Add(repeatAfter)},
		{[]longrun.Stop{a, b}, now},
	} {
		d.tell(id, []longrun.Stop{a}, now)
		if got := d.due(id, tt.stops, now); !got.Equal(tt.want) {
			t.Errorf("due(%d stops) = %v, want %v", len(tt.stops), got, tt.want)
		}
	}
	d.tell(id, nil, now)
	if got := d.due(id, []longrun.Stop{a}, now); !got.Equal(now) {
		t.Errorf("due = %v after an answer without it, want %v", got, now)
	}
}

func TestShares(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		methods string
		n       int
		turn    int64
		want    []int
	}{
		{"a", 5, 9, []int{5}},
		{"abc", 3, 1, []int{1, 1, 1}},
		{"abc", 5, 0, []int{2, 2, 1}},
		{"abc", 5, 1, []int{1, 2, 2}},
		{"abc", 1, 2, []int{0, 0, 1}},
		{"abc", 0, 2, []int{0, 0, 0}},
	} {
		var methods []string
		for _, m := range tt.methods {
			methods = append(methods, string(m))
		}
		for i, w := range shares(methods, tt.n, tt.turn) {
			if w.Method != methods[i] || w.N != tt.want[i] {
				t.Errorf("shares(%s, %d, %d)[%d] = %v, want %d", tt.methods, tt.n, tt.turn, i, w, tt.want[i])
			}
		}
	}
}
