package sqlite

import (
	"bytes"
	"errors"
	"runtime/debug"
	"slices"

	"github.com/longrun-dev/longrun"
	"zombiezen.com/go/sqlite"
)

// Most changes are simple: they store a new operation, or change one that is in
// memory, and touch nothing else. A batch of simple changes goes into the redo log
// and not into the database, which gets what became of them later, all at once:
// an operation that is done by then is written once. Any other batch waits until
// the database has everything, and is then a transaction of it.

// simpleChange is a change that may be simple.
type simpleChange interface {
	change
	// simply makes the change without the database. It reports whether it could;
	// where not, it has changed nothing, or what is dropped with the whole batch.
	simply(b *simpleBatch) bool
}

// simpleBatch is a batch of simple changes on its way into the redo log.
type simpleBatch struct {
	s        *Store
	look     *conn // reads what is not in memory
	puts     []put
	overlay  map[longrun.ID]*record
	requests map[request]bool
	newest   longrun.ID // no operation anywhere has a higher id
	frame    []byte
}

const (
	// maxSimple is how large what a simple change brings may be.
	maxSimple = 64 << 10
	// mixedBatches is how many small batches go straight into the database after
	// one had to wait for what was fresh: where changes of both kinds take turns,
	// a commit for each is less than a frame and then two commits.
	mixedBatches = 8
	// smallBatch is how many changes are no small batch any more.
	smallBatch = 8
)

// beSimple prepares for simple changes.
func (w *writer) beSimple(file string) error {
	newest, err := w.c.newestID()
	if err != nil {
		return err
	}
	look, err := openReader(file)
	if err != nil {
		return err
	}
	w.simple = &simpleBatch{s: w.s, look: look, newest: newest, overlay: map[longrun.ID]*record{}, requests: map[request]bool{}}
	return nil
}

// commitSimply makes a batch durable in the redo log. It reports whether it could;
// where not, nothing has happened.
func (w *writer) commitSimply(batch []change) bool {
	for _, c := range batch {
		if s, ok := c.(simpleChange); !ok || s.state().guarded || s.state().alone {
			return false
		}
	}
	if w.failed {
		// A crash may bring to light what that COMMIT was to store, and the log
		// must not go on from where it is not there. The next COMMIT settles it.
		return false
	}
	if w.mixed > 0 && len(batch) < smallBatch {
		w.mixed--
		return false
	}
	if !w.awaitRoom() {
		return false
	}
	slices.SortStableFunc(batch, inOrder)
	b := w.simple
	newest := b.newest
	defer b.reset()
	for _, c := range batch {
		if !b.apply(c.(simpleChange)) {
			b.newest = newest
			return false
		}
	}
	if len(b.puts) == 0 {
		return true
	}
	switch err := b.commit(); {
	case err == nil:
		w.freshened()
		return true
	case errors.Is(err, errFlush):
		b.newest = newest
		for _, c := range batch {
			o := c.state()
			o.err, o.lost = w.batchError(o.verb, &unknownError{err}), true
		}
		return true
	default:
		b.newest = newest
		if err != errTooLarge {
			w.s.log.Warn("redo log", "err", err)
		}
		return false
	}
}

// errTooLarge says that a batch is too large for a frame, and is to be a transaction.
var errTooLarge = errors.New("batch is too large")

func (b *simpleBatch) reset() {
	clear(b.puts)
	b.puts = b.puts[:0]
	clear(b.overlay)
	clear(b.requests)
}

// apply makes one change. A panic, of the Apply of an Update for one, is its error.
func (b *simpleBatch) apply(c simpleChange) (ok bool) {
	defer func() {
		if v := recover(); v != nil {
			o := c.state()
			o.err = internal(o.verb, "a function of the caller panicked", &authorPanic{value: v, stack: debug.Stack()})
			ok = true
		}
	}()
	return c.simply(b)
}

// commit writes the frame and shows what it holds.
func (b *simpleBatch) commit() (err error) {
	b.frame = append(b.frame[:0], make([]byte, redoHeader)...)
	for _, p := range b.puts {
		var whole *cold
		if p.old == nil {
			whole = &p.cold
		}
		if b.frame, err = appendEntry(b.frame, p.next, whole); err != nil {
			return err
		}
		if len(b.frame) > maxFrame {
			return errTooLarge
		}
	}
	redo := b.s.redo
	redo.mu.Lock()
	defer redo.mu.Unlock()
	if err := redo.append(b.frame); err != nil {
		return err
	}
	b.s.cache.publishLogged(b.puts)
	b.s.live.publish(b.puts, nil)
	b.s.watchers.publish(b.puts)
	return nil
}

