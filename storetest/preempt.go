package storetest

import (
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
)

var preemptContracts = []contract{
	{"preempt/pending", "Preempt applies Operation.Preempt to every unfinished operation of the key (PAR-05)", testPreemptPending},
	{"preempt/running", "and stores it waiting if one of them still runs (CAN-14)", testPreemptRunning},
	{"preempt/between-runs", "Preempt ends a holder that is between two runs", testPreemptBetweenRuns},
	{"preempt/twice", "Preempt applies to those that wait for a preempted run, too", testPreemptTwice},
	{"preempt/hidden", "Preempt applies Operation.Preempt to every unfinished operation of the key, hidden or not", testPreemptHidden},
	{"preempt/free", "Preempt without a holder is an ordinary start", testPreemptFree},
}

// preempted checks that the operation has ended ABORTED, not by a run.
func (x subject) preempted(what string, was *longrun.Operation) {
	x.t.Helper()
	got := x.get(was.ID)
	x.same(what, got, was.Preempt(got.UpdateTime))
	if got.State != longrun.Failed || codes.Code(got.Error.GetCode()) != codes.Aborted {
		x.t.Errorf("%s: State, Error = %v, %v; want FAILED with ABORTED", what, got.State, got.Error)
	}
}

func testPreemptPending(_ *testing.T, x subject) {
	holder := x.create(keyed("key", longrun.Queue))
	waiting := x.create(keyed("key", longrun.Queue))
	bystander := x.create(keyed("another key", longrun.Queue))
	op := keyed("key", longrun.Preempt)
	got := x.create(op)
	x.same("Create that preempts", got, op.Stored(got.CreateTime, false))
	x.preempted("the holder, which had no claim", holder)
	x.preempted("the one that waited", waiting)
	x.same("the holder of another key", x.get(bystander.ID), bystander)
	x.order("Claim", x.claim(x.session(), 10), bystander, got)
}

func testPreemptRunning(t *testing.T, x subject) {
	x.create(keyed("key", longrun.Queue))
	holder := x.claimOne(x.session())
	waiting := x.create(keyed("key", longrun.Queue))
	op := keyed("key", longrun.Preempt)
	got := x.create(op)
	x.same("Create that preempts a run", got, op.Stored(got.CreateTime, true))
	marked := x.get(holder.ID)
	x.same("the holder, which runs", marked, holder.Preempt(marked.UpdateTime))
	x.preempted("the one that waited", waiting)
	x.waits("while the preempted run goes on", got.ID)

	if ended := x.succeed(holder); codes.Code(ended.Error.GetCode()) != codes.Aborted {
		t.Errorf("the preempted run ended %v, %v; want ABORTED whatever it returned", ended.State, ended.Error)
	}
	x.ready("when the preempted run has ended", got.ID)
}

func testPreemptBetweenRuns(_ *testing.T, x subject) {
	x.create(keyed("key", longrun.Queue))
	holder := x.endRun(x.claimOne(x.session()), retryable())
	op := x.create(keyed("key", longrun.Preempt))
	x.preempted("the holder, which waited for its second run", holder)
	x.ready("the newer one", op.ID)
	x.advance(time.Hour)
	x.order("Claim", x.claim(x.session(), 10), op)
}

func testPreemptTwice(_ *testing.T, x subject) {
	x.create(keyed("key", longrun.Queue))
	holder := x.claimOne(x.session())
	second := x.create(keyed("key", longrun.Preempt))
	marked := x.get(holder.ID)
	third := x.create(keyed("key", longrun.Preempt))
	x.same("the holder, preempted already", x.get(holder.ID), marked)
	x.preempted("the second, which waited", second)
	fourth := x.create(keyed("key", longrun.Queue))
	x.succeed(holder)
	x.ready("the third", third.ID)
	x.waits("the fourth", fourth.ID)
}

func testPreemptHidden(_ *testing.T, x subject) {
	holder := x.create(keyed("key", longrun.Queue))
	waiting := x.create(keyed("key", longrun.Queue))
	for _, op := range []*longrun.Operation{holder, waiting} {
		hidden := x.hide(op.ID)
		*op = *hidden
	}
	op := x.create(keyed("key", longrun.Preempt))
	for _, old := range []*longrun.Operation{holder, waiting} {
		got := x.get(old.ID)
		x.same("a hidden one", got, old.Preempt(got.UpdateTime))
	}
	x.ready("the newer one", op.ID)
}

func testPreemptFree(_ *testing.T, x subject) {
	first := x.create(keyed("key", longrun.Preempt))
	x.ready("a first operation", first.ID)
	x.succeed(x.claimOne(x.session()))
	x.ready("one after its end", x.create(keyed("key", longrun.Preempt)).ID)
}
