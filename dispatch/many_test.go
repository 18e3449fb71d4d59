package dispatch_test

import (
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// many is how many operations a worker holds in these tests.
const many = 500

// hold starts so many operations and acquires them all.
func (x *system) hold(session string, n int) (held []*longrunpb.AcquiredOperation, calls int64) {
	x.t.Helper()
	for range n {
		x.start(resize)
	}
	for len(held) < n {
		calls++
		got := x.acquire(session, calls, 100)
		if len(got) == 0 {
			x.t.Fatalf("call %d gave nothing, with %d of %d operations acquired", calls, len(held), n)
		}
		held = append(held, got...)
	}
	return held, calls
}

// One beat for each third of a TTL keeps 500 operations: neither the worker nor the
// store does anything for a single one.
func TestBeat_ManyOperations(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		held, calls := x.hold(session, many)
		// The first beat of all begins the watch of the store, whose first hint is "anything".
		if _, err := x.BeatSession(x.ctx, longBeat(session, calls, held...)); err != nil {
			x.t.Fatal(err)
		}
		before, all := x.store.beats.Load(), x.store.calls.Load()
		const ttls = 20
		sent := 0
		for end := time.Now().Add(ttls * longrun.DefaultSessionTTL); time.Now().Before(end); sent++ {
			r, err := x.BeatSession(x.ctx, longBeat(session, calls, held...))
			if err != nil || len(r.GetStop()) != 0 {
				x.t.Fatalf("BeatSession = %v, %v; want nothing to stop", r.GetStop(), err)
			}
		}
		const want = 3 * ttls
		if beats := x.store.beats.Load() - before; sent != want || beats != want {
			x.t.Errorf("%d beats were sent, %d written in %d TTLs, want %d", sent, beats, ttls, want)
		}
		if others := x.store.calls.Load() - all - int64(sent); others != 0 {
			x.t.Errorf("%d other calls of the store, want 0", others)
		}
		x.wantState(x.name(held[many-1].GetOperation()), longrun.Running, 0)
		for _, op := range held {
			x.finish(succeed(session, op))
		}
	})
}

// A worker that is silent for its TTL loses all that it holds, and one sweep after
// another makes them ready again: each is acquired once, as attempt 2.
func TestSession_SilentWithManyOperations(t *testing.T) {
	bubble(t, func(x *system) {
		silent := x.open()
		first, _ := x.hold(silent, many)
		for range 4 {
			x.sweepFor(10 * time.Second)
		}
		other := x.open()
		again := map[string]bool{}
		for call := int64(1); len(again) < many && call < 100; call++ {
			for _, op := range x.acquire(other, call, 100) {
				if op.GetAttempt() != 2 || again[op.GetOperation()] {
					x.t.Errorf("%s, attempt %d, again: %v; want attempt 2 once", op.GetOperation(), op.GetAttempt(), again[op.GetOperation()])
				}
				again[op.GetOperation()] = true
			}
			x.sweepFor(time.Second)
		}
		if len(again) != many {
			x.t.Errorf("%d operations were taken over, want %d", len(again), many)
		}
		_, err := x.FinishOperation(x.ctx, succeed(silent, first[0]))
		wantClaimLost(x.t, err)
	})
}
