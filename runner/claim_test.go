package runner_test

import (
	"context"
	"fmt"
	"slices"
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

// A start in a process with a free slot stores the operation as claimed: it runs
// at once, and nobody has to look for it.
func TestClaim_FoldedIntoCreate(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		longrun.Handle(s.Service, work, succeed)
		s.begin(runner.Options{})
		op := s.start(work, longrun.StartOptions{})
		if op.State != longrun.Running || op.Claim.Attempt != 1 {
			t.Errorf("Start = %v, attempt %d; want RUNNING, attempt 1", op.State, op.Claim.Attempt)
		}
		if got := s.done(op); got.State != longrun.Succeeded || got.Claim.Attempt != 1 {
			t.Errorf("it ended %v, attempt %d; want SUCCEEDED, attempt 1", got.State, got.Claim.Attempt)
		}
		if n := s.calls.updates.Load(); n != 1 {
			t.Errorf("%d updates, want 1: the end", n)
		}
	})
}

// PAR-04: one slot, oldest first; a newcomer does not jump the queue.
func TestClaim_QueueOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		var want, got []string
		longrun.Handle(s.Service, work, func(_ context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
			got = append(got, run.Name().String()) // one at a time
			time.Sleep(time.Second)
			return nil, nil
		})
		s.begin(runner.Options{Concurrency: 1})
		var last *longrun.Operation
		for range 30 {
			last = s.start(work, longrun.StartOptions{})
			want = append(want, last.Name().String())
			time.Sleep(300 * time.Millisecond)
		}
		s.done(last)
		if !slices.Equal(got, want) {
			t.Errorf("they ran in the order\n%v, want\n%v", got, want)
		}
	})
}

func TestClaim_Concurrency(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		var now, most, all atomic.Int64
		h := func(context.Context, *text, *longrun.Run[*meta]) (*text, error) {
			all.Add(1)
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Second)
			now.Add(-1)
			return nil, nil
		}
		for _, name := range []string{"a", "b", "c"} {
			longrun.Handle(s.Service, method{Name: name}, h)
			for range 20 {
				s.start(method{Name: name}, longrun.StartOptions{})
			}
		}
		began := time.Now()
		s.begin(runner.Options{Concurrency: 4})
		for i := range 20 {
			last := s.start(method{Name: string('a' + rune(i%3))}, longrun.StartOptions{})
			if i == 19 {
				s.done(last)
			}
		}
		time.Sleep(5 * time.Second)
		if most.Load() != 4 || all.Load() != 80 {
			t.Errorf("%d of %d ran together, want 4 of 80", most.Load(), all.Load())
		}
		if took := time.Since(began); took > 26*time.Second {
			t.Errorf("80 runs of a second in 4 slots took %v", took)
		}
	})
}

// More methods than one call of Claim may name, and than there are slots.
func TestClaim_ManyMethods(t *testing.T) {
	for _, slots := range []int{1, 3, 1000} {
		t.Run(fmt.Sprint(slots), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *system) {
				var ops []*longrun.Operation
				for i := range 2*longrun.MaxWantMethods + 7 {
					m := method{Name: fmt.Sprintf("work-%d", i)}
					longrun.Handle(s.Service, m, succeed)
					ops = append(ops, s.start(m, longrun.StartOptions{}))
				}
				s.begin(runner.Options{Concurrency: slots})
				for _, op := range ops {
					s.done(op)
				}
			})
		})
	}
}

// Work of which no hint came is found by the slow poll.
func TestClaim_PollsWithoutHints(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		longrun.Handle(s.Service, work, succeed)
		s.store.Inject(storetest.Fault{On: storetest.OnWatch, Hang: true, Times: -1})
		s.begin(runner.Options{})
		began := time.Now()
		s.done(s.pend(work))
		if took := time.Since(began); took > 7*time.Second {
			t.Errorf("it took %v, want a poll of about 5 seconds", took)
		}
	})
}

// A store that gives hints makes the poll unnecessary.
func TestClaim_WakesByHint(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		longrun.Handle(s.Service, work, succeed)
		s.begin(runner.Options{})
		began := time.Now()
		other := s.newProcess()
		s.done(other.start(work, longrun.StartOptions{}))
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("it took %v, want no time", took)
		}
	})
}

