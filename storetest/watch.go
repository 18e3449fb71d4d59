package storetest

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
)

var watchContracts = []contract{
	{"watch/hints", "Watch calls f with hints: operations that may have changed, methods that may have new work", testWatchHints},
	{"watch/after-commit", "one that is given came after its commit", testWatchAfterCommit},
	{"watch/until-ctx-ends", "until ctx ends, and then returns ctx's error", testWatchUntilContextEnds},
	{"watch/one-at-a-time", "one call at a time", testWatchOneAtATime},
	{"watch/many", "every Watch gets hints of its own", testWatchMany},
}

// patience is how long tests wait for what a store may do when it likes.
const patience = time.Minute

// watch starts a Watch that passes hints on until the test ends, and waits for
// it there.
func (x subject) watch() <-chan longrun.Hint {
	ctx, cancel := context.WithCancel(context.Background())
	hints, done := make(chan longrun.Hint, 4096), make(chan error, 1)
	go func() {
		done <- x.Watch(ctx, func(h longrun.Hint) {
			select {
			case hints <- h:
			default: // f must not block, and hints may be lost
			}
		})
	}()
	x.t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			x.t.Errorf("Watch = %v, want the error of its ctx", err)
		}
	})
	return hints
}

// hinted writes, again and again since hints may be lost, until a hint says
// what is looked for.
func (x subject) hinted(what string, hints <-chan longrun.Hint, write func() longrun.ID, found func(longrun.Hint, longrun.ID) bool) {
	x.t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		id := write()
		wait := time.After(100 * time.Millisecond)
		for waiting := true; waiting; {
			select {
			case h := <-hints:
				if h.All || found(h, id) {
					return
				}
			case <-wait:
				waiting = false
			}
		}
	}
	x.t.Errorf("%s: no hint in %v, want one now and then", what, patience)
}

func hasID(h longrun.Hint, id longrun.ID) bool { return slices.Contains(h.IDs, id) }

func testWatchHints(_ *testing.T, x subject) {
	hints := x.watch()
	s := x.sessionFor(time.Hour)
	ready := func(h longrun.Hint, _ longrun.ID) bool { return slices.Contains(h.Ready, work) }
	x.hinted("a new operation", hints, func() longrun.ID { return x.start().ID }, ready)
	x.hinted("a cancel", hints, func() longrun.ID { return x.cancel(x.startIn(s).ID).ID }, hasID)
	x.hinted("the end of a run", hints, func() longrun.ID { return x.succeed(x.startIn(s)).ID }, hasID)
	x.hinted("a delete", hints, func() longrun.ID { return x.hide(x.startIn(s).ID).ID }, hasID)
	x.hinted("a retry", hints, func() longrun.ID {
		return x.endRun(x.startIn(s), longrun.RunEnd{Kind: longrun.RunReleased}).ID
	}, ready)
	x.hinted("a promotion", hints, func() longrun.ID {
		op := keyed(longrun.NewID().String(), longrun.Queue)
		op.Claim.Session = s
		holder := x.create(op)
		x.create(keyed(op.ConflictKey, longrun.Queue))
		return x.succeed(holder).ID
	}, ready)
}

func testWatchAfterCommit(t *testing.T, x subject) {
	hints := x.watch()
	s := x.sessionFor(time.Hour)
	written := make(chan error, 1)
	go func() {
		for range 100 {
			op := newOp()
			op.Claim.Session = s
			if _, err := x.Create(t.Context(), longrun.NewOperation{Operation: op}); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	for done := false; !done; {
		select {
		case h := <-hints:
			for _, id := range h.IDs {
				if x.find(id) == nil {
					t.Errorf("a hint named %v before it could be read", id)
				}
			}
		case err := <-written:
			if done = true; err != nil {
				t.Errorf("Create: %v", err)
			}
		}
	}
}

func testWatchUntilContextEnds(t *testing.T, x subject) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := x.Watch(ctx, func(longrun.Hint) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("Watch with a ctx that has ended = %v, want its error", err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer stop()
	if err := x.Watch(ctx, func(longrun.Hint) {}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Watch = %v, want the error of its ctx", err)
	}
	x.start() // the store goes on
}

func testWatchOneAtATime(t *testing.T, x subject) {
	ctx, cancel := context.WithCancel(t.Context())
	var inside, calls atomic.Int32
	done := make(chan error, 1)
	go func() {
		done <- x.Watch(ctx, func(longrun.Hint) {
			if calls.Add(1); inside.Add(1) > 1 {
				t.Error("f was called while it was at work")
			}
			time.Sleep(time.Millisecond)
			inside.Add(-1)
		})
	}()
	for range 50 {
		x.start()
	}
	cancel()
	<-done
	before := calls.Load()
	x.start()
	if got := calls.Load(); got != before {
		t.Errorf("f was called %d times after Watch had returned", got-before)
	}
}

func testWatchMany(_ *testing.T, x subject) {
	first, second := x.watch(), x.watch()
	start := func() longrun.ID { return x.start().ID }
	x.hinted("the first", first, start, hasID)
	x.hinted("the second", second, start, hasID)
}
