package inmem

import (
	"context"
	"slices"
	"time"

	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
)

// Tx is what NewOperation.Write gets. It has no methods, because this store
// keeps nothing but operations: a Write that changes memory of its own does so
// as its last step, after everything that may fail.
type Tx struct{ _ int }

// Create stores n.Operation. See [longrun.Creator].
func (s *Store) Create(ctx context.Context, n longrun.NewOperation) (*longrun.Operation, error) {
	if err := s.lock(ctx, "create"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	op := n.Operation
	if stored := s.ops[op.ID]; stored != nil {
		return copyOf(stored), nil
	}
	if id, ok := s.requests[requestOf(op)]; ok && op.RequestID != "" {
		return copyOf(s.ops[id]), longrun.ErrExists
	}
	if !op.Claim.Session.IsZero() && !s.aliveLocked(op.Claim.Session) {
		return nil, longrun.ErrSessionLost
	}
	now := s.createTimeLocked()
	preempted, waits, err := s.conflictLocked(op, now)
	if err != nil {
		return nil, err
	}
	stored := op.Stored(now, waits)
	// Everything is decided and nothing is changed yet, so that an error of
	// Write has nothing to undo.
	if n.Write != nil {
		if err := n.Write(ctx, &Tx{}); err != nil {
			return nil, err
		}
	}
	if n.DryRun {
		return stored, nil
	}
	for _, p := range preempted {
		s.putLocked(p, now)
	}
	if op.ConflictKey != "" && !waits {
		s.holders[op.ConflictKey] = op.ID
	}
	s.putLocked(stored, now)
	return copyOf(stored), nil
}

// conflictLocked applies op.OnConflict: which operations are preempted, and
// whether op waits for its key.
func (s *Store) conflictLocked(op *longrun.Operation, now time.Time) (preempted []*longrun.Operation, waits bool, err error) {
	if _, held := s.holders[op.ConflictKey]; op.ConflictKey == "" || !held {
		return nil, false, nil
	}
	switch op.OnConflict {
	case longrun.Reject:
		return nil, false, &longrun.Error{
			Code: codes.Aborted, Reason: longrun.ReasonConcurrentOperation, Verb: "create",
			Msg: "another operation is at work on the same resource",
		}
	case longrun.Preempt:
		// Newest first: the holder is the oldest, and when it ends last there
		// is nobody left to whom its key could pass.
		for _, other := range slices.Backward(s.unfinishedLocked()) {
			if other.ConflictKey != op.ConflictKey {
				continue
			}
			next := other.Preempt(now)
			waits = waits || !next.State.Done()
			if next != other {
				preempted = append(preempted, next)
			}
		}
		return preempted, waits, nil
	default:
		return nil, true, nil
	}
}
