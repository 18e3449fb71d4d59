package sqlite

import (
	"bytes"
	"math"
	"slices"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/sqlwhere"
	"zombiezen.com/go/sqlite"
)

// whereColumns says where the table has what a filter may ask for. Labels are in
// cold and metadata in hot, packed, with their texts as they are.
var whereColumns = sqlwhere.Columns{
	State: "o.state", Parent: "o.parent", ID: "o.id", Method: "o.method", Create: "o.create_time", Expire: "o.expire_time",
	Response: "o.response", Labels: "o.cold", Metadata: "o.hot",
	Name: `(CASE o.parent WHEN '' THEN '' ELSE o.parent || '/' END || 'operations/' || lower(
		hex(substr(o.id, 1, 4)) || '-' || hex(substr(o.id, 5, 2)) || '-' || hex(substr(o.id, 7, 2)) || '-' ||
		hex(substr(o.id, 9, 2)) || '-' || hex(substr(o.id, 11))))`,
}

// examineFactor is how many rows are looked at by a condition in SQL in about the
// time in which one record is read and judged.
const examineFactor = 16

// filtered is a page of what a filter may match: what its necessary condition
// leaves of the operations.
func (c *conn) filtered(l *lister) (longrun.Page, error) {
	w := sqlwhere.Build(l.q.Where.Expr(), whereColumns)
	switch {
	case w.SQL == sqlwhere.All().SQL:
		return c.inOrder(l)
	case w.IDs != nil:
		return c.listed(l, w)
	case w.Unfinished:
		times, ok, err := c.unfinished()
		if err != nil {
			return longrun.Page{}, err
		}
		if ok {
			return c.picked(l, times)
		}
	}
	return c.examined(l, w)
}

// listed is a page of the operations with the ids of w.
func (c *conn) listed(l *lister, w sqlwhere.Where) (longrun.Page, error) {
	var times []int64
	for _, id := range w.IDs {
		err := c.query(sqlTimeOf, func(stmt *sqlite.Stmt) { stmt.BindBytes(1, id[:]) }, func(stmt *sqlite.Stmt) error {
			times = append(times, stmt.ColumnInt64(0))
			return nil
		})
		if err != nil {
			return longrun.Page{}, err
		}
	}
	slices.Sort(times)
	slices.Reverse(times)
	return c.picked(l, times)
}

const (
	sqlTimeOf = `SELECT create_time FROM longrun_operation WHERE id = ?`
	sqlByTime = `SELECT ` + recordColumns + recordTables + `WHERE o.create_time = ?`

	// What is not done is in one of three partial indexes, but for what runs and
	// was created above the floor (docs/adr/0008-running-index.md).
	sqlUnfinished = `WITH unfinished (create_time) AS (
			SELECT create_time FROM longrun_operation WHERE ready_time IS NOT NULL
			UNION SELECT create_time FROM longrun_operation WHERE conflict_key IS NOT NULL
			UNION SELECT create_time FROM longrun_operation WHERE session IS NOT NULL
			UNION SELECT create_time FROM longrun_operation
				WHERE create_time >= (SELECT floor FROM longrun_clock) AND state = 2
			LIMIT ? + 0)
		SELECT create_time FROM unfinished ORDER BY create_time DESC`
)

// maxUnfinished is up to how many operations that are not done a list goes by
// their indexes; beyond, by the order of all.
const maxUnfinished = 4096

// unfinished returns the create times of all that is not done, newest first;
// false where there are too many.
func (c *conn) unfinished() (times []int64, ok bool, err error) {
	err = c.query(sqlUnfinished, func(stmt *sqlite.Stmt) { stmt.BindInt64(1, maxUnfinished+1) }, func(stmt *sqlite.Stmt) error {
		times = append(times, stmt.ColumnInt64(0))
		return nil
	})
	return times, len(times) <= maxUnfinished, err
}

