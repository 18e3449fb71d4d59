package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
)

var beatContracts = []contract{
	{"beat/open", "Beat opens (s.Open); the same session again, alive, is a renewal", testBeatOpen},
	{"beat/ttl", "TTL is kept as it was when it was opened; Beat.TTL is what the session was opened with", testBeatTTL},
	{"beat/unknown", "a session that is dead, ended or unknown is ErrSessionLost", testBeatUnknown},
	{"beat/ended", "with TTL 0 ends the session; ended is ErrSessionLost, for ever; opening it again too", testBeatEnded},
	{"beat/dead", "Death is a mark, set once and for ever; opening it again too is ErrSessionLost", testBeatDead},
	{"beat/late", "Death is a mark: until it is set, a late beat renews", testBeatLate},
	{"beat/time", "Time is the store's, in this commit", testBeatTime},
	{"beat/ending-leaves-claims", "Ending a session leaves its claims, for Due to find", testBeatEndingLeavesClaims},
	{"beat/finish-after-end", "a run whose session has ended may end while the record is still its own", testBeatFinishAfterEnd},
	{"beat/released", "A claim of a closed call that Held does not name is released (Operation.EndRun with RunReleased)", testBeatReleased},
	{"beat/not-released", "released: of a closed call, and not named; an open call and an in-process claim stay", testBeatNotReleased},
	{"beat/overtaken", "Closed: a beat that was overtaken judges only what it knew", testBeatOvertaken},
	{"beat/highest-closed", "Claim refuses calls up to the highest Closed of all beats", testBeatHighestClosed},
	{"beat/released-attempt", "Held names a run: an operation under another attempt is not named", testBeatReleasedAttempt},
	{"beat/released-end", "released: as Operation.EndRun says, which may be its end", testBeatReleasedEnd},
}

func testBeatOpen(t *testing.T, x subject) {
	s := longrun.Session{ID: longrun.NewSessionID(), Worker: "host/1", Open: true, TTL: sessionTTL}
	for range 3 {
		if b := x.beat(s); len(b.Stop) != 0 {
			t.Errorf("Stop = %v, want none", b.Stop)
		}
	}
	s.Open = false
	x.beat(s)
	x.start()
	x.claimOne(s.ID)
}

func testBeatTTL(t *testing.T, x subject) {
	s := x.sessionFor(time.Minute)
	op := x.startIn(s)
	for _, b := range []longrun.Session{
		{ID: s, TTL: time.Hour},
		{ID: s, TTL: time.Second},
		{ID: s, TTL: time.Hour, Open: true, Worker: "another", Remote: true},
	} {
		if got := x.beat(b).TTL; got != time.Minute {
			t.Errorf("TTL = %v after a renewal with %v, want 1m0s, which it was opened with", got, b.TTL)
		}
	}
	x.advance(50 * time.Second)
	x.overdue("before its time is over", x.everHeard(), true)
	x.advance(20 * time.Second)
	x.overdue("when its time is over", x.everHeard(), true, op)
	x.lost(s)
}

func testBeatUnknown(_ *testing.T, x subject) {
	x.lost(longrun.NewSessionID())
}

// lostForEver checks that s is not alive and cannot be opened again.
func (x subject) lostForEver(s longrun.SessionID) {
	x.t.Helper()
	for range 2 {
		x.lost(s)
		_, err := x.Beat(x.t.Context(), longrun.Session{ID: s, Open: true, TTL: sessionTTL})
		if !errors.Is(err, longrun.ErrSessionLost) {
			x.t.Errorf("Beat that opens it again: %v, want ErrSessionLost", err)
		}
		if _, err := x.Beat(x.t.Context(), longrun.Session{ID: s}); !errors.Is(err, longrun.ErrSessionLost) {
			x.t.Errorf("Beat that ends it again: %v, want ErrSessionLost", err)
		}
	}
}

func testBeatEnded(_ *testing.T, x subject) {
	s, bystander := x.session(), x.session()
	x.closeSession(s)
	x.lostForEver(s)
	x.advance(time.Hour)
	x.expire()
	x.lostForEver(s)
	x.renew(bystander)
}

func testBeatDead(_ *testing.T, x subject) {
	s := x.session()
	x.kill(s)
	x.lostForEver(s)
	x.advance(time.Hour)
	x.expire()
	x.lostForEver(s)
}

func testBeatLate(_ *testing.T, x subject) {
	s := x.session()
	op := x.startIn(s)
	x.advance(time.Hour)
	x.renew(s)
	for _, d := range x.due(longrun.Contact{AsOf: x.now(), Span: 24 * time.Hour}) {
		x.t.Errorf("Due = %v, SessionLost = %v; want nothing: the session was renewed", d.Operation.ID, d.SessionLost)
	}
	x.succeed(op)
	x.renew(s)
}

func testBeatTime(t *testing.T, x subject) {
	s := longrun.Session{ID: longrun.NewSessionID(), Open: true, TTL: time.Hour}
	first := x.beat(s).Time
	x.advance(time.Minute)
	second := x.beat(s).Time
	if d := second.Sub(first); d < time.Minute || d > 2*time.Minute {
		t.Errorf("Time went from %v to %v in a minute", first, second)
	}
}

