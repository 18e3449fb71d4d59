package sqlite

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/longrun-dev/longrun"
	"zombiezen.com/go/sqlite"
)

const (
	sqlPutSession = `INSERT INTO longrun_session (id, worker, remote, ttl, closed, open_time, gone_time)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
		ON CONFLICT (id) DO UPDATE SET closed = ?5, gone_time = ?7`
	sqlForgetSession = `DELETE FROM longrun_session WHERE id = ?`
)

// putSession stores a session's row.
func (w *writer) putSession(p sessionPut) error {
	w.s.live.move(p.id)
	w.sessions = append(w.sessions, p)
	return w.wrote(w.c.exec(sqlPutSession, func(stmt *sqlite.Stmt) {
		stmt.BindBytes(1, p.id[:])
		stmt.BindText(2, p.next.worker)
		stmt.BindBool(3, p.next.remote)
		stmt.BindInt64(4, p.next.ttl.Microseconds())
		stmt.BindInt64(5, p.next.closed)
		stmt.BindInt64(6, p.next.opened.UnixMicro())
		bindTime(stmt, 7, p.next.gone)
	}))
}

// forgetSession removes a session's row.
func (w *writer) forgetSession(id longrun.SessionID) error {
	w.s.live.move(id)
	w.sessions = append(w.sessions, sessionPut{id: id, gone: true})
	return w.wrote(w.c.exec(sqlForgetSession, func(stmt *sqlite.Stmt) { stmt.BindBytes(1, id[:]) }))
}

// Beat opens, renews or ends a session. See [longrun.Store].
//
// A beat that renews and changes nothing else is answered from memory: the
// store's owner is alone, so nobody could learn of it from the disk. Any other
// renews in memory when it comes, so that a disk that stands still kills no
// session that beats. The beat that ends a session is answered with nothing but
// the time.
func (s *Store) Beat(ctx context.Context, b longrun.Session) (longrun.Beat, error) {
	if err := s.begin(ctx, "beat"); err != nil {
		return longrun.Beat{}, err
	}
	if answer, ok := s.live.quickBeat(b, s.clock.now()); ok {
		return answer, nil
	}
	if err := s.readClaims(ctx, "beat", b.ID, allClaims); err != nil {
		return longrun.Beat{}, err
	}
	c := &beatChange{outcome: outcome{verb: "beat"}, b: b}
	if _, err := s.write(ctx, c, len(b.Held)*32); err != nil {
		return longrun.Beat{}, err
	}
	return c.answer, nil
}

type beatChange struct {
	outcome
	b      longrun.Session
	answer longrun.Beat
}

func (c *beatChange) apply(w *writer) error {
	now := w.now()
	row, known := w.session(c.b.ID)
	put := !known
	switch {
	case !known && c.b.Open:
		row = sessionRow{worker: c.b.Worker, remote: c.b.Remote, ttl: c.b.TTL, opened: now}
	case !known || !row.gone.IsZero():
		return longrun.ErrSessionLost
	}
	if c.b.TTL <= 0 {
		row.gone = now
		c.answer = longrun.Beat{Time: now, TTL: row.ttl}
		return w.putSession(sessionPut{id: c.b.ID, next: row})
	}
	put = put || c.b.Closed > row.closed
	row.closed = max(row.closed, c.b.Closed)
	if put {
		if err := w.putSession(sessionPut{id: c.b.ID, next: row, open: true, beat: now}); err != nil {
			return err
		}
	} else {
		w.renew(c.b.ID, row, now)
	}
	if err := w.releaseClosed(c.b, now); err != nil {
		return err
	}
	c.answer = longrun.Beat{Stop: stops(w.claims(c.b.ID), c.b.Held, now), Time: now, TTL: row.ttl}
	return nil
}

// renew notes a beat that changes no row.
func (w *writer) renew(id longrun.SessionID, row sessionRow, now time.Time) {
	w.s.live.move(id)
	w.sessions = append(w.sessions, sessionPut{id: id, next: row, open: true, beat: now})
}

