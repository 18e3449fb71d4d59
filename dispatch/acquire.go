package dispatch

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

const (
	// maxAcquire is how many operations one call gives at most.
	maxAcquire = 100
	// claimPause keeps a call whose operations others take first from asking
	// the store in a tight loop.
	claimPause = 50 * time.Millisecond
)

// An acquisition is one call of AcquireOperations.
type acquisition struct {
	session longrun.SessionID
	call    int64
	methods []string // each once
	max     int
	wait    time.Duration
}

// AcquireOperations claims ready operations, and waits for the first.
func (s *server) AcquireOperations(ctx context.Context, r *longrunpb.AcquireOperationsRequest) (_ *longrunpb.AcquireOperationsResponse, err error) {
	defer s.inDomain(&err)
	arrived := time.Now()
	if err := s.svc.Authorize(ctx, longrun.VerbWork, ""); err != nil {
		return nil, err
	}
	a, err := s.acquisition(ctx, r)
	if err != nil {
		return nil, err
	}
	if s.draining() {
		return nil, unavailable("acquire", longrun.ReasonUnavailable, "the service is stopping")
	}
	end := answerBy(ctx, arrived, a.wait)
	hints, stop := s.ready(a)
	defer stop()
	for waits := false; ; {
		c, err := s.claim(ctx, a)
		if err != nil {
			return nil, s.forget(a.session, err)
		}
		if len(c.Operations) > 0 {
			return s.hand(ctx, a, c.Operations)
		}
		now := time.Now()
		if !end.After(now) {
			return &longrunpb.AcquireOperationsResponse{}, nil
		}
		if !waits {
			if !s.desk.wait(a.session) {
				return nil, unavailable("acquire", longrun.ReasonOverloaded, "too many calls wait for operations")
			}
			defer s.desk.leave(a.session)
			waits = true
		}
		heard, next := hints, c.Next
		if c.full {
			heard, next = nil, time.Time{} // more work makes no room
		}
		if err := s.listen(ctx, heard, nil, s.pause(now, end, next)); err != nil && !errors.Is(err, errHint) {
			return nil, gone(ctx, "acquire")
		}
		if s.draining() {
			return &longrunpb.AcquireOperationsResponse{}, nil
		}
	}
}

// acquisition reads the request.
func (s *server) acquisition(ctx context.Context, r *longrunpb.AcquireOperationsRequest) (acquisition, error) {
	a := acquisition{call: r.GetCall(), max: int(r.GetMaxOperations())}
	var err error
	if a.session, err = s.work.SessionOf(ctx, r.GetSession()); err != nil {
		return a, err
	}
	switch {
	case a.call < 1:
		return a, invalid("acquire", "call", "must be at least 1")
	case len(r.GetMethods()) == 0:
		return a, invalid("acquire", "methods", "must name at least one method")
	case len(r.GetMethods()) > longrun.MaxWantMethods:
		return a, invalid("acquire", "methods", "has more than %d methods", longrun.MaxWantMethods)
	case a.max < 0:
		return a, invalid("acquire", "max_operations", "must not be negative")
	case a.max == 0:
		a.max = 1
	}
	a.max = min(a.max, maxAcquire)
	a.methods = each(r.GetMethods())
	a.wait, err = waitTimeout("acquire", r.GetWaitTimeout())
	a.wait = min(a.wait, longrun.MaxWait)
	return a, err
}

// each returns every method once, in order.
func each(methods []string) []string {
	seen := make(map[string]bool, len(methods))
	var out []string
	for _, m := range methods {
		if !seen[m] {
			seen[m] = true
			out = append(out, m)
		}
	}
	return out
}

// ready subscribes before the first claim, so that nothing falls in between.
func (s *server) ready(a acquisition) (<-chan struct{}, func()) {
	if a.wait == 0 {
		return nil, func() {}
	}
	return s.work.Ready(a.methods...)
}

// pause is how long to wait for a hint: until something will be ready, the next
// poll or the end, whichever is first.
func (s *server) pause(now, end, next time.Time) time.Duration {
	d := end.Sub(now)
	if s.poll > 0 {
		d = min(d, s.poll)
	}
	if !next.IsZero() {
		d = min(d, max(next.Sub(now), claimPause))
	}
	return d
}

// hand makes the reply. What does not fit into it is released before anybody
// knows of it; where that fails, the call is made again.
func (s *server) hand(ctx context.Context, a acquisition, ops []*longrun.Operation) (*longrunpb.AcquireOperationsResponse, error) {
	reply, size := &longrunpb.AcquireOperationsResponse{}, 0
	for _, op := range ops {
		m := acquired(op)
		n := proto.Size(m)
		n += protowire.SizeTag(1) + protowire.SizeVarint(uint64(n))
		if size+n <= longrun.MaxPageBytes || size == 0 {
			size += n
			reply.Operations = append(reply.Operations, m)
			continue
		}
		_, err := s.work.Release(ctx, op.Name(), op.Claim, longrun.Release{})
		if err != nil && !errors.Is(err, longrun.ErrClaimLost) {
			return nil, err
		}
	}
	return reply, nil
}

func acquired(op *longrun.Operation) *longrunpb.AcquiredOperation {
	return &longrunpb.AcquiredOperation{
		Operation:    op.Name().String(),
		Attempt:      op.Claim.Attempt,
		Method:       op.Method,
		Request:      op.Request,
		Metadata:     op.Metadata,
		DeadlineTime: stamp(op.DeadlineTime),
	}
}
