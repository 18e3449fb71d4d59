package runner_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/runner"
)

// 1,000 reports a second on one operation, from four shards, cost one write a second;
// and what was reported is visible to Get a second later, at every moment (OP-14).
func TestReport_ThousandASecond(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		const shards, each = 4, 2500 // for ten seconds
		var reported atomic.Int64
		longrun.Handle(s.Service, work, func(_ context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
			run.Progress(&meta{Progress: &longrunpb.Progress{TotalUnits: shards * each}})
			var all sync.WaitGroup
			for range shards {
				all.Go(func() {
					for range each {
						run.Update(func(m *meta) { m.Progress.CompletedUnits++ })
						reported.Add(1)
						time.Sleep(4 * time.Millisecond)
					}
				})
			}
			all.Wait()
			return nil, nil
		})
		s.begin(runner.Options{})
		op := s.start(work, longrun.StartOptions{})
		before := s.calls.updates.Load()
		for second := range 9 {
			was := reported.Load()
			time.Sleep(time.Second + 10*time.Millisecond) // what happens at one moment has no order
			if got := units(t, s.get(op)); got < was {
				t.Errorf("after %d seconds callers see %d units, want the %d of a second before", second+1, got, was)
			}
		}
		if writes := s.calls.updates.Load() - before; writes > 10 {
			t.Errorf("9,000 reports in nine seconds were %d writes, want one a second", writes)
		}
		if got := units(t, s.done(op)); got != shards*each {
			t.Errorf("at the end there are %d units, want %d", got, shards*each)
		}
	})
}

// A step is one write, and reading what is remembered is none; a step that an earlier
// run has done costs nothing.
func TestStep_OneWrite(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		const steps = 100
		var writes []int64
		longrun.Handle(s.Service, work, func(ctx context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
			before := s.calls.updates.Load()
			for i := range steps {
				if err := run.Step(ctx, fmt.Sprint("shard ", i), func(context.Context) error { return nil }); err != nil {
					return nil, err
				}
			}
			writes = append(writes, s.calls.updates.Load()-before)
			if run.Attempt() == 1 {
				return nil, longrun.RetryAfter(0, nil)
			}
			return nil, nil
		})
		s.begin(runner.Options{})
		s.done(s.start(work, longrun.StartOptions{}))
		if len(writes) != 2 || writes[0] != steps || writes[1] != 0 {
			t.Errorf("writes of %d steps by each run = %v, want %d and 0", steps, writes, steps)
		}
	})
}
