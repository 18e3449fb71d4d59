package sqlite

import (
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
)

func testRecord(size int) *record {
	op := newOp()
	return &record{op: op, size: size}
}

// The cache stays within its bound and forgets what is not used first.
func TestCache_Bound(t *testing.T) {
	t.Parallel()
	c := newCache(1000)
	used := testRecord(100)
	c.publish([]put{{id: used.op.ID, next: used}})
	for range 100 {
		r := testRecord(100)
		c.publish([]put{{id: r.op.ID, next: r}})
		if got, _ := c.get(used.op.ID); got != used {
			t.Fatal("a record that is used was forgotten")
		}
		if n := len(c.young) + len(c.old); n > 10 {
			t.Fatalf("%d records of 100 bytes are kept, want 10 at most", n)
		}
	}
}

// A record larger than the cache is not kept, and what was there under its id is
// not shown any more.
func TestCache_TooLarge(t *testing.T) {
	t.Parallel()
	c := newCache(1000)
	r := testRecord(100)
	c.publish([]put{{id: r.op.ID, next: r}})
	c.publish([]put{{id: r.op.ID, old: r, next: testRecord(5000)}})
	if got, _ := c.get(r.op.ID); got != nil {
		t.Error("an older record is shown")
	}
}

// A record that a commit under way replaces is not shown: the database knows.
func TestCache_InDoubt(t *testing.T) {
	t.Parallel()
	c := newCache(1000)
	r := testRecord(100)
	c.publish([]put{{id: r.op.ID, next: r}})
	r.inDoubt.Store(true)
	if got, _ := c.get(r.op.ID); got != nil {
		t.Error("a record in doubt is shown")
	}
	r.inDoubt.Store(false)
	if got, _ := c.get(r.op.ID); got != r {
		t.Error("a record that is not in doubt any more is not shown")
	}
}

// A slow reader does not put back what was replaced or removed meanwhile.
func TestCache_Fill(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(c *cache, id longrun.ID){
		"replaced": func(c *cache, id longrun.ID) { c.publish([]put{{id: id, next: testRecord(1)}}) },
		"removed":  func(c *cache, id longrun.ID) { c.publish([]put{{id: id, next: removed}}) },
		"replaced and forgotten": func(c *cache, id longrun.ID) {
			c.publish([]put{{id: id, next: testRecord(1)}})
			for range 3 {
				r := testRecord(400)
				c.publish([]put{{id: r.op.ID, next: r}})
			}
		},
	} {
		c := newCache(1000)
		stale := testRecord(100)
		_, turn := c.get(stale.op.ID)
		meanwhile(c, stale.op.ID)
		c.fill(stale.op.ID, stale, turn)
		if got, _ := c.get(stale.op.ID); got == stale {
			t.Errorf("%s: the stale record is shown", name)
		}
	}
	c := newCache(1000)
	r := testRecord(100)
	_, turn := c.get(r.op.ID)
	c.fill(r.op.ID, r, turn)
	if got, _ := c.get(r.op.ID); got != r {
		t.Error("a record that was read is not kept")
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 1234)
	c := clock{source: func() time.Time { return at }, elapsed: func() time.Duration { return 0 }}
	first := c.now()
	if want := time.Unix(1000, 1000).UTC(); first != want {
		t.Errorf("now = %v, want whole microseconds, %v", first, want)
	}
	at = at.Add(-time.Hour)
	if got := c.now(); got != first {
		t.Errorf("now = %v, want %v: time does not go back", got, first)
	}
	a, b := c.createTime(), c.createTime()
	if !b.After(a) || c.now() != b {
		t.Errorf("create times %v, %v, now %v: want them to go up, and now with them", a, b, c.now())
	}
}

// After a step back, the store's time goes on at nine tenths of the pace of time until
// the machine's clock has caught up: what waits for a time does not wait for that.
func TestClock_StepsBack(t *testing.T) {
	t.Parallel()
	at, passed := time.Unix(10_000, 0).UTC(), time.Duration(0)
	c := clock{source: func() time.Time { return at }, elapsed: func() time.Duration { return passed }}
	pass := func(d time.Duration) { at, passed = at.Add(d), passed+d }
	begin := c.now()
	at = at.Add(-time.Hour)
	for range 10 {
		pass(10 * time.Second / 10)
		c.now()
	}
	if got, want := c.now().Sub(begin), 9*time.Second; got != want {
		t.Errorf("after 10s the store's time is %v on, want %v", got, want)
	}
	for range 100 { // steps of which each is too short to show
		pass(100 * time.Nanosecond)
		c.now()
	}
	if got, want := c.now().Sub(begin), 9*time.Second+9*time.Microsecond; got != want {
		t.Errorf("after 10µs more the store's time is %v on, want %v", got, want)
	}
	pass(10 * time.Hour)
	if got := c.now(); got.Sub(at) > stepBack {
		t.Errorf("after ten hours the store's time is ahead by %v, want %v at most", got.Sub(at), stepBack)
	}
	pass(2 * time.Second)
	if got := c.now(); got != at {
		t.Errorf("now = %v, want the machine's time, %v", got, at)
	}
}

// A second is not a step: the store's time waits for it.
func TestClock_WaitsForALittle(t *testing.T) {
	t.Parallel()
	at, passed := time.Unix(10_000, 0).UTC(), time.Duration(0)
	c := clock{source: func() time.Time { return at }, elapsed: func() time.Duration { return passed }}
	begin := c.now()
	at = at.Add(-stepBack)
	passed += time.Hour
	if got := c.now(); got != begin {
		t.Errorf("now = %v, want %v", got, begin)
	}
	at = at.Add(-time.Microsecond)
	passed += 10 * time.Second
	if got, want := c.now().Sub(begin), 9*time.Second; got != want {
		t.Errorf("a microsecond more than that: the store's time is %v on, want %v", got, want)
	}
}
