package dispatch

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/longrun-dev/longrun"
)

func wantEnter(t *testing.T, d *desk, what string, want bool) {
	t.Helper()
	if got := d.enter(); got != want {
		t.Errorf("enter %s = %v, want %v", what, got, want)
	}
}

// POL-04: a server keeps so many sessions at a time and refuses more, also while
// some are only being opened; each gives its place back, however it ends.
func TestDesk_Sessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(0)
		var last longrun.SessionID
		for range longrun.MaxSessions - 1 {
			last = longrun.NewSessionID()
			d.enter()
			d.opened(last, longrun.MinSessionTTL)
		}
		wantEnter(t, d, "at the limit", true)
		wantEnter(t, d, "one past it, while the last is being opened", false)
		d.refused()
		wantEnter(t, d, "after one was refused by the store", true)
		d.opened(longrun.NewSessionID(), longrun.MaxSessionTTL)
		wantEnter(t, d, "one past it", false)
		d.forget(last)
		wantEnter(t, d, "after one has ended", true)
		d.opened(longrun.NewSessionID(), longrun.MinSessionTTL)
		time.Sleep(2*longrun.MinSessionTTL + time.Second)
		wantEnter(t, d, "when most must be over", true)
		if got := len(d.notes); got != 1 {
			t.Errorf("%d sessions are left, want the one with the longest TTL", got)
		}
		if d.refused(); d.opening != 0 {
			t.Errorf("opening = %d, want 0", d.opening)
		}
	})
}

// Many sessions are opened at once: there are never more than the limit.
func TestDesk_SessionsAtOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(0)
	entered := make(chan bool)
	for range longrun.MaxSessions + 100 {
		go func() {
			in := d.enter()
			if in {
				d.opened(longrun.NewSessionID(), time.Minute)
			}
			entered <- in
		}()
	}
	n := 0
	for range longrun.MaxSessions + 100 {
		if <-entered {
			n++
		}
	}
	if n != longrun.MaxSessions {
		t.Errorf("%d sessions were let in, want %d", n, longrun.MaxSessions)
	}
}

// POL-04: a session's acquires that wait are counted, and all of them together.
func TestDesk_Acquires(t *testing.T) {
	t.Parallel()
	d := newDesk(MaxSessionAcquires + 1)
	one, other, third := longrun.NewSessionID(), longrun.NewSessionID(), longrun.NewSessionID()
	for i := range MaxSessionAcquires {
		if !d.wait(one) {
			t.Fatalf("acquire %d of a session does not wait, want %d", i+1, MaxSessionAcquires)
		}
	}
	if d.wait(one) {
		t.Errorf("acquire %d of a session waits, want %d at most", MaxSessionAcquires+1, MaxSessionAcquires)
	}
	if !d.wait(other) {
		t.Error("an acquire of another session does not wait")
	}
	if d.wait(third) {
		t.Errorf("acquire %d of all waits, want %d at most", MaxSessionAcquires+2, MaxSessionAcquires+1)
	}
	d.leave(one)
	if !d.wait(third) {
		t.Error("the place of one that waits no more was not given back")
	}
	// A session that is over meanwhile leaves its places behind.
	d.forget(third)
	d.leave(third)
	if !d.wait(one) || d.wait(one) {
		t.Error("want one place, that of the session that is over")
	}
}

// A session has one beat that waits: the newest.
func TestDesk_Beats(t *testing.T) {
	t.Parallel()
	d, id := newDesk(0), longrun.NewSessionID()
	ended := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	first, overFirst := d.beats(id, time.Second)
	if c, over := d.beats(id, 0); c != nil || ended(first) {
		t.Error("a beat that does not wait ends the wait of another")
	} else {
		over()
	}
	second, overSecond := d.beats(id, time.Second)
	if !ended(first) || ended(second) {
		t.Errorf("ended = %v, %v, want that the newer beat ends the older", ended(first), ended(second))
	}
	overFirst()
	third, overThird := d.beats(id, time.Second)
	if !ended(second) || ended(third) {
		t.Error("what is over of the first was taken for the second")
	}
	overSecond()
	overThird()
	if d.notes[id].beat != nil {
		t.Error("a beat is left that waits")
	}
}
