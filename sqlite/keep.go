package sqlite

import (
	"fmt"
	"time"

	"github.com/longrun-dev/longrun"
	"google.golang.org/protobuf/proto"
	"zombiezen.com/go/sqlite"
)

// This file has the writes of a record that all changes share.

// now returns the store's time.
func (w *writer) now() time.Time { return w.s.clock.now() }

const sqlByID = `SELECT ` + recordColumns + recordTables + `WHERE o.id = ?`

// load returns the record as the open transaction sees it, nil if there is none.
func (w *writer) load(id longrun.ID) (*record, error) {
	r, ok := w.overlay[id]
	turn := 0
	if !ok {
		r, turn, ok = w.s.cache.stored(id)
	}
	if r == removed {
		return nil, nil
	}
	if ok {
		return r, nil
	}
	r, err := w.c.one(sqlByID, func(stmt *sqlite.Stmt) { stmt.BindBytes(1, id[:]) })
	if r != nil {
		// Nothing in this transaction has touched it, so it is committed. Where
		// the transaction stores what is fresh, it may have changed meanwhile.
		w.s.cache.fill(id, r, turn)
	}
	return r, err
}

// one returns the record that a query finds, nil if there is none.
func (c *conn) one(query string, bind func(*sqlite.Stmt)) (r *record, err error) {
	err = c.query(query, bind, func(stmt *sqlite.Stmt) (err error) {
		r, err = scanRecord(stmt)
		return err
	})
	return r, err
}

// newRecord returns the record of an operation that nobody else may change.
func newRecord(op *longrun.Operation) *record {
	wholeMicros(op)
	size := recordOverhead + len(op.Request.GetValue()) + len(op.Response.GetValue()) + len(op.Metadata.GetValue())
	if op.Error != nil {
		size += proto.Size(op.Error)
	}
	return &record{op: op, size: size}
}

// keep notes that old is now next; either may be removed.
func (w *writer) keep(id longrun.ID, old, next *record) {
	w.puts = append(w.puts, put{id: id, old: old, next: next})
	w.overlay[id] = next
	w.bytes += next.size
}

// wrote counts a statement that changed something.
func (w *writer) wrote(err error) error {
	if err == nil {
		w.writes++
	}
	return err
}

