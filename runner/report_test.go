package runner_test

import (
	"context"
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

// Many runs report through one goroutine, each in time.
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
