package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
	"zombiezen.com/go/sqlite"
)

// change is one item of the queue of writes.
type change interface {
	// apply writes the change into the transaction that is open, and keeps what
	// its caller gets. It may be called again, for a new attempt at its batch.
	// When it returns an error, nothing it wrote is kept.
	apply(w *writer) error
	state() *outcome
}

// outcome is the part that every change has. It belongs to the writer until the
// queue has given the change back.
type outcome struct {
	verb string
	// guarded changes run functions of an author, or are undone on purpose: a
	// batch with one has a savepoint around each of its changes.
	guarded bool
	// begins says that the change stores something new, which is the first to be
	// refused where too much waits.
	begins bool
	// alone changes have a transaction of their own.
	alone bool
	err   error
	lost  bool // err is that of the whole batch, and what apply found means nothing
}

func (o *outcome) state() *outcome { return o }

// put is one record replaced by another, either of which may be removed.
type put struct {
	id        longrun.ID
	old, next *record
	cold      cold // of a record that is new and simple
}

// sessionPut is one session's row replaced; gone says that it was forgotten.
type sessionPut struct {
	id   longrun.SessionID
	next sessionRow
	open bool // opened or renewed by a beat at this time
	beat time.Time
	gone bool
}

// writer turns batches of changes into commits. Its methods run on the queue's
// goroutine, or while that waits for them. Those that use the connection run under
// checkpointer.writing: what is fresh is stored by another goroutine.
type writer struct {
	s *Store
	c *conn

	// What the open transaction has changed; empty between batches.
	puts     []put
	overlay  map[longrun.ID]*record // the last of puts for each id
	sessions []sessionPut
	writes   int // statements that changed something
	bytes    int // about how much they wrote

	ceiling time.Time // as stored: no later time is on disk
	raised  time.Time // the ceiling that the open transaction stores; zero where it stores none
	floor   floor     // which running rows are in the index of sessions
	authors bool      // an author's function runs: see authorize
	hot     []byte    // for packing
	simple  *simpleBatch
	mixed   int  // small batches yet to go straight into the database
	unsure  bool // nobody knows whether what is frozen was committed
	failed  bool // a COMMIT has failed, and none has gone well since
	room    room // that new rows get
}

// clockLease is how far the stored ceiling of the clock is set ahead, so that it
// is written once in a while and not with each commit.
const clockLease = time.Second

const (
	sqlBegin     = `BEGIN IMMEDIATE`
	sqlCommit    = `COMMIT`
	sqlRollback  = `ROLLBACK`
	sqlSavepoint = `SAVEPOINT longrun_change`
	sqlUndo      = `ROLLBACK TO longrun_change`
	sqlRelease   = `RELEASE longrun_change`
	sqlCeiling   = `UPDATE longrun_clock SET ceiling = ?1, floor = max(floor, ?2)`
	sqlTouch     = `UPDATE longrun_clock SET ceiling = ceiling + 1`
)

// commit is what the queue calls.
func (w *writer) commit(batch []change) {
	if w.commitSimply(batch) {
		return
	}
	for len(batch) > 0 {
		n := 0
		for n < len(batch) && !batch[n].state().alone {
			n++
		}
		if n == 0 {
			n = 1
		}
		w.commitTogether(batch[:n])
		batch = batch[n:]
	}
}

// inOrder sorts a batch so that rows are written next to each other: creates by
// id, which goes up with time, and then the rest. All callers of a batch have
// called at the same time, so that any order is right.
func inOrder(a, b change) int {
	c, first := a.(*createChange)
	d, second := b.(*createChange)
	switch {
	case first && second:
		return bytes.Compare(c.n.Operation.ID[:], d.n.Operation.ID[:])
	case first:
		return -1
	case second:
		return 1
	}
	return 0
}

// errSpoilt says that a change failed after it had written something, in a
// transaction without savepoints.
var errSpoilt = errors.New("the transaction holds half a change")

// commitTogether commits a batch in one transaction. Most batches have no
// savepoints; when one turns out to need them, it is done again from the start.
func (w *writer) commitTogether(batch []change) {
	guarded := false
	for _, c := range batch {
		guarded = guarded || c.state().guarded
	}
	slices.SortStableFunc(batch, inOrder)
	err := w.attempt(batch, guarded)
	if err == errSpoilt {
		err = w.attempt(batch, true)
	}
	if err != nil {
		for _, c := range batch {
			o := c.state()
			o.err, o.lost = w.batchError(o.verb, err), true
		}
	}
}

// unknownError is the error of a COMMIT that may have happened.
type unknownError struct{ err error }

// Error returns what COMMIT said.
func (e *unknownError) Error() string { return e.err.Error() }

// Unwrap returns what COMMIT said.
func (e *unknownError) Unwrap() error { return e.err }

func (w *writer) batchError(verb string, err error) error {
	if _, ok := errors.AsType[*unknownError](err); ok {
		return unavailable(verb, "the outcome is unknown", errors.Join(longrun.ErrUnknown, err))
	}
	return unavailable(verb, outageMsg(err), err)
}

