package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// measurement is what a load has shown.
type measurement struct {
	elapsed time.Duration
	cpu     time.Duration   // of this process, all its threads
	took    []time.Duration // of each operation, ascending
}

// load has do called by so many callers, each again as soon as it returns, for d, and
// once at least. Calls that have begun by then end, and count. The first error ends it.
func load(ctx context.Context, do func(context.Context) error, callers int, d time.Duration) (measurement, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		wg   sync.WaitGroup
		took = make([][]time.Duration, callers)
	)
	cpu, begin := cpuTime(), time.Now()
	end := begin.Add(d)
	for i := range callers {
		wg.Go(func() {
			now := time.Now()
			for first := true; (first || now.Before(end)) && ctx.Err() == nil; first = false {
				if err := do(ctx); err != nil {
					cancel(err)
					return
				}
				next := time.Now()
				took[i] = append(took[i], next.Sub(now))
				now = next
			}
		})
	}
	wg.Wait()
	m := measurement{elapsed: time.Since(begin), cpu: cpuTime() - cpu, took: slices.Concat(took...)}
	if ctx.Err() != nil {
		return m, context.Cause(ctx)
	}
	slices.Sort(m.took)
	return m, nil
}

// rate is how many operations a second have ended.
func (m measurement) rate() float64 { return float64(len(m.took)) / m.elapsed.Seconds() }

// percentile is what p of 100 operations took at most; 0 where there was none.
func (m measurement) percentile(p int) time.Duration {
	if len(m.took) == 0 {
		return 0
	}
	return m.took[min(len(m.took)*p/100, len(m.took)-1)]
}

// perOperation is the CPU time that one operation took.
func (m measurement) perOperation() time.Duration {
	if len(m.took) == 0 {
		return 0
	}
	return m.cpu / time.Duration(len(m.took))
}

// String returns the measurement as one line.
func (m measurement) String() string {
	return fmt.Sprintf("%8.0f ops/s   p50 %8s   p99 %8s   CPU %7s each", m.rate(), short(m.percentile(50)), short(m.percentile(99)), short(m.perOperation()))
}

// short is d with three digits or so, in ASCII.
func short(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.0f us", float64(d)/float64(time.Microsecond))
	case d < 10*time.Second:
		return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}
