package runner_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/storetest"
)

// callLimit is how long one call of the store may take, and how long a drain
// waits for those that may claim.
const callLimit = 10 * time.Second

// wantGivenBack fails the test unless op is as if it had never been claimed.
func (s *system) wantGivenBack(op *longrun.Operation) {
	s.t.Helper()
	if got := s.get(op); got.State != longrun.Pending || got.Failures != 0 {
		s.t.Errorf("%v with %d failures because %q, want PENDING with none", got.State, got.Failures, reasonOf(s.t, got))
	}
}

// A drain does not cut short a list of claims, nor the releases that follow from
// it: what nobody knows of has never begun, and is given back.
func TestSettle_ListUnderWay(t *testing.T) {
	for name, after := range map[string]time.Duration{
		"the list travels":       1500 * time.Millisecond,
		"its answer travels":     2500 * time.Millisecond,
		"a release travels":      3500 * time.Millisecond,
		"its confirmation comes": 4500 * time.Millisecond,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *system) {
				var lag atomic.Int64
				s.calls.lag = func() time.Duration { return time.Duration(lag.Load()) }
				m := method{Name: "work", AtMostOnce: true}
				longrun.Handle(s.Service, m, succeed)
				s.store.Inject(storetest.Fault{On: storetest.OnClaim, Outcome: storetest.Committed})
				op := s.pend(m)
				drain := s.begin(runner.Options{})
				lag.Store(int64(time.Second))
				s.store.Inject(storetest.Fault{On: storetest.OnClaim, Times: -1})
				time.Sleep(after)
				if err := drain(); err != nil {
					t.Errorf("Run = %v, want nil", err)
				}
				s.wantGivenBack(op)
			})
		})
	}
}

// A Claim that outlasts the graces is waited for, and listed for if it is not
// answered.
func TestSettle_ClaimUnderWay(t *testing.T) {
	t.Run("answered late", func(t *testing.T) {
		inBubble(t, func(t *testing.T, s *system) {
			m := method{Name: "work", AtMostOnce: true}
			longrun.Handle(s.Service, m, succeed)
			s.calls.lag = func() time.Duration { return 500 * time.Millisecond }
			s.calls.slow.Store(int64(8 * time.Second))
			op := s.pend(m)
			drain := s.begin(runner.Options{Grace: -1})
			began := time.Now()
			if err := drain(); err != nil {
				t.Errorf("Run = %v, want nil", err)
			}
			if took := time.Since(began); took != 10*time.Second {
				t.Errorf("the drain took %v, want 10s: the claim and its release", took)
			}
			s.wantGivenBack(op)
		})
	})
	t.Run("never answered", func(t *testing.T) {
		inBubble(t, func(t *testing.T, s *system) {
			m := method{Name: "work", AtMostOnce: true}
			longrun.Handle(s.Service, m, succeed)
			s.store.Inject(storetest.Fault{On: storetest.OnClaim, Outcome: storetest.Committed, Hang: true})
			op := s.pend(m)
			drain := s.begin(runner.Options{Grace: -1})
			began := time.Now()
			if err := drain(); err != nil {
				t.Errorf("Run = %v, want nil", err)
			}
			if took := time.Since(began); took != callLimit {
				t.Errorf("the drain took %v, want %v", took, callLimit)
			}
			s.wantGivenBack(op)
		})
	})
}

// wantOpen drains while a create with a slot of ours hangs: the session is not
// ended, and Run says so in bounded time.
func wantOpen(t *testing.T, drain func() error) {
	t.Helper()
	began := time.Now()
	if err := drain(); err == nil || !strings.Contains(err.Error(), "not ended: 1 calls") {
		t.Errorf("Run = %v, want an error that says that the session was not ended", err)
	}
	if took := time.Since(began); took != runner.DefaultGrace+runner.StopGrace+callLimit {
		t.Errorf("the drain took %v, want both graces and %v", took, callLimit)
	}
}

// A create that hangs with a slot of ours does not hold up the drain for ever,
// and what it stored is taken back when the session's TTL has passed.
func TestSettle_CreateHangs(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		longrun.Handle(s.Service, work, succeed)
		drain := s.begin(runner.Options{})
		other := s.newProcess()
		longrun.Handle(other.Service, work, succeed)
		other.begin(runner.Options{})
		s.store.Inject(storetest.Fault{On: storetest.OnCreate, Outcome: storetest.Committed, Hang: true})
		started := make(chan error, 1)
		go func() {
			_, err := longrun.Start(t.Context(), s.Service, work, wrapperspb.String(""), longrun.StartOptions{})
			started <- err
		}()
		synctest.Wait()
		wantOpen(t, drain)
		page, err := s.records.List(t.Context(), longrun.Query{Parent: "-", Limit: 2})
		if err != nil || len(page.Operations) != 1 {
			t.Fatalf("List = %d operations, %v; want 1", len(page.Operations), err)
		}
		if got := page.Operations[0].State; got != longrun.Running {
			t.Errorf("State = %v, want RUNNING: the claim is kept", got)
		}
		if err := <-started; longrun.CodeOf(err) != codes.Unavailable {
			t.Errorf("Start = %v, want UNAVAILABLE", err)
		}
		if got := s.done(page.Operations[0]); got.State != longrun.Succeeded || got.Claim.Attempt != 2 {
			t.Errorf("%v, attempt %d; want SUCCEEDED, 2: by the other process", got.State, got.Claim.Attempt)
		}
	})
}

// A create with a slot of ours that is stored after Run has returned is given
// back, which needs the session.
func TestSettle_CreateLate(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		var lag atomic.Int64
		s.calls.lag = func() time.Duration { return time.Duration(lag.Load()) }
		m := method{Name: "work", AtMostOnce: true}
		longrun.Handle(s.Service, m, succeed)
		drain := s.begin(runner.Options{})
		lag.Store(int64(25 * time.Second))
		started := make(chan *longrun.Operation, 1)
		go func() { started <- s.start(m, longrun.StartOptions{}) }()
		synctest.Wait()
		lag.Store(0)
		wantOpen(t, drain)
		op := <-started
		synctest.Wait()
		if op.State != longrun.Running {
			t.Errorf("Start gave %v, want RUNNING: it was stored as claimed", op.State)
		}
		s.wantGivenBack(op)
	})
}

// A session that is lost holds nothing: its calls are not waited for.
func TestSettle_SessionLost(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		longrun.Handle(s.Service, work, untilStopped)
		drain := s.begin(runner.Options{Grace: -1})
		op := s.start(work, longrun.StartOptions{})
		s.store.Inject(storetest.Fault{On: storetest.OnCreate, Outcome: storetest.Dropped, Hang: true})
		started := make(chan struct{})
		go func() {
			defer close(started)
			_, err := longrun.Start(t.Context(), s.Service, work, wrapperspb.String(""), longrun.StartOptions{})
			if longrun.CodeOf(err) != codes.Unavailable {
				t.Errorf("Start = %v, want UNAVAILABLE", err)
			}
		}()
		synctest.Wait()
		session := s.get(op).Claim.Session
		time.AfterFunc(7*time.Second, func() {
			if _, err := s.records.Beat(t.Context(), longrun.Session{ID: session}); err != nil {
				t.Errorf("Beat: %v", err)
			}
		})
		began := time.Now()
		if err := drain(); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if took := time.Since(began); took > 9*time.Second {
			t.Errorf("the drain took %v, want it to end with the session", took)
		}
		<-started
	})
}
