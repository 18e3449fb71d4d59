package longrun

import (
	"sync"
	"time"
)

// contact counts for how long this process has been in touch with its store
// without a break, by the answers to its beats, which are writes and tell the
// store's time. Only who was in touch all the time may say that a session is
// dead: otherwise it is as likely that nobody could be heard.
//
// A failed beat ends it. A gap between two answers, on this process's clocks or
// on the store's, counts against every session whose TTL is less than three times
// as long; one of more than maxGap ends it for all. So a process that was
// stopped, a machine that slept, a store that stood still or was read-only kill
// nobody, and a session that crashed is marked within two of its TTLs.
type contact struct {
	mu   sync.Mutex // guards what follows
	asOf time.Time  // the store's time in the last answer; zero: none
	own  time.Time  // when that answer came, by this process's clocks
	span time.Duration
	gaps []gap // those that still matter, oldest first
}

// A gap is a time without an answer. It matters until it lies further back than
// the longest TTL that it counts against.
type gap struct {
	length time.Duration
	end    time.Duration // contact.span when it ended
}

const (
	maxGap  = 10 * time.Second
	overlap = time.Second // answers may overtake one another by this much
)

// answered notes an answered beat: the store's time in it, and when it came.
func (c *contact) answered(store, own time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	onStore := store.Sub(c.asOf)
	if !c.asOf.IsZero() && onStore < 0 && onStore > -overlap {
		return
	}
	// The monotonic clock stands still while the machine sleeps; the wall clock
	// does not.
	length := max(onStore, own.Sub(c.own), own.Round(0).Sub(c.own.Round(0)))
	if c.asOf.IsZero() || onStore < 0 || length > maxGap {
		c.asOf, c.own, c.span, c.gaps = store, own, 0, nil
		return
	}
	c.span += onStore
	c.asOf, c.own = store, own
	kept := c.gaps[:0]
	for _, g := range append(c.gaps, gap{length: length, end: c.span}) {
		if c.span-g.end < 3*g.length {
			kept = append(kept, g)
		}
	}
	c.gaps = kept
}

// broken notes a beat that has failed.
func (c *contact) broken() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asOf, c.own, c.span, c.gaps = time.Time{}, time.Time{}, 0, nil
}

// unbroken returns the contact as Store.Due wants it.
func (c *contact) unbroken() Contact {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := Contact{AsOf: c.asOf, Span: c.span}
	for _, g := range c.gaps {
		u.Gap = max(u.Gap, g.length)
	}
	return u
}
