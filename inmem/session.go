package inmem

import (
	"context"
	"time"

	"github.com/longrun-dev/longrun"
)

// session is what the store knows of a session.
type session struct {
	beat   time.Time     // when it last beat
	ttl    time.Duration // as it was opened
	closed int64         // calls up to this one are closed
	gone   time.Time     // when it ended or was marked dead; zero while it is alive
}

// aliveLocked reports whether a session is alive on record. One whose time is
// over is, until it is marked.
func (s *Store) aliveLocked(id longrun.SessionID) bool {
	ses := s.sessions[id]
	return ses != nil && ses.gone.IsZero()
}

// Beat opens, renews or ends a session. See [longrun.Store].
//
// The beat that ends a session is answered with nothing to stop.
func (s *Store) Beat(ctx context.Context, b longrun.Session) (longrun.Beat, error) {
	if err := s.lock(ctx, "beat"); err != nil {
		return longrun.Beat{}, err
	}
	defer s.mu.Unlock()
	now := s.nowLocked()
	if s.sessions[b.ID] == nil && b.Open {
		s.sessions[b.ID] = &session{ttl: b.TTL}
	}
	if !s.aliveLocked(b.ID) {
		return longrun.Beat{}, longrun.ErrSessionLost
	}
	ses := s.sessions[b.ID]
	if b.TTL <= 0 {
		ses.gone = now
		return longrun.Beat{Time: now, TTL: ses.ttl}, nil
	}
	ses.beat = now
	ses.closed = max(ses.closed, b.Closed)
	if err := s.releaseClosedLocked(b, now); err != nil {
		return longrun.Beat{}, err
	}
	return longrun.Beat{Stop: s.stopsLocked(b, now), Time: now, TTL: ses.ttl}, nil
}

// releaseClosedLocked releases the session's claims of closed calls that b does
// not name.
func (s *Store) releaseClosedLocked(b longrun.Session, now time.Time) error {
	named := map[longrun.Held]bool{}
	for _, h := range b.Held {
		named[h] = true
	}
	for _, op := range s.runningLocked(b.ID) {
		call := op.Claim.Call
		if call == 0 || call > b.Closed || named[heldOf(op)] {
			continue
		}
		next, err := op.EndRun(longrun.RunEnd{Claim: op.Claim, Kind: longrun.RunReleased}, now)
		if err != nil {
			return err
		}
		s.putLocked(next, now)
	}
	return nil
}

// stopsLocked returns what the session must hear.
func (s *Store) stopsLocked(b longrun.Session, now time.Time) []longrun.Stop {
	var stops []longrun.Stop
	claims := map[longrun.Held]bool{}
	for _, op := range s.runningLocked(b.ID) {
		claims[heldOf(op)] = true
		if why := whyStop(op, now); why != nil {
			stops = append(stops, longrun.Stop{Name: op.Name(), Attempt: op.Claim.Attempt, Why: why})
		}
	}
	for _, h := range b.Held {
		if !claims[h] {
			stops = append(stops, longrun.Stop{Name: h.Name, Attempt: h.Attempt, Why: longrun.ErrClaimLost})
		}
	}
	return stops
}

// whyStop returns why the run of op must stop, nil if it need not.
func whyStop(op *longrun.Operation, now time.Time) error {
	switch {
	case op.Preempted:
		return longrun.ErrPreempted
	case !op.DeadlineTime.IsZero() && !now.Before(op.DeadlineTime):
		return longrun.ErrDeadline
	case op.CancelRequested:
		return longrun.ErrCancelled
	}
	return nil
}

func heldOf(op *longrun.Operation) longrun.Held {
	return longrun.Held{Name: op.Name(), Attempt: op.Claim.Attempt}
}

// Due marks dead sessions and returns what needs a decision, oldest operation
// first. See [longrun.Store].
func (s *Store) Due(ctx context.Context, c longrun.Contact, n int) ([]longrun.Overdue, error) {
	if err := s.lock(ctx, "due"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	now := s.nowLocked()
	for _, ses := range s.sessions {
		if ses.gone.IsZero() && c.Dead(ses.beat, ses.ttl) {
			ses.gone = now
		}
	}
	var due []longrun.Overdue
	for _, op := range s.unfinishedLocked() {
		lost := op.State == longrun.Running && !s.aliveLocked(op.Claim.Session)
		// PassDeadline knows both limits: DeadlineTime, and DeadlineGrace later
		// while a run is left to do it.
		if (lost || op.PassDeadline(now) != op) && len(due) < n {
			due = append(due, longrun.Overdue{Operation: copyOf(op), SessionLost: lost})
		}
	}
	return due, nil
}
