package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
)

var stopContracts = []contract{
	{"stop/cancelled", "Stop names the session's claims whose run must stop, in every answer until they have ended (CAN-01)", testStopCancelled},
	{"stop/why", "Why is ErrCancelled, ErrPreempted, ErrDeadline; of two that hold, ErrPreempted, then ErrDeadline", testStopWhy},
	{"stop/claim-lost", "What of Held is not claimed by the session under this attempt comes back in Beat.Stop", testStopClaimLost},
	{"stop/hidden", "a run whose operation is deleted need not stop (DEL-02)", testStopHidden},
	{"stop/once", "a claim that must stop is named once, also when the session names it", testStopOnce},
}

// wantStops compares what a session hears, in any order.
func wantStops(t *testing.T, got []longrun.Stop, want ...longrun.Stop) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("Stop = %v, want %v", got, want)
		return
	}
	for _, w := range want {
		found := false
		for _, g := range got {
			found = found || g.Name == w.Name && g.Attempt == w.Attempt && errors.Is(g.Why, w.Why)
		}
		if !found {
			t.Errorf("Stop = %v, want %v in it", got, w)
		}
	}
}

func stopOf(op *longrun.Operation, why error) longrun.Stop {
	return longrun.Stop{Name: op.Name(), Attempt: op.Claim.Attempt, Why: why}
}

func testStopCancelled(t *testing.T, x subject) {
	s, neighbour := x.session(), x.session()
	op, healthy, theirs := x.startIn(s), x.startIn(s), x.startIn(neighbour)
	wantStops(t, x.renew(s))
	x.cancel(op.ID)
	x.cancel(theirs.ID)
	for range 3 {
		wantStops(t, x.renew(s), stopOf(op, longrun.ErrCancelled))
	}
	wantStops(t, x.renew(neighbour), stopOf(theirs, longrun.ErrCancelled))
	x.endRun(op, longrun.RunEnd{Kind: longrun.RunReleased})
	wantStops(t, x.renew(s))
	x.same("the one that is not cancelled", x.get(healthy.ID), healthy)
}

func testStopWhy(t *testing.T, x subject) {
	s := x.sessionFor(time.Hour)
	start := func(key string) *longrun.Operation {
		op := keyed(key, longrun.Queue)
		op.Claim.Session, op.ExecutionTimeout = s, time.Minute
		return x.create(op)
	}
	all, late, cancelledLate := start("a"), start("b"), start("c")
	x.create(keyed("a", longrun.Preempt))
	x.cancel(all.ID)
	x.cancel(cancelledLate.ID)
	wantStops(t, x.renew(s), stopOf(all, longrun.ErrPreempted), stopOf(cancelledLate, longrun.ErrCancelled))
	x.advance(time.Minute + time.Second)
	wantStops(t, x.renew(s),
		stopOf(all, longrun.ErrPreempted), stopOf(late, longrun.ErrDeadline), stopOf(cancelledLate, longrun.ErrDeadline))
}

func testStopClaimLost(t *testing.T, x subject) {
	s, neighbour := x.session(), x.session()
	mine, theirs, done, pending, old := x.startIn(s), x.startIn(neighbour), x.startIn(s), x.start(), x.startIn(s)
	x.succeed(done)
	x.cancel(pending.ID)
	x.endRun(old, longrun.RunEnd{Kind: longrun.RunReleased})
	again := x.claimOne(s)
	nowhere := longrun.Held{Name: longrun.Name{Parent: parent, ID: longrun.NewID()}, Attempt: 1}
	future := longrun.Held{Name: mine.Name(), Attempt: 2}

	stops := x.renew(s, held(mine), held(theirs), held(done), held(pending), held(old), held(again), nowhere, future)
	wantStops(t, stops,
		stopOf(theirs, longrun.ErrClaimLost), stopOf(done, longrun.ErrClaimLost), stopOf(pending, longrun.ErrClaimLost),
		stopOf(old, longrun.ErrClaimLost),
		longrun.Stop{Name: nowhere.Name, Attempt: 1, Why: longrun.ErrClaimLost},
		longrun.Stop{Name: future.Name, Attempt: 2, Why: longrun.ErrClaimLost})
	x.same("a claim that is held", x.get(mine.ID), mine)
	x.same("a claim of another session", x.get(theirs.ID), theirs)
}

func testStopHidden(t *testing.T, x subject) {
	s := x.session()
	op := x.startIn(s)
	x.hide(op.ID)
	wantStops(t, x.renew(s, held(op)))
	x.cancel(op.ID)
	wantStops(t, x.renew(s, held(op)), stopOf(op, longrun.ErrCancelled))
}

func testStopOnce(t *testing.T, x subject) {
	s := x.session()
	op := x.startIn(s)
	x.cancel(op.ID)
	wantStops(t, x.renew(s, held(op)), stopOf(op, longrun.ErrCancelled))
}
