package runner_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/storetest"
)

// The drain keeps its order: health, no claims, waiters, grace, contexts,
// releases, session.
func TestDrain_Order(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		order := &events{}
		s.calls.order = order
		longrun.Handle(s.Service, work, func(ctx context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
			<-ctx.Done()
			order.note(context.Cause(ctx).Error())
			time.Sleep(time.Second)
			return nil, ctx.Err()
		})
		drain := s.begin(runner.Options{Grace: 10 * time.Second, OnDrain: func() {
			order.note("health")
			time.Sleep(time.Second)
		}})
		op := s.start(work, longrun.StartOptions{})
		go func() {
			got, err := s.Wait(t.Context(), op.Name(), time.Hour)
			order.note(fmt.Sprint("waiter answered ", got.State, " ", err))
			late := s.pend(work)
			time.Sleep(30 * time.Second)
			order.note(fmt.Sprint("newcomer ", s.get(late).State))
		}()
		time.Sleep(time.Second)
		began := time.Now()
		if err := drain(); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if took := time.Since(began); took != 12*time.Second {
			t.Errorf("the drain took %v, want 12s", took)
		}
		time.Sleep(time.Minute)
		want := "health, waiter answered RUNNING <nil>, runner is draining, released, session ended, newcomer PENDING"
		if got := order.String(); got != want {
			t.Errorf("it went\n%s, want\n%s", got, want)
		}
		if got := s.get(op); got.State != longrun.Pending || got.Failures != 0 {
			t.Errorf("%v with %d failures, want PENDING with none", got.State, got.Failures)
		}
	})
}

// Handlers that return within the grace are not stopped.
func TestDrain_Grace(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		longrun.Handle(s.Service, work, func(ctx context.Context, _ *text, _ *longrun.Run[*meta]) (*text, error) {
			select {
			case <-time.After(4 * time.Second):
				return wrapperspb.String("in time"), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
		drain := s.begin(runner.Options{})
		op := s.start(work, longrun.StartOptions{})
		synctest.Wait()
		began := time.Now()
		if err := drain(); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("the drain took %v, want 4s: as long as its runs", took)
		}
		if got := s.get(op).State; got != longrun.Succeeded {
			t.Errorf("State = %v, want SUCCEEDED", got)
		}
	})
}

// A run that does not return keeps its claim: its session is left to its TTL, so
// that no second run starts beside it, and Run's error names it.
func TestDrain_RunDoesNotReturn(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		hold := make(chan struct{})
		longrun.Handle(s.Service, work, untilClosed(hold))
		other := s.newProcess()
		other.begin(runner.Options{Concurrency: -1})
		drain := s.begin(runner.Options{})
		time.Sleep(time.Minute)
		op := s.start(work, longrun.StartOptions{})
		synctest.Wait()
		began := time.Now()
		err := drain()
		if err == nil || !strings.Contains(err.Error(), op.Name().String()) {
			t.Errorf("Run = %v, want an error that names %v", err, op.Name())
		}
		if took := time.Since(began); took != runner.DefaultGrace+runner.StopGrace {
			t.Errorf("the drain took %v, want both graces", took)
		}
		time.Sleep(20 * time.Second)
		if got := s.get(op).State; got != longrun.Running {
			t.Errorf("State = %v, want RUNNING: the claim is kept", got)
		}
		s.until(op, "taken back", func(op *longrun.Operation) bool { return op.State == longrun.Pending })
		close(hold)
		synctest.Wait()
		if got := s.get(op).State; got != longrun.Pending {
			t.Errorf("State = %v after a late result, want PENDING", got)
		}
	})
}

