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
	for _, op := range s.pendingLocked() {
		if left[op.Method] > 0 && !op.ReadyTime.After(now) {
			left[op.Method]--
			ready = append(ready, op)
		}
	}
	return ready
}

// nextReadyLocked returns the earliest ready time of what is still pending of
// the wanted methods, zero if there is none.
func (s *Store) nextReadyLocked(want []longrun.Want) time.Time {
	for _, op := range s.pendingLocked() {
		if slices.ContainsFunc(want, func(w longrun.Want) bool { return w.Method == op.Method }) {
			return op.ReadyTime
		}
	}
	return time.Time{}
}

// pendingLocked returns the operations that are Pending and do not wait for
// their key, oldest ready time first.
func (s *Store) pendingLocked() []*longrun.Operation {
	pending := slices.DeleteFunc(s.unfinishedLocked(), func(op *longrun.Operation) bool {
		return op.State != longrun.Pending || op.ReadyTime.IsZero()
	})
	slices.SortStableFunc(pending, func(a, b *longrun.Operation) int {
		return a.ReadyTime.Compare(b.ReadyTime)
	})
	return pending
}
