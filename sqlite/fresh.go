package sqlite

import (
	"github.com/longrun-dev/longrun"
)

// fresh holds the records that one half of the redo log has and the database has
// not. It is guarded by cache.mu.
type fresh struct {
	entries  map[longrun.ID]*freshEntry
	order    []*freshEntry // as they came
	requests map[request]*freshEntry
	bytes    int
	seq      int64 // what has a higher number is not in here; set when it is frozen
}

// freshEntry is a record that is not in the database as it is now.
type freshEntry struct {
	before *record // what the database has, or will have first; nil if nothing
	now    *record
	cold   cold // of a record that the database has not at all
}

// request is what a request id is unique in.
type request struct{ parent, method, id string }

func requestOf(op *longrun.Operation) request {
	return request{parent: op.Parent, method: op.Method, id: op.RequestID}
}

func newFresh() *fresh {
	return &fresh{entries: map[longrun.ID]*freshEntry{}, requests: map[request]*freshEntry{}}
}

// maxFresh and maxFreshBytes are how many records may be fresh in one half of the
// log, and about how large, before writers wait for the database.
const (
	maxFresh      = 16384
	maxFreshBytes = 32 << 20
)

func (f *fresh) isFull() bool { return len(f.order) >= maxFresh || f.bytes >= maxFreshBytes }

// empty forgets all, and keeps the room.
func (f *fresh) empty() {
	clear(f.entries)
	clear(f.requests)
	clear(f.order)
	f.order, f.bytes, f.seq = f.order[:0], 0, 0
}

// puts returns what f changes in the database.
func (f *fresh) puts() []put {
	puts := make([]put, len(f.order))
	for i, e := range f.order {
		puts[i] = put{id: e.now.op.ID, old: e.before, next: e.now}
	}
	return puts
}

func (c *cache) freshLocked(id longrun.ID) *freshEntry {
	if e := c.fresh.entries[id]; e != nil {
		return e
	}
	return c.frozen.entries[id]
}

// publishLogged shows what a frame of the redo log has made durable.
func (c *cache) publishLogged(puts []put) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.fresh
	for _, p := range puts {
		e := f.entries[p.id]
		if e == nil {
			e = &freshEntry{before: p.old, cold: p.cold}
			f.entries[p.id] = e
			f.order = append(f.order, e)
			if id := p.next.op.RequestID; id != "" {
				f.requests[requestOf(p.next.op)] = e
			}
		}
		e.now = p.next
		f.bytes += p.next.size + len(p.cold.packed) + len(p.cold.request)
		c.putLocked(p.id, p.next)
	}
}

// freeze returns what is on its way into the database: what is fresh now, unless
// an earlier attempt is still to be made good, and then not anew.
func (c *cache) freeze() (f *fresh, anew bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.frozen.order) == 0 && len(c.fresh.order) > 0 {
		c.fresh, c.frozen, anew = c.frozen, c.fresh, true
	}
	return c.frozen, anew
}

// thaw says that the database has what was frozen.
func (c *cache) thaw() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen.empty()
}

// unstored returns how many records are fresh, and whether there is no room for
// more.
func (c *cache) unstored() (n int, full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.fresh.order) + len(c.frozen.order), c.fresh.isFull()
}

// isFresh reports whether a fresh record has the operation's id, or its request's.
func (c *cache) isFresh(op *longrun.Operation) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.freshLocked(op.ID) != nil {
		return true
	}
	return op.RequestID != "" && (c.fresh.requests[requestOf(op)] != nil || c.frozen.requests[requestOf(op)] != nil)
}

// stored returns the record that the database has under id, as get does; nil and
// true mean that it has none.
func (c *cache) stored(id longrun.ID) (r *record, turn int, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.freshLocked(id); e != nil {
		return e.before, c.turn, true
	}
	r = c.getLocked(id)
	return r, c.turn, r != nil
}
