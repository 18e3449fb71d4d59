package sqlite

import (
	"context"
	"slices"
	"time"

	"github.com/longrun-dev/longrun"
	"zombiezen.com/go/sqlite"
)

// Claim gives ready operations to r.Session. See [longrun.Store].
//
// A numbered call counts as made already while anything is claimed under it, so
// that a call that waits for its first operation may ask again.
func (s *Store) Claim(ctx context.Context, r longrun.ClaimRequest) (longrun.Claimed, error) {
	if err := s.begin(ctx, "claim"); err != nil {
		return longrun.Claimed{}, err
	}
	if r.Call > 0 {
		if err := s.readClaims(ctx, "claim", r.Session, allClaims); err != nil {
			return longrun.Claimed{}, err
		}
	}
	c := &claimChange{outcome: outcome{verb: "claim"}, r: r}
	if _, err := s.write(ctx, c, recordOverhead); err != nil {
		return longrun.Claimed{}, err
	}
	claimed := longrun.Claimed{Next: c.next}
	for _, r := range c.claimed {
		claimed.Operations = append(claimed.Operations, r.copy())
	}
	return claimed, nil
}

type claimChange struct {
	outcome
	r       longrun.ClaimRequest
	claimed []*record
	next    time.Time
}

func (c *claimChange) apply(w *writer) error {
	c.claimed, c.next = nil, time.Time{}
	row, ok := w.session(c.r.Session)
	if !ok || !row.gone.IsZero() {
		return longrun.ErrSessionLost
	}
	if c.r.Call > 0 {
		if c.r.Call <= row.closed {
			return nil
		}
		if err := c.again(w); err != nil {
			return err
		}
	}
	now := w.now()
	ready, err := c.ready(w, now)
	if err != nil {
		return err
	}
	for _, p := range ready {
		r, err := w.load(p.id)
		if err != nil {
			return err
		}
		if r == nil {
			return internal("claim", "the index of ready operations is wrong", nil)
		}
		op, err := r.op.ClaimBy(c.r.Session, c.r.Call, now)
		if err != nil {
			return err
		}
		next := newRecord(op)
		if err := w.put(r, next); err != nil {
			return err
		}
		c.claimed = append(c.claimed, next)
	}
	return nil
}

// again finds what the same call has claimed already, oldest first.
func (c *claimChange) again(w *writer) error {
	for id, held := range w.claims(c.r.Session) {
		if held.call != c.r.Call {
			continue
		}
		r, err := w.load(id)
		if err != nil {
			return err
		}
		if r != nil {
			c.claimed = append(c.claimed, r)
		}
	}
	slices.SortFunc(c.claimed, func(a, b *record) int { return a.op.CreateTime.Compare(b.op.CreateTime) })
	return nil
}

// readyAt is an entry of the index of ready operations.
type readyAt struct {
	ready, created int64
	id             longrun.ID
}

const sqlReady = `SELECT ready_time, create_time, id FROM longrun_operation INDEXED BY longrun_operation_ready
	WHERE method = ? AND ready_time IS NOT NULL ORDER BY ready_time, create_time LIMIT ? + 0`

// ready returns what is wanted and ready at now, oldest ready time first, or
// nothing if the call has its claims already, and sets c.next to the ready time
// of the first one that it leaves.
func (c *claimChange) ready(w *writer, now time.Time) ([]readyAt, error) {
	wanted := map[string]int{}
	for _, want := range c.r.Want {
		n := max(want.N, 0)
		if len(c.claimed) > 0 {
			n = 0
		}
		wanted[want.Method] += n
	}
	var ready []readyAt
	for method, n := range wanted {
		err := w.c.query(sqlReady, func(stmt *sqlite.Stmt) {
			stmt.BindText(1, method)
			stmt.BindInt64(2, int64(n)+1)
		}, func(stmt *sqlite.Stmt) error {
			at := readyAt{ready: stmt.ColumnInt64(0), created: stmt.ColumnInt64(1)}
			stmt.ColumnBytes(2, at.id[:])
			if n > 0 && at.ready <= now.UnixMicro() {
				n--
				ready = append(ready, at)
			} else if t := timeAt(at.ready); c.next.IsZero() || t.Before(c.next) {
				c.next = t
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(ready, func(a, b readyAt) int {
		if a.ready != b.ready {
			return int(a.ready - b.ready)
		}
		return int(a.created - b.created)
	})
	return ready, nil
}
