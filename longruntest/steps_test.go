package longruntest_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/longruntest"
)

// Copy copies shards, and charges for them.
var Copy = longrun.Method[*structpb.ListValue, *wrapperspb.Int64Value, *longrunpb.OperationMetadata]{Name: "copy-shards"}

// run is what its handlers get.
type run = *longrun.Run[*longrunpb.OperationMetadata]

// newCopier returns a system whose handler of Copy is this one.
func newCopier(t *testing.T, handler func(ctx context.Context, shards []string, run run) (*wrapperspb.Int64Value, error)) *longruntest.System {
	t.Helper()
	return longruntest.New(t, longruntest.Options{Register: func(_ grpc.ServiceRegistrar, svc *longrun.Service) {
		longrun.Handle(svc, Copy, func(ctx context.Context, req *structpb.ListValue, run run) (*wrapperspb.Int64Value, error) {
			var shards []string
			for _, v := range req.GetValues() {
				shards = append(shards, v.GetStringValue())
			}
			return handler(ctx, shards, run)
		})
	}})
}

// crashAfter crashes the system when the operation has run for so long.
func crashAfter(t *testing.T, sys *longruntest.System, d time.Duration) {
	t.Helper()
	time.Sleep(d)
	sys.Crash(t)
}

func TestSteps_SurviveACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var copied []string
		copyShard := func(ctx context.Context, shard string) (int64, error) {
			if err := anHour(ctx, shard); err != nil {
				return 0, err
			}
			copied = append(copied, shard)
			return int64(len(shard)), nil
		}
		sys := newCopier(t, func(ctx context.Context, shards []string, run run) (*wrapperspb.Int64Value, error) {
			var total int64
			for _, shard := range shards {
				n, err := longrun.StepResult(ctx, run, "copy/"+shard, func(ctx context.Context) (*wrapperspb.Int64Value, error) {
					n, err := copyShard(ctx, shard)
					return wrapperspb.Int64(n), err
				})
				if err != nil {
					return nil, err
				}
				total += n.Value
			}
			return wrapperspb.Int64(total), nil
		})
		op := longruntest.Start(t, sys, Copy, files("a", "bb", "ccc"))
		crashAfter(t, sys, 150*time.Minute) // in the middle of the last one

		done := sys.Done(t, op)
		if got := longruntest.Response(t, Copy, done).GetValue(); got != 6 {
			t.Errorf("bytes = %d, want those of all three", got)
		}
		if !slices.Equal(copied, []string{"a", "bb", "ccc"}) {
			t.Errorf("copied %q, want each once", copied)
		}
	})
}

// A cardCompany charges once for each idempotency key.
type cardCompany struct {
	mu      sync.Mutex // guards what follows
	charged map[string]int64
	calls   int
}

func (c *cardCompany) charge(_ context.Context, idempotencyKey string, cents int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	c.charged[idempotencyKey] = cents
	return nil
}

func TestSteps_OutsideEffects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cards := &cardCompany{charged: map[string]int64{}}
		sys := newCopier(t, func(ctx context.Context, shards []string, run run) (*wrapperspb.Int64Value, error) {
			const key = "charge"
			err := run.Step(ctx, key, func(ctx context.Context) error {
				err := cards.charge(ctx, run.Name().String()+"/"+key, 100*int64(len(shards)))
				if err == nil {
					err = anHour(ctx, "the answer is slow") // the crash comes here: charged, and not remembered
				}
				return err
			})
			return wrapperspb.Int64(0), err
		})
		op := longruntest.Start(t, sys, Copy, files("a", "bb"))
		crashAfter(t, sys, 30*time.Minute)
		sys.Done(t, op)

		if cards.calls != 2 || len(cards.charged) != 1 {
			t.Errorf("%d calls charged %v, want two calls and one charge", cards.calls, cards.charged)
		}
	})
}

// A row is written by whoever has the highest fence.
type row struct {
	mu    sync.Mutex // guards what follows
	fence int64
	value string
}

func (r *row) write(fence int64, value string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if fence < r.fence {
		return status.Error(codes.Aborted, "a later attempt has written here")
	}
	r.fence, r.value = fence, value
	return nil
}

func TestSteps_Fence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var state row
		var late error
		var begun sync.WaitGroup
		begun.Add(1)
		sys := newCopier(t, func(ctx context.Context, _ []string, run run) (*wrapperspb.Int64Value, error) {
			if run.Attempt() == 1 {
				defer begun.Done()
				time.Sleep(24 * time.Hour) // hears nothing, as if its machine were asleep
				late = state.write(run.Attempt(), "late")
				return nil, late
			}
			return wrapperspb.Int64(0), state.write(run.Attempt(), fmt.Sprint("attempt ", run.Attempt()))
		})
		op := longruntest.Start(t, sys, Copy, files("a"))
		crashAfter(t, sys, time.Minute)
		sys.Done(t, op)
		begun.Wait()
		if state.value != "attempt 2" || status.Code(late) != codes.Aborted {
			t.Errorf("the row has %q, and the late write got %v", state.value, late)
		}
	})
}

func TestSteps_WhatIsChosenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cutoffs []time.Time
		sys := newCopier(t, func(ctx context.Context, _ []string, run run) (*wrapperspb.Int64Value, error) {
			cutoff, err := longrun.StepResult(ctx, run, "cutoff", func(context.Context) (*timestamppb.Timestamp, error) {
				return timestamppb.Now(), nil
			})
			if err != nil {
				return nil, err
			}
			cutoffs = append(cutoffs, cutoff.AsTime())
			if run.Attempt() == 1 {
				return nil, longrun.RetryAfter(time.Hour, nil)
			}
			return wrapperspb.Int64(0), nil
		})
		sys.Done(t, longruntest.Start(t, sys, Copy, files("a")))
		if len(cutoffs) != 2 || !cutoffs[0].Equal(cutoffs[1]) {
			t.Errorf("the runs had %v, want one cutoff for both", cutoffs)
		}
	})
}

func TestSteps_Shards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		sys := newCopier(t, func(ctx context.Context, shards []string, run run) (*wrapperspb.Int64Value, error) {
			const atOnce = 4
			run.Progress(&longrunpb.OperationMetadata{Progress: &longrunpb.Progress{TotalUnits: int64(len(shards))}})
			var all sync.WaitGroup
			places, failed := make(chan struct{}, atOnce), make([]error, len(shards))
			for i, shard := range shards {
				places <- struct{}{}
				all.Go(func() {
					defer func() { <-places }()
					failed[i] = run.Step(ctx, "copy/"+shard, func(ctx context.Context) error { return anHour(ctx, shard) })
					if failed[i] == nil {
						run.Update(func(m *longrunpb.OperationMetadata) { m.Progress.CompletedUnits++ })
					}
				})
			}
			all.Wait()
			for _, err := range failed {
				if err != nil {
					return nil, err // the next run does what is left
				}
			}
			return wrapperspb.Int64(int64(len(shards))), nil
		})
		op := longruntest.Start(t, sys, Copy, files("a", "b", "c", "d", "e", "f", "g", "h"))
		done := sys.Done(t, op)
		if got := longruntest.Metadata(t, Copy, done).GetProgress().GetCompletedUnits(); got != 8 || done.CompletedSteps != 8 {
			t.Errorf("%d shards in %d steps, want 8 in 8", got, done.CompletedSteps)
		}
		if took := time.Since(began); took > 3*time.Hour {
			t.Errorf("8 hours of work took %v, want it shared by four", took)
		}
	})
}
