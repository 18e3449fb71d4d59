package sqlite

import (
	"context"
	"fmt"
	"net/url"
	"os"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/migrate"
	"google.golang.org/grpc/codes"
	"zombiezen.com/go/sqlite"
)

// Problem is something that is wrong in a file.
type Problem struct {
	// Text says what, in one line, for people.
	Text string
	// Hint says what to do about it, in one line. Several problems may have the
	// same. A statement in it is for the sqlite3 of SQLite, 3.38 or newer.
	Hint string
}

// maxProblems is how many problems Check looks for: a file with more has one
// cause.
const maxProblems = 100

// Check verifies a file: what SQLite knows about its own structure, what is true
// of operations across tables, and that its redo log goes on where it ends. It returns what is wrong, at most 100
// problems, and none for a sound file, also for one whose server was killed in
// the middle of a write. It reads everything, which takes time, and changes
// nothing.
//
// A file that a server has open, or that Open would refuse, is an error, the
// same as Open's; one that is damaged so much that it cannot be read is DataLoss.
func Check(ctx context.Context, file string) ([]Problem, error) {
	path, unlock, err := lockSound("check", file)
	if err != nil {
		return nil, err
	}
	defer unlock()
	all, err := migrate.Read(migrationFiles, "migration")
	if err != nil {
		return nil, internal("check", "the program is damaged", err)
	}
	var found checker
	err = readAlone("check", path, func(c *conn) error {
		if err := c.inspect("check", path, all); err != nil {
			return err
		}
		defer c.SetInterrupt(c.SetInterrupt(ctx.Done()))
		if err := found.run(c); err != nil || len(found.problems) > 0 {
			return err
		}
		found.redo(c, path)
		return nil
	})
	if err != nil && ctx.Err() != nil {
		return nil, readError("check", ctx.Err())
	}
	if err != nil && longrun.CodeOf(err) == codes.Internal {
		err = damaged("check", path, err.Error())
	}
	return found.problems, err
}

// lockSound locks a store that no server has open, and looks at its header.
func lockSound(verb, file string) (path string, unlock func(), err error) {
	path, err = findFile(verb, file)
	if err != nil {
		return "", nil, err
	}
	if !exists(path) {
		return "", nil, openError(verb, codes.NotFound, file, "does not exist")
	}
	if unlock, err = lockToCheck(verb, path); err != nil {
		return "", nil, err
	}
	h, err := readHeader(verb, path)
	if err == nil && h.empty {
		err = damaged(verb, path, "it is empty")
	}
	if err != nil {
		unlock()
		return "", nil, err
	}
	return path, unlock, nil
}

// lockToCheck keeps servers away while a file is checked. Where nothing can be
// written, no server can be either.
func lockToCheck(verb, file string) (unlock func(), err error) {
	f, err := os.OpenFile(file+lockSuffix, os.O_RDWR, 0)
	switch {
	case err == nil:
		f.Close()
	case os.IsPermission(err):
		return func() {}, nil
	}
	lock, err := lockFile(verb, file)
	if err != nil {
		return nil, err
	}
	return lock.undo, nil
}

// readAlone opens a file that nobody else has open, for reading. It leaves
// nothing behind.
func readAlone(verb, file string, f func(*conn) error) error {
	hadShm := exists(file + "-shm")
	path := file
	if walSize(file) == 0 {
		// Nothing is in a log: no locks, no log and no shared memory are needed.
		path = "file:" + (&url.URL{Path: file}).EscapedPath() + "?immutable=1"
	}
	c, err := openConn(path, sqlite.OpenReadOnly|sqlite.OpenURI)
	if err != nil {
		return damaged(verb, file, err.Error())
	}
	err = f(c)
	c.close()
	if !hadShm && exists(file+"-shm") {
		os.Remove(file + "-shm")
	}
	return err
}

// checker collects problems.
type checker struct{ problems []Problem }

