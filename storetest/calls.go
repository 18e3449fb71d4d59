package storetest

import (
	"testing"

	"github.com/longrun-dev/longrun"
)

var callContracts = []contract{
	{"call/kept", "Call numbers the calls of a remote session; it is kept with the claim", testCallKept},
	{"call/again", "The same number again returns what it has claimed and is still claimed under it, and claims no more", testCallAgain},
	{"call/empty", "A call that has claimed nothing may ask again", testCallEmpty},
	{"call/closed", "A number that is not above the session's Closed claims nothing and returns nothing", testCallClosed},
	{"call/others", "The same number of another session is another call", testCallOthers},
}

// remote opens a session of a remote worker.
func (x subject) remote() longrun.SessionID {
	x.t.Helper()
	id := longrun.NewSessionID()
	x.beat(longrun.Session{ID: id, Worker: "remote", Remote: true, Open: true, TTL: sessionTTL})
	return id
}

// call makes a numbered call of Claim.
func (x subject) call(s longrun.SessionID, call int64, n int) []*longrun.Operation {
	x.t.Helper()
	return x.claimed(longrun.ClaimRequest{Session: s, Call: call, Want: []longrun.Want{{Method: work, N: n}}}).Operations
}

// callFor makes a numbered call that must give n operations.
func (x subject) callFor(s longrun.SessionID, call int64, n int) []*longrun.Operation {
	x.t.Helper()
	ops := x.call(s, call, n)
	if len(ops) != n {
		x.t.Fatalf("call %d of Claim gave %d operations, want %d", call, len(ops), n)
	}
	return ops
}

// closeCalls beats, closes calls up to this one and names what is held.
func (x subject) closeCalls(s longrun.SessionID, closed int64, named ...*longrun.Operation) []longrun.Stop {
	x.t.Helper()
	b := longrun.Session{ID: s, Remote: true, TTL: sessionTTL, Closed: closed}
	for _, op := range named {
		b.Held = append(b.Held, held(op))
	}
	return x.beat(b).Stop
}

func testCallKept(t *testing.T, x subject) {
	s := x.remote()
	op := x.start()
	got := x.callFor(s, 3, 1)
	want, _ := op.ClaimBy(s, 3, got[0].ClaimTime)
	x.same("Claim", got[0], want)
	x.same("Get after it", x.get(op.ID), want)
	if want.Claim.Call != 3 {
		t.Errorf("Call = %d, want 3", want.Claim.Call)
	}
}

func testCallAgain(_ *testing.T, x subject) {
	s := x.remote()
	for range 5 {
		x.start()
	}
	first := x.callFor(s, 1, 2)
	second := x.callFor(s, 2, 1)
	x.order("call 1 again", x.call(s, 1, 2), first...)
	x.order("call 1 again, for more", x.call(s, 1, 100), first...)
	x.order("call 2 again", x.call(s, 2, 1), second...)
	x.same("what call 2 returned again", x.callFor(s, 2, 1)[0], second[0])
	x.succeed(first[0])
	x.order("call 1 again, when one of its two has ended", x.call(s, 1, 2), first[1])
}

func testCallEmpty(_ *testing.T, x subject) {
	s := x.remote()
	x.order("call 1 when nothing is ready", x.call(s, 1, 1))
	op := x.start()
	x.order("call 1 when something is ready", x.call(s, 1, 1), op)
}

func testCallClosed(_ *testing.T, x subject) {
	s := x.remote()
	op, ready := x.start(), x.start()
	named := x.callFor(s, 2, 1)
	x.closeCalls(s, 2, named...)
	x.order("a closed call that has claimed", x.call(s, 2, 1))
	x.order("a closed call that never came", x.call(s, 1, 1))
	x.order("what is named is held", x.list(longrun.Query{Session: s}).Operations, op)
	x.order("an open call", x.call(s, 3, 1), ready)
	x.closeCalls(s, 1, named[0], x.get(ready.ID))
	x.order("Closed never goes back", x.call(s, 2, 1))
}

func testCallOthers(_ *testing.T, x subject) {
	mine, yours := x.remote(), x.remote()
	a, b := x.start(), x.start()
	x.order("my call 1", x.call(mine, 1, 1), a)
	x.order("your call 1", x.call(yours, 1, 1), b)
	x.closeCalls(mine, 9, x.get(a.ID))
	x.order("your call 1 again", x.call(yours, 1, 1), b)
}