func testBeatEndingLeavesClaims(t *testing.T, x subject) {
	s := x.session()
	op := x.startIn(s)
	x.closeSession(s)
	x.same("a claim of an ended session", x.get(op.ID), op)
	x.order("List by the ended session", x.list(longrun.Query{Session: s}).Operations, op)
	due := x.due(longrun.Contact{})
	if len(due) != 1 || due[0].Operation.ID != op.ID || !due[0].SessionLost {
		t.Fatalf("Due = %v, want the claim of the ended session", due)
	}
	x.same("Due", due[0].Operation, op)
}

func testBeatFinishAfterEnd(t *testing.T, x subject) {
	s := x.session()
	op := x.startIn(s)
	x.closeSession(s)
	if got := x.succeed(op); got.State != longrun.Succeeded {
		t.Errorf("State = %v, want SUCCEEDED: nobody else had decided", got.State)
	}
}

func testBeatReleased(t *testing.T, x subject) {
	s := x.remote()
	for range 3 {
		x.start()
	}
	claimed := x.callFor(s, 1, 3)
	x.advance(time.Second)
	if stops := x.closeCalls(s, 1, claimed[1]); len(stops) != 0 {
		t.Errorf("Stop = %v, want none", stops)
	}
	x.same("the one that is named", x.get(claimed[1].ID), claimed[1])
	for _, was := range []*longrun.Operation{claimed[0], claimed[2]} {
		got := x.get(was.ID)
		want, err := was.EndRun(longrun.RunEnd{Claim: was.Claim, Kind: longrun.RunReleased}, got.UpdateTime)
		if err != nil {
			t.Fatalf("EndRun: %v", err)
		}
		x.same("one that is not named", got, want)
	}
	if again := x.call(x.remote(), 1, 10); len(again) != 2 || again[0].Claim.Attempt != 2 {
		t.Errorf("Claim gave %d operations, want the 2 that were released, as attempt 2", len(again))
	}
}

func testBeatNotReleased(_ *testing.T, x subject) {
	s, neighbour := x.remote(), x.remote()
	for range 3 {
		x.start()
	}
	x.callFor(s, 1, 1)
	open, theirs := x.callFor(s, 2, 1), x.callFor(neighbour, 1, 1)
	folded := newOp()
	folded.Claim = longrun.Claim{Session: s, Call: 3}
	third := x.create(folded)
	x.closeCalls(s, 1)
	x.same("a claim of an open call", x.get(open[0].ID), open[0])
	x.same("a claim of an open Create", x.get(third.ID), third)
	x.same("a claim of another session", x.get(theirs[0].ID), theirs[0])
	if got := len(x.list(longrun.Query{Session: s}).Operations); got != 2 {
		x.t.Errorf("the session holds %d claims, want 2: one is released", got)
	}
	inProcess := x.session()
	mine := x.startIn(inProcess)
	x.renew(inProcess)
	x.same("a claim of a session in process, which has no calls", x.get(mine.ID), mine)
}

func testBeatOvertaken(t *testing.T, x subject) {
	s := x.remote()
	x.start()
	held := x.callFor(s, 4, 1)[0]
	x.closeCalls(s, 5, held)
	x.closeCalls(s, 3) // was sent before call 4 was answered, and came late
	if got := x.get(held.ID); got.State != longrun.Running {
		t.Errorf("State = %v, want RUNNING: the late beat knew nothing of call 4", got.State)
	}
	x.closeCalls(s, 4)
	if got := x.get(held.ID); got.State != longrun.Pending {
		t.Errorf("State = %v, want PENDING: call 4 was closed and it was not named", got.State)
	}
}

func testBeatHighestClosed(t *testing.T, x subject) {
	s := x.remote()
	x.start()
	x.closeCalls(s, 5)
	x.closeCalls(s, 2)
	if got := x.call(s, 4, 1); len(got) != 0 {
		t.Errorf("Claim of call 4 = %d operations, want none: calls up to 5 are closed", len(got))
	}
}

func testBeatReleasedAttempt(t *testing.T, x subject) {
	s := x.remote()
	x.start()
	first := x.callFor(s, 1, 1)
	x.endRun(first[0], longrun.RunEnd{Kind: longrun.RunReleased})
	second := x.callFor(s, 2, 1)
	stops := x.closeCalls(s, 2, first[0])
	if got := x.get(second[0].ID); got.State != longrun.Pending {
		t.Errorf("State = %v, want PENDING: attempt 2 was not named", got.State)
	}
	wantStops(t, stops, longrun.Stop{Name: first[0].Name(), Attempt: 1, Why: longrun.ErrClaimLost})
}

func testBeatReleasedEnd(t *testing.T, x subject) {
	s := x.remote()
	cancelled, hidden := x.start(), x.start()
	x.callFor(s, 1, 2)
	x.cancel(cancelled.ID)
	x.cancel(hidden.ID)
	x.hide(hidden.ID)
	was := x.get(cancelled.ID)
	x.closeCalls(s, 1)
	got := x.get(cancelled.ID)
	want, _ := was.EndRun(longrun.RunEnd{Claim: was.Claim, Kind: longrun.RunReleased}, got.UpdateTime)
	x.same("a released one that was to be cancelled", got, want)
	if got.State != longrun.Cancelled || x.get(hidden.ID).State != longrun.Cancelled {
		t.Errorf("State = %v, %v; want both CANCELLED", got.State, x.get(hidden.ID).State)
	}
}