func (k *checker) add(hint, format string, args ...any) {
	if len(k.problems) < maxProblems {
		k.problems = append(k.problems, Problem{Text: fmt.Sprintf(format, args...), Hint: hint})
	}
}

// invariants find operations of which something is not true that must be. Each
// returns the id of the operation, or the name of what is wrong.
var invariants = []struct{ query, text, hint string }{
	{`SELECT hex(id) FROM longrun_operation WHERE state >= 3 AND hidden = 0
		AND (response IS NULL) = (error IS NULL) LIMIT 100`, "operation %s is done and has not exactly one result", hintRestore},
	{`SELECT hex(id) FROM longrun_operation WHERE state < 3 AND (response IS NOT NULL OR error IS NOT NULL) LIMIT 100`,
		"operation %s is not done and has a result", hintRestore},
	{`SELECT hex(id) FROM longrun_operation WHERE state <> 2 AND session IS NOT NULL LIMIT 100`,
		"operation %s has a session and does not run", mendIndex},
	{`SELECT hex(id) FROM longrun_operation WHERE state = 2 AND session IS NULL
		AND create_time < (SELECT floor FROM longrun_clock) LIMIT 100`,
		"operation %s runs and is not in the index of sessions", mendIndex},
	{`SELECT DISTINCT hex(o.id) FROM longrun_step JOIN longrun_operation AS o USING (create_time)
		WHERE o.state >= 3 LIMIT 100`, "operation %s is done and has steps", mendSteps},
	{`SELECT hex(o.id) FROM longrun_operation AS o WHERE o.conflict_key IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM longrun_key AS k WHERE k.conflict_key = o.conflict_key) LIMIT 100`,
		"operation %s has a conflict key that nobody holds", hintServe},
	{`SELECT hex(o.id) FROM longrun_operation AS o WHERE o.conflict_key IS NOT NULL
		AND (o.state = 2 OR o.ready_time IS NOT NULL)
		AND NOT EXISTS (SELECT 1 FROM longrun_key AS k WHERE k.holder = o.create_time) LIMIT 100`,
		"operation %s goes ahead without its conflict key", hintTwoAhead},
	{`SELECT hex(o.id) FROM longrun_key AS k JOIN longrun_operation AS o ON o.create_time = k.holder
		WHERE o.conflict_key IS NOT k.conflict_key LIMIT 100`, "operation %s holds a conflict key that is not its own, or is done", mendKey},
	{`SELECT hex(o.id) FROM longrun_key AS k JOIN longrun_operation AS o ON o.create_time = k.holder
		WHERE o.state = 1 AND o.ready_time IS NULL LIMIT 100`, "operation %s holds its conflict key and waits for it", mendKey},
	{`SELECT hex(o.id) FROM longrun_operation AS o JOIN longrun_session AS s ON s.id = o.session
		WHERE s.open_time > (SELECT ceiling FROM longrun_clock) LIMIT 100`, "operation %s runs under a session from the future", mendClock},
	{`SELECT hex(id) FROM longrun_operation WHERE create_time > (SELECT ceiling FROM longrun_clock) LIMIT 100`,
		"operation %s was created in the future", mendClock},
}

