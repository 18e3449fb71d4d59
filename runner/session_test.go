package runner_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/storetest"
)

// A lost session stops its runs, which are another's to decide, and the runner
// goes on under a new one.
func TestSession_Lost(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		longrun.Handle(s.Service, work, func(ctx context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
			if run.Attempt() > 1 {
				return wrapperspb.String("second"), nil
			}
			<-ctx.Done()
			if cause := context.Cause(ctx); cause != longrun.ErrClaimLost || run.Trusted() {
				t.Errorf("cause = %v, Trusted = %v; want %v, false", cause, run.Trusted(), longrun.ErrClaimLost)
			}
			return nil, ctx.Err()
		})
		s.begin(runner.Options{})
		op := s.start(work, longrun.StartOptions{})
		time.Sleep(time.Minute)
		first := s.get(op).Claim.Session
		s.endSession(op)
		got := s.done(op)
		if got.State != longrun.Succeeded || got.Claim.Attempt != 2 || got.Failures != 1 || got.Claim.Session == first {
			t.Errorf("%v, attempt %d, %d failures, session %v; want SUCCEEDED, 2, 1, another than %v", got.State, got.Claim.Attempt, got.Failures, got.Claim.Session, first)
		}
	})
}

// Work that was done when its session was lost counts, if nobody has the claim yet.
func TestSession_LostWhenDone(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		m := method{Name: "work", AtMostOnce: true}
		longrun.Handle(s.Service, m, func(ctx context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
			<-ctx.Done()
			return wrapperspb.String("done all the same"), nil
		})
		s.store.Inject(storetest.Fault{On: storetest.OnDue, Times: -1})
		s.begin(runner.Options{})
		op := s.start(m, longrun.StartOptions{})
		synctest.Wait()
		s.endSession(op)
		if got := s.done(op); got.State != longrun.Succeeded {
			t.Errorf("State = %v, want SUCCEEDED", got.State)
		}
	})
}

// CON-04: what a crashed process has left goes on within two TTLs elsewhere, from
// the step where it was.
func TestSession_CrashAndSteps(t *testing.T) {
	for _, ttl := range []time.Duration{5 * time.Second, 30 * time.Second, 10 * time.Minute} {
		t.Run(ttl.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *system) { testCrashAndSteps(t, s, ttl) })
		})
	}
}

func testCrashAndSteps(t *testing.T, s *system, ttl time.Duration) {
	steps := &events{}
	h := func(ctx context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
		count, err := longrun.StepResult(ctx, run, "count", func(context.Context) (*wrapperspb.Int64Value, error) {
			steps.note(fmt.Sprintf("count in %d", run.Attempt()))
			return wrapperspb.Int64(42), nil
		})
		if err != nil {
			return nil, err
		}
		for i := range 3 {
			err := run.Step(ctx, fmt.Sprint("copy-", i), func(ctx context.Context) error {
				if i == 1 && run.Attempt() == 1 {
					<-ctx.Done()
					return ctx.Err()
				}
				steps.note(fmt.Sprintf("copy %d in %d", i, run.Attempt()))
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
		return wrapperspb.String(fmt.Sprint(count.Value)), nil
	}
	longrun.Handle(s.Service, work, h)
	s.begin(runner.Options{SessionTTL: ttl})
	other := s.newProcess()
	longrun.Handle(other.Service, work, h)
	time.Sleep(time.Second)
	op := s.start(work, longrun.StartOptions{})
	time.Sleep(time.Minute)
	other.begin(runner.Options{})
	time.Sleep(time.Minute)

	s.store.Inject(storetest.Fault{On: storetest.OnAll, Times: -1}) // it is not heard any more
	crashed := time.Now()
	again := s.until(op, "claimed again", func(op *longrun.Operation) bool { return op.Claim.Attempt == 2 })
	if took := again.ClaimTime.Sub(crashed); took < ttl-2*time.Second || took > 2*ttl {
		t.Errorf("claimed again after %v, want about %v and at most twice that", took, ttl)
	}
	got := s.done(op)
	response, err := work.Response(got)
	if err != nil || response.Value != "42" {
		t.Errorf("response = %v, %v; want 42", response, err)
	}
	if got, want := steps.String(), "count in 1, copy 0 in 1, copy 1 in 2, copy 2 in 2"; got != want {
		t.Errorf("steps: %s; want %s", got, want)
	}
	s.store.Heal()
}

// An outage of the store re-runs nothing, however long: neither by its runner nor
// by whoever sweeps. The run goes on, knows that it is not trusted, and its result
// counts.
func TestOutage_RerunsNothing(t *testing.T) {
	for _, fault := range []storetest.Fault{
		{On: storetest.OnAll, Times: -1},
		{On: storetest.OnAll, Times: -1, Hang: true},
		{On: storetest.OnWrites, Times: -1}, // a read-only failover
		{On: storetest.OnWrites, Times: -1, Outcome: storetest.Dropped},
	} {
		t.Run(fmt.Sprintf("%+v", fault), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *system) { testOutage(t, s, fault) })
		})
	}
}

