package inmem

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/longrun-dev/longrun"
)

// Get returns the operations with these ids, nil where there is none. See
// [longrun.Store].
func (s *Store) Get(ctx context.Context, ids ...longrun.ID) ([]*longrun.Operation, error) {
	if err := s.lock(ctx, "get"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	ops := make([]*longrun.Operation, len(ids))
	for i, id := range ids {
		if op := s.ops[id]; op != nil {
			ops[i] = copyOf(op)
		}
	}
	return ops, nil
}

// List returns operations, newest first. See [longrun.Query].
func (s *Store) List(ctx context.Context, q longrun.Query) (longrun.Page, error) {
	if err := s.lock(ctx, "list"); err != nil {
		return longrun.Page{}, err
	}
	defer s.mu.Unlock()
	switch {
	case !q.Session.IsZero():
		return longrun.Page{Operations: s.runningLocked(q.Session)}, nil
	case q.RequestID != "":
		return s.byRequestLocked(q), nil
	}
	return s.pageLocked(q), nil
}

// runningLocked returns copies of all that run under a session, oldest first.
func (s *Store) runningLocked(id longrun.SessionID) []*longrun.Operation {
	var ops []*longrun.Operation
	for _, op := range s.index.running[id] {
		ops = append(ops, copyOf(op))
	}
	return ops
}

func (s *Store) byRequestLocked(q longrun.Query) longrun.Page {
	id, ok := s.requests[request{parent: q.Parent, method: q.Method, id: q.RequestID}]
	if !ok {
		return longrun.Page{}
	}
	return longrun.Page{Operations: []*longrun.Operation{copyOf(s.ops[id])}}
}

func (s *Store) pageLocked(q longrun.Query) longrun.Page {
	var page longrun.Page
	read := 0
	for _, id := range slices.Backward(s.beforeLocked(q.After)) {
		if q.Scan > 0 && read == q.Scan {
			page.More = true
			break
		}
		op := s.ops[id]
		if !op.Hidden && longrun.MatchParent(q.Parent, op.Parent) {
			if len(page.Operations) == q.Limit {
				page.More = true
				break
			}
			page.Operations = append(page.Operations, copyOf(op))
		}
		read++
		page.Next = longrun.Cursor{CreateTime: op.CreateTime, ID: id}
	}
	return page
}

// beforeLocked returns the part of order that is older than c, or all of it for
// the zero Cursor.
func (s *Store) beforeLocked(c longrun.Cursor) []longrun.ID {
	if c == (longrun.Cursor{}) {
		return s.order
	}
	i, _ := slices.BinarySearchFunc(s.order, c, func(id longrun.ID, c longrun.Cursor) int {
		if d := s.ops[id].CreateTime.Compare(c.CreateTime); d != 0 {
			return d
		}
		return bytes.Compare(id[:], c.ID[:])
	})
	return s.order[:i]
}

// Steps returns up to n remembered steps of the operation after key after. See
// [longrun.Store].
func (s *Store) Steps(ctx context.Context, id longrun.ID, after string, n int) ([]longrun.Step, error) {
	if err := s.lock(ctx, "steps"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var steps []longrun.Step
	for key, step := range s.steps[id] {
		if key > after {
			steps = append(steps, step)
		}
	}
	slices.SortFunc(steps, func(a, b longrun.Step) int { return strings.Compare(a.Key, b.Key) })
	return steps[:min(n, len(steps))], nil
}