const sqlInsert = `INSERT INTO longrun_operation
	(create_time, id, parent, method, state, hidden, request_id, conflict_key,
	session, ready_time, deadline_time, expire_time, cold, hot, pad, response, error)
	VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// insert stores a new record. One that is done already has no conflict key.
func (w *writer) insert(r *record, c cold) error {
	stmt, err := w.c.prep(sqlInsert)
	if err != nil {
		return err
	}
	op := r.op
	r.cold = len(c.packed)
	p, err := w.packNew(r)
	if err != nil {
		return err
	}
	deadline := op.DeadlineTime
	if op.State.Done() {
		deadline = time.Time{}
	}
	stmt.BindInt64(1, r.rowid())
	stmt.BindBytes(2, op.ID[:])
	stmt.BindText(3, op.Parent)
	stmt.BindText(4, op.Method)
	stmt.BindInt64(5, int64(op.State))
	bindText(stmt, 6, op.RequestID)
	bindText(stmt, 7, op.ConflictKey)
	bindBytes(stmt, 8, w.indexed(op))
	bindTime(stmt, 9, op.ReadyTime)
	bindTime(stmt, 10, deadline)
	bindTime(stmt, 11, op.ExpireTime)
	stmt.BindBytes(12, c.packed)
	stmt.BindBytes(13, p.hot)
	stmt.BindZeroBlob(14, int64(p.pad))
	bindBytes(stmt, 15, p.response)
	bindBytes(stmt, 16, p.error)
	if err := w.wrote(run(stmt)); err != nil {
		return err
	}
	if c.request != nil {
		if err := w.setAside(r, c.request); err != nil {
			return err
		}
	}
	w.keep(op.ID, nil, r)
	return nil
}

const (
	sqlSetAside  = `INSERT INTO longrun_request (create_time, request) VALUES (?, ?)`
	sqlDropAside = `DELETE FROM longrun_request WHERE create_time = ?`
)

func (w *writer) setAside(r *record, request []byte) error {
	r.aside = true
	return w.wrote(w.c.exec(sqlSetAside, func(stmt *sqlite.Stmt) {
		stmt.BindInt64(1, r.rowid())
		stmt.BindBytes(2, request)
	}))
}

// The statements of an update differ in what they leave alone: an index whose
// columns are not named costs nothing.
const (
	sqlReport = `UPDATE longrun_operation SET hot = ?2, pad = ?3 WHERE create_time = ?1`
	sqlMove   = `UPDATE longrun_operation SET hot = ?2, pad = ?3, state = ?4, session = ?5, ready_time = ?6,
		deadline_time = ?7 WHERE create_time = ?1`
	sqlEnd = `UPDATE longrun_operation SET hot = ?2, pad = ?3, state = ?4, session = NULL, expire_time = ?5,
		response = ?6, error = ?7 WHERE create_time = ?1`
	sqlRewrite = `UPDATE longrun_operation SET hot = ?2, pad = ?3, state = ?4, session = ?5, ready_time = ?6,
		deadline_time = ?7, expire_time = ?8, response = ?9, error = ?10, hidden = ?11, request_id = ?12,
		conflict_key = ?13, cold = ?14 WHERE create_time = ?1`
)

// packed is what an update writes into the packed columns; nil for NULL.
type packed struct {
	hot, response, error []byte
	pad                  int
}

// pack packs next, which replaces old, and pads its row.
func (w *writer) pack(old, next *record) (packed, error) {
	p, size, err := w.packAll(next)
	if err != nil {
		return packed{}, err
	}
	p.pad, next.row = w.room.padding(next.op, size, old.row)
	next.base = old.base
	if next.op.State.Done() && next.base > 0 && !next.op.Hidden {
		w.room.learn(size - next.base)
	}
	return p, nil
}

// packNew packs a record that has no row yet.
func (w *writer) packNew(r *record) (packed, error) {
	p, size, err := w.packAll(r)
	if err != nil {
		return packed{}, err
	}
	if !r.op.State.Done() {
		r.base = size
	}
	p.pad, r.row = w.room.padding(r.op, size, 0)
	return p, nil
}

// packAll packs a record, and returns how large its row is without padding.
func (w *writer) packAll(next *record) (p packed, size int, err error) {
	if w.hot, err = appendHot(w.hot[:0], next); err != nil {
		return packed{}, 0, err
	}
	p.hot = w.hot
	sizes := parts{cold: next.cold, hot: len(p.hot), response: -1, error: -1, session: len(w.indexed(next.op))}
	if m := next.op.Response; m != nil {
		if p.response, err = marshal(m); err != nil {
			return packed{}, 0, fmt.Errorf("encode response: %w", err)
		}
		sizes.response = len(p.response)
	}
	if m := next.op.Error; m != nil {
		if p.error, err = marshal(m); err != nil {
			return packed{}, 0, fmt.Errorf("encode error: %w", err)
		}
		sizes.error = len(p.error)
	}
	return p, rowSize(next.op, sizes), nil
}

// put stores next in place of old, and whatever must happen in the same commit:
// an ended operation loses its steps and passes its key on.
func (w *writer) put(old, next *record) error {
	a, b := old.op, next.op
	if !isSame(a, b) {
		return fmt.Errorf("operation %v became another one", a.ID)
	}
	next.stepped = next.stepped || old.stepped
	if err := w.update(old, next); err != nil {
		return err
	}
	w.keep(b.ID, old, next)
	if b.State.Done() && !a.State.Done() {
		return w.ended(next)
	}
	return nil
}

// isSame reports whether a and b are the same operation, changed or not.
func isSame(a, b *longrun.Operation) bool {
	return a.ID == b.ID && a.CreateTime.Equal(b.CreateTime) && a.Parent == b.Parent && a.Method == b.Method
}

// update writes the row of next with the statement that does the least.
func (w *writer) update(old, next *record) error {
	a, b := old.op, next.op
	if a.Hidden != b.Hidden || a.RequestID != b.RequestID || !sameCold(a, b) {
		return w.rewrite(old, next)
	}
	next.aside, next.cold = old.aside, old.cold
	p, err := w.pack(old, next)
	if err != nil {
		return err
	}
	switch {
	case a.State == b.State && a.Claim.Session == b.Claim.Session && a.ReadyTime.Equal(b.ReadyTime) &&
		a.DeadlineTime.Equal(b.DeadlineTime) && a.ExpireTime.Equal(b.ExpireTime) &&
		a.Response == b.Response && a.Error == b.Error:
		return w.report(next, p)
	case !a.State.Done() && !b.State.Done():
		return w.move(next, p)
	case a.State == longrun.Running && b.State.Done() && a.ConflictKey == "" && a.DeadlineTime.IsZero():
		return w.end(next, p)
	default:
		return w.rewrite(old, next)
	}
}

func (w *writer) report(r *record, p packed) error {
	stmt, err := w.c.prep(sqlReport)
	if err != nil {
		return err
	}
	p.bind(stmt, r)
	return w.wrote(run(stmt))
}

// bind binds what all updates begin with.
func (p packed) bind(stmt *sqlite.Stmt, r *record) {
	stmt.BindInt64(1, r.rowid())
	stmt.BindBytes(2, p.hot)
	stmt.BindZeroBlob(3, int64(p.pad))
}

func (w *writer) move(r *record, p packed) error {
	stmt, err := w.c.prep(sqlMove)
	if err != nil {
		return err
	}
	p.bind(stmt, r)
	stmt.BindInt64(4, int64(r.op.State))
	bindBytes(stmt, 5, w.indexed(r.op))
	bindTime(stmt, 6, r.op.ReadyTime)
	bindTime(stmt, 7, r.op.DeadlineTime)
	return w.wrote(run(stmt))
}

func (w *writer) end(r *record, p packed) error {
	stmt, err := w.c.prep(sqlEnd)
	if err != nil {
		return err
	}
	p.bind(stmt, r)
	stmt.BindInt64(4, int64(r.op.State))
	bindTime(stmt, 5, r.op.ExpireTime)
	bindBytes(stmt, 6, p.response)
	bindBytes(stmt, 7, p.error)
	return w.wrote(run(stmt))
}

// rewrite stores everything that may change.
func (w *writer) rewrite(old, r *record) error {
	op := r.op
	c, err := packCold(op)
	if err != nil {
		return err
	}
	if old.aside {
		err := w.wrote(w.c.exec(sqlDropAside, func(stmt *sqlite.Stmt) { stmt.BindInt64(1, r.rowid()) }))
		if err != nil {
			return err
		}
	}
	r.aside, r.cold = false, len(c.packed)
	if c.request != nil {
		if err := w.setAside(r, c.request); err != nil {
			return err
		}
	}
	p, err := w.pack(old, r)
	if err != nil {
		return err
	}
	stmt, err := w.c.prep(sqlRewrite)
	if err != nil {
		return err
	}
	deadline, key := op.DeadlineTime, op.ConflictKey
	if op.State.Done() {
		deadline, key = time.Time{}, ""
	}
	p.bind(stmt, r)
	stmt.BindInt64(4, int64(op.State))
	bindBytes(stmt, 5, w.indexed(op))
	bindTime(stmt, 6, op.ReadyTime)
	bindTime(stmt, 7, deadline)
	bindTime(stmt, 8, op.ExpireTime)
	bindBytes(stmt, 9, p.response)
	bindBytes(stmt, 10, p.error)
	stmt.BindBool(11, op.Hidden)
	bindText(stmt, 12, op.RequestID)
	bindText(stmt, 13, key)
	stmt.BindBytes(14, c.packed)
	return w.wrote(run(stmt))
}

const sqlDropSteps = `DELETE FROM longrun_step WHERE create_time = ?`

// ended does what the end of an operation brings with it.
func (w *writer) ended(r *record) error {
	if r.stepped {
		err := w.wrote(w.c.exec(sqlDropSteps, func(stmt *sqlite.Stmt) { stmt.BindInt64(1, r.rowid()) }))
		if err != nil {
			return err
		}
	}
	if r.op.ConflictKey != "" {
		return w.passKey(r)
	}
	return nil
}
