package groupcommit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is a commit function that takes a while and keeps its batches. Its
// user reads batches when the queue is at rest.
type recorder struct {
	takes   time.Duration
	batches [][]int
}

func (r *recorder) commit(batch []int) {
	time.Sleep(r.takes)
	r.batches = append(r.batches, slices.Clone(batch))
}

// start runs a queue until the test ends.
func start[T any](t *testing.T, limits Limits, commit func([]T)) *Queue[T] {
	t.Helper()
	q := New(limits, commit)
	done := make(chan struct{})
	go func() { defer close(done); q.Run() }()
	t.Cleanup(func() { q.Close(); <-done })
	return q
}

// A queue at rest commits at once; what comes meanwhile shares the next commit,
// in the order in which it came.
func TestDo_Batches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{takes: time.Second}
		q := start(t, Limits{}, r.commit)
		began := time.Now()
		var group sync.WaitGroup
		for i := range 5 {
			group.Go(func() {
				if err := q.Do(t.Context(), i, 1); err != nil {
					t.Errorf("Do(%d) = %v", i, err)
				}
			})
			synctest.Wait()
		}
		group.Wait()
		if got, want := fmt.Sprint(r.batches), "[[0] [1 2 3 4]]"; got != want {
			t.Errorf("batches = %v, want %v", got, want)
		}
		if got, want := time.Since(began), 2*time.Second; got != want {
			t.Errorf("took %v, want %v: no timers", got, want)
		}
	})
}

// A batch ends at its bounds, and an item larger than a bound goes alone.
func TestDo_BatchLimits(t *testing.T) {
	for _, tt := range []struct {
		limits Limits
		sizes  []int
		want   string
	}{
		{Limits{BatchItems: 2}, []int{1, 1, 1, 1, 1, 1}, "[[0] [1 2] [3 4] [5]]"},
		{Limits{BatchBytes: 10}, []int{1, 5, 5, 6, 100, 1}, "[[0] [1 2] [3] [4] [5]]"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{takes: time.Second}
			q := start(t, tt.limits, r.commit)
			var group sync.WaitGroup
			for i, size := range tt.sizes {
				group.Go(func() { q.Do(t.Context(), i, size) })
				synctest.Wait()
			}
			group.Wait()
			if got := fmt.Sprint(r.batches); got != tt.want {
				t.Errorf("batches = %v, want %v", got, tt.want)
			}
		})
	}
}

// POL-04: beyond its bounds a queue refuses; one item always fits.
func TestDo_Full(t *testing.T) {
	for name, limits := range map[string]Limits{"items": {Items: 2}, "bytes": {Bytes: 20}} {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{takes: time.Second}
			q := start(t, limits, r.commit)
			var group sync.WaitGroup
			for i := range 3 { // one in flight, two that wait
				group.Go(func() {
					if err := q.Do(t.Context(), i, 10); err != nil {
						t.Errorf("%s: Do(%d) = %v", name, i, err)
					}
				})
				synctest.Wait()
			}
			if err := q.Do(t.Context(), 9, 10); err != ErrFull {
				t.Errorf("%s: Do beyond the bound = %v, want %v", name, err, ErrFull)
			}
			group.Wait()
			if err := q.Do(t.Context(), 9, 1<<30); err != nil {
				t.Errorf("%s: Do of a large item on an empty queue = %v", name, err)
			}
		})
	}
}

// An item whose caller has gone is taken out while it waits, and its room is free
// again; once it is in flight nobody knows.
func TestDo_CallerGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{takes: time.Minute}
		q := start(t, Limits{Items: 1}, r.commit)
		ctx, stop := context.WithTimeoutCause(t.Context(), time.Second, errors.New("gone"))
		defer stop()
		var group sync.WaitGroup
		for i, want := range []error{ErrInFlight, ErrWithdrawn} {
			group.Go(func() {
				err := q.Do(ctx, i, 1)
				if !errors.Is(err, want) || !errors.Is(err, context.Cause(ctx)) {
					t.Errorf("Do(%d) = %v, want %v and the cause", i, err, want)
				}
			})
			synctest.Wait()
		}
		group.Wait()
		if err := q.Do(t.Context(), 2, 1); err != nil {
			t.Errorf("Do after one was taken out = %v", err)
		}
		if err := q.Do(ctx, 3, 1); !errors.Is(err, ErrWithdrawn) {
			t.Errorf("Do without a caller = %v, want %v", err, ErrWithdrawn)
		}
		if got, want := fmt.Sprint(r.batches), "[[0] [2]]"; got != want {
			t.Errorf("batches = %v, want %v", got, want)
		}
	})
}