// load returns a record of which all is in memory, or nil.
func (b *simpleBatch) load(id longrun.ID) *record {
	if r := b.overlay[id]; r != nil {
		return r
	}
	if r, _ := b.s.cache.get(id); r != removed {
		return r
	}
	return nil
}

func (b *simpleBatch) keep(p put) {
	b.puts = append(b.puts, p)
	b.overlay[p.id] = p.next
}

// simply stores an operation that is certain to be new, needs no key and brings
// nothing else.
func (c *createChange) simply(b *simpleBatch) bool {
	op := c.n.Operation
	switch {
	case c.n.Write != nil, c.n.DryRun, op.ConflictKey != "", c.bytes() > maxSimple:
		return false
	case !op.Claim.Session.IsZero() && !b.s.isAlive(op.Claim.Session):
		return false
	case !b.isNew(op):
		return false
	}
	r := newRecord(op.Stored(b.s.clock.createTime(), false))
	if !fits(r.op) {
		return false
	}
	b.keep(put{id: op.ID, next: r, cold: c.cold})
	if op.RequestID != "" {
		b.requests[requestOf(op)] = true
	}
	b.sawID(op.ID)
	c.stored, c.err = r, nil
	return true
}

// sawID notes that there may be an operation with this id.
func (b *simpleBatch) sawID(id longrun.ID) {
	if bytes.Compare(id[:], b.newest[:]) > 0 {
		b.newest = id
	}
}

const (
	sqlHasID      = `SELECT 1 FROM longrun_operation WHERE id = ?`
	sqlHasRequest = `SELECT 1 FROM longrun_operation WHERE parent = ? AND method = ? AND request_id = ?`
)

// isNew reports whether nothing is stored under op's id or by its request. Ids
// grow, so that most need no look into the database.
func (b *simpleBatch) isNew(op *longrun.Operation) bool {
	newer := bytes.Compare(op.ID[:], b.newest[:]) > 0
	if newer && op.RequestID == "" {
		return true
	}
	if b.overlay[op.ID] != nil || op.RequestID != "" && b.requests[requestOf(op)] || b.s.cache.isFresh(op) {
		return false
	}
	found := false
	row := func(*sqlite.Stmt) error {
		found = true
		return nil
	}
	var err error
	if !newer {
		err = b.look.query(sqlHasID, func(stmt *sqlite.Stmt) { stmt.BindBytes(1, op.ID[:]) }, row)
	}
	if err == nil && op.RequestID != "" {
		err = b.look.query(sqlHasRequest, bindRequest(op.Parent, op.Method, op.RequestID), row)
	}
	return err == nil && !found
}

// fits reports whether the tables take an operation that is not hidden and has no
// key. What they would refuse must never be in the redo log, where everything
// else would wait behind it: as a transaction, it is refused alone.
func fits(op *longrun.Operation) bool {
	return !op.Hidden && op.State >= longrun.Pending && op.State <= longrun.Cancelled &&
		(op.State == longrun.Pending) == !op.ReadyTime.IsZero() &&
		op.State.Done() == !op.ExpireTime.IsZero() &&
		(op.State == longrun.Succeeded) == (op.Response != nil) &&
		(op.State == longrun.Failed || op.State == longrun.Cancelled) == (op.Error != nil)
}

// simply changes a record that is in memory and has neither steps nor a key.
func (u *updateChange) simply(b *simpleBatch) bool {
	if u.c.Step != nil {
		return false
	}
	cur := b.load(u.c.ID)
	if cur == nil || cur.stepped || cur.op.ConflictKey != "" || cur.op.Hidden {
		return false
	}
	next, err := u.next(cur, b.s.clock.now())
	if theirs, ok := err.(*theirError); ok {
		u.stored, u.err = cur, theirs.err
		return true
	}
	if err != nil {
		u.stored, u.err = cur, changeError(u.verb, err)
		return true
	}
	if next == cur {
		u.stored, u.err = cur, nil
		return true
	}
	op := next.op
	if !fits(op) || op.RequestID != cur.op.RequestID || !sameCold(cur.op, op) || !isSame(cur.op, op) ||
		len(op.Response.GetValue())+len(op.Metadata.GetValue()) > maxSimple {
		return false
	}
	b.keep(put{id: u.c.ID, old: cur, next: next})
	u.stored, u.err = next, nil
	return true
}
