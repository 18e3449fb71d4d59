package groupcommit

import (
	"context"
	"testing"
	"testing/synctest"
)

// Do and DoNew on a queue whose writer does not run yet: what begins something is
// refused at three quarters of the queue, by number and by size, and what carries on
// is not before it is full.
func TestDoNew_LeavesRoom(t *testing.T) {
	for name, tt := range map[string]struct {
		limits Limits
		size   int // of an item
	}{
		"by number": {Limits{Items: 8}, 1},
		"by size":   {Limits{Bytes: 80}, 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := New(tt.limits, func([]int) {})
				queued := make(chan error, 9)
				wait := func(do func(context.Context, int, int) error) {
					go func() { queued <- do(t.Context(), 1, tt.size) }()
					synctest.Wait()
				}
				for range 6 {
					wait(q.DoNew)
				}
				if err := q.DoNew(t.Context(), 1, tt.size); err != ErrFull {
					t.Errorf("DoNew past three quarters = %v, want %v", err, ErrFull)
				}
				for range 2 {
					wait(q.Do)
				}
				if err := q.Do(t.Context(), 1, tt.size); err != ErrFull {
					t.Errorf("Do past the bound = %v, want %v", err, ErrFull)
				}
				q.Close()
				q.Run()
				for range 8 {
					if err := <-queued; err != nil {
						t.Errorf("what was queued = %v, want nil", err)
					}
				}
			})
		})
	}
}