func testOutage(t *testing.T, s *system, fault storetest.Fault) {
	var trust []bool
	h := func(ctx context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
		for range 3 { // minutes 1, 6 and 11
			time.Sleep(time.Minute)
			trust = append(trust, run.Trusted())
			time.Sleep(4 * time.Minute)
		}
		return nil, ctx.Err()
	}
	longrun.Handle(s.Service, work, h)
	s.begin(runner.Options{})
	other := s.newProcess()
	longrun.Handle(other.Service, work, h)
	other.begin(runner.Options{})
	time.Sleep(time.Minute)
	op := s.start(work, longrun.StartOptions{})
	time.Sleep(2 * time.Minute)

	s.store.Inject(fault)
	other.store.Inject(fault)
	time.Sleep(6 * time.Minute)
	s.store.Heal()
	other.store.Heal()

	got := s.done(op)
	if got.State != longrun.Succeeded || got.Claim.Attempt != 1 || got.Failures != 0 {
		t.Errorf("%v, attempt %d, %d failures; want SUCCEEDED, 1, 0", got.State, got.Claim.Attempt, got.Failures)
	}
	if want := []bool{true, false, true}; fmt.Sprint(trust) != fmt.Sprint(want) {
		t.Errorf("Trusted before, in and after the outage = %v, want %v", trust, want)
	}
}

// While the session is not trusted nothing new begins: no claim, no folded
// create, no handler.
func TestTrust_NothingBegins(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		begun := &events{}
		longrun.Handle(s.Service, work, func(context.Context, *text, *longrun.Run[*meta]) (*text, error) {
			begun.note("begun")
			return nil, nil
		})
		s.begin(runner.Options{})
		time.Sleep(time.Second)
		s.store.Inject(storetest.Fault{On: storetest.OnBeat, Times: -1})
		time.Sleep(longrun.DefaultSessionTTL + time.Second)
		claims := s.calls.claims.Load()
		op := s.start(work, longrun.StartOptions{})
		if op.State != longrun.Pending {
			t.Errorf("Start = %v, want PENDING", op.State)
		}
		time.Sleep(10 * time.Minute)
		if n := s.calls.claims.Load() - claims; n != 0 || begun.count() != 0 {
			t.Errorf("%d claims and %d handlers, want none", n, begun.count())
		}
		s.store.Heal()
		healed := time.Now()
		got := s.done(op)
		if took := got.EndTime.Sub(healed); took > 2*time.Second || got.Claim.Attempt != 1 {
			t.Errorf("it ended after %v, attempt %d; want at once, 1", took, got.Claim.Attempt)
		}
	})
}

// Trust is counted from before the beat was sent: an answer that travels long
// does not stretch it.
func TestTrust_FromBeforeTheBeat(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		const ttl = 12 * time.Second
		s.calls.beatLag = 3 * time.Second
		ended := make(chan time.Time, 1)
		longrun.Handle(s.Service, work, func(_ context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
			for run.Trusted() {
				time.Sleep(10 * time.Millisecond)
			}
			ended <- time.Now()
			return nil, nil
		})
		s.begin(runner.Options{SessionTTL: ttl})
		time.Sleep(10 * time.Second)
		s.start(work, longrun.StartOptions{})
		time.Sleep(time.Minute)
		s.store.Inject(storetest.Fault{On: storetest.OnBeat, Times: -1})
		trusted := (<-ended).Sub(time.Unix(0, s.calls.beatSent.Load()))
		if trusted > ttl || trusted < ttl-200*time.Millisecond {
			t.Errorf("trusted for %v from when the last beat set out, want a little less than %v", trusted, ttl)
		}
		s.store.Heal()
	})
}

// A claim whose reply comes when trust has ended is begun only when the session
// is heard again.
func TestTrust_SlowClaim(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		var begun time.Time
		longrun.Handle(s.Service, work, func(context.Context, *text, *longrun.Run[*meta]) (*text, error) {
			begun = time.Now()
			return nil, nil
		})
		s.begin(runner.Options{SessionTTL: 5 * time.Second})
		time.Sleep(time.Second)
		s.store.Inject(storetest.Fault{On: storetest.OnBeat, Times: -1})
		s.calls.slow.Store(int64(9 * time.Second)) // Claim answers late, but it does
		op := s.pend(work)
		time.AfterFunc(20*time.Second, s.store.Heal)
		healed := time.Now().Add(20 * time.Second)
		got := s.done(op)
		if begun.Before(healed) || got.Claim.Attempt != 1 {
			t.Errorf("the handler began %v before the session was heard, attempt %d; want after, attempt 1", healed.Sub(begun), got.Claim.Attempt)
		}
	})
}

// The runner waits for a store that is away when it starts.
func TestRun_StoreAwayAtStart(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		longrun.Handle(s.Service, work, succeed)
		op := s.pend(work)
		s.store.Inject(storetest.Fault{On: storetest.OnAll, Times: -1})
		drain := s.begin(runner.Options{})
		time.Sleep(time.Hour)
		s.store.Heal()
		s.done(op)
		if err := drain(); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
}

// A runner that is told to stop before it has reached the store stops.
func TestRun_StoppedBeforeTheStoreCame(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		longrun.Handle(s.Service, work, succeed)
		s.store.Inject(storetest.Fault{On: storetest.OnAll, Times: -1})
		drain := s.begin(runner.Options{})
		time.Sleep(time.Minute)
		began := time.Now()
		if err := drain(); err != nil || time.Since(began) > time.Second {
			t.Errorf("Run = %v after %v, want nil at once", err, time.Since(began))
		}
	})
}
