package sqlite

import (
	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
	"zombiezen.com/go/sqlite"
)

const (
	sqlHolder  = `SELECT holder FROM longrun_key WHERE conflict_key = ?`
	sqlHold    = `INSERT INTO longrun_key (conflict_key, holder) VALUES (?, ?)`
	sqlUnhold  = `DELETE FROM longrun_key WHERE conflict_key = ? AND holder = ?`
	sqlWaiting = `SELECT ` + recordColumns + recordTables + `WHERE o.conflict_key = ?
		AND o.state = 1 AND o.ready_time IS NULL ORDER BY o.create_time LIMIT 1`
	sqlOfKey = `SELECT ` + recordColumns + recordTables + `WHERE o.conflict_key = ? ORDER BY o.create_time DESC`
)

// isHeld reports whether an operation holds the key.
func (w *writer) isHeld(key string) (held bool, err error) {
	err = w.c.query(sqlHolder, func(stmt *sqlite.Stmt) { stmt.BindText(1, key) }, func(*sqlite.Stmt) error {
		held = true
		return nil
	})
	return held, err
}

// hold gives a free key to r.
func (w *writer) hold(r *record) error {
	return w.wrote(w.c.exec(sqlHold, func(stmt *sqlite.Stmt) {
		stmt.BindText(1, r.op.ConflictKey)
		stmt.BindInt64(2, r.rowid())
	}))
}

// passKey gives the key of r, which has ended, to the oldest operation that
// waits for it. One that only waited had no key to pass on.
func (w *writer) passKey(r *record) error {
	err := w.wrote(w.c.exec(sqlUnhold, func(stmt *sqlite.Stmt) {
		stmt.BindText(1, r.op.ConflictKey)
		stmt.BindInt64(2, r.rowid())
	}))
	if err != nil || w.c.Changes() == 0 {
		return err
	}
	next, err := w.c.one(sqlWaiting, func(stmt *sqlite.Stmt) { stmt.BindText(1, r.op.ConflictKey) })
	if err != nil || next == nil {
		return err
	}
	if next, err = w.current(next); err != nil {
		return err
	}
	return w.promote(next)
}

// promote makes r the holder of its key, which is free, and ready.
func (w *writer) promote(r *record) error {
	if err := w.hold(r); err != nil {
		return err
	}
	op := r.op.MakeReady(w.now())
	if op == r.op {
		return nil
	}
	return w.put(r, newRecord(op))
}

// current returns the record that stands for a row just read, so that the cache
// knows which record is replaced.
func (w *writer) current(read *record) (*record, error) { return w.load(read.op.ID) }

// conflict does what op.OnConflict says, and reports whether op waits for its
// key.
func (w *writer) conflict(op *longrun.Operation) (waits bool, err error) {
	if op.ConflictKey == "" {
		return false, nil
	}
	held, err := w.isHeld(op.ConflictKey)
	if err != nil || !held {
		return false, err
	}
	switch op.OnConflict {
	case longrun.Reject:
		return false, &longrun.Error{
			Code: codes.Aborted, Reason: longrun.ReasonConcurrentOperation, Verb: "create",
			Msg: "another operation is at work on the same resource",
		}
	case longrun.Preempt:
		return w.preempt(op.ConflictKey)
	default:
		return true, nil
	}
}

// preempt takes the key away from all that have it, the newest first: when the
// holder ends, as the oldest, nobody is left to whom the key could pass. It
// reports whether one of them still runs.
func (w *writer) preempt(key string) (runs bool, err error) {
	var all []*record
	err = w.c.query(sqlOfKey, func(stmt *sqlite.Stmt) { stmt.BindText(1, key) }, func(stmt *sqlite.Stmt) error {
		r, err := scanRecord(stmt)
		all = append(all, r)
		return err
	})
	if err != nil {
		return false, err
	}
	now := w.now()
	for _, r := range all {
		if r, err = w.current(r); err != nil {
			return false, err
		}
		next := r.op.Preempt(now)
		runs = runs || !next.State.Done()
		if next == r.op {
			continue
		}
		if err := w.put(r, newRecord(next)); err != nil {
			return false, err
		}
	}
	return runs, nil
}
