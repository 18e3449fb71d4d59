package runner

import (
	"context"
	"errors"
	"time"

	"github.com/longrun-dev/longrun"
)

const (
	// pollInterval is how often the store is asked without any hint.
	pollInterval = 5 * time.Second
	// pastDelay is the pause before asking again for what should have been ready
	// and was not given.
	pastDelay = 250 * time.Millisecond
	// soonest is the shortest pause before asking again.
	soonest = time.Millisecond
)

// keepClaiming claims ready operations until begin ends. It is woken by hints,
// by slots that become free while more is ready, by the time at which the next
// operation becomes ready, and otherwise polls.
func (e *engine) keepClaiming(begin, life context.Context) {
	hints, stop := e.work.Ready(e.methods...)
	defer stop()
	delay := firstDelay
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-begin.Done():
			return
		case <-hints:
		case <-e.claimable:
		case <-timer.C:
		}
		next, err := e.claimReady(begin, life)
		if err != nil {
			e.log.Warn("nothing claimed", "err", err)
			if !pause(begin, jitter(delay)) {
				return
			}
			raise(e.claimable)
			delay = min(2*delay, lastDelay)
			continue
		}
		delay = firstDelay
		timer.Reset(e.untilNext(next))
	}
}

// untilNext is how long to wait for an operation that becomes ready at next.
func (e *engine) untilNext(next time.Time) time.Duration {
	wait := jitter(pollInterval)
	if next.IsZero() {
		return wait
	}
	until := e.untilStore(next)
	if until < 0 {
		return pastDelay
	}
	return min(wait, max(until, soonest))
}

// claimReady claims until no method has more or there are no more slots. It
// returns when the next operation becomes ready that was not.
func (e *engine) claimReady(begin, life context.Context) (next time.Time, err error) {
	for asked := 0; asked < len(e.methods) && begin.Err() == nil; {
		s, want := e.reserve()
		if s == nil {
			return time.Time{}, nil
		}
		var claimed longrun.Claimed
		err := call(life, func(ctx context.Context) (err error) {
			claimed, err = e.work.Claim(ctx, longrun.ClaimRequest{Session: s.id, Want: want})
			return err
		})
		e.claimed(life, s, want, claimed.Operations, err)
		if errors.Is(err, longrun.ErrSessionLost) {
			e.lose(s)
			return time.Time{}, nil
		}
		if err != nil {
			return time.Time{}, err
		}
		if asked += len(want); anyFull(want, claimed.Operations) {
			asked, next = 0, time.Time{}
			continue
		}
		next = earliest(next, claimed.Next)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hungry = false
	return next, nil
}

// reserve takes free slots and shares them out among the methods, whose turn to
// be first goes round: all of them where more is known to be ready, and otherwise
// a half, so that new operations find the rest while the call is under way. It
// returns nil when there is none or no call may begin; then claimReady is called
// again when that has changed.
func (e *engine) reserve() (*session, []longrun.Want) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.current
	if e.free == 0 || !e.mayCallLocked(s) {
		e.hungry = true
		return nil, nil
	}
	slots := min(e.free, longrun.MaxClaim)
	if !e.hungry {
		slots = (slots + 1) / 2
	}
	n := min(len(e.methods), slots, longrun.MaxWantMethods)
	want := make([]longrun.Want, n)
	for i := range want {
		want[i] = longrun.Want{Method: e.methods[(e.turn+i)%len(e.methods)], N: slots / n}
		if i < slots%n {
			want[i].N++
		}
	}
	e.turn = (e.turn + n) % len(e.methods)
	e.free -= slots
	s.calls++
	e.calls++
	return s, want
}

// claimed begins what a call of Claim has given, and gives back the slots that it
// did not fill.
func (e *engine) claimed(life context.Context, s *session, want []longrun.Want, ops []*longrun.Operation, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, w := range want {
		e.free += w.N
	}
	for _, op := range ops {
		e.free--
		e.adoptLocked(life, s, op)
	}
	e.callEndedLocked(s, err)
}

// slot lends a slot to an operation that is about to be stored. While there may
// be older ones waiting for a slot, the new one must wait behind them.
func (e *engine) slot(life context.Context, method string) *longrun.Slot {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.handles[method] {
		return nil
	}
	s := e.current
	if e.free == 0 || !e.mayCallLocked(s) {
		e.hungry = true
	}
	if e.hungry {
		return nil
	}
	e.free--
	s.calls++
	e.calls++
	return &longrun.Slot{
		Session: s.id,
		Take:    func(op *longrun.Operation) { e.take(life, s, op) },
		Drop:    func(err error) { e.drop(s, err) },
	}
}

// take begins a run of an operation that was stored as claimed.
func (e *engine) take(life context.Context, s *session, op *longrun.Operation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.adoptLocked(life, s, op)
	e.callEndedLocked(s, nil)
}

// drop gives back a slot.
func (e *engine) drop(s *session, err error) {
	if errors.Is(err, longrun.ErrSessionLost) {
		e.lose(s)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.freeLocked()
	e.callEndedLocked(s, err)
}

// freeLocked gives a slot back.
func (e *engine) freeLocked() {
	e.free++
	if e.hungry {
		raise(e.claimable)
	}
}

// anyFull reports whether a method gave as much as was wanted: it may have more.
func anyFull(want []longrun.Want, ops []*longrun.Operation) bool {
	given := map[string]int{}
	for _, op := range ops {
		given[op.Method]++
	}
	for _, w := range want {
		if given[w.Method] >= w.N {
			return true
		}
	}
	return false
}

// earliest returns the earlier of two times, of which zero is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
