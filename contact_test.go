package longrun

import (
	"testing"
	"time"
	"unsafe"
)

var storeStart = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// beats is a contact that was answered at these times after the start, by the
// store's clock and by our own, which agree.
func beats(at ...time.Duration) *contact {
	c, own := &contact{}, time.Now()
	for _, d := range at {
		c.answered(storeStart.Add(d), own.Add(d))
	}
	return c
}

// every returns times from 0 to last.
func every(step, last time.Duration) (at []time.Duration) {
	for d := time.Duration(0); d <= last; d += step {
		at = append(at, d)
	}
	return at
}

// judges reports whether a session of this TTL that was last heard when the
// contact began would be marked dead.
func (c *contact) judges(ttl time.Duration) bool { return c.unbroken().Dead(storeStart, ttl) }

func TestContact_Zero(t *testing.T) {
	t.Parallel()
	if got := (&contact{}).unbroken(); got != (Contact{}) {
		t.Errorf("contact without an answer = %+v, want none", got)
	}
	if (Contact{}).Dead(storeStart, MinSessionTTL) {
		t.Error("the zero Contact judges")
	}
	if got := beats(0).unbroken(); got != (Contact{AsOf: storeStart}) {
		t.Errorf("contact after one answer = %+v, want no span yet", got)
	}
}