// The runner sleeps while there is nothing to do, also when something will be
// ready later.
func TestClaim_DoesNotSpin(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		longrun.Handle(s.Service, work, func(_ context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
			if run.Attempt() == 1 {
				return nil, longrun.RetryAfter(50*time.Minute, nil)
			}
			return nil, nil
		})
		s.begin(runner.Options{})
		op := s.start(work, longrun.StartOptions{})
		began := time.Now()
		if end := s.done(op).EndTime; end.Sub(began) > 50*time.Minute+time.Second {
			t.Errorf("it ran again after %v, want 50 minutes", end.Sub(began))
		}
		time.Sleep(10 * time.Minute)
		if n := s.calls.claims.Load(); n > 1000 {
			t.Errorf("%d claims in an hour, want one in about 5 seconds", n)
		}
		if n := s.calls.beats.Load(); n < 3500 || n > 3700 {
			t.Errorf("%d beats in an hour, want one a second", n)
		}
		if n := s.calls.dues.Load(); n < 1000 || n > 2000 {
			t.Errorf("%d sweeps in an hour, want one in about 2.5 seconds", n)
		}
	})
}

// A runner of some methods leaves the others alone.
func TestOptions_Methods(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		play := method{Name: "play"}
		longrun.Handle(s.Service, work, succeed)
		longrun.Handle(s.Service, play, succeed)
		s.begin(runner.Options{Methods: []string{"play"}})
		left := s.start(work, longrun.StartOptions{})
		s.done(s.start(play, longrun.StartOptions{}))
		time.Sleep(time.Minute)
		if got := s.get(left).State; got != longrun.Pending {
			t.Errorf("State = %v, want PENDING", got)
		}
	})
}

// A runner that only sweeps claims nothing, and still judges dead sessions and
// removes what has expired (EXP-01, CON-04).
func TestOptions_SweepsOnly(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		longrun.Handle(s.Service, work, succeed)
		left := s.start(work, longrun.StartOptions{})
		session, err := s.Work().OpenSession(t.Context(), longrun.SessionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		claim := func() []*longrun.Operation {
			c, err := s.Work().Claim(t.Context(), longrun.ClaimRequest{Session: session, Want: []longrun.Want{{Method: "work", N: 1}}})
			if err != nil {
				t.Fatal(err)
			}
			return c.Operations
		}
		if ops := claim(); len(ops) != 1 {
			t.Fatalf("%d claimed, want 1", len(ops))
		}
		s.begin(runner.Options{Concurrency: -1})
		s.until(left, "pending", func(op *longrun.Operation) bool { return op.State == longrun.Pending })
		time.Sleep(time.Minute)
		if got := s.get(left); got.State != longrun.Pending || got.Failures != 1 {
			t.Errorf("%v with %d failures, want PENDING with 1", got.State, got.Failures)
		}
		if n := s.calls.claims.Load(); n != 1 {
			t.Errorf("%d claims, want the test's", n)
		}
		s.cancel(left)
		time.Sleep(retention + time.Minute)
		if _, err := s.Get(t.Context(), left.Name()); longrun.CodeOf(err) != codes.NotFound {
			t.Errorf("Get = %v, want NOT_FOUND after the retention", err)
		}
	})
}

// Several runners of a process share its work.
func TestClaim_TwoRunners(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		hold := make(chan struct{})
		longrun.Handle(s.Service, work, untilClosed(hold))
		s.begin(runner.Options{Concurrency: 1})
		s.begin(runner.Options{Concurrency: 1})
		a, b, c := s.start(work, longrun.StartOptions{}), s.start(work, longrun.StartOptions{}), s.start(work, longrun.StartOptions{})
		synctest.Wait()
		if a, b := s.get(a), s.get(b); a.State != longrun.Running || b.State != longrun.Running || a.Claim.Session == b.Claim.Session {
			t.Errorf("%v and %v, sessions %v and %v; want both RUNNING under different sessions", a.State, b.State, a.Claim.Session, b.Claim.Session)
		}
		if got := s.get(c).State; got != longrun.Pending {
			t.Errorf("third is %v, want PENDING", got)
		}
		close(hold)
		s.done(c)
	})
}

// The start call's deadline never reaches the run; who called, and the trace, do.
func TestRun_Context(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		longrun.Handle(s.Service, work, func(ctx context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
			if _, ok := ctx.Deadline(); ok {
				t.Error("the run's context has a deadline")
			}
			if got := longrun.CallerOf(ctx); got != "user:a" || run.Caller() != got {
				t.Errorf("CallerOf = %q, Caller = %q; want user:a", got, run.Caller())
			}
			if got := longrun.TraceParentOf(ctx); got != trace {
				t.Errorf("TraceParentOf = %q, want that of the start", got)
			}
			time.Sleep(time.Hour)
			return nil, ctx.Err()
		})
		s.begin(runner.Options{})
		ctx, cancel := context.WithTimeout(longrun.WithTraceParent(longrun.WithCaller(t.Context(), "user:a"), trace), time.Second)
		defer cancel()
		op, err := longrun.Start(ctx, s.Service, work, wrapperspb.String(""), longrun.StartOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.until(op, "done", func(op *longrun.Operation) bool { return op.State.Done() }); got.State != longrun.Succeeded {
			t.Errorf("State = %v (%v), want SUCCEEDED", got.State, got.Error)
		}
	})
}
