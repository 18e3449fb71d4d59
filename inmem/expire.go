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
// forgets old sessions. See [longrun.Store].
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
	for id, ses := range s.sessions {
		if !ses.gone.IsZero() && now.Sub(ses.gone) > sessionRetention && len(s.runningLocked(id)) == 0 {
			delete(s.sessions, id)
		}
	}
	return dealt, nil
}
