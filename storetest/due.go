package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
)

var dueContracts = []contract{
	{"due/nothing", "Due returns unfinished operations that need a decision, and no other", testDueNothing},
	{"due/dead", "Due marks sessions dead by c.Dead of their last beat and TTL", testDueDead},
	{"due/contact", "The zero Contact judges nobody; a contact shorter than the TTL, or with gaps, does not judge", testDueContact},
	{"due/as-of", "its time was over at AsOf: a session whose time was over only later is not judged", testDueAsOf},
	{"due/this-commit", "judged in this commit: a beat after AsOf counts", testDueThisCommit},
	{"due/session-lost", "Running under a session that is not alive on record", testDueSessionLost},
	{"due/until-decided", "operations that need a decision are returned until somebody has decided", testDueUntilDecided},
	{"due/deadline-running", "Running past DeadlineTime + DeadlineGrace", testDueDeadlineRunning},
	{"due/deadline-pending", "Pending past DeadlineTime", testDueDeadlinePending},
	{"due/limit", "It returns up to n unfinished operations", testDueLimit},
}

// everHeard is a contact that judges every session whose time is over.
func (x subject) everHeard() longrun.Contact {
	return longrun.Contact{AsOf: x.now(), Span: 1000 * time.Hour}
}

// overdue checks that Due returns the operations want, in any order.
func (x subject) overdue(what string, c longrun.Contact, lost bool, want ...*longrun.Operation) {
	x.t.Helper()
	var got []string
	for _, d := range x.due(c) {
		got = append(got, d.Operation.ID.String())
		if d.SessionLost != lost {
			x.t.Errorf("%s: SessionLost = %v, want %v", what, d.SessionLost, lost)
		}
		x.same(what, d.Operation, x.get(d.Operation.ID))
	}
	slices.Sort(got)
	if wantIDs := slices.Sorted(slices.Values(ids(want))); !slices.Equal(got, wantIDs) {
		x.t.Errorf("%s: Due = %v, want %v", what, got, wantIDs)
	}
}

func testDueNothing(_ *testing.T, x subject) {
	s := x.sessionFor(200 * time.Hour)
	x.start()
	x.startIn(s)
	x.succeed(x.startIn(s))
	x.create(keyed("key", longrun.Queue))
	x.create(keyed("key", longrun.Queue))
	x.overdue("at once", x.everHeard(), false)
	x.advance(100 * time.Hour)
	x.overdue("without a deadline, whenever", x.everHeard(), false)
}

func testDueDead(_ *testing.T, x subject) {
	short, long := x.sessionFor(30*time.Second), x.sessionFor(10*time.Minute)
	a, b := x.startIn(short), x.startIn(long)
	x.overdue("while both are alive", x.everHeard(), true)
	x.advance(time.Minute)
	x.overdue("when the time of one is over", x.everHeard(), true, a)
	x.lost(short)
	x.beat(longrun.Session{ID: long, TTL: 10 * time.Minute})
	x.advance(9 * time.Minute)
	x.overdue("when the other was renewed", x.everHeard(), true, a)
	x.advance(2 * time.Minute)
	x.overdue("when the time of both is over", x.everHeard(), true, a, b)
	x.lost(long)
}

func testDueContact(_ *testing.T, x subject) {
	s := x.sessionFor(30 * time.Second)
	op := x.startIn(s)
	x.advance(time.Hour)
	now := x.now()
	x.overdue("by the zero Contact", longrun.Contact{}, true)
	x.overdue("by contact for less than the TTL", longrun.Contact{AsOf: now, Span: 30*time.Second - time.Microsecond}, true)
	x.overdue("by contact with a gap", longrun.Contact{AsOf: now, Span: time.Hour, Gap: 10*time.Second + time.Microsecond}, true)
	x.overdue("by contact for the TTL", longrun.Contact{AsOf: now, Span: 30 * time.Second, Gap: 10 * time.Second}, true, op)
	x.lost(s)
}

func testDueAsOf(_ *testing.T, x subject) {
	s := x.sessionFor(30 * time.Second)
	op := x.startIn(s)
	asOf := x.now()
	x.advance(time.Hour)
	x.overdue("as of a time when it was alive", longrun.Contact{AsOf: asOf, Span: time.Hour}, true)
	x.renew(s)
	x.advance(time.Hour)
	x.overdue("as of now", x.everHeard(), true, op)
}