// Items are taken out wherever they stand.
func TestWithdraw_Anywhere(t *testing.T) {
	for gone := range 3 {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{takes: time.Minute}
			q := start(t, Limits{}, r.commit)
			ctx, stop := context.WithCancel(t.Context())
			var group sync.WaitGroup
			for i := range 4 { // the first is in flight
				caller := t.Context()
				if i == gone+1 {
					caller = ctx
				}
				group.Go(func() { q.Do(caller, i, 1) })
				synctest.Wait()
			}
			stop()
			group.Wait()
			want := slices.DeleteFunc([]int{1, 2, 3}, func(i int) bool { return i == gone+1 })
			if got, want := fmt.Sprint(r.batches), fmt.Sprint([][]int{{0}, want}); got != want {
				t.Errorf("batches = %v, want %v", got, want)
			}
		})
	}
}

// A panic reaches the callers of its batch and nobody else.
func TestDo_Panic(t *testing.T) {
	t.Parallel()
	q := start(t, Limits{}, func(batch []int) {
		if batch[0] < 0 {
			panic("sorry")
		}
	})
	err := q.Do(t.Context(), -1, 1)
	p, ok := errors.AsType[*PanicError](err)
	if !ok || p.Value != "sorry" || len(p.Stack) == 0 {
		t.Errorf("Do = %v, want the panic with its stack", err)
	}
	if got, want := err.Error(), "group commit: panic: sorry"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if err := q.Do(t.Context(), 1, 1); err != nil {
		t.Errorf("Do after a panic = %v", err)
	}
}

// Close lets what waits be done and takes no more.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{takes: time.Second}
		q := start(t, Limits{}, r.commit)
		var group sync.WaitGroup
		for i := range 3 {
			group.Go(func() {
				if err := q.Do(t.Context(), i, 1); err != nil {
					t.Errorf("Do(%d) = %v", i, err)
				}
			})
			synctest.Wait()
		}
		q.Close()
		q.Close()
		if err := q.Do(t.Context(), 9, 1); err != ErrClosed {
			t.Errorf("Do after Close = %v, want %v", err, ErrClosed)
		}
		group.Wait()
	})
}

// Starting, stopping and leaving at any moment loses no answer: whoever got nil
// was committed once, whoever was withdrawn or refused never was.
func TestStartStop_Stress(t *testing.T) {
	t.Parallel()
	for range 50 {
		var committed [200]atomic.Int32
		q := New(Limits{Items: 50, BatchItems: 7}, func(batch []int) {
			for _, i := range batch {
				committed[i].Add(1)
			}
		})
		done := make(chan struct{})
		go func() { defer close(done); q.Run() }()
		var group sync.WaitGroup
		for i := range committed {
			group.Go(func() {
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				if i%3 == 0 {
					go stop()
				}
				err := q.Do(ctx, i, 1)
				n := committed[i].Load()
				switch {
				case err == nil && n != 1:
					t.Errorf("item %d was answered and committed %d times, want once", i, n)
				case err != nil && !errors.Is(err, ErrInFlight) && n != 0:
					t.Errorf("item %d was refused with %v and committed", i, err)
				}
				if i == len(committed)/2 {
					q.Close()
				}
			})
		}
		group.Wait()
		q.Close()
		<-done
	}
}

func BenchmarkDo(b *testing.B) {
	q := New(Limits{}, func([]int) {})
	done := make(chan struct{})
	go func() { defer close(done); q.Run() }()
	b.SetParallelism(256)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := q.Do(context.Background(), 1, 1); err != nil {
				b.Error(err)
			}
		}
	})
	q.Close()
	<-done
}
