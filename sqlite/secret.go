package sqlite

import (
	"context"
	"crypto/rand"

	"zombiezen.com/go/sqlite"
)

const (
	sqlSecret    = `SELECT secret FROM longrun_secret WHERE name = ?`
	sqlPutSecret = `INSERT INTO longrun_secret (name, secret) VALUES (?, ?) ON CONFLICT DO NOTHING`
)

// Secret returns the 32 random bytes called name, made by the first caller. See
// [longrun.Store]. They are in the file as they are: whoever may read the file
// has them.
func (s *Store) Secret(ctx context.Context, name string) ([]byte, error) {
	if err := s.begin(ctx, "secret"); err != nil {
		return nil, err
	}
	var secret []byte
	err := s.readers.with(ctx, func(c *conn) (err error) {
		secret, err = c.secret(name)
		return err
	})
	if err != nil || secret != nil {
		return secret, readError("secret", err)
	}
	c := &secretChange{outcome: outcome{verb: "secret"}, name: name}
	if _, err := s.write(ctx, c, recordOverhead); err != nil {
		return nil, err
	}
	return c.secret, nil
}

func (c *conn) secret(name string) (secret []byte, err error) {
	err = c.query(sqlSecret, func(stmt *sqlite.Stmt) { stmt.BindText(1, name) }, func(stmt *sqlite.Stmt) error {
		secret = columnBytes(stmt, 0)
		return nil
	})
	return secret, err
}

type secretChange struct {
	outcome
	name   string
	secret []byte
}

func (c *secretChange) apply(w *writer) error {
	fresh := make([]byte, 32)
	rand.Read(fresh) // never fails
	err := w.wrote(w.c.exec(sqlPutSecret, func(stmt *sqlite.Stmt) {
		stmt.BindText(1, c.name)
		stmt.BindBytes(2, fresh)
	}))
	if err != nil {
		return err
	}
	c.secret, err = w.c.secret(c.name)
	return err
}
