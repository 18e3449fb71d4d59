package runner_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/storetest"
)

// units returns the units done in the stored metadata.
func units(t *testing.T, op *longrun.Operation) int64 {
	t.Helper()
	m, err := work.Metadata(op)
	if err != nil {
		t.Fatal(err)
	}
	return m.GetProgress().GetCompletedUnits()
}

// Reports are coalesced: the first is saved at once, then one a second at most,
// and the last one in the commit that ends the run (OP-14, OP-15).
func TestReport_Coalesced(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		longrun.Handle(s.Service, work, func(_ context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
			for i := range 1000 {
				run.Update(func(m *meta) { m.Progress = &longrunpb.Progress{CompletedUnits: int64(i + 1), TotalUnits: 1000} })
				time.Sleep(10 * time.Millisecond)
			}
			return nil, nil
		})
		s.begin(runner.Options{})
		op := s.start(work, longrun.StartOptions{})
		synctest.Wait()
		if got := units(t, s.get(op)); got != 1 {
			t.Errorf("the first report says %d, want 1 at once", got)
		}
		time.Sleep(5 * time.Second)
		if got := units(t, s.get(op)); got < 390 || got > 502 {
			t.Errorf("after 5 seconds it says %d, want what was a second ago or less", got)
		}
		if got := units(t, s.done(op)); got != 1000 {
			t.Errorf("at the end it says %d, want 1000", got)
		}
		if n := s.calls.updates.Load(); n > 12 {
			t.Errorf("%d updates in 10 seconds, want 10 reports and the end", n)
		}
	})
}

// A report that the store has not taken is sent again, and never in place of a
// later one (CON-06).
func TestReport_StoreAway(t *testing.T) {
	for _, outcome := range []storetest.Outcome{storetest.Refused, storetest.Committed, storetest.Dropped} {
		inBubble(t, func(t *testing.T, s *system) {
			hold := make(chan struct{})
			longrun.Handle(s.Service, work, func(_ context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
				run.Progress(&meta{Progress: &longrunpb.Progress{CompletedUnits: 7}})
				<-hold
				return nil, nil
			})
			s.store.Inject(storetest.Fault{On: storetest.OnUpdate, Outcome: outcome, Times: 30})
			s.begin(runner.Options{})
			op := s.start(work, longrun.StartOptions{})
			s.until(op, "reported", func(op *longrun.Operation) bool { return units(t, op) == 7 })
			close(hold)
			s.done(op)
		})
	}
}

// A report tells a run that its claim is lost.
func TestReport_ClaimLost(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		longrun.Handle(s.Service, work, func(ctx context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
			time.Sleep(time.Minute + 100*time.Millisecond)
			asked := time.Now()
			run.Progress(&meta{})
			<-ctx.Done()
			if took := time.Since(asked); took != 0 || context.Cause(ctx) != longrun.ErrClaimLost {
				t.Errorf("stopped after %v because %v, want at once, %v", took, context.Cause(ctx), longrun.ErrClaimLost)
			}
			return nil, ctx.Err()
		})
		s.begin(runner.Options{})
		op := s.start(work, longrun.StartOptions{})
		time.Sleep(time.Minute)
		_, err := s.Work().Release(t.Context(), op.Name(), s.get(op).Claim, longrun.Release{Delay: longrun.MaxRetryDelay})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
	})
}

// Many runs report at the same time, each in time.
func TestReport_ManyRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		hold := make(chan struct{})
		longrun.Handle(s.Service, work, func(_ context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
			run.Warn(status.New(codes.Code(code.Code_NOT_FOUND), "page 3 is missing")) // OP-18
			run.Update(func(m *meta) { m.Progress = &longrunpb.Progress{CompletedUnits: 5} })
			<-hold
			return nil, nil
		})
		s.begin(runner.Options{Concurrency: 500})
		var ops []*longrun.Operation
		for range 500 {
			ops = append(ops, s.start(work, longrun.StartOptions{}))
		}
		time.Sleep(2 * time.Second)
		for _, op := range ops {
			if got := units(t, s.get(op)); got != 5 {
				t.Fatalf("units = %d, want 5", got)
			}
		}
		close(hold)
		for _, op := range ops {
			m, err := work.Metadata(s.done(op))
			if err != nil || len(m.Warnings) != 1 {
				t.Fatalf("metadata = %v, %v; want the warning", m, err)
			}
		}
	})
}

