package inmem

import (
	"context"
	"slices"
	"time"

	"github.com/longrun-dev/longrun"
)

// Claim gives ready operations to r.Session. See [longrun.Store].
//
// A numbered call counts as made already while anything is claimed under it, so
// that a call that waits for its first operation may ask again.
func (s *Store) Claim(ctx context.Context, r longrun.ClaimRequest) (longrun.Claimed, error) {
	if err := s.lock(ctx, "claim"); err != nil {
		return longrun.Claimed{}, err
	}
	defer s.mu.Unlock()
	if !s.aliveLocked(r.Session) {
		return longrun.Claimed{}, longrun.ErrSessionLost
	}
	now := s.nowLocked()
	var claimed longrun.Claimed
	if r.Call > 0 {
		if r.Call <= s.sessions[r.Session].closed {
			return claimed, nil
		}
		claimed.Operations = s.runningLocked(r.Session)
		claimed.Operations = slices.DeleteFunc(claimed.Operations, func(op *longrun.Operation) bool {
			return op.Claim.Call != r.Call
		})
	}
	if len(claimed.Operations) == 0 {
		for _, op := range s.readyLocked(r.Want, now) {
			next, err := op.ClaimBy(r.Session, r.Call, now)
			if err != nil {
				return longrun.Claimed{}, err
			}
			s.putLocked(next, now)
			claimed.Operations = append(claimed.Operations, copyOf(next))
		}
	}
	claimed.Next = s.nextReadyLocked(r.Want)
	return claimed, nil
}

// readyLocked returns what is wanted of the operations that are ready at now,
// oldest ready time first, of the same time in the order of their start.
func (s *Store) readyLocked(want []longrun.Want, now time.Time) []*longrun.Operation {
	left := map[string]int{}
	for _, w := range want {
		left[w.Method] += w.N
	}
	var ready []*longrun.Operation
	for method, n := range left {
		for _, op := range s.index.ready[method] {
			if n <= 0 || op.ReadyTime.After(now) {
				break
			}
			n--
			ready = append(ready, op)
		}
	}
	slices.SortFunc(ready, byReady)
	return ready
}

// nextReadyLocked returns the earliest ready time of what is still pending of
// the wanted methods, zero if there is none.
func (s *Store) nextReadyLocked(want []longrun.Want) time.Time {
	var next time.Time
	for _, w := range want {
		if ready := s.index.ready[w.Method]; len(ready) > 0 && (next.IsZero() || ready[0].ReadyTime.Before(next)) {
			next = ready[0].ReadyTime
		}
	}
	return next
}
