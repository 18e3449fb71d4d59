package main

import (
	"context"

	"cloud.google.com/go/translate/apiv3/translatepb"
	"google.golang.org/protobuf/proto"
	zombie "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/longrun-dev/longrun/sqlite"
)

// row is a glossary in the table: the resource, the file that it was made of, and the operation
// that has made it.
type row struct {
	resource  *translatepb.Glossary
	terms     []byte
	operation string
}

const sqlCreateTable = `
CREATE TABLE IF NOT EXISTS glossaries (
	name      TEXT PRIMARY KEY,
	resource  BLOB NOT NULL,
	terms     BLOB NOT NULL,
	operation TEXT NOT NULL
) STRICT`

func (g *glossaries) createTable(ctx context.Context) error {
	return g.store.Tx(ctx, func(tx *sqlite.Tx) error { return sqlitex.Execute(tx.Conn(), sqlCreateTable, nil) })
}

const sqlGlossary = `SELECT resource, terms, operation FROM glossaries WHERE name = ?1`

// row returns a glossary, nil where there is none.
func (g *glossaries) row(ctx context.Context, name string) (*row, error) {
	var found *row
	err := g.store.View(ctx, func(c *zombie.Conn) (err error) {
		found, err = selectRow(c, name)
		return err
	})
	return found, err
}

func selectRow(c *zombie.Conn, name string) (*row, error) {
	var found *row
	err := sqlitex.Execute(c, sqlGlossary, &sqlitex.ExecOptions{Args: []any{name}, ResultFunc: func(s *zombie.Stmt) error {
		found = &row{resource: &translatepb.Glossary{}, terms: blob(s, 1), operation: s.ColumnText(2)}
		return proto.Unmarshal(blob(s, 0), found.resource)
	}})
	return found, err
}

func blob(s *zombie.Stmt, column int) []byte {
	b := make([]byte, s.ColumnLen(column))
	s.ColumnBytes(column, b)
	return b
}

const sqlInsert = `INSERT INTO glossaries (name, resource, terms, operation) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING`

// insert adds a glossary and returns what is there now: another one, if that was first.
func (g *glossaries) insert(ctx context.Context, r row) (*row, error) {
	resource, err := proto.Marshal(r.resource)
	if err != nil {
		return nil, err
	}
	var there *row
	err = g.store.Tx(ctx, func(tx *sqlite.Tx) error {
		args := []any{r.resource.GetName(), resource, r.terms, r.operation}
		if err := sqlitex.Execute(tx.Conn(), sqlInsert, &sqlitex.ExecOptions{Args: args}); err != nil {
			return err
		}
		there, err = selectRow(tx.Conn(), r.resource.GetName())
		return err
	})
	return there, err
}

const sqlDelete = `DELETE FROM glossaries WHERE name = ?1`

func (g *glossaries) remove(ctx context.Context, name string) error {
	return g.store.Tx(ctx, func(tx *sqlite.Tx) error {
		return sqlitex.Execute(tx.Conn(), sqlDelete, &sqlitex.ExecOptions{Args: []any{name}})
	})
}

const sqlList = `SELECT resource FROM glossaries WHERE substr(name, 1, length(?1)) = ?1 AND name > ?2 ORDER BY name LIMIT ?3`

// list returns the glossaries whose names begin with prefix and come behind after.
func (g *glossaries) list(ctx context.Context, prefix, after string, limit int) ([]*translatepb.Glossary, error) {
	var found []*translatepb.Glossary
	err := g.store.View(ctx, func(c *zombie.Conn) error {
		return sqlitex.Execute(c, sqlList, &sqlitex.ExecOptions{Args: []any{prefix, after, limit}, ResultFunc: func(s *zombie.Stmt) error {
			r := &translatepb.Glossary{}
			found = append(found, r)
			return proto.Unmarshal(blob(s, 0), r)
		}})
	})
	return found, err
}
