package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// long is a method whose runs do what the benchmark hands them.
var long = longrun.Method[*emptypb.Empty, *emptypb.Empty, *longrunpb.OperationMetadata]{Name: "long"}

type longRun = longrun.Run[*longrunpb.OperationMetadata]

// counted counts the writes of a store.
type counted struct {
	longrun.Store
	updates atomic.Int64
}

func (c *counted) Update(ctx context.Context, change longrun.Change) (*longrun.Operation, error) {
	c.updates.Add(1)
	return c.Store.Update(ctx, change)
}

// inRun calls f in a run of an operation on a file.
func inRun(b *testing.B, f func(context.Context, *counted, *longRun) error) {
	b.Helper()
	store := &counted{Store: stores["sqlite"](b)}
	svc := work(b, store, func(svc *longrun.Service) {
		longrun.Handle(svc, long, func(ctx context.Context, _ *emptypb.Empty, run *longRun) (*emptypb.Empty, error) {
			return nil, f(ctx, store, run)
		})
	})
	op, err := longrun.Start(b.Context(), svc, long, nil, longrun.StartOptions{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := longrun.Wait(b.Context(), svc, long, op.Name()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkStep is a step of a run that does nothing, by one caller and by 64 at a
// time. Beside it, in turns, is the write that it should cost: the same change, handed
// to the store; and one flush of a small record to a file on the same disk. With one
// caller a step is a flush and little more; with 64 they share it.
//
//	go -C bench test -run '^$' -bench Step -benchtime 5000x
func BenchmarkStep(b *testing.B) {
	for _, n := range []int{1, callers} {
		b.Run(fmt.Sprintf("callers=%d", n), func(b *testing.B) {
			inRun(b, func(ctx context.Context, store *counted, run *longRun) error {
				return compareSteps(ctx, b, n, store, run)
			})
		})
	}
}

func compareSteps(ctx context.Context, b *testing.B, callers int, store *counted, run *longRun) error {
	ops, err := store.Get(ctx, run.Name().ID)
	if err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(b.TempDir(), "flushes"))
	if err != nil {
		return err
	}
	defer file.Close()
	var key atomic.Int64
	write := func(ctx context.Context) error {
		_, err := store.Store.Update(ctx, longrun.Change{
			ID: run.Name().ID, Step: &longrun.Step{Key: fmt.Sprint("bare-", key.Add(1)), Result: []byte{}},
			Apply: func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
				return op.CountStep(ops[0].Claim, now)
			},
		})
		return err
	}
	step := func(ctx context.Context) error {
		return run.Step(ctx, fmt.Sprint("step-", key.Add(1)), func(context.Context) error { return nil })
	}
	var bare, own, flushed cost
	updates := store.updates.Load()
	b.ResetTimer()
	for i := range rounds {
		part := b.N*(i+1)/rounds - b.N*i/rounds
		flushed.add(func() { crowd(b, 1, max(part/callers, 1), func(context.Context) error { return flushRecord(file) }) })
		bare.add(func() { crowd(b, callers, part, write) })
		own.add(func() { crowd(b, callers, part, step) })
	}
	b.StopTimer()
	each := func(d time.Duration) float64 { return float64(d) / float64(b.N) }
	flush := float64(flushed.elapsed) / float64(flushes(b.N, callers))
	b.ReportMetric(float64(store.updates.Load()-updates)/float64(b.N), "writes/step")
	b.ReportMetric(each(own.elapsed)/each(bare.elapsed), "x-write")
	b.ReportMetric(each(own.cpu)/each(bare.cpu), "x-write-cpu")
	b.ReportMetric(each(own.elapsed)/flush, "flushes/step")
	return nil
}

// flushes is how many flushes compareSteps makes beside n steps.
func flushes(n, callers int) (sum int) {
	for i := range rounds {
		sum += max((n*(i+1)/rounds-n*i/rounds)/callers, 1)
	}
	return sum
}

// flushRecord writes as much as a step does, in place as the store's log is written,
// and flushes it.
func flushRecord(f *os.File) error {
	if _, err := f.WriteAt(make([]byte, requestBytes), 0); err != nil {
		return err
	}
	return flush(f)
}

// cost is what something took.
type cost struct{ elapsed, cpu time.Duration }

func (c *cost) add(f func()) {
	begun, cpu := time.Now(), cpuTime()
	f()
	c.elapsed += time.Since(begun)
	c.cpu += cpuTime() - cpu
}

// BenchmarkProgress is a run that reports its progress 1,000 times a second, for
// three seconds. Reported is how many writes of the store a second that costs.
//
//	go -C bench test -run '^$' -bench Progress -benchtime 1x
func BenchmarkProgress(b *testing.B) {
	const d = 3 * time.Second
	for range b.N {
		inRun(b, func(_ context.Context, store *counted, run *longRun) error {
			begun, updates := time.Now(), store.updates.Load()
			var reports int64
			for elapsed := time.Duration(0); elapsed < d; elapsed = time.Since(begun) {
				for ; reports < int64(elapsed/time.Millisecond); reports++ { // those that are due
					run.Progress(&longrunpb.OperationMetadata{Progress: &longrunpb.Progress{CompletedUnits: reports}})
				}
				time.Sleep(time.Millisecond)
			}
			took := time.Since(begun).Seconds()
			b.ReportMetric(float64(reports)/took, "reports/s")
			b.ReportMetric(float64(store.updates.Load()-updates)/took, "writes/s")
			return nil
		})
	}
}