// A report that hangs delays its own run only, and is not overtaken there.
func TestReport_OneHangs(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		longrun.Handle(s.Service, work, func(ctx context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
			for i := int64(1); ctx.Err() == nil; i++ {
				run.Progress(&meta{Progress: &longrunpb.Progress{CompletedUnits: i}})
				time.Sleep(100 * time.Millisecond)
			}
			return nil, ctx.Err()
		})
		s.store.Inject(storetest.Fault{On: storetest.OnUpdate, Hang: true})
		s.begin(runner.Options{})
		slow := s.start(work, longrun.StartOptions{})
		synctest.Wait()
		other := s.start(work, longrun.StartOptions{})
		time.Sleep(5 * time.Second)
		if got := units(t, s.get(other)); got < 39 || got > 51 {
			t.Errorf("units = %d after 5 seconds, want what was a second ago or less", got)
		}
		if got := units(t, s.get(slow)); got != 0 {
			t.Errorf("units = %d, want 0 while the report hangs", got)
		}
		time.Sleep(7 * time.Second)
		if got := units(t, s.get(slow)); got < 100 {
			t.Errorf("units = %d when the report has failed, want the latest", got)
		}
		if n := len(s.log.lines("progress not reported")); n != 1 {
			t.Errorf("%d lines in the log, want 1", n)
		}
	})
}

// No more than 32 reports of all runs are under way together.
func TestReport_AtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		var lag atomic.Int64
		s.calls.lag = func() time.Duration { return time.Duration(lag.Load()) }
		report := make(chan struct{})
		longrun.Handle(s.Service, work, func(ctx context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
			<-report
			run.Progress(&meta{})
			<-ctx.Done()
			return nil, ctx.Err()
		})
		s.begin(runner.Options{})
		for range 80 {
			s.start(work, longrun.StartOptions{})
		}
		synctest.Wait()
		lag.Store(int64(time.Second))
		close(report)
		for _, want := range []int64{32, 64, 80} {
			synctest.Wait()
			if got := s.calls.updates.Load(); got != want {
				t.Errorf("%d reports were sent, want %d", got, want)
			}
			time.Sleep(2 * time.Second)
		}
	})
}

// A report that is too large with what the starter has set is refused: it is
// dropped and logged once, and smaller ones after it are kept.
func TestReport_Refused(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		m := method{Name: "work"}
		longrun.Handle(s.Service, m, func(_ context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
			for range 2 {
				run.Progress(&meta{StatusMessage: strings.Repeat("x", longrun.MaxMetadataBytes-500)})
				time.Sleep(30 * time.Second)
			}
			run.Progress(&meta{Progress: &longrunpb.Progress{CompletedUnits: 7}})
			time.Sleep(time.Minute)
			return nil, nil
		})
		s.begin(runner.Options{})
		op := s.start(m, longrun.StartOptions{Target: strings.Repeat("t", longrun.MaxTargetBytes)})
		time.Sleep(50 * time.Second)
		if n := s.calls.updates.Load(); n != 2 {
			t.Errorf("%d updates, want 2: each report once", n)
		}
		if n := len(s.log.lines("level=WARN", "progress refused", op.Name().String())); n != 1 {
			t.Errorf("%d lines in the log, want 1", n)
		}
		time.Sleep(20 * time.Second)
		if got := units(t, s.get(op)); got != 7 {
			t.Errorf("units = %d, want 7", got)
		}
		if got := s.done(op).State; got != longrun.Succeeded {
			t.Errorf("State = %v, want SUCCEEDED", got)
		}
	})
}
