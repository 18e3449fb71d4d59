package inmem

import (
	"context"
	"slices"
	"time"

	"github.com/longrun-dev/longrun"
)

// sessionRetention is how long a session that is not alive is remembered.
const sessionRetention = 24 * time.Hour

// Expire removes or empties done operations past their time, oldest first, and
// forgets old sessions. When it has dealt with fewer than n, it also looks for
// conflict keys without a holder. See [longrun.Store].
func (s *Store) Expire(ctx context.Context, n int) (int, error) {
	if err := s.lock(ctx, "expire"); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	now := s.nowLocked()
	dealt := 0
	for _, id := range slices.Clone(s.order) {
		op := s.ops[id]
		if dealt == n {
			break
		}
		if !op.State.Done() || now.Before(op.ExpireTime) {
			continue
		}
		dealt++
		if now.Sub(op.CreateTime) < longrun.EmptiedRetention {
			s.putLocked(op.Empty(now), now)
		} else {
			s.removeLocked(op)
		}
	}
	if dealt < n {
		s.rescueKeysLocked(now)
	}
	for id, ses := range s.sessions {
		if !ses.gone.IsZero() && now.Sub(ses.gone) > sessionRetention && len(s.runningLocked(id)) == 0 {
			delete(s.sessions, id)
		}
	}
	return dealt, nil
}

// rescueKeysLocked gives every conflict key without a holder to the oldest
// operation that goes ahead with it, or else to the oldest that waits for it. It
// is a net: keys pass on in the commit that ends their holder.
func (s *Store) rescueKeysLocked(now time.Time) {
	var ahead, waiting []*longrun.Operation
	for _, op := range s.unfinishedLocked() {
		if op.State == longrun.Pending && op.ReadyTime.IsZero() {
			waiting = append(waiting, op)
		} else {
			ahead = append(ahead, op)
		}
	}
	for _, op := range append(ahead, waiting...) {
		if _, held := s.holders[op.ConflictKey]; held || op.ConflictKey == "" {
			continue
		}
		s.holders[op.ConflictKey] = op.ID
		if next := op.MakeReady(now); next != op {
			s.putLocked(next, now)
		}
	}
}
