package runner_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/storetest"
)

// OP-08, ERR-07: what a handler says by accident goes to the log, and callers get
// an id under which it is found there.
func TestFinish_CauseInTheLogOnly(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cause string
		h     handler
	}{
		{"plain error", "password is hunter2", func(context.Context, *text, *longrun.Run[*meta]) (*text, error) { return nil, errPlain }},
		{"panic", "hunter3", func(context.Context, *text, *longrun.Run[*meta]) (*text, error) { panic("hunter3") }},
		{"goexit", "ended its goroutine", func(context.Context, *text, *longrun.Run[*meta]) (*text, error) {
			runtime.Goexit()
			return nil, nil
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *system) {
				longrun.Handle(s.Service, work, tt.h)
				s.begin(runner.Options{Concurrency: 1})
				got := s.done(s.start(work, longrun.StartOptions{}))
				if codes.Code(got.Error.GetCode()) != codes.Internal || strings.Contains(got.Error.String(), "hunter") {
					t.Errorf("Error = %v, want INTERNAL without the cause", got.Error)
				}
				id := strings.TrimPrefix(got.Error.GetMessage(), "internal error ")
				if found := s.log.lines("level=ERROR", id, tt.cause, got.Name().String(), "attempt=1"); len(found) != 1 {
					t.Errorf("%d lines of the log have id and cause, want 1", len(found))
				}
				if again := s.done(s.start(work, longrun.StartOptions{})); again.State != longrun.Failed {
					t.Errorf("the next one is %v, want FAILED: the slot is free again", again.State)
				}
			})
		})
	}
}

// OP-11: a Status of the handler is kept whole, whatever wraps it.
func TestFinish_StatusIsKept(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		longrun.Handle(s.Service, work, func(context.Context, *text, *longrun.Run[*meta]) (*text, error) {
			return nil, fmt.Errorf("secret: %w", status.Error(codes.NotFound, "no such book"))
		})
		s.begin(runner.Options{})
		got := s.done(s.start(work, longrun.StartOptions{}))
		if got.Error.GetMessage() != "no such book" || reasonOf(t, got) != "OPERATION_FAILED" {
			t.Errorf("Error = %v, want the Status with an ErrorInfo", got.Error)
		}
	})
}

// A run that fails for a while is repeated with doubling pauses, and its last
// error is the operation's.
func TestRetry_BackoffAndMaxFailures(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		m := method{Name: "work", MaxFailures: 4}
		var begun []time.Time
		longrun.Handle(s.Service, m, func(_ context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
			begun = append(begun, time.Now())
			return nil, status.Errorf(codes.Unavailable, "try %d", run.Attempt())
		})
		s.begin(runner.Options{})
		got := s.done(s.start(m, longrun.StartOptions{}))
		if got.Claim.Attempt != 4 || got.Error.GetMessage() != "try 4" {
			t.Fatalf("attempt %d, %v; want the fourth one's error", got.Claim.Attempt, got.Error)
		}
		for i, least := range []time.Duration{time.Second / 2, time.Second, 2 * time.Second} {
			if pause := begun[i+1].Sub(begun[i]); pause < least || pause > 2*least+10*time.Millisecond {
				t.Errorf("pause %d is %v, want %v to %v", i+1, pause, least, 2*least)
			}
		}
	})
}

// RetryAfter is no failure and may go on for ever, also with AtMostOnce.
func TestRetry_AfterIsNoFailure(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		m := method{Name: "work", MaxFailures: 1, AtMostOnce: true}
		longrun.Handle(s.Service, m, func(_ context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
			if run.Attempt() < 50 {
				return nil, longrun.RetryAfter(time.Minute, nil)
			}
			return nil, nil
		})
		s.begin(runner.Options{})
		op := s.start(m, longrun.StartOptions{})
		got := s.done(op)
		if got.State != longrun.Succeeded || got.Claim.Attempt != 50 || got.Failures != 0 {
			t.Errorf("%v, attempt %d, %d failures; want SUCCEEDED, 50, 0", got.State, got.Claim.Attempt, got.Failures)
		}
		if took, want := got.EndTime.Sub(op.CreateTime), 49*time.Minute; took < want || took > want+time.Second {
			t.Errorf("it took %v, want %v", took, want)
		}
	})
}

// The execution deadline counts from the first claim over all runs, and stops
// the run with its cause, on time.
func TestDeadline_OverAllRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		m := method{Name: "work", ExecutionTimeout: 10 * time.Minute}
		longrun.Handle(s.Service, m, func(ctx context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
			if run.Attempt() == 1 {
				return nil, longrun.RetryAfter(7*time.Minute, nil)
			}
			<-ctx.Done()
			return nil, context.Cause(ctx)
		})
		s.begin(runner.Options{})
		op := s.start(m, longrun.StartOptions{})
		got := s.done(op)
		if took := got.EndTime.Sub(op.CreateTime); took != 10*time.Minute {
			t.Errorf("it took %v, want 10m0s", took)
		}
		if got.Claim.Attempt != 2 || reasonOf(t, got) != longrun.ReasonDeadlinePassed {
			t.Errorf("attempt %d, %v; want 2, DEADLINE_PASSED", got.Claim.Attempt, got.Error)
		}
	})
}

