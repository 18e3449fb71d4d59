package sqlite

import (
	"context"
	"time"

	"github.com/longrun-dev/longrun"
	"zombiezen.com/go/sqlite"
)

const (
	// sessionRetention is how long a session that is not alive is remembered.
	sessionRetention = 24 * time.Hour
	// expireBatch is how many operations one change removes at most, so that
	// other writes get in between.
	expireBatch = 100
)

// Expire removes or empties done operations past their time, oldest first, and
// forgets old sessions, in small commits. When it has dealt with fewer than n, it
// also looks for conflict keys without a holder. See [longrun.Store]. When one of them
// fails, the number of what was done before comes beside the error.
func (s *Store) Expire(ctx context.Context, n int) (int, error) {
	if err := s.begin(ctx, "expire"); err != nil {
		return 0, err
	}
	done := 0
	for done < n {
		c := &expireChange{outcome: outcome{verb: "expire"}, n: min(n-done, expireBatch)}
		if _, err := s.write(ctx, c, c.n*recordOverhead); err != nil {
			return done, err
		}
		done += c.done
		if c.done < c.n {
			break
		}
	}
	if done == n {
		return done, nil
	}
	if err := s.rescueKeys(ctx); err != nil {
		return done, err
	}
	if len(s.live.forgettable(s.clock.now().Add(-sessionRetention), 1)) == 0 {
		return done, nil
	}
	_, err := s.write(ctx, &forgetChange{outcome: outcome{verb: "expire"}}, recordOverhead)
	return done, err
}

type expireChange struct {
	outcome
	n    int
	done int
}

const sqlExpired = `SELECT create_time, id FROM longrun_operation
	WHERE expire_time <= ? ORDER BY expire_time, create_time LIMIT ? + 0`

func (c *expireChange) apply(w *writer) error {
	c.done = 0
	now := w.now()
	type row struct {
		created int64
		id      longrun.ID
	}
	var rows []row
	err := w.c.query(sqlExpired, func(stmt *sqlite.Stmt) {
		stmt.BindInt64(1, now.UnixMicro())
		stmt.BindInt64(2, int64(c.n))
	}, func(stmt *sqlite.Stmt) error {
		r := row{created: stmt.ColumnInt64(0)}
		stmt.ColumnBytes(1, r.id[:])
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range rows {
		if now.Sub(timeAt(r.created)) < longrun.EmptiedRetention {
			err = w.empty(r.id, now)
		} else {
			err = w.remove(r.id, r.created)
		}
		if err != nil {
			return err
		}
		c.done++
	}
	return nil
}

// empty leaves a row that keeps its id from being created again.
func (w *writer) empty(id longrun.ID, now time.Time) error {
	r, err := w.load(id)
	if err != nil || r == nil {
		return err
	}
	next := r.op.Empty(now)
	if next == r.op {
		// Emptied before, for less time than an empty row stays.
		own := *r.op
		own.ExpireTime = r.op.CreateTime.Add(longrun.EmptiedRetention)
		next = &own
	}
	return w.put(r, newRecord(next))
}

const sqlRemove = `DELETE FROM longrun_operation WHERE create_time = ?`

// remove forgets a done operation.
func (w *writer) remove(id longrun.ID, created int64) error {
	for _, query := range []string{sqlDropAside, sqlRemove} {
		if err := w.wrote(w.c.exec(query, func(stmt *sqlite.Stmt) { stmt.BindInt64(1, created) })); err != nil {
			return err
		}
	}
	old, _ := w.s.cache.get(id)
	if r, ok := w.overlay[id]; ok {
		old = r
	}
	if old == removed {
		old = nil
	}
	w.keep(id, old, removed)
	return nil
}

// forgetChange forgets old sessions.
type forgetChange struct{ outcome }

func (c *forgetChange) apply(w *writer) error {
	for _, id := range w.s.live.forgettable(w.now().Add(-sessionRetention), expireBatch) {
		if len(w.claims(id)) > 0 {
			continue
		}
		if err := w.forgetSession(id); err != nil {
			return err
		}
	}
	return nil
}
