package sqlite

import (
	"context"

	"github.com/longrun-dev/longrun"
	"zombiezen.com/go/sqlite"
)

// What ran under the sessions of an earlier owner may be a million operations.
// So opening a file reads which sessions have claims in the index of what runs,
// and not the claims. Those of a session are read when somebody asks for them:
// all of them when it speaks, and the next few when it is dead and its operations
// are decided. A session whose claims are not all read is behind.
//
// Claims are read by the writer, in a transaction of its own: nothing is committed
// meanwhile, so that what is read is what there is.

const (
	// sqlHolders steps from session to session in the index, past all that runs
	// under the same.
	sqlHolders = `WITH RECURSIVE seen (session) AS (
			SELECT min(session) FROM longrun_operation WHERE session IS NOT NULL
			UNION ALL
			SELECT (SELECT min(session) FROM longrun_operation WHERE session > seen.session) FROM seen
				WHERE seen.session IS NOT NULL)
		SELECT session FROM seen WHERE session IS NOT NULL`

	claimColumns = `SELECT create_time, id, parent, hot FROM longrun_operation `
	sqlClaims    = claimColumns + `INDEXED BY longrun_operation_session
		WHERE session = ? AND create_time > ? ORDER BY create_time LIMIT ? + 0`
	sqlYoung = claimColumns + `WHERE create_time >= ? AND state = 2 AND session IS NULL`
)

// scanClaim reads as much of a running operation as its claim needs.
func scanClaim(stmt *sqlite.Stmt) (*longrun.Operation, error) {
	r := &record{op: &longrun.Operation{CreateTime: timeAt(stmt.ColumnInt64(0)), Parent: stmt.ColumnText(2)}}
	stmt.ColumnBytes(1, r.op.ID[:])
	return r.op, unpackHot(r, columnBytes(stmt, 3))
}

// allClaims is no limit.
const allClaims = -1

// readClaims reads the next n claims of a session that is behind, oldest
// operation first.
func (s *Store) readClaims(ctx context.Context, verb string, id longrun.SessionID, n int) error {
	if _, behind := s.live.behind(id); !behind {
		return nil
	}
	_, err := s.write(ctx, &claimsChange{outcome: outcome{verb: verb, alone: true}, id: id, n: n}, recordOverhead)
	return err
}

// claimsChange reads claims and changes nothing.
type claimsChange struct {
	outcome
	id longrun.SessionID
	n  int
}

func (c *claimsChange) apply(w *writer) error {
	last, behind := w.s.live.behind(c.id)
	if !behind {
		return nil
	}
	var read []*longrun.Operation
	err := w.c.query(sqlClaims, func(stmt *sqlite.Stmt) {
		stmt.BindBytes(1, c.id[:])
		stmt.BindInt64(2, last)
		stmt.BindInt64(3, int64(c.n))
	}, func(stmt *sqlite.Stmt) error {
		last = stmt.ColumnInt64(0)
		op, err := scanClaim(stmt)
		read = append(read, op)
		return err
	})
	if err != nil {
		return err
	}
	w.s.live.catchUp(c.id, read, last, len(read) != c.n)
	return nil
}

// fallBehind says that a session may have claims that were not read.
func (l *live) fallBehind(id longrun.SessionID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.atLocked(id).isBehind = true
}

// behind reports whether a session has claims that were not read, and since which
// create time.
func (l *live) behind(id longrun.SessionID) (after int64, behind bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sessions[id]
	if s == nil || !s.isBehind {
		return 0, false
	}
	return s.readTo, true
}

// catchUp adds claims that were read, up to a create time; these may be all.
func (l *live) catchUp(id longrun.SessionID, ops []*longrun.Operation, to int64, all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, op := range ops {
		l.atLocked(op.Claim.Session).claims[op.ID] = claimOf(op)
	}
	s := l.sessions[id]
	s.readTo, s.isBehind = to, !all
	l.tidyLocked(id, s)
}

// lost returns up to n claims of sessions that are not alive. Where there are
// fewer, it also returns a session that is not alive and behind, if there is one.
func (l *live) lost(n int) (all []claim, behind longrun.SessionID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, s := range l.sessions {
		if s.alive() {
			continue
		}
		if s.isBehind {
			behind = id
		}
		for _, c := range s.claims {
			if len(all) == n {
				return all, longrun.SessionID{}
			}
			all = append(all, c)
		}
	}
	return all, behind
}

// lost returns up to n claims of sessions that are not alive, and reads no more of
// them than that takes: what is lost may be more than fits into the memory.
func (s *Store) lost(ctx context.Context, n int) ([]claim, error) {
	for {
		all, behind := s.live.lost(n)
		if len(all) == n || behind.IsZero() {
			return all, nil
		}
		if err := s.readClaims(ctx, "due", behind, n); err != nil {
			return nil, err
		}
	}
}