func (k *checker) run(c *conn) error {
	err := c.query(`PRAGMA integrity_check(100)`, nil, func(stmt *sqlite.Stmt) error {
		if text := stmt.ColumnText(0); text != "ok" {
			k.add(hintIntegrity(text), "%s", text)
		}
		return nil
	})
	if err != nil || len(k.problems) > 0 {
		return err // what is said about a broken tree has no meaning
	}
	err = c.query(`PRAGMA foreign_key_check`, nil, func(stmt *sqlite.Stmt) error {
		if isOurs(stmt.ColumnText(0)) {
			k.add(hintReference(stmt.ColumnText(0)), "%s has a row that refers to nothing in %s", stmt.ColumnText(0), stmt.ColumnText(2))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := k.schema(c); err != nil || len(k.problems) > 0 {
		return err
	}
	for _, i := range invariants {
		err := c.query(i.query, nil, func(stmt *sqlite.Stmt) error {
			k.add(i.hint, i.text, stmt.ColumnText(0))
			return nil
		})
		if err != nil {
			return err
		}
	}
	return k.records(c)
}

// redo looks whether the file's redo log can be brought into it.
func (k *checker) redo(c *conn, file string) {
	l, err := openRedo(c, file)
	if err == nil {
		var frames []redoFrame
		if frames, err = l.unapplied(); err == nil {
			_, err = replayed(c, frames)
		}
	}
	if err != nil {
		k.add(hintRedo, "%v", err)
	}
}

const sqlSchema = `SELECT type || ' ' || name, sql FROM sqlite_schema WHERE tbl_name LIKE 'longrun\_%' ESCAPE '\' AND sql IS NOT NULL`

// schema compares our tables and indexes with those of a new file.
func (k *checker) schema(c *conn) error {
	want, err := newSchema()
	if err != nil {
		return err
	}
	got, err := c.schema()
	if err != nil {
		return err
	}
	for name, sql := range want {
		if got[name] != sql {
			k.add(hintMissing(name, sql, got[name]), "%s is not there, or is not ours", name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			k.add(hintForeign(name), "%s is not ours", name)
		}
	}
	if n, err := c.number(`SELECT count(*) FROM longrun_clock`); err != nil || n != 1 {
		k.add(mendClock, "longrun_clock has lost its row")
	}
	return nil
}

// newSchema returns the schema of a new file.
func newSchema() (map[string]string, error) {
	all, err := migrate.Read(migrationFiles, "migration")
	if err != nil {
		return nil, err
	}
	c, err := openConn(":memory:", sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if _, err := migrate.Up(all, 0, c.migrate); err != nil {
		return nil, err
	}
	return c.schema()
}

func (c *conn) schema() (map[string]string, error) {
	found := map[string]string{}
	err := c.query(sqlSchema, nil, func(stmt *sqlite.Stmt) error {
		found[stmt.ColumnText(0)] = stmt.ColumnText(1)
		return nil
	})
	return found, err
}

const sqlEverything = `SELECT ` + recordColumns + `, o.session, o.deadline_time, o.conflict_key` + recordTables

// records unpacks every row and compares what is in it twice.
func (k *checker) records(c *conn) error {
	known := map[string]bool{}
	err := c.query(`SELECT id FROM longrun_session`, nil, func(stmt *sqlite.Stmt) error {
		known[string(columnBytes(stmt, 0))] = true
		return nil
	})
	if err != nil {
		return err
	}
	return c.query(sqlEverything, nil, func(stmt *sqlite.Stmt) error {
		r, err := scanRecord(stmt)
		if err != nil {
			k.add(hintLost(stmt.ColumnInt64(0)), "operation %x: %v", columnBytes(stmt, 1), err)
			return nil
		}
		op := r.op
		session, deadline, key := columnBytes(stmt, 15), columnTime(stmt, 16), stmt.ColumnText(17)
		if r.aside == stmt.ColumnIsNull(13) {
			k.add(hintLost(r.rowid()), "operation %v has lost its request", op.ID)
		}
		if op.State == longrun.Running && session != nil && string(op.Claim.Session[:]) != string(session) {
			k.add(mendIndex, "operation %v runs under two sessions", op.ID)
		}
		if op.State == longrun.Running && !known[string(op.Claim.Session[:])] {
			k.add(hintServe, "operation %v runs under a session that is not there", op.ID)
		}
		if !op.State.Done() && (!op.DeadlineTime.Equal(deadline) || op.ConflictKey != key) {
			k.add(hintLost(r.rowid()), "operation %v is not in the index of deadlines or of conflict keys", op.ID)
		}
		if op.UpdateTime.Before(op.CreateTime) || op.Revision < 1 {
			k.add(hintLost(r.rowid()), "operation %v was changed before it was created", op.ID)
		}
		return nil
	})
}
