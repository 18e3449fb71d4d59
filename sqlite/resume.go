package sqlite

import (
	"time"

	"github.com/longrun-dev/longrun"
	"zombiezen.com/go/sqlite"
)

const (
	sqlBury     = `UPDATE longrun_session SET gone_time = ? WHERE remote = 0 AND gone_time IS NULL`
	sqlSessions = `SELECT id, worker, remote, ttl, closed, open_time, gone_time FROM longrun_session`
	sqlClock    = `SELECT ceiling, floor, (SELECT max(create_time) FROM longrun_operation) FROM longrun_clock`
)

// resume goes on where the file's last owner was. That owner is gone, and so are
// the sessions of its process: they are dead from now on, so that their work
// goes on at once. Workers outside may be there still, and have as much time as
// if they had just beaten.
func (s *Store) resume(c *conn) error {
	now := s.clock.now()
	if err := c.exec(sqlBury, func(stmt *sqlite.Stmt) { stmt.BindInt64(1, now.UnixMicro()) }); err != nil {
		return err
	}
	if err := c.query(sqlSessions, nil, func(stmt *sqlite.Stmt) error { return s.resumeSession(stmt, now) }); err != nil {
		return err
	}
	if err := c.query(sqlHolders, nil, s.resumeHolder); err != nil {
		return err
	}
	return c.query(sqlYoung, func(stmt *sqlite.Stmt) { stmt.BindInt64(1, s.writer.floor.at) }, s.resumeYoung)
}

// resumeWriter lets the clock go on where the last owner's was, and the floor.
func (s *Store) resumeWriter(c *conn) error {
	var ceiling, lastCreate time.Time
	err := c.query(sqlClock, nil, func(stmt *sqlite.Stmt) error {
		ceiling, lastCreate = timeAt(stmt.ColumnInt64(0)), columnTime(stmt, 2)
		s.writer.floor.at = stmt.ColumnInt64(1)
		return nil
	})
	if err != nil {
		return err
	}
	s.clock.resume(ceiling, lastCreate)
	s.writer.ceiling = ceiling
	floor := &s.writer.floor
	return c.query(sqlYoung, func(stmt *sqlite.Stmt) { stmt.BindInt64(1, floor.at) }, func(stmt *sqlite.Stmt) error {
		floor.young = append(floor.young, young{row: stmt.ColumnInt64(0), id: longrun.ID(columnBytes(stmt, 1))})
		return nil
	})
}

// resumeHolder notes that something runs under a session. What that is, is read
// when it is needed.
func (s *Store) resumeHolder(stmt *sqlite.Stmt) error {
	var id longrun.SessionID
	stmt.ColumnBytes(0, id[:])
	s.live.fallBehind(id)
	return nil
}

// resumeYoung takes in what had just begun to run.
func (s *Store) resumeYoung(stmt *sqlite.Stmt) error {
	op, err := scanClaim(stmt)
	if err != nil {
		return err
	}
	s.live.atLocked(op.Claim.Session).claims[op.ID] = claimOf(op)
	return nil
}

func (s *Store) resumeSession(stmt *sqlite.Stmt, now time.Time) error {
	var id longrun.SessionID
	stmt.ColumnBytes(0, id[:])
	ses := s.live.atLocked(id)
	ses.known = true
	ses.row = sessionRow{
		worker: stmt.ColumnText(1),
		remote: stmt.ColumnBool(2),
		ttl:    time.Duration(stmt.ColumnInt64(3)) * time.Microsecond,
		closed: stmt.ColumnInt64(4),
		opened: timeAt(stmt.ColumnInt64(5)),
		gone:   columnTime(stmt, 6),
	}
	ses.beat = now
	return nil
}
