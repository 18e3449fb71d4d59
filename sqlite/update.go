package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
	"zombiezen.com/go/sqlite"
)

// Update applies c.Apply to the record and keeps what it returns. See
// [longrun.Store].
func (s *Store) Update(ctx context.Context, c longrun.Change) (*longrun.Operation, error) {
	if err := s.begin(ctx, "update"); err != nil {
		return nil, err
	}
	u := &updateChange{outcome: outcome{verb: "update"}, c: c}
	bytes := recordOverhead
	if c.Step != nil {
		bytes += len(c.Step.Result)
	}
	answered, err := s.write(ctx, u, bytes)
	if !answered || u.stored == nil {
		return nil, err
	}
	return u.stored.copy(), err
}

// updateChange applies a pure function to a record.
type updateChange struct {
	outcome
	c      longrun.Change
	stored *record
}

func (u *updateChange) apply(w *writer) error {
	cur, err := w.load(u.c.ID)
	u.stored = cur // also nil: an attempt that was given up may have set it
	if err != nil {
		return err
	}
	if cur == nil {
		return &longrun.Error{
			Code: codes.NotFound, Reason: longrun.ReasonOperationNotFound, Verb: "update",
			Name: longrun.Name{ID: u.c.ID}, Msg: "no such operation",
		}
	}
	now := w.now()
	next, err := u.next(cur, now)
	if err != nil {
		return err
	}
	changed := next != cur
	if !changed && u.c.Step == nil {
		return nil
	}
	if u.c.Step != nil {
		kept, err := w.step(cur, *u.c.Step, now.UnixMicro())
		if err != nil {
			return err
		}
		if !kept {
			return longrun.ErrExists
		}
		if !changed {
			if cur.stepped {
				return nil
			}
			next = newRecord(cur.copy())
		}
		next.stepped = true
	}
	if err := w.put(cur, next); err != nil {
		return err
	}
	u.stored = next
	return nil
}

// next returns what the change makes of a record at a time, and cur itself where
// that is nothing.
func (u *updateChange) next(cur *record, now time.Time) (*record, error) {
	given := cur.copy()
	op, err := u.c.Apply(given, now)
	if err != nil {
		return nil, &theirError{err}
	}
	if op == nil {
		return nil, errors.New("the change returned no record")
	}
	if op == given {
		return cur, nil
	}
	own := *op
	return newRecord(&own), nil
}

const sqlStep = `INSERT INTO longrun_step (create_time, key, result, time) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`

// step remembers a step, and reports whether it is new.
func (w *writer) step(r *record, step longrun.Step, now int64) (kept bool, err error) {
	err = w.c.exec(sqlStep, func(stmt *sqlite.Stmt) {
		stmt.BindInt64(1, r.rowid())
		stmt.BindText(2, step.Key)
		bindBytes(stmt, 3, step.Result)
		stmt.BindInt64(4, now)
	})
	if err != nil || w.c.Changes() == 0 {
		return false, err
	}
	w.bytes += len(step.Result)
	return true, w.wrote(nil)
}

const sqlSteps = `SELECT key, result, time FROM longrun_step
	WHERE create_time = (SELECT create_time FROM longrun_operation WHERE id = ?) AND key > ?
	ORDER BY key LIMIT ? + 0`

// Steps returns up to n remembered steps of the operation after key after. See
// [longrun.Store].
func (s *Store) Steps(ctx context.Context, id longrun.ID, after string, n int) ([]longrun.Step, error) {
	if err := s.begin(ctx, "steps"); err != nil {
		return nil, err
	}
	var steps []longrun.Step
	err := s.readers.with(ctx, func(c *conn) error {
		return c.query(sqlSteps, func(stmt *sqlite.Stmt) {
			stmt.BindBytes(1, id[:])
			stmt.BindText(2, after)
			stmt.BindInt64(3, int64(n))
		}, func(stmt *sqlite.Stmt) error {
			steps = append(steps, longrun.Step{Key: stmt.ColumnText(0), Result: columnBytes(stmt, 1), Time: timeAt(stmt.ColumnInt64(2))})
			return nil
		})
	})
	return steps, readError("steps", err)
}
