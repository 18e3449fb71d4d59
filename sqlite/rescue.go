package sqlite

import (
	"context"
	"sync"

	"github.com/longrun-dev/longrun"
	"zombiezen.com/go/sqlite"
)

// This file is a net. A conflict key passes on in the commit that ends its
// holder; if one were ever left without a holder, who waits for it would wait for
// ever.

// rescue remembers how far the keys were looked at.
type rescue struct {
	mu    sync.Mutex
	after string // the last key that was looked at; empty to begin again
}

// rescueLook is how many keys one call looks at, so that it costs a few
// milliseconds however many there are. The next call goes on.
const rescueLook = 1000

// sqlKeys steps from key to key in the index, past all operations that have the
// same.
const sqlKeys = `WITH RECURSIVE seen (key) AS (
		SELECT min(conflict_key) FROM longrun_operation WHERE conflict_key > ?1
		UNION ALL
		SELECT (SELECT min(conflict_key) FROM longrun_operation WHERE conflict_key > seen.key) FROM seen
			WHERE seen.key IS NOT NULL LIMIT ?2 + 0)
	SELECT key, EXISTS (SELECT 1 FROM longrun_key WHERE conflict_key = key) FROM seen WHERE key IS NOT NULL`

// rescueKeys looks at the next keys and gives those without a holder to one that
// has the key.
func (s *Store) rescueKeys(ctx context.Context) error {
	keys, err := s.keysWithoutHolder(ctx)
	if err != nil || len(keys) == 0 {
		return readError("expire", err)
	}
	c := &rescueChange{outcome: outcome{verb: "expire"}, keys: keys}
	if _, err := s.write(ctx, c, len(keys)*recordOverhead); err != nil {
		return err
	}
	for _, id := range c.given {
		// The key itself is the caller's data.
		s.log.Error("conflict key without a holder", "operation", id)
	}
	return nil
}

func (s *Store) keysWithoutHolder(ctx context.Context) (free []string, err error) {
	r := &s.rescue
	r.mu.Lock()
	defer r.mu.Unlock()
	looked, last := 0, ""
	err = s.readers.with(ctx, func(c *conn) error {
		return c.query(sqlKeys, func(stmt *sqlite.Stmt) {
			stmt.BindText(1, r.after)
			stmt.BindInt64(2, rescueLook)
		}, func(stmt *sqlite.Stmt) error {
			looked++
			last = stmt.ColumnText(0)
			if !stmt.ColumnBool(1) {
				free = append(free, last)
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	r.after = ""
	if looked == rescueLook {
		r.after = last
	}
	return free, nil
}

// rescueChange gives keys without a holder to those who are next.
type rescueChange struct {
	outcome
	keys  []string
	given []longrun.ID // who has got one
}

// sqlNextHolder finds who goes ahead with a key, or else the oldest that waits.
const sqlNextHolder = `SELECT ` + recordColumns + recordTables + `WHERE o.conflict_key = ?
	ORDER BY o.state = 1 AND o.ready_time IS NULL, o.create_time LIMIT 1`

func (c *rescueChange) apply(w *writer) error {
	c.given = nil
	for _, key := range c.keys {
		if err := c.give(w, key); err != nil {
			return err
		}
	}
	return nil
}

// give gives a key away, unless somebody has it by now or nobody wants it.
func (c *rescueChange) give(w *writer, key string) error {
	held, err := w.isHeld(key)
	if err != nil || held {
		return err
	}
	next, err := w.c.one(sqlNextHolder, func(stmt *sqlite.Stmt) { stmt.BindText(1, key) })
	if err != nil || next == nil {
		return err
	}
	if next, err = w.current(next); err != nil {
		return err
	}
	c.given = append(c.given, next.op.ID)
	return w.promote(next)
}
