package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
)

var claimContracts = []contract{
	{"claim/by", "Claim gives operations each changed by Operation.ClaimBy", testClaimBy},
	{"claim/empty", "It returns none, and no error, when nothing is ready", testClaimEmpty},
	{"claim/oldest-first", "oldest ready time first", testClaimOldestFirst},
	{"claim/methods", "ready operations of each wanted method, up to N", testClaimMethods},
	{"claim/not-ready", "ready operations: not before ReadyTime", testClaimNotReady},
	{"claim/again", "Attempt counts claims from 1 and never goes back", testClaimAgain},
	{"claim/hidden", "Hidden: its work goes on, also if it was still pending (DEL-02)", testClaimHidden},
	{"claim/next", "Next is the earliest ready time of an operation of these methods that was not ready yet; zero if there is none", testClaimNext},
	{"claim/session-lost", "A session that is not alive on record is ErrSessionLost", testClaimSessionLost},
	{"claim/overdue-session", "alive on record: also when its time is over and nobody has said so", testClaimOverdueSession},
	{"claim/many", "Want asks for up to N operations of a method: MaxClaim of them at once", testClaimMany},
}

func testClaimBy(t *testing.T, x subject) {
	s := x.session()
	op := newOp()
	op.ExecutionTimeout = time.Hour
	created := x.create(op)
	x.advance(time.Second)
	got := x.claimOne(s)
	want, err := created.ClaimBy(s, 0, got.ClaimTime)
	if err != nil {
		t.Fatalf("ClaimBy: %v", err)
	}
	x.same("Claim", got, want)
	x.same("Get after Claim", x.get(op.ID), want)
	if now := x.now(); got.ClaimTime.After(now) || got.ClaimTime.Before(created.CreateTime.Add(time.Second)) {
		t.Errorf("ClaimTime = %v, want the store's time, about %v", got.ClaimTime, now)
	}
}

func testClaimEmpty(t *testing.T, x subject) {
	s := x.session()
	done := x.start()
	x.cancel(done.ID)
	x.startIn(s)
	for _, want := range [][]longrun.Want{nil, {}, {{Method: work, N: 5}}, {{Method: other, N: 5}}, {{Method: "", N: 1}}} {
		if c := x.claimed(longrun.ClaimRequest{Session: s, Want: want}); len(c.Operations) != 0 || !c.Next.IsZero() {
			t.Errorf("Claim(%v) = %d operations, Next = %v; want none", want, len(c.Operations), c.Next)
		}
	}
}

func testClaimOldestFirst(t *testing.T, x subject) {
	s := x.session()
	var ops []*longrun.Operation
	for range 6 {
		ops = append(ops, x.start())
		x.advance(time.Millisecond)
	}
	first := x.claim(s, 2)
	x.order("the first two", first, ops[0], ops[1])
	// What is given back is ready again later than what was never claimed.
	x.endRun(first[1], longrun.RunEnd{Kind: longrun.RunReleased})
	x.advance(time.Millisecond)
	x.endRun(first[0], longrun.RunEnd{Kind: longrun.RunReleased})
	x.advance(time.Millisecond)
	x.order("the next three", x.claim(s, 3), ops[2], ops[3], ops[4])
	x.order("the rest", x.claim(s, 10), ops[5], ops[1], ops[0])
}

func testClaimMethods(t *testing.T, x subject) {
	s := x.session()
	var of = map[string][]*longrun.Operation{}
	for _, m := range []string{work, other, "third"} {
		for range 4 {
			op := newOp()
			op.Method = m
			of[m] = append(of[m], x.create(op))
			x.advance(time.Millisecond)
		}
	}
	got := x.claimed(longrun.ClaimRequest{Session: s, Want: []longrun.Want{{Method: work, N: 1}, {Method: other, N: 3}, {Method: "none", N: 9}}})
	byMethod := map[string][]*longrun.Operation{}
	for _, op := range got.Operations {
		byMethod[op.Method] = append(byMethod[op.Method], op)
	}
	x.order(work, byMethod[work], of[work][0])
	x.order(other, byMethod[other], of[other][0], of[other][1], of[other][2])
	if len(got.Operations) != 4 {
		t.Errorf("Claim gave %d operations, want 4", len(got.Operations))
	}
	if c := x.claimed(longrun.ClaimRequest{Session: s, Want: []longrun.Want{{Method: "third", N: 0}}}); len(c.Operations) != 0 {
		t.Errorf("Claim with N = 0 gave %d operations, want 0", len(c.Operations))
	}
}

