package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
)

var keyContracts = []contract{
	{"keys/free", "No key, no conflict; keys do not know each other", testKeysFree},
	{"keys/queue", "Queue stores it waiting", testKeysQueue},
	{"keys/everywhere", "ConflictKey is held: whatever the parent and the method of the holder", testKeysEverywhere},
	{"keys/fifo", "the oldest operation that waits for the key is made ready (PAR-04)", testKeysFIFO},
	{"keys/ends", "if it held a conflict key, the oldest that waits is made ready, whatever ended it (PAR-06)", testKeysEnds},
	{"keys/release-that-ends", "In the same commit as an end by Beat, the oldest that waits is made ready", testKeysReleaseThatEnds},
	{"keys/waiting-ends", "an ended operation passes on the key only if it held it", testKeysWaitingEnds},
	{"keys/retry", "no two operations with the same key are claimed at a time: a holder between two runs keeps it", testKeysRetry},
	{"keys/hidden", "hidden holders keep their key, and hidden ones that wait get it", testKeysHidden},
	{"keys/reject", "Reject is an *Error with code Aborted and reason CONCURRENT_OPERATION (PAR-02, PAR-03)", testKeysReject},
	{"keys/claimed-at-once", "a new operation whose key is free may be claimed by the Create that stores it", testKeysClaimedAtOnce},
}

// ready checks that op may be claimed, and waits that it waits for its key.
func (x subject) ready(what string, id longrun.ID) {
	x.t.Helper()
	if op := x.get(id); op.State != longrun.Pending || op.ReadyTime.IsZero() {
		x.t.Errorf("%s: State, ReadyTime = %v, %v; want PENDING and ready", what, op.State, op.ReadyTime)
	}
}

func (x subject) waits(what string, id longrun.ID) {
	x.t.Helper()
	if op := x.get(id); op.State != longrun.Pending || !op.ReadyTime.IsZero() {
		x.t.Errorf("%s: State, ReadyTime = %v, %v; want PENDING and waiting", what, op.State, op.ReadyTime)
	}
}

func testKeysFree(_ *testing.T, x subject) {
	for _, key := range []string{"", "", "a", "b", "A", "a ", "\u00e4"} {
		op := x.create(keyed(key, longrun.Reject))
		x.ready("operation with key "+key, op.ID)
	}
}

func testKeysQueue(t *testing.T, x subject) {
	holder := x.create(keyed("key", longrun.Queue))
	op := keyed("key", longrun.Queue)
	waiting := x.create(op)
	x.same("Create behind a holder", waiting, op.Stored(waiting.CreateTime, true))
	x.same("Get of it", x.get(op.ID), waiting)
	x.advance(time.Hour)
	s := x.session()
	x.order("Claim", x.claim(s, 10), holder)
	x.order("Claim again", x.claim(s, 10))
}

func testKeysEverywhere(_ *testing.T, x subject) {
	x.create(keyed("key", longrun.Queue))
	op := keyed("key", longrun.Queue)
	op.Parent, op.Method = "projects/elsewhere", other
	x.create(op)
	x.waits("operation of another parent and method", op.ID)
}

func testKeysFIFO(_ *testing.T, x subject) {
	s := x.session()
	holder := x.create(keyed("key", longrun.Queue))
	second, third := x.create(keyed("key", longrun.Queue)), x.create(keyed("key", longrun.Queue))
	x.order("Claim", x.claim(s, 10), holder)
	x.advance(time.Second)
	x.succeed(x.get(holder.ID))

	promoted := x.get(second.ID)
	x.same("the oldest that waits", promoted, second.MakeReady(promoted.ReadyTime))
	x.waits("the youngest", third.ID)
	x.order("Claim", x.claim(s, 10), second)
	x.succeed(x.get(second.ID))
	x.order("Claim", x.claim(s, 10), third)
	x.succeed(x.get(third.ID))
	x.ready("one that comes when all are done", x.create(keyed("key", longrun.Reject)).ID)
}

