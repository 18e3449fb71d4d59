package sqlite

import (
	"sync"
	"time"
)

// clock is the store's time: UTC, whole microseconds, and it does not go back,
// also not from one owner of the file to the next.
type clock struct {
	source func() time.Time

	mu         sync.Mutex // guards everything below
	last       time.Time  // the latest time given out
	lastCreate time.Time  // the latest create time given out
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nowLocked()
}

func (c *clock) nowLocked() time.Time {
	if now := c.source().UTC().Truncate(time.Microsecond); now.After(c.last) {
		c.last = now
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
