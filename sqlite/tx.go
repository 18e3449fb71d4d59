package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/longrun-dev/longrun"
	"zombiezen.com/go/sqlite"
)

// ErrTxEnded is returned by a Tx that is used after its function has returned.
// The program has a bug: it kept the Tx.
var ErrTxEnded = errors.New("transaction has ended")

// Tx is a transaction of the author's on the store's writer connection. It is
// valid until the function that got it returns, and not safe for concurrent use.
//
// While it is open the store writes nothing else, so it should be short, and its
// function must not call the store's own methods that write: they wait for it.
type Tx struct {
	w    *writer
	open bool // written when the function has returned
}

var _ longrun.Creator = (*Tx)(nil)

// Conn returns the connection for the author's statements, nil when the
// transaction has ended. Statements may read all tables and write all but ours,
// which begin with "longrun_". They may use savepoints, but cannot begin, commit
// or roll back a transaction, attach databases or set pragmas. Every statement
// must be reset or finalized before the function returns; the helpers of
// zombiezen.com/go/sqlite/sqlitex do that.
func (t *Tx) Conn() *sqlite.Conn {
	if !t.open {
		return nil
	}
	return t.w.c.Conn
}

// Create stores n.Operation in this transaction. See [longrun.Creator]. What it
// returns is durable, and callers see it, only when the transaction has been
// committed.
func (t *Tx) Create(ctx context.Context, n longrun.NewOperation) (*longrun.Operation, error) {
	if !t.open {
		return nil, ErrTxEnded
	}
	c, err := newCreate(ctx, n)
	if err != nil {
		return nil, internal("create", "the operation cannot be encoded", err)
	}
	c.guarded = true
	t.w.authors = false
	err = t.w.applyOne(c, true)
	t.w.authors = true
	if err != nil {
		return nil, t.w.batchError("create", err)
	}
	return c.result(c.err)
}

func (t *Tx) end() { t.open = false }

// Tx runs f in a transaction of its own and commits it when f returns nil; any
// error of f undoes it and comes back as it is, but Unavailable where SQLite says in it
// that the disk is full or has failed: a run that returns it is repeated. When f panics,
// the transaction is undone and Tx returns an Internal error. f runs on a goroutine of
// its own.
//
// Other errors are those of a write of the store: Unavailable when nothing has
// happened, and one for which [longrun.IsUnknown] holds when nobody knows.
func (s *Store) Tx(ctx context.Context, f func(*Tx) error) error {
	if err := s.begin(ctx, "tx"); err != nil {
		return err
	}
	_, err := s.write(ctx, &authorChange{outcome: outcome{verb: "tx", guarded: true, alone: true}, f: f}, recordOverhead)
	return err
}

// authorChange is a transaction of the author's.
type authorChange struct {
	outcome
	f func(*Tx) error
}

func (c *authorChange) apply(w *writer) error {
	if err := w.author(c.f); err != nil {
		return &theirError{authorError(c.verb, err)}
	}
	w.writes++ // who knows
	return nil
}

// View runs f with a connection for reading, on which one consistent state of
// the database is seen throughout. f must not keep the connection and must reset
// its statements. A long View keeps the log from being emptied. f's error comes
// back as it is.
func (s *Store) View(ctx context.Context, f func(*sqlite.Conn) error) error {
	if err := s.begin(ctx, "view"); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return readError("view", err)
	}
	var theirs error
	err := s.readers.with(ctx, func(c *conn) error {
		if err := c.exec(sqlBeginRead, nil); err != nil {
			return err
		}
		theirs = f(c.Conn)
		if c.AutocommitEnabled() {
			return nil
		}
		return c.exec(sqlRollback, nil)
	})
	if theirs != nil {
		return theirs
	}
	return readError("view", err)
}

const sqlBeginRead = `BEGIN`

// authorize decides what an author's statement on the writer connection may do.
// It is asked when a statement is compiled. The store's own statements are
// compiled outside of authors' functions and kept where those do not find them.
func (w *writer) authorize(a sqlite.Action) sqlite.AuthResult {
	if !w.authors {
		return sqlite.AuthResultOK
	}
	switch a.Type() {
	case sqlite.OpTransaction, sqlite.OpAttach, sqlite.OpDetach, sqlite.OpPragma:
		return sqlite.AuthResultDeny
	case sqlite.OpSavepoint:
		if isOurs(a.Savepoint()) {
			return sqlite.AuthResultDeny
		}
	case sqlite.OpInsert, sqlite.OpUpdate, sqlite.OpDelete, sqlite.OpAlterTable,
		sqlite.OpDropTable, sqlite.OpDropIndex, sqlite.OpDropTrigger, sqlite.OpDropView,
		sqlite.OpCreateTable, sqlite.OpCreateIndex, sqlite.OpCreateTrigger, sqlite.OpCreateView,
		sqlite.OpCreateTempTable, sqlite.OpCreateTempIndex, sqlite.OpCreateTempTrigger, sqlite.OpCreateTempView:
		if isOurs(a.Table()) || isOurs(a.Index()) || isOurs(a.Trigger()) || isOurs(a.View()) {
			return sqlite.AuthResultDeny
		}
	}
	return sqlite.AuthResultOK
}

func isOurs(name string) bool { return strings.HasPrefix(strings.ToLower(name), "longrun_") }

// Write adds f to the commit that stores the operation of d: what f writes and
// the operation are there both, or neither is. An error of f undoes everything
// and is the starting call's, as with [Store.Tx]. Use it in a Begin hook of a service whose store is
// a *[Store]; with another store the start fails.
func Write(d *longrun.Draft, f func(ctx context.Context, tx *Tx) error) {
	d.Write(func(ctx context.Context, tx any) error {
		t, ok := tx.(*Tx)
		if !ok {
			return internal("start", "the service's store is not sqlite", fmt.Errorf("transaction is a %T", tx))
		}
		return f(ctx, t)
	})
}