func testKeysEnds(t *testing.T, x subject) {
	deadline := func(op *longrun.Operation) { op.ExecutionTimeout = time.Second }
	for _, tt := range []struct {
		what string
		edit func(*longrun.Operation)
		end  func(op *longrun.Operation)
	}{
		{"success", nil, func(op *longrun.Operation) { x.succeed(op) }},
		{"error", func(op *longrun.Operation) { op.MaxFailures = 1 }, func(op *longrun.Operation) { x.endRun(op, retryable()) }},
		{"lost run", func(op *longrun.Operation) { op.AtMostOnce = true }, func(op *longrun.Operation) {
			x.endRun(op, longrun.RunEnd{Kind: longrun.RunLost})
		}},
		{"cancel", nil, func(op *longrun.Operation) {
			x.cancel(op.ID)
			x.endRun(op, longrun.RunEnd{Kind: longrun.RunReleased})
		}},
		{"cancel between two runs", nil, func(op *longrun.Operation) {
			x.endRun(op, retryable())
			x.cancel(op.ID)
		}},
		{"deadline", deadline, func(op *longrun.Operation) {
			x.advance(time.Minute)
			x.update(op.ID, (*longrun.Operation).PassDeadline)
		}},
	} {
		holder := keyed(tt.what, longrun.Queue)
		if tt.edit != nil {
			tt.edit(holder)
		}
		x.create(holder)
		waiting := x.create(keyed(tt.what, longrun.Queue))
		waiting2 := x.create(keyed(tt.what, longrun.Queue))
		tt.end(x.claimOne(x.session()))
		if got := x.get(holder.ID); !got.State.Done() {
			t.Fatalf("%s: State = %v, want a final one", tt.what, got.State)
		}
		x.ready("after "+tt.what, waiting.ID)
		x.waits("after "+tt.what, waiting2.ID)
		x.cancel(waiting2.ID)
		x.cancel(waiting.ID)
	}
}

func testKeysReleaseThatEnds(_ *testing.T, x subject) {
	s := x.session()
	x.create(keyed("key", longrun.Queue))
	waiting := x.create(keyed("key", longrun.Queue))
	x.cancel(x.callFor(s, 1, 1)[0].ID)
	x.waits("before the release", waiting.ID)
	x.beat(longrun.Session{ID: s, TTL: sessionTTL, Closed: 1})
	x.ready("after a release that ended the holder", waiting.ID)
}

func testKeysWaitingEnds(_ *testing.T, x subject) {
	x.create(keyed("key", longrun.Queue))
	second, third := x.create(keyed("key", longrun.Queue)), x.create(keyed("key", longrun.Queue))
	x.cancel(second.ID)
	x.waits("after another that waited has ended", third.ID)
	x.succeed(x.claimOne(x.session()))
	x.ready("after the holder has ended", third.ID)
}

func testKeysRetry(_ *testing.T, x subject) {
	s := x.session()
	holder := x.create(keyed("key", longrun.Queue))
	waiting := x.create(keyed("key", longrun.Queue))
	for _, e := range []longrun.RunEnd{retryable(), {Kind: longrun.RunReleased}, {Kind: longrun.RunLost}} {
		x.endRun(x.claimOne(s), e)
		x.waits("while the holder is between two runs", waiting.ID)
		x.advance(time.Second * 10)
		x.renew(s)
	}
	x.order("Claim", x.claim(s, 10), holder)
}

func testKeysHidden(_ *testing.T, x subject) {
	s := x.session()
	holder := x.create(keyed("key", longrun.Queue))
	second, third := x.create(keyed("key", longrun.Queue)), x.create(keyed("key", longrun.Queue))
	x.hide(holder.ID)
	x.hide(second.ID)
	x.waits("while the hidden holder is pending", second.ID)
	running := x.claimOne(s)
	x.waits("while the hidden holder runs", second.ID)
	x.succeed(running)
	x.ready("a hidden one, when the holder has ended", second.ID)
	x.waits("while a hidden one has the key", third.ID)
	x.succeed(x.claimOne(s))
	x.ready("when the hidden one has ended", third.ID)
}

func testKeysReject(t *testing.T, x subject) {
	s := x.session()
	holder := x.create(keyed("key", longrun.Queue))
	op := keyed("key", longrun.Reject)
	rejected := func(what string) {
		t.Helper()
		_, err := x.Create(t.Context(), longrun.NewOperation{Operation: op})
		e, ok := errors.AsType[*longrun.Error](err)
		if !ok || e.Code != codes.Aborted || e.Reason != longrun.ReasonConcurrentOperation {
			t.Errorf("Create while the holder is %s: %v, want Aborted, CONCURRENT_OPERATION", what, err)
		}
		if x.find(op.ID) != nil {
			t.Errorf("Create while the holder is %s stored the operation", what)
		}
	}
	rejected("pending")
	running := x.claimOne(s)
	rejected("running")
	x.hide(holder.ID)
	rejected("hidden")
	x.succeed(running)
	x.same("Create when the holder has ended", x.create(op), x.get(op.ID))
	x.ready("Create when the holder has ended", op.ID)
}

func testKeysClaimedAtOnce(t *testing.T, x subject) {
	s := x.session()
	op := keyed("key", longrun.Queue)
	op.Claim.Session = s
	running := x.create(op)
	if running.State != longrun.Running {
		t.Fatalf("State = %v, want RUNNING", running.State)
	}
	waiting := x.create(keyed("key", longrun.Queue))
	x.waits("behind it", waiting.ID)
	x.succeed(running)
	x.ready("after its end", waiting.ID)
}
