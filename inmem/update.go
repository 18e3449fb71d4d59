package inmem

import (
	"bytes"
	"context"

	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
)

// Update applies c.Apply, once and with the store locked, and keeps what it
// returns. See [longrun.Store].
func (s *Store) Update(ctx context.Context, c longrun.Change) (*longrun.Operation, error) {
	if err := s.lock(ctx, "update"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	old := s.ops[c.ID]
	if old == nil {
		return nil, &longrun.Error{
			Code: codes.NotFound, Reason: longrun.ReasonOperationNotFound, Verb: "update",
			Name: longrun.Name{ID: c.ID}, Msg: "no such operation",
		}
	}
	now := s.nowLocked()
	given := copyOf(old)
	next, err := c.Apply(given, now)
	if err != nil {
		return copyOf(old), err
	}
	if c.Step != nil {
		if _, ok := s.steps[c.ID][c.Step.Key]; ok {
			return copyOf(old), longrun.ErrExists
		}
		if s.steps[c.ID] == nil {
			s.steps[c.ID] = map[string]longrun.Step{}
		}
		step := longrun.Step{Key: c.Step.Key, Result: bytes.Clone(c.Step.Result), Time: now}
		s.steps[c.ID][step.Key] = step
	}
	if next == given {
		return copyOf(old), nil
	}
	s.putLocked(copyOf(next), now)
	return copyOf(next), nil
}
