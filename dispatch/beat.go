package dispatch

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// ttlParts is how many waits of a beat fit into a TTL, so that two beats may get
// lost.
const ttlParts = 3

// BeatSession keeps the session's claims and waits for something that must stop.
func (s *server) BeatSession(ctx context.Context, r *longrunpb.BeatSessionRequest) (_ *longrunpb.BeatSessionResponse, err error) {
	defer s.inDomain(&err)
	if err := s.svc.Authorize(ctx, longrun.VerbWork, ""); err != nil {
		return nil, err
	}
	id, err := s.work.SessionOf(ctx, r.GetSession())
	if err != nil {
		return nil, err
	}
	beat := longrun.BeatRequest{Session: id, ClosedCall: r.GetClosedCall()}
	if beat.ClosedCall < 0 {
		return nil, invalid("beat", "closed_call", "must not be negative")
	}
	if beat.Held, err = held(r.GetHeld()); err != nil {
		return nil, err
	}
	wait, err := waitTimeout("beat", r.GetWaitTimeout())
	if err != nil {
		return nil, err
	}
	stops, err := s.beat(ctx, beat, wait)
	if err != nil {
		return nil, s.forget(id, err)
	}
	s.desk.tell(id, stops, time.Now())
	return beatResponse(stops), nil
}

// beat renews the session and returns what must stop: as soon as there is
// something new, when wait is over, or when a newer beat of the session waits. So
// there are no more beats that wait than there are sessions, and none is refused.
func (s *server) beat(ctx context.Context, r longrun.BeatRequest, wait time.Duration) ([]longrun.Stop, error) {
	arrived := time.Now()
	hints, stop := s.heed(r.Session, wait)
	defer stop()
	newer, over := s.desk.beats(r.Session, wait)
	defer over()
	b, err := s.work.Beat(ctx, r)
	if err != nil {
		return nil, err
	}
	end := answerBy(ctx, arrived, min(wait, b.TTL/ttlParts))
	for {
		now := time.Now()
		at := end
		if due := s.desk.due(r.Session, b.Stop, now); !due.IsZero() && due.Before(end) {
			at = due
		}
		if !at.After(now) || s.draining() {
			return b.Stop, nil
		}
		switch err := s.listen(ctx, hints, newer, at.Sub(now)); {
		case errors.Is(err, errNewer):
			return b.Stop, nil
		case errors.Is(err, errHint):
			if b, err = s.beatAgain(ctx, r, b); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, gone(ctx, "beat")
		}
	}
}

// heed subscribes before the first beat, so that nothing falls in between.
func (s *server) heed(id longrun.SessionID, wait time.Duration) (<-chan struct{}, func()) {
	if wait == 0 {
		return nil, func() {}
	}
	return s.work.Heed(id)
}

// beatAgain asks what must stop after a hint. It says of calls and of runs what
// the beat said when it arrived. What the worker has finished since is not its
// claim any more, which is no news; so only what was lost when the beat arrived
// is, and what is lost later shows in the next beat.
func (s *server) beatAgain(ctx context.Context, r longrun.BeatRequest, before longrun.Beat) (longrun.Beat, error) {
	b, err := s.work.Beat(ctx, r)
	if err != nil {
		return b, err
	}
	b.Stop = slices.DeleteFunc(b.Stop, func(x longrun.Stop) bool {
		return errors.Is(x.Why, longrun.ErrClaimLost) && !slices.Contains(before.Stop, x)
	})
	return b, nil
}

// What has ended listen: a hint, or a newer beat of the same session.
var (
	errHint  = errors.New("hint")
	errNewer = errors.New("newer beat")
)

// listen waits for a hint, which is errHint, for newer, which is errNewer, for d,
// for the service to drain, or for the caller to go, which is ctx's error.
func (s *server) listen(ctx context.Context, hints, newer <-chan struct{}, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-hints:
		return errHint
	case <-newer:
		return errNewer
	case <-timer.C:
		return nil
	case <-s.svc.Draining():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func beatResponse(stops []longrun.Stop) *longrunpb.BeatSessionResponse {
	out := &longrunpb.BeatSessionResponse{}
	for _, x := range stops {
		out.Stop = append(out.Stop, &longrunpb.StoppedOperation{Operation: x.Name.String(), Attempt: x.Attempt, Cause: cause(x.Why)})
	}
	return out
}

// cause is why a run must stop. One that is none of ours takes the claim away
// from nobody, so it is told as a cancellation.
func cause(why error) longrunpb.StoppedOperation_Cause {
	switch {
	case errors.Is(why, longrun.ErrClaimLost):
		return longrunpb.StoppedOperation_CLAIM_LOST
	case errors.Is(why, longrun.ErrPreempted):
		return longrunpb.StoppedOperation_PREEMPTED
	case errors.Is(why, longrun.ErrDeadline):
		return longrunpb.StoppedOperation_DEADLINE_PASSED
	}
	return longrunpb.StoppedOperation_CANCELLED
}