// picked is a page of the operations with these create times, newest first.
func (c *conn) picked(l *lister, times []int64) (longrun.Page, error) {
	from := l.from()
	for _, at := range times {
		if at > from {
			continue
		}
		err := c.query(sqlByTime, func(stmt *sqlite.Stmt) { stmt.BindInt64(1, at) }, l.row)
		if err == errPageFull {
			break
		}
		if err != nil {
			return longrun.Page{}, err
		}
	}
	return l.page, nil
}

// The rows of a list, and of each whether the condition, which goes between the
// two parts, holds. The record itself is read only where it does.
const (
	sqlExamine         = `SELECT o.create_time, o.id, o.parent, o.hidden, `
	sqlExamineOfParent = ` FROM longrun_operation AS o WHERE o.parent = ? AND o.hidden = 0 AND o.create_time BETWEEN ? AND ? ORDER BY o.create_time DESC`
	sqlExamineOfAll    = ` FROM longrun_operation AS o WHERE o.create_time BETWEEN ? AND ? ORDER BY o.create_time DESC`
)

// examined is a page of the operations in the order of all. The condition is a
// column and no part of WHERE, so that it is known how far a page has come which
// finds nothing.
func (c *conn) examined(l *lister, w sqlwhere.Where) (longrun.Page, error) {
	query, args := sqlExamine+w.SQL, w.Args
	if longrun.HasWildcard(l.q.Parent) {
		query += sqlExamineOfAll
	} else {
		query += sqlExamineOfParent
		args = append(args, l.q.Parent)
	}
	args = append(args, w.MinCreate, min(l.from(), w.MaxCreate))
	stmt, _, err := c.PrepareTransient(query) // its text is the filter's, so it is not kept
	if err != nil {
		return longrun.Page{}, err
	}
	defer stmt.Finalize()
	bindAll(stmt, args)
	for {
		more, err := stmt.Step()
		if err != nil || !more {
			return l.page, err
		}
		if err := l.examine(c, stmt); err == errPageFull {
			return l.page, nil
		} else if err != nil {
			return longrun.Page{}, err
		}
	}
}

// bindAll binds arguments in the order of the placeholders.
func bindAll(stmt *sqlite.Stmt, args []any) {
	for i, arg := range args {
		switch arg := arg.(type) {
		case int64:
			stmt.BindInt64(i+1, arg)
		case string:
			stmt.BindText(i+1, arg)
		case []byte:
			stmt.BindBytes(i+1, arg)
		}
	}
}

// examine looks at one row, and reads its record if it may match.
func (l *lister) examine(c *conn, stmt *sqlite.Stmt) error {
	at := longrun.Cursor{CreateTime: timeAt(stmt.ColumnInt64(0))}
	stmt.ColumnBytes(1, at.ID[:])
	if l.isBefore(at) {
		return nil
	}
	if l.q.Scan > 0 && (l.read == l.q.Scan || l.passed == examineFactor*l.q.Scan) {
		l.page.More = true
		return errPageFull
	}
	if stmt.ColumnInt64(4) != 0 && stmt.ColumnInt64(3) == 0 && longrun.MatchParent(l.q.Parent, stmt.ColumnText(2)) {
		rowid := stmt.ColumnInt64(0)
		return c.query(sqlByTime, func(stmt *sqlite.Stmt) { stmt.BindInt64(1, rowid) }, l.row)
	}
	l.passed++
	l.page.Next = at
	return nil
}

// from is the newest create time that a page may begin with.
func (l *lister) from() int64 {
	if l.q.After.CreateTime.IsZero() {
		return math.MaxInt64
	}
	return l.q.After.CreateTime.UnixMicro()
}

// isBefore reports whether a place has been on an earlier page.
func (l *lister) isBefore(at longrun.Cursor) bool {
	return l.q.After != (longrun.Cursor{}) && at.CreateTime.Equal(l.q.After.CreateTime) &&
		bytes.Compare(at.ID[:], l.q.After.ID[:]) >= 0
}
