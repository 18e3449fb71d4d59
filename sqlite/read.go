package sqlite

import (
	"context"
	"slices"

	"github.com/longrun-dev/longrun"
	"zombiezen.com/go/sqlite"
)

// Get returns the operations with these ids, nil where there is none. See
// [longrun.Store].
func (s *Store) Get(ctx context.Context, ids ...longrun.ID) ([]*longrun.Operation, error) {
	if err := s.begin(ctx, "get"); err != nil {
		return nil, err
	}
	ops, err := s.get(ctx, ids)
	return ops, readError("get", err)
}

// missing is an id that the cache does not know.
type missing struct {
	at   int // in ids
	turn int // for cache.fill
}

func (s *Store) get(ctx context.Context, ids []longrun.ID) ([]*longrun.Operation, error) {
	ops := make([]*longrun.Operation, len(ids))
	var ask []missing
	for i, id := range ids {
		r, turn := s.cache.get(id)
		if r == nil {
			ask = append(ask, missing{at: i, turn: turn})
		} else if r != removed {
			ops[i] = r.copy()
		}
	}
	if len(ask) == 0 {
		return ops, nil
	}
	err := s.readers.with(ctx, func(c *conn) error {
		for _, m := range ask {
			id := ids[m.at]
			r, err := c.one(sqlByID, func(stmt *sqlite.Stmt) { stmt.BindBytes(1, id[:]) })
			if err != nil {
				return err
			}
			if r != nil {
				s.cache.fill(id, r, m.turn)
				ops[m.at] = r.copy()
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	return ops, nil
}

const (
	sqlOfParent = `SELECT ` + recordColumns + recordTables + `WHERE o.parent = ?2 AND o.hidden = 0 AND o.create_time <= ?1
		ORDER BY o.create_time DESC`
	sqlOfAll = `SELECT ` + recordColumns + recordTables + `WHERE o.create_time <= ?1 ORDER BY o.create_time DESC`
)

// maxListBytes is where a page is cut, so that one call cannot fill the memory
// with large payloads. It is more than a reply can carry.
const maxListBytes = 4 * longrun.MaxPageBytes

// List returns operations, newest first. See [longrun.Query].
//
// A page ends early, with More set, when its operations together are larger than
// four replies can be.
func (s *Store) List(ctx context.Context, q longrun.Query) (longrun.Page, error) {
	if err := s.begin(ctx, "list"); err != nil {
		return longrun.Page{}, err
	}
	if !q.Session.IsZero() {
		return s.ofSession(ctx, q.Session)
	}
	if err := s.settle(ctx); err != nil {
		return longrun.Page{}, readError("list", err)
	}
	var page longrun.Page
	err := s.readers.with(ctx, func(c *conn) (err error) {
		defer c.SetInterrupt(c.SetInterrupt(ctx.Done()))
		page, err = c.list(q)
		return err
	})
	if err != nil {
		return longrun.Page{}, readError("list", err)
	}
	return page, nil
}

// ofSession returns what runs under a session.
func (s *Store) ofSession(ctx context.Context, id longrun.SessionID) (longrun.Page, error) {
	if err := s.readClaims(ctx, "list", id, allClaims); err != nil {
		return longrun.Page{}, err
	}
	ops, err := s.get(ctx, s.live.claimed(id))
	if err != nil {
		return longrun.Page{}, readError("list", err)
	}
	return longrun.Page{Operations: slices.DeleteFunc(ops, func(op *longrun.Operation) bool {
		return op == nil || op.State != longrun.Running || op.Claim.Session != id
	})}, nil
}

func (c *conn) list(q longrun.Query) (longrun.Page, error) {
	switch {
	case q.RequestID != "":
		return c.all(sqlByRequest, bindRequest(q.Parent, q.Method, q.RequestID))
	case q.Where != nil:
		return c.filtered(&lister{q: q})
	}
	return c.inOrder(&lister{q: q})
}

// inOrder is a page of all operations.
func (c *conn) inOrder(l *lister) (longrun.Page, error) {
	query := sqlOfParent
	if longrun.HasWildcard(l.q.Parent) {
		query = sqlOfAll
	}
	err := c.query(query, func(stmt *sqlite.Stmt) {
		stmt.BindInt64(1, l.from())
		if query == sqlOfParent {
			stmt.BindText(2, l.q.Parent)
		}
	}, l.row)
	if err == errPageFull {
		err = nil
	}
	return l.page, err
}

// all returns everything that a query finds.
func (c *conn) all(query string, bind func(*sqlite.Stmt)) (page longrun.Page, err error) {
	err = c.query(query, bind, func(stmt *sqlite.Stmt) error {
		r, err := scanRecord(stmt)
		if err == nil {
			page.Operations = append(page.Operations, r.op)
		}
		return err
	})
	return page, err
}

// lister fills a page row by row.
type lister struct {
	q      longrun.Query
	page   longrun.Page
	read   int // rows
	passed int // rows of which a condition said that they need not be read
	bytes  int
}

// errPageFull ends the query of a page that has all it may have.
var errPageFull = &longrun.Error{Msg: "page is full"}

func (l *lister) row(stmt *sqlite.Stmt) error {
	at := longrun.Cursor{CreateTime: timeAt(stmt.ColumnInt64(0))}
	stmt.ColumnBytes(1, at.ID[:])
	if l.isBefore(at) {
		return nil
	}
	if l.q.Scan > 0 && l.read == l.q.Scan {
		l.page.More = true
		return errPageFull
	}
	if stmt.ColumnInt64(5) == 0 && longrun.MatchParent(l.q.Parent, stmt.ColumnText(2)) {
		if len(l.page.Operations) == l.q.Limit || l.bytes > maxListBytes {
			l.page.More = true
			return errPageFull
		}
		r, err := scanRecord(stmt)
		if err != nil {
			return err
		}
		l.page.Operations = append(l.page.Operations, r.op)
		l.bytes += r.size
	}
	l.read++
	l.page.Next = at
	return nil
}