// attempt runs a batch once. An error is that of the whole batch, of which
// nothing was kept, unless it is an *unknownError.
func (w *writer) attempt(batch []change, savepoints bool) (err error) {
	w.s.checkpoints.writing.Lock()
	defer w.s.checkpoints.writing.Unlock()
	if err := w.storeAll(); err != nil {
		return err
	}
	w.reset()
	if err := w.c.exec(sqlBegin, nil); err != nil {
		return err
	}
	done := false
	defer func() {
		if !done {
			w.rollback()
		}
	}()
	for _, c := range batch {
		if err := w.applyOne(c, savepoints); err != nil {
			return err
		}
	}
	if err := w.raiseCeiling(); err != nil {
		return err
	}
	if w.failed {
		// A batch that changes nothing would leave on the disk what that COMMIT
		// may have written.
		if err := w.c.exec(sqlTouch, nil); err != nil {
			return err
		}
	}
	w.doubt(true)
	if err := w.c.exec(sqlCommit, nil); err != nil {
		// A write that found no space has not happened. Of anything else that
		// goes wrong here nobody knows what has reached the disk.
		if sqlite.ErrCode(err).ToPrimary() == sqlite.ResultFull {
			return err
		}
		w.failed = true
		return &unknownError{err}
	}
	done, w.failed = true, false
	w.publish()
	return nil
}

// applyOne applies one change. An error is that of the whole batch.
func (w *writer) applyOne(c change, savepoint bool) error {
	o := c.state()
	puts, sessions, writes := len(w.puts), len(w.sessions), w.writes
	if savepoint {
		if err := w.c.exec(sqlSavepoint, nil); err != nil {
			return err
		}
	}
	err := w.safely(c)
	failed := err != nil
	if failed && w.c.AutocommitEnabled() {
		return err // SQLite has rolled back the whole transaction
	}
	if theirs, ok := err.(*theirError); ok {
		o.err = theirs.err
	} else if failed && isOutage(err) {
		return err
	} else {
		o.err = changeError(o.verb, err)
	}
	if !savepoint {
		if failed && w.writes > writes {
			return errSpoilt
		}
		return nil
	}
	if failed {
		if err := w.c.exec(sqlUndo, nil); err != nil {
			return err
		}
		w.forget(puts, sessions)
		w.writes = writes
	}
	return w.c.exec(sqlRelease, nil)
}

// theirError is an error that comes back to the caller as it is, nil too: the
// change is undone then and has not failed.
type theirError struct{ err error }

// Error returns the text of the caller's error.
func (e *theirError) Error() string { return fmt.Sprint(e.err) }

// safely applies c. A panic, of the Apply of an Update for one, is its error.
func (w *writer) safely(c change) (err error) {
	defer func() {
		if v := recover(); v != nil {
			w.authors = false
			err = internal(c.state().verb, "a function of the caller panicked", &authorPanic{value: v, stack: debug.Stack()})
			w.writes++ // it may have written anything
		}
	}()
	return c.apply(w)
}

func internal(verb, msg string, err error) error {
	return &longrun.Error{Code: codes.Internal, Reason: longrun.ReasonInternal, Verb: verb, Msg: msg, Err: err}
}

// rollback ends a transaction that is not to be kept.
func (w *writer) rollback() {
	if !w.c.AutocommitEnabled() {
		if err := w.c.exec(sqlRollback, nil); err != nil {
			w.s.log.Error("roll back", "err", err)
		}
	}
	w.doubt(false)
	w.reset()
}

// reset forgets what the last transaction changed.
func (w *writer) reset() {
	w.forget(0, 0)
	w.writes, w.bytes = 0, 0
	w.floor.stored = 0
	w.raised = time.Time{}
}

// forget drops all but the first so many puts and session puts.
func (w *writer) forget(puts, sessions int) {
	for _, p := range w.sessions[sessions:] {
		w.s.live.settle(p.id)
	}
	clear(w.sessions[sessions:])
	w.sessions = w.sessions[:sessions]
	for _, p := range w.sessions {
		w.s.live.move(p.id) // settled just now if it was changed twice
	}
	clear(w.puts[puts:])
	w.puts = w.puts[:puts]
	clear(w.overlay)
	for _, p := range w.puts {
		w.overlay[p.id] = p.next
	}
}

// raiseCeiling stores a new ceiling of the clock when this transaction holds a
// time that is past the stored one. Until it was committed the old one counts: a
// COMMIT of unknown outcome may leave a higher ceiling on disk than the writer
// knows, never a lower one.
func (w *writer) raiseCeiling() error {
	last := w.s.clock.latest()
	if w.writes == 0 || !last.After(w.ceiling) {
		return nil
	}
	ceiling := last.Add(clockLease)
	if err := w.raiseFloor(last.Add(-clockLease)); err != nil {
		return err
	}
	err := w.c.exec(sqlCeiling, func(stmt *sqlite.Stmt) {
		stmt.BindInt64(1, ceiling.UnixMicro())
		stmt.BindInt64(2, w.floor.stored)
	})
	if err == nil {
		w.raised = ceiling
	}
	return err
}

// doubt marks the cached records that the coming commit replaces, and takes the
// marks away when there was none.
func (w *writer) doubt(in bool) {
	for _, p := range w.puts {
		if p.old != nil {
			p.old.inDoubt.Store(in)
		}
	}
}

// publish shows what was committed.
func (w *writer) publish() {
	if !w.raised.IsZero() {
		w.ceiling = w.raised
	}
	w.s.cache.publish(w.puts)
	w.s.live.publish(w.puts, w.sessions)
	w.s.watchers.publish(w.puts)
	w.floor.publish(w.puts)
	w.s.checkpoints.wrote(w.writes, w.bytes)
	w.sessionsPublished()
}

// sessionsPublished forgets the batch without settling its sessions again.
func (w *writer) sessionsPublished() {
	clear(w.sessions)
	w.sessions = w.sessions[:0]
	w.reset()
}