func testClaimNotReady(_ *testing.T, x subject) {
	s := x.sessionFor(time.Hour)
	x.start()
	op := x.endRun(x.claimOne(s), longrun.RunEnd{Kind: longrun.RunReleased, Delay: time.Minute})
	x.order("at once", x.claim(s, 1))
	x.advance(30 * time.Second)
	x.order("half a minute later", x.claim(s, 1))
	x.advance(31 * time.Second)
	x.order("a minute later", x.claim(s, 1), op)
}

func testClaimAgain(t *testing.T, x subject) {
	s := x.sessionFor(24 * time.Hour)
	op := newOp()
	op.ExecutionTimeout = 24 * time.Hour
	x.create(op)
	first := x.claimOne(s)
	for attempt := int64(2); attempt < 6; attempt++ {
		released := x.endRun(x.get(op.ID), retryable())
		x.advance(time.Hour)
		got := x.claimOne(s)
		want, err := released.ClaimBy(s, 0, got.ClaimTime)
		if err != nil {
			t.Fatalf("ClaimBy: %v", err)
		}
		x.same("Claim", got, want)
		if got.Claim.Attempt != attempt || !got.StartTime.Equal(first.StartTime) || !got.DeadlineTime.Equal(first.DeadlineTime) {
			t.Errorf("Attempt, StartTime, DeadlineTime = %d, %v, %v; want %d and those of the first claim", got.Claim.Attempt, got.StartTime, got.DeadlineTime, attempt)
		}
	}
}

func testClaimHidden(_ *testing.T, x subject) {
	op := x.start()
	x.hide(op.ID)
	x.order("Claim of a hidden operation", x.claim(x.session(), 1), op)
}

func testClaimNext(t *testing.T, x subject) {
	s := x.sessionFor(24 * time.Hour)
	want := []longrun.Want{{Method: work, N: 10}}
	a, b := x.startIn(s), x.startIn(s)
	elsewhere := newOp()
	elsewhere.Method, elsewhere.Claim.Session = other, s
	c := x.create(elsewhere)
	x.create(keyed("key", longrun.Queue))
	x.claimOne(s)
	x.create(keyed("key", longrun.Queue)) // waits: it has no ready time

	x.endRun(c, longrun.RunEnd{Kind: longrun.RunReleased, Delay: time.Minute})
	if c := x.claimed(longrun.ClaimRequest{Session: s, Want: want}); !c.Next.IsZero() {
		t.Errorf("Next = %v, want zero: nothing of these methods has a ready time", c.Next)
	}
	b = x.endRun(b, longrun.RunEnd{Kind: longrun.RunReleased, Delay: 2 * time.Hour})
	a = x.endRun(a, longrun.RunEnd{Kind: longrun.RunReleased, Delay: time.Hour})
	if c := x.claimed(longrun.ClaimRequest{Session: s, Want: want}); !c.Next.Equal(a.ReadyTime) {
		t.Errorf("Next = %v, want %v, the earlier of two", c.Next, a.ReadyTime)
	}
	x.advance(time.Hour + time.Minute)
	if c := x.claimed(longrun.ClaimRequest{Session: s, Want: want}); len(c.Operations) != 1 || !c.Next.Equal(b.ReadyTime) {
		t.Errorf("Claim = %d operations, Next = %v; want 1 and %v", len(c.Operations), c.Next, b.ReadyTime)
	}
}

func testClaimSessionLost(t *testing.T, x subject) {
	dead, ended := x.session(), x.session()
	x.closeSession(ended)
	x.kill(dead)
	op := x.start()
	for what, s := range map[string]longrun.SessionID{"dead": dead, "ended": ended, "unknown": longrun.NewSessionID()} {
		c, err := x.Claim(t.Context(), longrun.ClaimRequest{Session: s, Want: []longrun.Want{{Method: work, N: 1}}})
		if !errors.Is(err, longrun.ErrSessionLost) || len(c.Operations) != 0 {
			t.Errorf("Claim by a session that is %s: %d operations, %v; want ErrSessionLost", what, len(c.Operations), err)
		}
	}
	x.same("the operation that was ready", x.get(op.ID), op)
}

func testClaimOverdueSession(_ *testing.T, x subject) {
	s := x.session()
	x.advance(time.Hour)
	op := x.start()
	x.order("Claim by a session that did not beat for an hour", x.claim(s, 1), op)
}

func testClaimMany(t *testing.T, x subject) {
	const n = 120
	for range n {
		x.start()
	}
	s := x.session()
	if got := len(x.claim(s, longrun.MaxClaim)); got != n {
		t.Errorf("Claim gave %d operations, want %d", got, n)
	}
	if got := len(x.list(longrun.Query{Session: s}).Operations); got != n {
		t.Errorf("List by session gave %d operations, want %d", got, n)
	}
}