func testDueThisCommit(_ *testing.T, x subject) {
	s := x.sessionFor(30 * time.Second)
	x.startIn(s)
	x.advance(time.Hour)
	c := x.everHeard()
	x.renew(s)
	x.overdue("after a beat that came behind AsOf", c, true)
	x.renew(s)
}

func testDueSessionLost(_ *testing.T, x subject) {
	dead, ended := x.session(), x.session()
	a, b, hidden, done, released := x.startIn(dead), x.startIn(ended), x.startIn(ended), x.startIn(ended), x.startIn(ended)
	x.succeed(done)
	x.endRun(released, longrun.RunEnd{Kind: longrun.RunReleased})
	x.hide(hidden.ID)
	x.closeSession(ended)
	x.overdue("of an ended session, whatever the contact", longrun.Contact{}, true, b, hidden)
	x.kill(dead)
	x.overdue("of a dead session, too", longrun.Contact{}, true, a, b, hidden)
	x.advance(72 * time.Hour)
	x.expire()
	x.overdue("days later", longrun.Contact{}, true, a, b, hidden)
}

func testDueUntilDecided(t *testing.T, x subject) {
	s := x.session()
	op := x.startIn(s)
	x.closeSession(s)
	x.overdue("before the decision", longrun.Contact{}, true, op)
	x.overdue("before the decision, again", longrun.Contact{}, true, op)
	got := x.endRun(op, longrun.RunEnd{Kind: longrun.RunLost})
	if got.State != longrun.Pending || got.Failures != 1 {
		t.Errorf("State, Failures = %v, %d; want PENDING, 1", got.State, got.Failures)
	}
	x.overdue("after the decision", longrun.Contact{}, true)
	x.same("the next claim's operation", x.claimOne(x.session()), x.get(op.ID))
}

func testDueDeadlineRunning(t *testing.T, x subject) {
	s := x.sessionFor(time.Hour)
	op := newOp()
	op.Claim.Session, op.ExecutionTimeout = s, time.Minute
	running := x.create(op)
	x.startIn(s)
	x.advance(time.Minute + longrun.DeadlineGrace - 20*time.Second)
	x.overdue("within the grace", longrun.Contact{}, false)
	x.advance(40 * time.Second)
	x.overdue("past the grace", longrun.Contact{}, false, running)
	x.hide(op.ID)
	x.overdue("past the grace, hidden", longrun.Contact{}, false, running)
	if got := x.update(op.ID, (*longrun.Operation).PassDeadline); !got.State.Done() {
		t.Errorf("State = %v, want a final one", got.State)
	}
	x.overdue("after the decision", longrun.Contact{}, false)
}

func testDueDeadlinePending(_ *testing.T, x subject) {
	s := x.sessionFor(time.Hour)
	op := newOp()
	op.Claim.Session, op.ExecutionTimeout = s, time.Minute
	running := x.create(op)
	pending := x.endRun(running, longrun.RunEnd{Kind: longrun.RunReleased, Delay: time.Hour})
	never := newOp()
	never.ExecutionTimeout = time.Minute
	x.create(never) // its deadline is fixed at the first claim
	x.advance(time.Minute - 20*time.Second)
	x.overdue("before the deadline", longrun.Contact{}, false)
	x.advance(40 * time.Second)
	x.overdue("past the deadline", longrun.Contact{}, false, pending)
}

func testDueLimit(t *testing.T, x subject) {
	s := x.session()
	want := map[longrun.ID]bool{}
	for range 7 {
		want[x.startIn(s).ID] = true
	}
	x.closeSession(s)
	for left := 7; left > 0; {
		due, err := x.Due(t.Context(), longrun.Contact{}, 3)
		if err != nil || len(due) != min(3, left) {
			t.Fatalf("Due with n = 3: %d operations, %v; want %d", len(due), err, min(3, left))
		}
		for _, d := range due {
			if !want[d.Operation.ID] {
				t.Errorf("Due returned %v twice, or what it is not", d.Operation.ID)
			}
			delete(want, d.Operation.ID)
			x.endRun(d.Operation, longrun.RunEnd{Kind: longrun.RunLost})
			left--
		}
	}
}