// A session is dead when its time was over at AsOf, and contact was unbroken,
// without a gap of more than a third of its TTL, for its TTL.
func TestContact_Dead(t *testing.T) {
	t.Parallel()
	asOf := storeStart.Add(30 * time.Second)
	for _, tt := range []struct {
		name string
		c    Contact
		beat time.Duration // after storeStart
		ttl  time.Duration
		want bool
	}{
		{"over at AsOf", Contact{asOf, 30 * time.Second, 10 * time.Second}, 0, 30 * time.Second, true},
		{"not yet over", Contact{asOf, 30 * time.Second, 10 * time.Second}, time.Microsecond, 30 * time.Second, false},
		{"contact too short", Contact{asOf, 30*time.Second - 1, 10 * time.Second}, 0, 30 * time.Second, false},
		{"a gap of more than a third", Contact{asOf, 30 * time.Second, 10*time.Second + 1}, 0, 30 * time.Second, false},
		{"H8d: whose TTL: the short one's", Contact{asOf, time.Hour, 2 * time.Second}, 0, 5 * time.Second, false},
		{"long over", Contact{asOf, time.Hour, time.Second}, -time.Hour, 5 * time.Second, true},
	} {
		if got := tt.c.Dead(storeStart.Add(tt.beat), tt.ttl); got != tt.want {
			t.Errorf("%s: Dead = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// H8d: how often one speaks to the store decides whom one may judge.
func TestContact_Pace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pace, ttl time.Duration
		want      bool
	}{
		{time.Second, 5 * time.Second, true},
		{5 * time.Second / 3, 5 * time.Second, true}, // exactly a third
		{2 * time.Second, 5 * time.Second, false},
		{2 * time.Second, 6 * time.Second, true},
		{2 * time.Second, 7 * time.Second, true},
		{10 * time.Second, 30 * time.Second, true},
		{10 * time.Second, 29 * time.Second, false},
		{10 * time.Second, MaxSessionTTL, true},
		{maxGap + time.Millisecond, MaxSessionTTL, false},
	} {
		if got := beats(every(tt.pace, 2*tt.ttl)...).judges(tt.ttl); got != tt.want {
			t.Errorf("a beat every %v judges a TTL of %v: %v, want %v", tt.pace, tt.ttl, got, tt.want)
		}
	}
}

// A crashed session is marked within two of its TTLs after the store's return.
func TestContact_JudgesWithinTwoTTLs(t *testing.T) {
	t.Parallel()
	for _, ttl := range []time.Duration{5 * time.Second, 30 * time.Second, MaxSessionTTL} {
		c := beats(every(time.Second, ttl-time.Second)...)
		if c.judges(ttl) {
			t.Errorf("TTL %v: judged before it was over", ttl)
		}
		if c = beats(every(time.Second, ttl)...); !c.judges(ttl) {
			t.Errorf("TTL %v: not judged when it was over", ttl)
		}
	}
}

// H8a: a read-only store answers reads and fails beats. What counts is beats.
func TestContact_FailedBeat(t *testing.T) {
	t.Parallel()
	c := beats(every(time.Second, time.Minute)...)
	c.broken()
	if c.judges(5 * time.Second) {
		t.Error("judges after a failed beat")
	}
	own := time.Now()
	for d := time.Duration(0); d <= 5*time.Second; d += time.Second {
		if c.judges(5 * time.Second) {
			t.Errorf("judges %v after the store's return", d)
		}
		c.answered(storeStart.Add(time.Hour+d), own.Add(d))
	}
	if !c.judges(5 * time.Second) {
		t.Error("does not judge a TTL after the store's return")
	}
}

// H8b: a store that stood still counts what it answers by the time it was last
// heard, not by the time of then.
func TestContact_StalledStore(t *testing.T) {
	t.Parallel()
	c := beats(every(time.Second, 4*time.Second)...)
	u := c.unbroken()
	if want := storeStart.Add(4 * time.Second); !u.AsOf.Equal(want) {
		t.Errorf("AsOf = %v, want %v", u.AsOf, want)
	}
	if u.Dead(storeStart, 5*time.Second) {
		t.Error("a session whose time was not over at AsOf is dead")
	}
	c.answered(storeStart.Add(9*time.Second), time.Now().Add(9*time.Second)) // a gap of 5 s
	if c.judges(9*time.Second) || c.judges(5*time.Second) {
		t.Error("judges over a gap of 5 s")
	}
}

// A gap counts by our monotonic clock, by our wall clock and by the store's.
func TestContact_Gaps(t *testing.T) {
	t.Parallel()
	const gapped = 3 * time.Second
	for _, tt := range []struct {
		name       string
		store, own func(start time.Time) time.Time // the answer after the gap
	}{
		{"we were stopped", func(s time.Time) time.Time { return s.Add(time.Second) }, func(o time.Time) time.Time { return o.Add(gapped) }},
		{"the store was stopped", func(s time.Time) time.Time { return s.Add(gapped) }, func(o time.Time) time.Time { return o.Add(time.Second) }},
		{"H8c: the lid was closed", func(s time.Time) time.Time { return s.Add(time.Second) }, func(o time.Time) time.Time { return asleep(o.Add(gapped), gapped) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, store, own := &contact{}, storeStart, time.Now()
			for range 11 {
				c.answered(store, own)
				store, own = store.Add(time.Second), own.Add(time.Second)
			}
			store, own = tt.store(store.Add(-time.Second)), tt.own(own.Add(-time.Second))
			c.answered(store, own)
			if got := c.unbroken().Gap; got != gapped {
				t.Errorf("Gap = %v, want %v", got, gapped)
			}
			if c.judges(8*time.Second) || !c.judges(9*time.Second) {
				t.Errorf("judges TTLs of 8 s, 9 s: %v, %v; want false, true", c.judges(8*time.Second), c.judges(9*time.Second))
			}
			for i := range 9 {
				if i < 8 && c.judges(8*time.Second) {
					t.Errorf("judges a TTL of 8 s %d s after the gap", i)
				}
				store, own = store.Add(time.Second), own.Add(time.Second)
				c.answered(store, own)
			}
			if !c.judges(5 * time.Second) {
				t.Error("the gap still matters three times its length later")
			}
		})
	}
}

// H8c: a night with the lid closed: nothing is known of before.
func TestContact_LongSleep(t *testing.T) {
	t.Parallel()
	c, own := beats(every(time.Second, time.Minute)...), time.Now().Add(time.Minute)
	c.answered(storeStart.Add(time.Minute+time.Second), asleep(own.Add(8*time.Hour), 8*time.Hour-time.Second))
	if u := c.unbroken(); u.Span != 0 {
		t.Errorf("Span = %v after eight hours of sleep, want 0", u.Span)
	}
}

// Answers may overtake one another a little; a store whose clock goes back by
// more is another store.
func TestContact_OvertakenAnswer(t *testing.T) {
	t.Parallel()
	c, own := beats(every(time.Second, 10*time.Second)...), time.Now()
	before := c.unbroken()
	c.answered(storeStart.Add(10*time.Second-time.Millisecond), own.Add(10*time.Second+time.Millisecond))
	if got := c.unbroken(); got != before {
		t.Errorf("after an overtaken answer: %+v, want %+v", got, before)
	}
	c.answered(storeStart.Add(8*time.Second), own.Add(11*time.Second))
	if got := c.unbroken(); got.Span != 0 || !got.AsOf.Equal(storeStart.Add(8*time.Second)) {
		t.Errorf("after the store's clock went back: %+v, want to begin anew", got)
	}
}

// However long the contact lasts, it keeps only the gaps that still matter.
func TestContact_ForgetsGaps(t *testing.T) {
	t.Parallel()
	c := beats(every(100*time.Millisecond, time.Hour)...)
	if got := len(c.gaps); got > 4 {
		t.Errorf("%d gaps are kept, want a few", got)
	}
	if u := c.unbroken(); u.Span != time.Hour || u.Gap != 100*time.Millisecond {
		t.Errorf("contact = %+v, want an hour in steps of 100 ms", u)
	}
}

// asleep returns t as a machine sees it that has slept for d of the time before:
// its wall clock went on, its monotonic clock stood still. There is no way to
// make such a time but to write into it.
func asleep(t time.Time, d time.Duration) time.Time {
	clocks := (*struct {
		wall      uint64
		monotonic int64
		loc       *time.Location
	})(unsafe.Pointer(&t))
	clocks.monotonic -= int64(d)
	return t
}

func TestAsleep(t *testing.T) {
	t.Parallel()
	awake := time.Now()
	woken := asleep(awake.Add(time.Hour), time.Hour-time.Second)
	if mono, wall := woken.Sub(awake), woken.Round(0).Sub(awake.Round(0)); mono != time.Second || wall != time.Hour {
		t.Errorf("monotonic %v, wall %v; want 1s, 1h", mono, wall)
	}
}
