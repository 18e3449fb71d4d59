package longrun

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
)

const (
	// A reply that is on its way when the caller's deadline passes is lost, so
	// Wait answers this much earlier (WAI-05): a quarter of what is left, but
	// never more than waitMargin.
	waitMargin = 250 * time.Millisecond
)

// Wait returns the operation when it is done, and its latest state when timeout
// has passed, nearly all of ctx's deadline is used up, or the Service drains
// (WAI-01 to WAI-05, WAI-15). No timeout is longer than MaxWait. Zero returns
// at once, like Get (WAI-07); negative is INVALID_ARGUMENT (WAI-08). One that is
// deleted meanwhile is NOT_FOUND (WAI-11). Where Options.MaxWaiters calls wait
// already, one that would have to wait is UNAVAILABLE with reason OVERLOADED and a
// delay (POL-04); an operation that is done is returned all the same.
//
// A wait costs one goroutine, the caller's, and two reads however long it takes.
func (s *Service) Wait(ctx context.Context, name Name, timeout time.Duration) (*Operation, error) {
	if err := s.authorize(ctx, VerbWait, name); err != nil {
		return nil, err
	}
	if timeout < 0 {
		return nil, s.fault("wait", name, &Error{Code: codes.InvalidArgument, Reason: ReasonInvalidTimeout,
			Field: "timeout", Msg: "timeout must not be negative"})
	}
	timeout = min(timeout, MaxWait)
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		timeout = min(timeout, left-min(waitMargin, left/4))
	}
	if timeout > 0 && !name.ID.IsZero() {
		op, err := s.await(ctx, name, timeout)
		if denied := s.authorize(ctx, VerbWait, name); denied != nil {
			return nil, denied
		}
		if op != nil || err != nil {
			return op, s.fault("wait", name, err)
		}
	}
	op, err := s.read(ctx, name)
	return op, s.fault("wait", name, err)
}

// await returns the operation when it is done, and nil when it is time for a
// last read.
func (s *Service) await(ctx context.Context, name Name, timeout time.Duration) (*Operation, error) {
	w := s.hub.await(name)
	if w == nil {
		return s.unawaited(ctx, name)
	}
	defer s.hub.leave(name.ID, w)
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-w.end:
		if !visible(w.op, name) {
			return nil, s.notFound(name)
		}
		op := *w.op // shared by all who wait
		return &op, nil
	case <-timer.C:
		return nil, nil
	case <-s.hub.draining:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// unawaited answers who found no room to wait: with the end, if there is one.
func (s *Service) unawaited(ctx context.Context, name Name) (*Operation, error) {
	op, err := s.read(ctx, name)
	if err != nil || op.State.Done() {
		return op, err
	}
	return nil, &Error{Code: codes.Unavailable, Reason: ReasonOverloaded, Delay: time.Second, Msg: "too many callers are waiting"}
}
