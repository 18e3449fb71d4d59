package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// authored opens a store beside whose tables an author has one.
func authored(t *testing.T) *Store {
	t.Helper()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	err := s.Tx(t.Context(), func(tx *Tx) error {
		return sqlitex.ExecuteTransient(tx.Conn(), "CREATE TABLE mine (a TEXT UNIQUE) STRICT", nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func insertMine(c *sqlite.Conn, a string) error {
	return sqlitex.Execute(c, "INSERT INTO mine VALUES (?)", &sqlitex.ExecOptions{Args: []any{a}})
}

// mine returns the author's rows.
func mine(t *testing.T, s *Store) (all []string) {
	t.Helper()
	err := s.View(t.Context(), func(c *sqlite.Conn) error {
		return sqlitex.Execute(c, "SELECT a FROM mine ORDER BY a", &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
			all = append(all, stmt.ColumnText(0))
			return nil
		}})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// IDM-03: the author's rows and the operation are there both, or neither is.
func TestTx_Create(t *testing.T) {
	t.Parallel()
	s := authored(t)
	var kept, undone *longrun.Operation
	err := s.Tx(t.Context(), func(tx *Tx) (err error) {
		kept = create(t, tx, newOp())
		return insertMine(tx.Conn(), "kept")
	})
	if err != nil {
		t.Fatal(err)
	}
	sorry := errors.New("sorry")
	err = s.Tx(t.Context(), func(tx *Tx) error {
		undone = create(t, tx, newOp())
		if err := insertMine(tx.Conn(), "undone"); err != nil {
			return err
		}
		return sorry
	})
	if err != sorry {
		t.Errorf("Tx = %v, want the function's own error", err)
	}
	wantSame(t, "kept", get(t, s, kept.ID), kept)
	if got := get(t, s, undone.ID); got != nil {
		t.Errorf("Get of what was undone = %v, want nil", got)
	}
	wantSame(t, "rows", mine(t, s), []string{"kept"})
}

// Nobody sees what a transaction has created before it was committed, and who
// watches hears of it afterwards.
func TestTx_HintsComeAfterwards(t *testing.T) {
	t.Parallel()
	s := authored(t)
	hints := make(chan longrun.Hint, 10)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Watch(ctx, func(h longrun.Hint) { hints <- h }) }()
	defer func() { stop(); <-done }()
	for watching := false; !watching; runtime.Gosched() {
		s.watchers.mu.Lock()
		watching = len(s.watchers.all) > 0
		s.watchers.mu.Unlock()
	}
	op := newOp()
	err := s.Tx(t.Context(), func(tx *Tx) error {
		create(t, tx, op)
		if len(hints) > 0 {
			t.Error("a hint came before the commit")
		}
		if got := get(t, s, op.ID); got != nil {
			t.Errorf("Get before the commit = %v, want nil", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, "hint", <-hints, longrun.Hint{IDs: []longrun.ID{op.ID}, Ready: []string{op.Method}})
}

// An author's function cannot break the transaction it is in, nor our tables.
func TestTx_Forbidden(t *testing.T) {
	t.Parallel()
	s := authored(t)
	op := create(t, s, newOp())
	for _, query := range []string{
		"COMMIT", "ROLLBACK", "BEGIN", "RELEASE longrun_change", "ROLLBACK TO longrun_change", "SAVEPOINT longrun_change",
		"DELETE FROM longrun_operation", "UPDATE longrun_operation SET state = 3", "DROP TABLE longrun_operation",
		"INSERT INTO longrun_secret VALUES ('x', zeroblob(32))", "CREATE TABLE longrun_mine (a)",
		"CREATE TRIGGER x AFTER INSERT ON mine BEGIN DELETE FROM longrun_operation; END; INSERT INTO mine VALUES ('x')",
		"CREATE TRIGGER y AFTER INSERT ON longrun_operation BEGIN DELETE FROM mine; END",
		"ALTER TABLE longrun_operation RENAME TO y", "CREATE INDEX x ON longrun_operation (parent)",
		"CREATE TEMP TRIGGER z AFTER INSERT ON longrun_operation BEGIN DELETE FROM mine; END",
		"CREATE TEMP TABLE longrun_operation (a)", "CREATE TEMP VIEW longrun_operation AS SELECT 1",
		"ATTACH ':memory:' AS x", "PRAGMA synchronous = OFF", "PRAGMA user_version = 9", "VACUUM",
	} {
		err := s.Tx(t.Context(), func(tx *Tx) error { return sqlitex.ExecuteScript(tx.Conn(), query, nil) })
		if err == nil {
			t.Errorf("%s was allowed", query)
		}
		_, err = s.Create(t.Context(), longrun.NewOperation{Operation: newOp(), Write: func(_ context.Context, tx any) error {
			return sqlitex.ExecuteScript(tx.(*Tx).Conn(), query, nil)
		}})
		if err == nil {
			t.Errorf("%s was allowed in a hook", query)
		}
	}
	wantSame(t, "operation", get(t, s, op.ID), op)
	create(t, s, newOp())
}

// Savepoints of the author's own work inside the transaction.
func TestTx_Savepoint(t *testing.T) {
	t.Parallel()
	s := authored(t)
	err := s.Tx(t.Context(), func(tx *Tx) error {
		inner := func() (err error) {
			defer sqlitex.Save(tx.Conn())(&err)
			create(t, tx, newOp())
			return errors.Join(insertMine(tx.Conn(), "a"), insertMine(tx.Conn(), "a"))
		}
		if inner() == nil {
			t.Error("the second insert was allowed")
		}
		return insertMine(tx.Conn(), "b")
	})
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, "rows", mine(t, s), []string{"b"})
}

// A function that panics, ends its goroutine or leaves a statement open undoes
// its own transaction and nothing else.
func TestTx_BadFunctions(t *testing.T) {
	t.Parallel()
	s := authored(t)
	for name, f := range map[string]func(*Tx){
		"panic":  func(*Tx) { panic("sorry") },
		"goexit": func(*Tx) { runtime.Goexit() },
		"open statement": func(tx *Tx) {
			if _, err := tx.Conn().Prep("SELECT 1 UNION SELECT 2").Step(); err != nil {
				t.Error(err)
			}
		},
	} {
		var kept *Tx
		err := s.Tx(t.Context(), func(tx *Tx) error {
			kept = tx
			if err := insertMine(tx.Conn(), name); err != nil {
				t.Error(err)
			}
			f(tx)
			return nil
		})
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := kept.Create(t.Context(), longrun.NewOperation{Operation: newOp()}); err != ErrTxEnded || kept.Conn() != nil {
			t.Errorf("%s: Create after the end = %v, want %v and no connection", name, err, ErrTxEnded)
		}
		_, err = s.Create(t.Context(), longrun.NewOperation{Operation: newOp(), Write: func(_ context.Context, tx any) error {
			f(tx.(*Tx))
			return nil
		}})
		if err == nil {
			t.Errorf("%s: no error from Create", name)
		}
		create(t, s, newOp())
	}
	if got := mine(t, s); len(got) > 0 {
		t.Errorf("rows = %v, want none", got)
	}
}

// A hook's error undoes its operation and not its neighbours of the same commit.
func TestWrite_Error(t *testing.T) {
	t.Parallel()
	s := authored(t)
	good, bad, dry := newOp(), newOp(), newOp()
	sorry := errors.New("sorry")
	batch := []change{
		mustCreate(t, longrun.NewOperation{Operation: good, Write: hook("good", nil)}),
		mustCreate(t, longrun.NewOperation{Operation: bad, Write: hook("bad", sorry)}),
		mustCreate(t, longrun.NewOperation{Operation: dry, Write: hook("dry", nil), DryRun: true}),
		mustCreate(t, longrun.NewOperation{Operation: newOp()}),
	}
	commitOn(t, s, batch)
	for _, c := range batch {
		want := error(nil)
		if c.(*createChange).n.Operation == bad {
			want = sorry
		}
		if err := c.state().err; err != want {
			t.Errorf("error = %v, want %v", err, want)
		}
	}
	if get(t, s, good.ID) == nil || get(t, s, bad.ID) != nil || get(t, s, dry.ID) != nil {
		t.Error("want the good one stored, the bad one and the dry run not")
	}
	wantSame(t, "rows", mine(t, s), []string{"good"})
}

func hook(a string, err error) func(context.Context, any) error {
	return func(_ context.Context, tx any) error {
		if err := insertMine(tx.(*Tx).Conn(), a); err != nil {
			return err
		}
		return err
	}
}

func mustCreate(t *testing.T, n longrun.NewOperation) *createChange {
	t.Helper()
	c, err := newCreate(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// View sees one state, and cannot write.
func TestView(t *testing.T) {
	t.Parallel()
	s := authored(t)
	err := s.View(t.Context(), func(c *sqlite.Conn) error {
		count := func() int {
			n, err := sqlitex.ResultInt(c.Prep("SELECT count(*) FROM longrun_operation"))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		before := count()
		create(t, s, newOp())
		if after := count(); after != before {
			t.Errorf("operations = %d, want %d as before", after, before)
		}
		if err := insertMine(c, "x"); err == nil {
			t.Error("View can write")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sorry := errors.New("sorry")
	if err := s.View(t.Context(), func(*sqlite.Conn) error { return sorry }); err != sorry {
		t.Errorf("View = %v, want the function's own error", err)
	}
}

// Connections that a View has spoilt are not used again.
func TestView_Spoilt(t *testing.T) {
	t.Parallel()
	s := authored(t)
	for range 2 * maxReaders {
		s.View(t.Context(), func(c *sqlite.Conn) error {
			c.Prep("SELECT 1 UNION SELECT 2").Step()
			return nil
		})
		func() {
			defer func() { recover() }()
			s.View(t.Context(), func(c *sqlite.Conn) error { panic("sorry") })
		}()
	}
	if op := create(t, s, newOp()); get(t, s, op.ID) == nil {
		t.Error("nothing can be read any more")
	}
	_, err := s.List(t.Context(), longrun.Query{Parent: "-", Limit: 1})
	wantCode(t, "List", err, codes.OK)
}

func TestIsOurs(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"longrun_x": true, "LONGRUN_X": true, "mine": false, "": false, "longrun": false} {
		if got := isOurs(name); got != want {
			t.Errorf("isOurs(%q) = %v, want %v", name, got, want)
		}
	}
	if !strings.HasPrefix(sqlSavepoint, "SAVEPOINT longrun_") {
		t.Error("the store's savepoint is not protected")
	}
}
