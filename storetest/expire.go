package storetest

import (
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
)

var expireContracts = []contract{
	{"expire/unfinished", "Expire removes done operations: unfinished ones never expire (EXP-02)", testExpireUnfinished},
	{"expire/past", "past ExpireTime, and never before it (EXP-03)", testExpirePast},
	{"expire/young", "One that was created less than EmptiedRetention ago is emptied (Operation.Empty) instead of removed", testExpireYoung},
	{"expire/emptied", "so that a late Create cannot bring it back (DEL-08, DEL-09, EXP-04)", testExpireEmptied},
	{"expire/deleted", "a deleted operation's row stays for EmptiedRetention after its end", testExpireDeleted},
	{"expire/limit", "Expire removes up to n and returns how many operations it dealt with", testExpireLimit},
	{"expire/request-id", "a removed operation frees its request id (IDM-05)", testExpireRequestID},
	{"expire/sessions", "forgets sessions that are not alive: not one that is", testExpireSessions},
	{"expire/sessions-with-claims", "forgets sessions that hold no claim: not one that does", testExpireSessionsWithClaims},
}

// doneOp returns a done operation that is kept for so long.
func (x subject) doneOp(retention time.Duration) *longrun.Operation {
	x.t.Helper()
	op := newOp()
	op.Retention = retention
	x.create(op)
	return x.cancel(op.ID)
}

// dealt checks what Expire returns.
func (x subject) dealt(what string, want int) {
	x.t.Helper()
	if got := x.expire(); got != want {
		x.t.Errorf("%s: Expire dealt with %d operations, want %d", what, got, want)
	}
}

func testExpireUnfinished(_ *testing.T, x subject) {
	s := x.session()
	pending, waiting := newOp(), keyed("key", longrun.Queue)
	for _, op := range []*longrun.Operation{keyed("key", longrun.Queue), pending, waiting} {
		op.Retention = time.Second
		x.create(op)
	}
	running := x.startIn(s)
	x.advance(365 * 24 * time.Hour)
	x.dealt("a year later", 0)
	for _, op := range []*longrun.Operation{pending, waiting, running} {
		x.get(op.ID)
	}
}

func testExpirePast(t *testing.T, x subject) {
	op := x.doneOp(48 * time.Hour)
	x.dealt("at once", 0)
	x.advance(48*time.Hour - time.Minute)
	x.dealt("a minute before", 0)
	x.same("Get a minute before", x.get(op.ID), op)
	x.advance(2 * time.Minute)
	x.dealt("a minute after", 1)
	if got := x.find(op.ID); got != nil {
		t.Errorf("Get a minute after = %v, want nil", got.State)
	}
	x.order("List", x.list(longrun.Query{Parent: "-", Limit: 10}).Operations)
	x.dealt("again", 0)
}

func testExpireYoung(_ *testing.T, x subject) {
	op := x.doneOp(time.Hour)
	x.advance(2 * time.Hour)
	x.dealt("two hours later", 1)
	got := x.get(op.ID)
	x.same("Get", got, op.Empty(got.UpdateTime))
	x.order("List", x.list(longrun.Query{Parent: "-", Limit: 10}).Operations)
	x.dealt("again", 0)
	x.advance(longrun.EmptiedRetention + time.Minute)
	x.dealt("when the emptied row is old", 1)
	if x.find(op.ID) != nil {
		x.t.Error("the emptied row is still there")
	}
}

func testExpireEmptied(_ *testing.T, x subject) {
	op := withRequest(requestA)
	op.Retention = time.Hour
	x.create(op)
	x.cancel(op.ID)
	x.advance(2 * time.Hour)
	x.dealt("two hours later", 1)
	stored := x.get(op.ID)
	x.same("a late Create", x.create(op), stored)
	x.order("Claim", x.claim(x.session(), 10))
}

func testExpireDeleted(_ *testing.T, x subject) {
	op := newOp()
	op.Claim.Session = x.sessionFor(1000 * time.Hour)
	running := x.create(op)
	x.hide(op.ID)
	x.advance(72 * time.Hour)
	x.dealt("while its work goes on", 0)
	x.succeed(running)
	x.dealt("at its end", 0)
	x.advance(longrun.EmptiedRetention - time.Minute)
	x.dealt("almost a day after its end", 0)
	x.get(op.ID)
	x.advance(2 * time.Minute)
	x.dealt("a day after its end", 1)
	if x.find(op.ID) != nil {
		x.t.Error("the row is still there")
	}
}

func testExpireLimit(t *testing.T, x subject) {
	for range 5 {
		x.doneOp(48 * time.Hour)
	}
	kept := x.doneOp(96 * time.Hour)
	x.advance(72 * time.Hour)
	for _, want := range []int{2, 2, 1, 0} {
		got, err := x.Expire(t.Context(), 2)
		if err != nil || got != want {
			t.Errorf("Expire(2) = %d, %v; want %d", got, err, want)
		}
	}
	x.order("List", x.list(longrun.Query{Parent: "-", Limit: 10}).Operations, kept)
}

func testExpireRequestID(_ *testing.T, x subject) {
	op := withRequest(requestA)
	op.Retention = 48 * time.Hour
	x.create(op)
	done := x.cancel(op.ID)
	x.advance(24 * time.Hour)
	x.refused(withRequest(requestA), done)
	x.advance(25 * time.Hour)
	x.dealt("past ExpireTime", 1)
	again := x.create(withRequest(requestA))
	x.order("List", x.list(longrun.Query{Parent: "-", Limit: 10}).Operations, again)
}

func testExpireSessions(_ *testing.T, x subject) {
	alive, ended := x.session(), x.session()
	x.closeSession(ended)
	x.advance(72 * time.Hour)
	x.dealt("three days later", 0)
	x.renew(alive) // nobody has marked it
	x.lost(ended)
}

func testExpireSessionsWithClaims(_ *testing.T, x subject) {
	s := x.session()
	op := x.startIn(s)
	x.closeSession(s)
	x.advance(72 * time.Hour)
	x.expire()
	x.lostForEver(s)
	x.overdue("three days later", longrun.Contact{}, true, op)
	x.succeed(op)
}
