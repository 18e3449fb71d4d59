package runner

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/longrun-dev/longrun"
)

// A session is the engine's registration with the store. What is not its id or
// gone is guarded by engine.mu.
type session struct {
	id   longrun.SessionID
	gone chan struct{} // closed when it is lost

	sent    moment        // before the last answered beat was sent
	heard   moment        // when its answer came
	store   time.Time     // the store's time in that answer; zero before the first
	renewed chan struct{} // closed and made anew with every answer
	silent  bool          // the last beat was not answered

	lost    bool // the store has said so
	calls   int  // Claim and Create calls under way
	doubt   bool // the outcome of one was unknown
	wanted  bool // a list shall begin: no new call until it has ended
	listing bool // a list is under way

	claims map[longrun.Held]*run // what it is known to hold
}

// trustMargin is the part of a TTL that trust ends early, for clocks that do not
// run at the same rate.
const trustMargin = 100

// open opens a session, for as long as ctx lasts. Where the service refuses it,
// trying again is of no use and the error is returned; nil and nil means that ctx
// has ended.
func (e *engine) open(ctx, life context.Context) (*session, error) {
	for delay := firstDelay; ; delay = min(2*delay, lastDelay) {
		sent := e.now()
		var id longrun.SessionID
		err := call(life, func(ctx context.Context) (err error) {
			id, err = e.work.OpenSession(ctx, longrun.SessionOptions{Worker: e.opts.Worker, TTL: e.opts.SessionTTL})
			return err
		})
		if err == nil {
			s := &session{id: id, gone: make(chan struct{}), sent: sent, heard: e.now(),
				renewed: make(chan struct{}), claims: map[longrun.Held]*run{}}
			e.mu.Lock()
			e.current, e.hungry = s, true // there may be older work than what comes now
			e.mu.Unlock()
			raise(e.claimable)
			return s, nil
		}
		switch longrun.CodeOf(err) {
		case codes.PermissionDenied, codes.Unauthenticated, codes.InvalidArgument, codes.Unimplemented:
			return nil, err
		}
		if delay == firstDelay {
			e.log.Warn("session not opened", "err", err)
		}
		if !pause(ctx, jitter(delay)) {
			return nil, nil
		}
	}
}

// keepSession beats until life ends. When the session is lost, it opens another,
// unless begin has ended: a drain needs none.
func (e *engine) keepSession(begin, life context.Context, s *session) {
	for s != nil && life.Err() == nil {
		e.keepBeating(life, s)
		if begin.Err() != nil {
			return
		}
		next, err := e.open(begin, life)
		if err != nil {
			e.log.Error("session refused", "err", err)
			pause(begin, lastDelay)
			continue
		}
		s = next
	}
}

// keepBeating beats for s until it is lost or ctx ends.
func (e *engine) keepBeating(ctx context.Context, s *session) {
	hints, unheed := e.work.Heed(s.id)
	defer unheed()
	interval := min(e.opts.SessionTTL/3, beatInterval)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.gone:
			return
		case <-hints:
		case <-timer.C:
		}
		begun := time.Now()
		e.beat(ctx, s)
		timer.Reset(max(interval-time.Since(begun), interval/10))
	}
}

// beat renews the session and hears what must stop.
func (e *engine) beat(ctx context.Context, s *session) {
	request := longrun.BeatRequest{Session: s.id, Held: e.held(s)}
	sent := e.now()
	ctx, cancel := context.WithTimeout(ctx, e.opts.SessionTTL/3)
	defer cancel()
	b, err := e.work.Beat(ctx, request)
	switch {
	case err == nil:
		e.answered(s, sent, b)
	case errors.Is(err, longrun.ErrSessionLost):
		e.lose(s)
	default:
		e.unanswered(s, err)
	}
}

// held names what the session is known to hold.
func (e *engine) held(s *session) []longrun.Held {
	e.mu.Lock()
	defer e.mu.Unlock()
	held := make([]longrun.Held, 0, len(s.claims))
	for h := range s.claims {
		held = append(held, h)
	}
	return held
}

// answered notes an answered beat and stops what it says must stop.
func (e *engine) answered(s *session, sent moment, b longrun.Beat) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.silent {
		s.silent = false
		e.log.Info("session is heard again", "session", s.id)
	}
	s.sent, s.heard, s.store = sent, e.now(), b.Time
	close(s.renewed)
	s.renewed = make(chan struct{})
	for _, stop := range b.Stop {
		if r := s.claims[longrun.Held{Name: stop.Name, Attempt: stop.Attempt}]; r != nil {
			r.stop(stop.Why)
		}
	}
	if s.doubt {
		s.wanted = true
		raise(e.listable)
	}
	if e.hungry {
		raise(e.claimable)
	}
}

// unanswered notes a beat that has failed.
func (e *engine) unanswered(s *session, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !s.silent {
		s.silent = true
		e.log.Warn("beat not answered", "session", s.id, "err", err)
	}
}

// lose ends all that stood on the session. Its claims are not given back: they
// are another's to decide.
func (e *engine) lose(s *session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.lost {
		return
	}
	s.lost = true
	close(s.gone)
	if e.current == s {
		e.current = nil
	}
	for _, r := range s.claims {
		r.stop(longrun.ErrClaimLost)
	}
	raise(e.eased) // nobody waits for its calls any more
	e.log.Warn("session lost", "session", s.id, "runs", len(s.claims))
}

// trusted reports whether the session may still believe that it holds its claims.
func (e *engine) trusted(s *session) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.trustedLocked(s)
}

func (e *engine) trustedLocked(s *session) bool {
	return !s.lost && e.now().since(s.sent) < e.opts.SessionTTL-e.opts.SessionTTL/trustMargin
}

// mayCallLocked reports whether a Claim or a Create may begin for the session.
func (e *engine) mayCallLocked(s *session) bool {
	return s != nil && !e.draining && !s.wanted && !s.listing && e.trustedLocked(s)
}

// callEndedLocked notes the end of a Claim or Create call of the session.
func (e *engine) callEndedLocked(s *session, err error) {
	s.calls--
	e.calls--
	if longrun.IsUnknown(err) && !s.doubt {
		s.doubt = true
		e.log.Warn("claim of unknown outcome", "session", s.id, "err", err)
	}
	if s.wanted && s.calls == 0 {
		raise(e.listable)
	}
	raise(e.eased)
}

// untilStore returns how long it is until t by the store's clock.
func (e *engine) untilStore(t time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.current
	if s == nil || s.store.IsZero() {
		return time.Until(t)
	}
	return t.Sub(s.store) - e.now().since(s.heard)
}
