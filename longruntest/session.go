package longruntest

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
)

// A Session is a session of a worker that is driven by hand. It beats only when it
// is told to: one that is left alone dies, as that of a crashed worker does. It works
// through the process that runs when it is opened, and is cut off with it by a Crash.
//
// Its verbs return the errors of longrun.Work as they are, so that tests can look
// for longrun.ErrClaimLost and longrun.ErrSessionLost. It is safe for concurrent
// use.
type Session struct {
	// ID is the session's id in the store.
	ID longrun.SessionID

	sys  *System
	work *longrun.Work
}

// Session opens a session with the default TTL. An error ends the test.
func (s *System) Session(t testing.TB, worker string) *Session {
	t.Helper()
	return s.SessionTTL(t, worker, 0)
}

// SessionTTL is Session with a TTL, from 5 seconds to 10 minutes. Zero means 30
// seconds.
func (s *System) SessionTTL(t testing.TB, worker string, ttl time.Duration) *Session {
	t.Helper()
	work := s.Service().Work()
	id, err := work.OpenSession(t.Context(), longrun.SessionOptions{Worker: worker, TTL: ttl})
	if err != nil {
		t.Fatalf("OpenSession: %v", err)
	}
	return &Session{ID: id, sys: s, work: work}
}

// Claim claims up to n ready operations of every method that was started by Start
// or has a handler, the oldest of each first. An error ends the test.
func (s *Session) Claim(t testing.TB, n int) []*longrun.Operation {
	t.Helper()
	ops, err := s.TryClaim(t, n)
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	return ops
}

// TryClaim is Claim for those who expect an error.
func (s *Session) TryClaim(t testing.TB, n int) ([]*longrun.Operation, error) {
	t.Helper()
	var claimed []*longrun.Operation
	for _, m := range s.sys.known() {
		if len(claimed) == n {
			break
		}
		c, err := s.work.Claim(t.Context(), longrun.ClaimRequest{Session: s.ID, Want: []longrun.Want{{Method: m, N: n - len(claimed)}}})
		if err != nil {
			return claimed, err
		}
		claimed = append(claimed, c.Operations...)
	}
	return claimed, nil
}

// known returns all methods of which there may be operations, sorted.
func (s *System) known() []string {
	handled := s.Service().Work().Methods()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range handled {
		s.methods[m] = true
	}
	return slices.Sorted(maps.Keys(s.methods))
}

// Beat renews the session and names what it holds. The answer says which of that
// must stop.
func (s *Session) Beat(t testing.TB, holds ...*longrun.Operation) (longrun.Beat, error) {
	t.Helper()
	r := longrun.BeatRequest{Session: s.ID}
	for _, op := range holds {
		r.Held = append(r.Held, longrun.Held{Name: op.Name(), Attempt: op.Claim.Attempt})
	}
	return s.work.Beat(t.Context(), r)
}

// Report saves progress of the run of op that the session has claimed.
func (s *Session) Report(t testing.TB, op *longrun.Operation, r longrun.Report) error {
	t.Helper()
	return s.work.Report(t.Context(), op.Name(), op.Claim, r)
}

// Finish ends the run of op and returns what has become of it.
func (s *Session) Finish(t testing.TB, op *longrun.Operation, r longrun.Result) (*longrun.Operation, error) {
	t.Helper()
	return s.work.Finish(t.Context(), op.Name(), op.Claim, r)
}

// Release gives the run of op back undone.
func (s *Session) Release(t testing.TB, op *longrun.Operation, r longrun.Release) (*longrun.Operation, error) {
	t.Helper()
	return s.work.Release(t.Context(), op.Name(), op.Claim, r)
}

// Close ends the session. What it still holds is lost with it.
func (s *Session) Close(t testing.TB) error {
	t.Helper()
	return s.work.CloseSession(t.Context(), s.ID)
}