// A run that does not heed its deadline loses the operation half a minute later:
// it ends DEADLINE_EXCEEDED, the run hears that its claim is lost, and what it
// returns is dropped.
func TestDeadline_NotHeeded(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		m := method{Name: "work", ExecutionTimeout: time.Minute}
		hold := make(chan struct{})
		longrun.Handle(s.Service, m, untilClosed(hold))
		s.begin(runner.Options{})
		op := s.start(m, longrun.StartOptions{})
		got := s.done(op)
		if took := got.EndTime.Sub(op.CreateTime); took < 90*time.Second || took > 95*time.Second {
			t.Errorf("it took %v, want 1m30s and a sweep", took)
		}
		close(hold)
		time.Sleep(time.Second)
		if after := s.get(op); after.State != longrun.Failed || after.Revision != got.Revision {
			t.Errorf("State = %v after a late result, want FAILED as before", after.State)
		}
	})
}

// CAN-01: in the same process a run hears of a cancel at once, from another one
// with the next beat; the cause says why.
func TestCancel_Cause(t *testing.T) {
	for _, quiet := range []string{"same process", "other process"} {
		t.Run(quiet, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *system) {
				var stopped time.Time
				longrun.Handle(s.Service, work, func(ctx context.Context, _ *text, _ *longrun.Run[*meta]) (*text, error) {
					<-ctx.Done()
					if cause := context.Cause(ctx); cause != longrun.ErrCancelled {
						t.Errorf("cause = %v, want %v", cause, longrun.ErrCancelled)
					}
					stopped = time.Now()
					return nil, ctx.Err()
				})
				s.begin(runner.Options{})
				op := s.start(work, longrun.StartOptions{})
				time.Sleep(time.Minute + 300*time.Millisecond)
				asked := time.Now()
				limit := time.Millisecond
				if quiet == "same process" {
					s.cancel(op)
				} else {
					s.cancelQuietly(op)
					limit = 1001 * time.Millisecond
				}
				s.done(op)
				if took := stopped.Sub(asked); took > limit {
					t.Errorf("the run heard of it after %v, want at most %v", took, limit)
				}
			})
		})
	}
}

// PAR-05: the older run is stopped, and the newcomer begins when it has ended.
func TestPreempt_Cause(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		order := &events{}
		longrun.Handle(s.Service, work, func(ctx context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
			order.note("begin")
			select {
			case <-ctx.Done():
				order.note(context.Cause(ctx).Error())
				time.Sleep(time.Minute)
				order.note("end")
			case <-time.After(10 * time.Second):
				order.note("done")
			}
			return nil, nil
		})
		s.begin(runner.Options{})
		key := longrun.StartOptions{ConflictKey: "book", OnConflict: longrun.Preempt}
		older := s.start(work, key)
		synctest.Wait()
		newer := s.start(work, key)
		if got := s.done(newer); got.State != longrun.Succeeded {
			t.Errorf("newer is %v, want SUCCEEDED", got.State)
		}
		if got := s.get(older); reasonOf(t, got) != longrun.ReasonOperationPreempted {
			t.Errorf("older is %v, want preempted", got.Error)
		}
		if got, want := order.String(), "begin, operation preempted, end, begin, done"; got != want {
			t.Errorf("it went\n%s, want\n%s", got, want)
		}
	})
}

// DEL-02, DEL-08: deleting hides the operation and lets its work go on; what the
// run returns does not bring it back, and is no error.
func TestDelete_WhileRunning(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		effects := &events{}
		longrun.Handle(s.Service, work, func(ctx context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
			time.Sleep(time.Minute)
			if ctx.Err() == nil {
				effects.note("effect")
			}
			run.Progress(&meta{StatusMessage: "still here"})
			time.Sleep(time.Minute)
			return nil, nil
		})
		s.begin(runner.Options{})
		op := s.start(work, longrun.StartOptions{})
		time.Sleep(time.Second)
		if err := s.Delete(t.Context(), op.Name()); err != nil {
			t.Fatal(err)
		}
		s.done(op)
		if effects.count() != 1 {
			t.Error("the work did not go on")
		}
		if _, err := s.Get(t.Context(), op.Name()); longrun.CodeOf(err) != codes.NotFound {
			t.Errorf("Get = %v, want NOT_FOUND", err)
		}
		if bad := s.log.lines("level=ERROR"); bad != nil {
			t.Errorf("the log has %v", bad)
		}
	})
}

// A result waits for a store that is away, with the slot and the claim.
func TestFinish_StoreAway(t *testing.T) {
	for _, outcome := range []storetest.Outcome{storetest.Refused, storetest.Committed, storetest.Dropped} {
		t.Run(fmt.Sprint(outcome), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *system) {
				longrun.Handle(s.Service, work, func(context.Context, *text, *longrun.Run[*meta]) (*text, error) {
					s.store.Inject(storetest.Fault{On: storetest.OnWrites, Outcome: outcome, Times: -1})
					time.AfterFunc(10*time.Minute, s.store.Heal)
					return nil, nil
				})
				s.begin(runner.Options{})
				op := s.start(work, longrun.StartOptions{})
				got := s.done(op)
				if got.State != longrun.Succeeded || got.Claim.Attempt != 1 {
					t.Errorf("%v, attempt %d; want SUCCEEDED, 1", got.State, got.Claim.Attempt)
				}
				time.Sleep(11 * time.Minute)
				if got := s.get(op); got.State != longrun.Succeeded || got.Claim.Attempt != 1 {
					t.Errorf("later %v, attempt %d; want SUCCEEDED, 1", got.State, got.Claim.Attempt)
				}
			})
		})
	}
}