// What is claimed and has not begun is given back as if it had never been, also
// when it runs at most once.
func TestDrain_NotBegun(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		m := method{Name: "work", AtMostOnce: true}
		longrun.Handle(s.Service, m, succeed)
		drain := s.begin(runner.Options{SessionTTL: 5 * time.Second})
		time.Sleep(time.Second)
		s.calls.slow.Store(int64(7 * time.Second)) // the claim's reply comes when trust has ended
		s.store.Inject(storetest.Fault{On: storetest.OnBeat, Times: -1})
		op := s.pend(m)
		s.until(op, "claimed", func(op *longrun.Operation) bool { return op.State == longrun.Running })
		time.Sleep(8 * time.Second)
		if err := drain(); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if got := s.get(op); got.State != longrun.Pending || got.Failures != 0 {
			t.Errorf("%v with %d failures, want PENDING with none", got.State, got.Failures)
		}
		s.store.Heal()
	})
}

// A claim whose reply comes during the drain is given back.
func TestDrain_ClaimUnderWay(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		m := method{Name: "work", AtMostOnce: true}
		longrun.Handle(s.Service, m, succeed)
		s.calls.slow.Store(int64(3 * time.Second))
		op := s.pend(m)
		drain := s.begin(runner.Options{})
		if got := s.get(op).State; got != longrun.Running {
			t.Fatalf("State = %v, want RUNNING", got)
		}
		if err := drain(); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if got := s.get(op); got.State != longrun.Pending {
			t.Errorf("State = %v, want PENDING", got.State)
		}
	})
}

// A claim of unknown outcome is found before the session is ended.
func TestDrain_UnknownClaim(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		m := method{Name: "work", AtMostOnce: true}
		longrun.Handle(s.Service, m, succeed)
		s.store.Inject(storetest.Fault{On: storetest.OnClaim, Outcome: storetest.Committed})
		s.store.Inject(storetest.Fault{On: storetest.OnBeat, Skip: 1, Times: -1})
		op := s.pend(m)
		drain := s.begin(runner.Options{})
		if got := s.get(op).State; got != longrun.Running {
			t.Fatalf("State = %v, want RUNNING", got)
		}
		if err := drain(); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if got := s.get(op); got.State != longrun.Pending {
			t.Errorf("State = %v, want PENDING", got.State)
		}
	})
}

// A drain ends in time when the store is away, and says what it left.
func TestDrain_StoreAway(t *testing.T) {
	for _, hang := range []bool{false, true} {
		t.Run(fmt.Sprint("hangs ", hang), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *system) {
				longrun.Handle(s.Service, work, untilStopped)
				drain := s.begin(runner.Options{})
				op := s.start(work, longrun.StartOptions{})
				time.Sleep(time.Minute)
				s.store.Inject(storetest.Fault{On: storetest.OnAll, Hang: hang, Times: -1})
				began := time.Now()
				if err := drain(); err == nil || !strings.Contains(err.Error(), op.Name().String()) {
					t.Errorf("Run = %v, want an error that names %v", err, op.Name())
				}
				if took := time.Since(began); took > time.Minute {
					t.Errorf("the drain took %v, want less than a minute", took)
				}
				time.Sleep(time.Minute)
				s.store.Heal()
			})
		})
	}
}

// A session that is lost while the runner drains is not replaced.
func TestDrain_SessionLost(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		longrun.Handle(s.Service, work, untilStopped)
		drain := s.begin(runner.Options{Grace: 20 * time.Second})
		op := s.start(work, longrun.StartOptions{})
		synctest.Wait()
		time.AfterFunc(10*time.Second, func() { s.endSession(op) })
		began := time.Now()
		if err := drain(); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if took := time.Since(began); took > 12*time.Second {
			t.Errorf("the drain took %v, want the runs to stop with the session", took)
		}
	})
}

// A Runner may run again: each Run is a session of its own.
func TestRun_Twice(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		longrun.Handle(s.Service, work, succeed)
		r, err := runner.New(s.Service, runner.Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		sessions := map[longrun.SessionID]bool{}
		for range 2 {
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- r.Run(ctx) }()
			sessions[s.done(s.start(work, longrun.StartOptions{})).Claim.Session] = true
			stop()
			if err := <-ended; err != nil {
				t.Errorf("Run = %v, want nil", err)
			}
		}
		if len(sessions) != 2 {
			t.Errorf("%d sessions, want 2", len(sessions))
		}
	})
}
