package sqlite

import (
	"sync"

	"github.com/longrun-dev/longrun"
)

// cache holds recent records, so that most reads and the read of nearly every
// change cost no query. It shows nothing that is not committed: a record enters
// it after its commit, and is in doubt while a commit that replaces it is under
// way.
//
// It has two generations: what is used moves to the young one, and when that is
// full the old one is forgotten whole.
//
// Records that are in the redo log and not in the database yet are fresh. They
// are not forgotten until the database has them.
type cache struct {
	mu         sync.Mutex // guards everything below
	fresh      *fresh     // grows
	frozen     *fresh     // is on its way into the database; empty when there is none
	young, old map[longrun.ID]*record
	limit      int // of the bytes of a generation
	bytes      int // of young
	turn       int // counts generations
}

// removed marks an id under which there is nothing any more.
var removed = &record{size: 64}

func newCache(bytes int) *cache {
	return &cache{
		limit: bytes / 2, young: map[longrun.ID]*record{}, old: map[longrun.ID]*record{},
		fresh: newFresh(), frozen: newFresh(),
	}
}

// get returns the record that is committed under id, removed, or nil when only
// the database knows; turn is for fill.
func (c *cache) get(id longrun.ID) (r *record, turn int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.getLocked(id), c.turn
}

func (c *cache) getLocked(id longrun.ID) *record {
	if e := c.freshLocked(id); e != nil {
		return e.now
	}
	r, ok := c.young[id]
	if !ok {
		if r, ok = c.old[id]; !ok {
			return nil
		}
		c.putLocked(id, r)
	}
	if r.inDoubt.Load() {
		return nil
	}
	return r
}

// fill adds a record that was read after turn was got, unless the cache knows
// better or may have forgotten that it did.
func (c *cache) fill(id longrun.ID, r *record, turn int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.turn != turn || c.young[id] != nil || c.old[id] != nil || c.freshLocked(id) != nil {
		return
	}
	c.putLocked(id, r)
}

// publish makes a batch's changes visible.
func (c *cache) publish(puts []put) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range puts {
		c.putLocked(p.id, p.next)
	}
}

func (c *cache) putLocked(id longrun.ID, r *record) {
	if before := c.young[id]; before != nil {
		c.bytes -= before.size
	}
	if c.bytes+r.size > c.limit {
		c.old, c.young, c.bytes = c.young, make(map[longrun.ID]*record, len(c.young)/2), 0
		c.turn++
		if r.size > c.limit {
			// Neither generation may show what came before.
			delete(c.old, id)
			return
		}
	}
	c.young[id] = r
	c.bytes += r.size
}
