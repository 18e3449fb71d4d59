package runner

import (
	"context"
	"maps"

	"github.com/longrun-dev/longrun"
)

// keepListing lists the session's claims whenever that is wanted, until listing
// ends. A list that is under way then is not cut short, unless life ends too.
func (e *engine) keepListing(listing, life context.Context) {
	for listing.Err() == nil {
		select {
		case <-listing.Done():
		case <-e.listable:
			e.list(life)
		}
	}
}

// list finds and releases what the session holds without knowing it: claims whose
// reply was lost. It never adopts them, because a list may be older than what it
// is compared with.
func (e *engine) list(ctx context.Context) {
	s, before := e.beginList()
	if s == nil {
		return
	}
	var held []*longrun.Operation
	err := call(ctx, func(ctx context.Context) (err error) {
		held, err = e.work.Held(ctx, s.id)
		return err
	})
	unknown := e.endList(s, before, held)
	if err != nil {
		e.log.Warn("claims not listed", "session", s.id, "err", err)
		return
	}
	for _, op := range unknown {
		e.log.Info("releasing a claim whose reply was lost", "operation", op.Name().String(), "method", op.Method,
			"attempt", op.Claim.Attempt, "session", s.id)
		err := call(ctx, func(ctx context.Context) error {
			_, err := e.work.Release(ctx, op.Name(), op.Claim, longrun.Release{})
			return err
		})
		if err != nil {
			// The next list finds it again.
			e.log.Warn("claim not released", "operation", op.Name().String(), "attempt", op.Claim.Attempt, "err", err)
		}
	}
}

// beginList returns the session to list and what it is known to hold now, and
// nil when no list is wanted or one of its Claim or Create calls is under way.
// Until endList no such call begins: what the list shows and nobody knows has
// then no reply under way that could still make it known.
func (e *engine) beginList() (*session, map[longrun.Held]*run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.current
	if s == nil || !s.wanted || s.listing || s.calls > 0 {
		return nil, nil
	}
	s.wanted, s.listing = false, true
	return s, maps.Clone(s.claims)
}

// endList returns what of held was known neither when the list began nor now.
func (e *engine) endList(s *session, before map[longrun.Held]*run, held []*longrun.Operation) []*longrun.Operation {
	e.mu.Lock()
	defer e.mu.Unlock()
	s.listing = false
	raise(e.claimable)
	if s.lost {
		return nil
	}
	var unknown []*longrun.Operation
	for _, op := range held {
		if key := heldOf(op); before[key] == nil && s.claims[key] == nil {
			unknown = append(unknown, op)
		}
	}
	return unknown
}

func heldOf(op *longrun.Operation) longrun.Held {
	return longrun.Held{Name: op.Name(), Attempt: op.Claim.Attempt}
}
