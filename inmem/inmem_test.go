package inmem_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/storetest"
	"google.golang.org/grpc/codes"
)

// TestContract holds the store to the Store contract, as every store.
func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) (longrun.Store, func(time.Duration)) {
		clock := storetest.NewClock()
		return open(t, clock.Now), clock.Advance
	})
}

// TestContract_RunningClock does so with a clock that runs and is moved by an
// offset, as a database's would be.
func TestContract_RunningClock(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) (longrun.Store, func(time.Duration)) {
		var offset atomic.Int64
		now := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
		return open(t, now), func(d time.Duration) { offset.Add(int64(d)) }
	})
}

// open returns a store that the test closes at its end.
func open(t *testing.T, now func() time.Time) *inmem.Store {
	s := inmem.NewWithOptions(inmem.Options{Now: now})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func create(t *testing.T, s *inmem.Store) *longrun.Operation {
	t.Helper()
	op, err := s.Create(t.Context(), longrun.NewOperation{Operation: &longrun.Operation{ID: longrun.NewID(), Method: "work"}})
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	return op
}

// ORD-02: lists show the order of starts, also of those in the same instant.
func TestCreate_TimesStrictlyIncrease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the bubble's clock stands still
		s := open(t, nil)
		var last time.Time
		for range 100 {
			op := create(t, s)
			if !op.CreateTime.After(last) {
				t.Fatalf("CreateTime = %v, want after %v", op.CreateTime, last)
			}
			last = op.CreateTime
		}
	})
}

// The store's clock does not go back where the machine's does.
func TestNow_NeverBack(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	s := open(t, clock.Now)
	first := create(t, s)
	clock.Advance(-time.Hour)
	if got := create(t, s).CreateTime; !got.After(first.CreateTime) {
		t.Errorf("CreateTime = %v, want after %v", got, first.CreateTime)
	}
	b, err := s.Beat(t.Context(), longrun.Session{ID: longrun.NewSessionID(), Open: true, TTL: time.Minute})
	if err != nil || b.Time.Before(first.CreateTime) {
		t.Errorf("Beat.Time = %v, %v; want not before %v", b.Time, err, first.CreateTime)
	}
}

func TestWrite_GetsTx(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	n := longrun.NewOperation{
		Operation: &longrun.Operation{ID: longrun.NewID(), Method: "work"},
		Write: func(_ context.Context, tx any) error {
			if _, ok := tx.(*inmem.Tx); !ok {
				t.Errorf("Write got a %T, want a *inmem.Tx", tx)
			}
			return nil
		},
	}
	if _, err := s.Create(t.Context(), n); err != nil {
		t.Errorf("Create: %v", err)
	}
}

// The first hint says that the watch has begun; a slow watcher gets the rest in
// one, and a very slow one is told that anything may have changed.
func TestWatch_Coalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var hints []longrun.Hint
		done := make(chan error)
		go func() {
			done <- s.Watch(ctx, func(h longrun.Hint) {
				hints = append(hints, h)
				time.Sleep(time.Hour) // slow, which f must not be
			})
		}()
		synctest.Wait()
		create(t, s)
		second := create(t, s)
		time.Sleep(time.Hour)
		synctest.Wait()
		for range 2000 {
			create(t, s)
		}
		time.Sleep(3 * time.Hour)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch = %v, want context.Canceled", err)
		}
		if len(hints) != 3 || !hints[0].All || hints[1].All || !hints[2].All {
			t.Fatalf("hints = %v, want all, two ids, all", hints)
		}
		if h := hints[1]; len(h.IDs) != 2 || h.IDs[1] != second.ID || !slices.Equal(h.Ready, []string{"work"}) {
			t.Errorf("second hint = %v, want two ids and one method", h)
		}
	})
}

// A caller that has gone before its call began is told so; nothing happened.
func TestContext_Ended(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Create(ctx, longrun.NewOperation{Operation: &longrun.Operation{ID: longrun.NewID(), Method: "work"}})
	if longrun.CodeOf(err) != codes.Unavailable || longrun.IsUnknown(err) {
		t.Errorf("Create = %v, want Unavailable", err)
	}
}

func Example() {
	ctx := context.Background()
	store := inmem.New()
	defer store.Close()

	op, err := store.Create(ctx, longrun.NewOperation{Operation: &longrun.Operation{ID: longrun.NewID(), Method: "resize-image"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(op.State, op.Revision)

	again, err := store.Get(ctx, op.ID, longrun.NewID())
	fmt.Println(again[0].Method, again[1] == nil, err)
	// Output:
	// PENDING 1
	// resize-image true <nil>
}
