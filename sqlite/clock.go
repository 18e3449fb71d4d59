package sqlite

import (
	"sync"
	"time"
)

// clock is the store's time: UTC, whole microseconds, and it does not go back,
// also not from one owner of the file to the next.
//
// When the machine's clock was set back, standing still until it has caught up
// would hold up for as long all that waits for a time: retries, the TTLs of
// sessions, deadlines, retention. So the store's time goes on, a little slower than
// time passes, until the two agree again.
type clock struct {
	source  func() time.Time
	elapsed func() time.Duration // never goes back, and does not jump

	mu         sync.Mutex    // guards everything below
	last       time.Time     // the latest time given out
	lastCreate time.Time     // the latest create time given out
	passed     time.Duration // of elapsed, as far as it is in last
}

const (
	// stepBack is by how much the machine's clock must be behind the store's to
	// count as set back. Less is waited for.
	stepBack = time.Second
	// slower is the part of the time that passes, one in so many, by which the
	// store's goes slower then.
	slower = 10
)

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nowLocked()
}

func (c *clock) nowLocked() time.Time {
	now, passed := c.source().UTC().Truncate(time.Microsecond), c.elapsed()
	switch {
	case now.After(c.last):
		c.last, c.passed = now, passed
	case c.last.Sub(now) <= stepBack:
		c.passed = passed
	default:
		// What is less than a microsecond counts the next time.
		if step := ((passed - c.passed) / slower).Truncate(time.Microsecond); step > 0 {
			c.last = c.last.Add((slower - 1) * step)
			c.passed += slower * step
		}
	}
	return c.last
}

// createTime returns a time that no operation has been created at.
func (c *clock) createTime() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.nowLocked()
	if !now.After(c.lastCreate) {
		now = c.lastCreate.Add(time.Microsecond)
		c.last = now
	}
	c.lastCreate = now
	return now
}

// latest returns the latest time given out.
func (c *clock) latest() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// resume makes c go on where the file's last owner was.
func (c *clock) resume(ceiling, lastCreate time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.lastCreate = ceiling, lastCreate
	if c.last.Before(lastCreate) {
		c.last = lastCreate
	}
}
