package runner_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/storetest"
)

// A claim that committed while its reply was lost is found and released, and
// nobody's handler begins twice, which AtMostOnce operations would notice.
func TestUnknown_Claim(t *testing.T) {
	for _, tt := range []struct {
		name    string
		fault   storetest.Fault
		attempt int64
	}{
		{"committed", storetest.Fault{On: storetest.OnClaim, Outcome: storetest.Committed}, 2},
		{"committed, and hangs", storetest.Fault{On: storetest.OnClaim, Outcome: storetest.Committed, Hang: true}, 2},
		{"not committed", storetest.Fault{On: storetest.OnClaim, Outcome: storetest.Dropped}, 1},
		{"refused", storetest.Fault{On: storetest.OnClaim, Outcome: storetest.Refused}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *system) {
				begun := &events{}
				longrun.Handle(s.Service, work, func(context.Context, *text, *longrun.Run[*meta]) (*text, error) {
					begun.note("begun")
					return nil, nil
				})
				op := s.pend(method{Name: "work", AtMostOnce: true})
				s.store.Inject(tt.fault)
				began := time.Now()
				s.begin(runner.Options{})
				got := s.done(op)
				if got.State != longrun.Succeeded || got.Claim.Attempt != tt.attempt || begun.count() != 1 {
					t.Errorf("%v, attempt %d, begun %d times; want SUCCEEDED, %d, once", got.State, got.Claim.Attempt, begun.count(), tt.attempt)
				}
				if took := time.Since(began); took > 15*time.Second {
					t.Errorf("it took %v, want a beat or two", took)
				}
			})
		})
	}
}

// A claim that commits long after its call has failed, when the session's claims
// were listed many times, is found as well.
func TestUnknown_ClaimCommitsLate(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		begun := &events{}
		longrun.Handle(s.Service, work, func(context.Context, *text, *longrun.Run[*meta]) (*text, error) {
			begun.note("begun")
			return nil, nil
		})
		s.store.Inject(storetest.Fault{On: storetest.OnClaim, Outcome: storetest.Late})
		s.begin(runner.Options{})
		time.Sleep(time.Hour)
		s.store.Inject(storetest.Fault{On: storetest.OnWatch | storetest.OnClaim, Times: -1})
		op := s.pend(method{Name: "work", AtMostOnce: true})
		if n := s.store.Deliver(); n != 1 {
			t.Fatalf("%d late calls, want 1", n)
		}
		if got := s.get(op).State; got != longrun.Running {
			t.Fatalf("State = %v, want RUNNING and nobody who knows", got)
		}
		s.store.Heal()
		got := s.done(op)
		if got.State != longrun.Succeeded || got.Claim.Attempt != 2 || begun.count() != 1 {
			t.Errorf("%v, attempt %d, begun %d times; want SUCCEEDED, 2, once", got.State, got.Claim.Attempt, begun.count())
		}
	})
}

// A folded create of unknown outcome: the caller is told to try again, and what
// was stored is found, released and run.
func TestUnknown_Create(t *testing.T) {
	for _, outcome := range []storetest.Outcome{storetest.Committed, storetest.Dropped} {
		t.Run(fmt.Sprint(outcome), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *system) {
				m := method{Name: "work", AtMostOnce: true}
				begun := &events{}
				longrun.Handle(s.Service, m, func(context.Context, *text, *longrun.Run[*meta]) (*text, error) {
					begun.note("begun")
					return nil, nil
				})
				s.begin(runner.Options{Concurrency: 1})
				s.store.Inject(storetest.Fault{On: storetest.OnCreate, Outcome: outcome, Times: -1})
				o := longrun.StartOptions{RequestID: "6ba7b810-9dad-41d1-80b4-00c04fd430c8"}
				_, err := longrun.Start(t.Context(), s.Service, m, wrapperspb.String("request"), o)
				if longrun.CodeOf(err) != codes.Unavailable {
					t.Fatalf("Start = %v, want UNAVAILABLE", err)
				}
				s.store.Heal()
				op := s.start(m, o)
				got := s.done(op)
				if got.State != longrun.Succeeded || begun.count() != 1 {
					t.Errorf("%v, begun %d times; want SUCCEEDED, once", got.State, begun.count())
				}
				next := s.done(s.start(m, longrun.StartOptions{}))
				if next.State != longrun.Succeeded {
					t.Errorf("the next one is %v, want SUCCEEDED: the slot is free again", next.State)
				}
			})
		})
	}
}

// A create whose first reply was lost, and not its second, is no mystery.
func TestUnknown_CreateOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		longrun.Handle(s.Service, work, succeed)
		s.begin(runner.Options{})
		s.store.Inject(storetest.Fault{On: storetest.OnCreate, Outcome: storetest.Committed})
		got := s.done(s.start(work, longrun.StartOptions{}))
		if got.State != longrun.Succeeded || got.Claim.Attempt != 1 {
			t.Errorf("%v, attempt %d; want SUCCEEDED, 1", got.State, got.Claim.Attempt)
		}
	})
}

// While claims are in doubt and listed with every beat, all other work goes on,
// and no run that is known is released, however long requests and replies travel.
func TestUnknown_DoubtDoesNoHarm(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *system) { testDoubt(t, s, rand.New(rand.NewPCG(seed, 2))) })
		})
	}
}

func testDoubt(t *testing.T, s *system, random *rand.Rand) {
	var mu sync.Mutex // guards random
	s.calls.lag = func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(random.IntN(300)) * time.Millisecond
	}
	m := method{Name: "work", AtMostOnce: true}
	longrun.Handle(s.Service, m, func(context.Context, *text, *longrun.Run[*meta]) (*text, error) {
		time.Sleep(s.calls.lag())
		return nil, nil
	})
	s.store.Inject(storetest.Fault{On: storetest.OnClaim, Outcome: storetest.Dropped})
	s.begin(runner.Options{Concurrency: 4})
	var starts sync.WaitGroup
	for range 200 {
		starts.Go(func() {
			op := s.start(m, longrun.StartOptions{})
			if got := s.done(op); got.State != longrun.Succeeded || got.Claim.Attempt != 1 {
				t.Errorf("%v, attempt %d; want SUCCEEDED, 1", got.State, got.Claim.Attempt)
			}
		})
		time.Sleep(s.calls.lag())
	}
	starts.Wait()
	if found := s.log.lines("releasing a claim"); found != nil {
		t.Errorf("the log has %v", found)
	}
}

// A session that is lost is not listed, and nothing of it is released.
func TestUnknown_SessionLost(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		longrun.Handle(s.Service, work, succeed)
		s.store.Inject(storetest.Fault{On: storetest.OnClaim, Outcome: storetest.Committed})
		s.store.Inject(storetest.Fault{On: storetest.OnList, Times: -1})
		op := s.pend(work)
		s.begin(runner.Options{})
		synctest.Wait()
		s.until(op, "running", func(op *longrun.Operation) bool { return op.State == longrun.Running })
		s.endSession(op)
		got := s.done(op)
		if got.Claim.Attempt != 2 || got.Failures != 1 {
			t.Errorf("attempt %d, %d failures; want 2, 1: lost, not released", got.Claim.Attempt, got.Failures)
		}
		s.store.Heal()
	})
}
