package longrun

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
)

// A Slot is room for one more run that a runner of this process keeps for an
// operation about to be stored, which is then stored as claimed: two durable
// writes in its life instead of three.
type Slot struct {
	// Session is the runner's.
	Session SessionID
	// Take hands the operation over: it is claimed and the runner runs it.
	Take func(op *Operation)
	// Drop gives the slot back. The error is that of Create, for the runner to
	// judge: after an unknown outcome the claim may be there.
	Drop func(err error)
}

// An offer is a runner's standing offer of slots.
type offer struct{ slot func(method string) *Slot }

// Offer lets new operations be stored as claimed by a runner of this process.
// slot returns nil when it has no room for the method, and must not block. It is
// asked for one operation at a time and called by many goroutines. Calling
// withdraw ends the offer; slots that are out stay valid.
func (w *Work) Offer(slot func(method string) *Slot) (withdraw func()) {
	o := &offer{slot: slot}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.offers = append(w.s.offers, o)
	return func() {
		w.s.mu.Lock()
		defer w.s.mu.Unlock()
		w.s.offers = slices.DeleteFunc(slices.Clone(w.s.offers), func(x *offer) bool { return x == o })
	}
}

// slot asks the runners of this process for room.
func (s *Service) slot(method string) *Slot {
	if s.hub.isDraining() {
		return nil
	}
	s.mu.Lock()
	offers := s.offers
	s.mu.Unlock()
	for _, o := range offers {
		if slot := o.slot(method); slot != nil {
			return slot
		}
	}
	return nil
}

// createDeadline limits the storing of an operation that is claimed already.
const createDeadline = 30 * time.Second

// create stores n, claimed at once where that is possible.
func (s *Service) create(ctx context.Context, r StartRequest, n NewOperation) (*Operation, error) {
	switch {
	case r.In != nil:
		return r.In.Create(ctx, n)
	case n.Operation.Pinned && s.hub.isDraining():
		return nil, &Error{Code: codes.Unavailable, Reason: ReasonUnavailable, Msg: "the service is stopping", Delay: time.Second}
	case r.ValidateOnly:
		return s.store.Create(ctx, n)
	case n.Operation.Pinned || n.Operation.ConflictKey != "":
		return s.insist(ctx, func() (*Operation, error) { return s.store.Create(ctx, n) })
	}
	slot := s.slot(r.Method)
	if slot == nil {
		return s.insist(ctx, func() (*Operation, error) { return s.store.Create(ctx, n) })
	}
	return s.createClaimed(ctx, slot, n)
}

// createClaimed stores n as claimed by slot's session. A caller that goes away
// does not leave the runner in the dark about what it holds, so the write is not
// the caller's to give up.
func (s *Service) createClaimed(ctx context.Context, slot *Slot, n NewOperation) (*Operation, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), createDeadline)
	defer cancel()
	claimed := *n.Operation
	claimed.Claim = Claim{Session: slot.Session}
	op, err := s.insist(ctx, func() (*Operation, error) {
		return s.store.Create(ctx, NewOperation{Operation: &claimed, Write: n.Write})
	})
	if err == nil && op.State == Running && op.Claim.Same(Claim{Session: slot.Session, Attempt: 1}) {
		slot.Take(op)
		return op, nil
	}
	slot.Drop(err)
	if errors.Is(err, ErrSessionLost) {
		return s.insist(ctx, func() (*Operation, error) { return s.store.Create(ctx, n) })
	}
	return op, err
}