// releaseClosed releases the session's claims of closed calls that b does not
// name.
func (w *writer) releaseClosed(b longrun.Session, now time.Time) error {
	held := heldSet(b.Held)
	for id, c := range w.claims(b.ID) {
		if !mustRelease(c, b.Closed, held) {
			continue
		}
		r, err := w.load(id)
		if err != nil {
			return err
		}
		if r == nil {
			return errors.New("a claim of no operation")
		}
		next, err := r.op.EndRun(longrun.RunEnd{Claim: r.op.Claim, Kind: longrun.RunReleased}, now)
		if err != nil {
			return err
		}
		if err := w.put(r, newRecord(next)); err != nil {
			return err
		}
	}
	return nil
}

// Due marks up to n dead sessions and returns what needs a decision. See
// [longrun.Store]. Sessions that hold claims come first: when Due returns fewer
// than n operations, all that is left to mark holds nothing. Of what an earlier
// owner was running it reads no more than it returns.
func (s *Store) Due(ctx context.Context, c longrun.Contact, n int) ([]longrun.Overdue, error) {
	if err := s.begin(ctx, "due"); err != nil {
		return nil, err
	}
	if ids := s.live.overdue(c, n); len(ids) > 0 {
		judge := &judgeChange{outcome: outcome{verb: "due"}, ids: ids, contact: c}
		if _, err := s.write(ctx, judge, len(ids)*16); err != nil {
			return nil, err
		}
	}
	due, err := s.due(ctx, n)
	return due, readError("due", err)
}

// judgeChange marks sessions dead.
type judgeChange struct {
	outcome
	ids     []longrun.SessionID
	contact longrun.Contact
}

func (c *judgeChange) apply(w *writer) error {
	now := w.now()
	for _, id := range c.ids {
		row, ok := w.s.live.judge(id, c.contact)
		if !ok {
			continue
		}
		row.gone = now
		if err := w.putSession(sessionPut{id: id, next: row}); err != nil {
			return err
		}
	}
	return nil
}

const sqlPastDeadline = `SELECT ` + recordColumns + recordTables + `WHERE o.deadline_time <= ?1
	AND (o.state = 1 OR o.deadline_time <= ?2) ORDER BY o.deadline_time LIMIT ?3 + 0`

// due returns up to n operations that need a decision.
func (s *Store) due(ctx context.Context, n int) ([]longrun.Overdue, error) {
	lost, err := s.lost(ctx, n)
	if err != nil {
		return nil, err
	}
	ids := make([]longrun.ID, len(lost))
	for i := range ids {
		ids[i] = lost[i].name.ID
	}
	ops, err := s.get(ctx, ids)
	if err != nil {
		return nil, err
	}
	var all []longrun.Overdue
	for i, op := range ops {
		if op != nil && op.State == longrun.Running && op.Claim.Attempt == lost[i].attempt {
			all = append(all, longrun.Overdue{Operation: op, SessionLost: true})
		}
	}
	late, err := s.pastDeadline(ctx, n)
	if err != nil {
		return nil, err
	}
	for _, op := range late {
		if !slices.ContainsFunc(all, func(o longrun.Overdue) bool { return o.Operation.ID == op.ID }) {
			all = append(all, longrun.Overdue{Operation: op, SessionLost: op.State == longrun.Running && !s.isAlive(op.Claim.Session)})
		}
	}
	slices.SortFunc(all, func(a, b longrun.Overdue) int {
		return a.Operation.CreateTime.Compare(b.Operation.CreateTime)
	})
	return all[:min(n, len(all))], nil
}

func (s *Store) isAlive(id longrun.SessionID) bool {
	row, ok := s.live.row(id)
	return ok && row.gone.IsZero()
}

func (s *Store) pastDeadline(ctx context.Context, n int) ([]*longrun.Operation, error) {
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	now := s.clock.now()
	var ops []*longrun.Operation
	err := s.readers.with(ctx, func(c *conn) error {
		return c.query(sqlPastDeadline, func(stmt *sqlite.Stmt) {
			stmt.BindInt64(1, now.UnixMicro())
			stmt.BindInt64(2, now.Add(-longrun.DeadlineGrace).UnixMicro())
			stmt.BindInt64(3, int64(n))
		}, func(stmt *sqlite.Stmt) error {
			r, err := scanRecord(stmt)
			if err == nil {
				ops = append(ops, r.op)
			}
			return err
		})
	})
	return ops, err
}
