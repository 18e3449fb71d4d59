package sqlite

import (
	"context"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// conn is a connection with its prepared statements. They are not kept in the
// connection's own cache, where an author's statement of the same text would
// find them. It is used by one goroutine at a time.
//
// A limit is "? + 0" in them: SQLite plans by the value of a bare variable there,
// and compiles the statement anew whenever one is bound, which costs several times
// what a short statement does.
type conn struct {
	*sqlite.Conn
	stmts map[string]*sqlite.Stmt
}

const (
	busyTimeout = 10 * time.Second
	// walPages is where SQLite itself checkpoints on the writer's path, if the
	// checkpointer has not kept up: 62.5 MiB.
	walPages = 16000
)

// openConn opens a connection to an existing file and applies pragmas.
func openConn(file string, flag sqlite.OpenFlags, pragmas ...string) (*conn, error) {
	raw, err := sqlite.OpenConn(file, flag)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, stmts: map[string]*sqlite.Stmt{}}
	c.SetBusyTimeout(busyTimeout)
	for _, p := range pragmas {
		if err := c.once("PRAGMA "+p, nil); err != nil {
			c.close()
			return nil, err
		}
	}
	return c, nil
}

func openWriter(file string) (*conn, error) {
	return openConn(file, sqlite.OpenReadWrite, "journal_mode = WAL", "synchronous = FULL",
		"mmap_size = 0", "cache_size = -32768", fmt.Sprintf("wal_autocheckpoint = %d", walPages))
}

func openReader(file string) (*conn, error) {
	// Not mapped into memory, so that a bad disk is an error and not the end of
	// the process: docs/adr/0002.
	return openConn(file, sqlite.OpenReadOnly, "query_only = ON", "mmap_size = 0")
}

// prep returns the statement of a query, ready to be bound. The query is a
// constant.
func (c *conn) prep(query string) (*sqlite.Stmt, error) {
	if stmt := c.stmts[query]; stmt != nil {
		return stmt, nil
	}
	stmt, rest, err := c.PrepareTransient(query)
	if err != nil {
		return nil, err
	}
	if rest != 0 {
		stmt.Finalize()
		return nil, fmt.Errorf("more than one statement in %q", query)
	}
	c.stmts[query] = stmt
	return stmt, nil
}

// run runs a bound statement that returns no rows.
func run(stmt *sqlite.Stmt) error {
	if _, err := stmt.Step(); err != nil {
		return err
	}
	return stmt.Reset()
}

// exec runs a statement that returns no rows; bind may be nil.
func (c *conn) exec(query string, bind func(*sqlite.Stmt)) error {
	stmt, err := c.prep(query)
	if err != nil {
		return err
	}
	if bind != nil {
		bind(stmt)
	}
	return run(stmt)
}

// query calls row for each row until it returns an error.
func (c *conn) query(query string, bind func(*sqlite.Stmt), row func(*sqlite.Stmt) error) (err error) {
	stmt, err := c.prep(query)
	if err != nil {
		return err
	}
	if bind != nil {
		bind(stmt)
	}
	for {
		more, err := stmt.Step()
		if err != nil {
			return err
		}
		if !more {
			return stmt.Reset()
		}
		if err := row(stmt); err != nil {
			if reset := stmt.Reset(); reset != nil {
				return reset
			}
			return err
		}
	}
}

// once runs a statement that is not worth keeping; row may be nil.
func (c *conn) once(query string, row func(*sqlite.Stmt)) error {
	stmt, _, err := c.PrepareTransient(query)
	if err != nil {
		return err
	}
	defer stmt.Finalize()
	for {
		more, err := stmt.Step()
		if err != nil || !more {
			return err
		}
		if row != nil {
			row(stmt)
		}
	}
}

// number runs a statement whose first row begins with a number.
func (c *conn) number(query string) (n int64, err error) {
	err = c.once(query, func(stmt *sqlite.Stmt) { n = stmt.ColumnInt64(0) })
	return n, err
}

func (c *conn) close() error {
	for _, stmt := range c.stmts {
		stmt.Finalize()
	}
	return c.Close()
}

// readers is a small pool of read-only connections.
type readers struct {
	file   string
	free   chan *conn    // a nil stands for one that is not open yet
	closed chan struct{} // closed when none will come back
}

const maxReaders = 4

func newReaders(file string) *readers {
	r := &readers{file: file, free: make(chan *conn, maxReaders), closed: make(chan struct{})}
	for range maxReaders {
		r.free <- nil
	}
	return r
}

// with lends f a connection. Waiting for one ends with ctx.
func (r *readers) with(ctx context.Context, f func(*conn) error) error {
	var c *conn
	select {
	case c = <-r.free:
	case <-r.closed:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	keep := false
	defer func() {
		// A panic of f, or statements that it left open, must not reach the
		// next one.
		if !keep && c != nil {
			c.close()
			c = nil
		}
		r.free <- c
	}()
	if c == nil {
		var err error
		if c, err = openReader(r.file); err != nil {
			return err
		}
	}
	err := f(c)
	keep = c.AutocommitEnabled() && c.CheckReset() == ""
	return err
}

// close waits until every connection has come back and closes them.
func (r *readers) close() {
	for range maxReaders {
		if c := <-r.free; c != nil {
			c.close()
		}
	}
	close(r.closed)
}

// script runs the statements of a migration.
func (c *conn) script(text string) error {
	return sqlitex.ExecuteScript(c.Conn, text, nil)
}

// pragmaNumber sets a number in the file's header, where no parameter can be
// bound.
func (c *conn) pragmaNumber(name string, n int) error {
	return c.once(fmt.Sprintf("PRAGMA %s = %d", name, n), nil)
}
