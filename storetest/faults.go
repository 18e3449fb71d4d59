package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
)

var faultContracts = []contract{
	{"faults/create", "Unknown outcome: the caller makes the same call again; nothing is stored twice or lost", testFaultsCreate},
	{"faults/create-late", "a commit that comes late does not bring back what was deleted (DEL-08)", testFaultsCreateLate},
	{"faults/end-late", "a commit that comes late changes nothing that was decided since", testFaultsEndLate},
	{"faults/claim-call", "Unknown outcome of Claim: the same call again returns what it has claimed", testFaultsClaimCall},
	{"faults/claim-in-process", "Unknown outcome of Claim: what the session holds is found by List", testFaultsClaimInProcess},
	{"faults/workload", "every change is idempotent: work through a store that fails again and again is done once", testFaultsWorkload},
}

// outcomes are the ways in which a call may fail; one that stays late for ever
// is one that was dropped.
var outcomes = []Outcome{Refused, Committed, Dropped}

// again makes a call again as long as the contract says that this is right.
func again[T any](call func() (T, error)) (T, error) {
	for {
		got, err := call()
		if !unavailable(err) && !longrun.IsUnknown(err) {
			return got, err
		}
	}
}

func testFaultsCreate(t *testing.T, x subject) {
	f := NewFaulty(x.Store)
	for i, outcome := range outcomes {
		wrote := 0
		op := keyed(string(rune('a'+i)), longrun.Reject)
		op.RequestID = requestA
		op.Method = string(rune('a' + i))
		f.Inject(Fault{On: OnCreate, Outcome: outcome, Times: 2})
		got, err := again(func() (*longrun.Operation, error) {
			return f.Create(t.Context(), longrun.NewOperation{Operation: op, Write: func(context.Context, any) error {
				wrote++
				return nil
			}})
		})
		if err != nil {
			t.Fatalf("Create: %v", err)
		}
		x.same("Create", got, op.Stored(got.CreateTime, false))
		if wrote != 1 {
			t.Errorf("n.Write ran %d times, want 1", wrote)
		}
	}
	if got := len(x.list(longrun.Query{Parent: parent, Limit: 100}).Operations); got != len(outcomes) {
		t.Errorf("List gave %d operations, want %d", got, len(outcomes))
	}
}

func testFaultsCreateLate(t *testing.T, x subject) {
	f := NewFaulty(x.Store)
	s := x.session()
	f.Inject(Fault{On: OnCreate, Outcome: Late})
	op := newOp()
	op.Claim.Session = s
	got, err := again(func() (*longrun.Operation, error) {
		return f.Create(t.Context(), longrun.NewOperation{Operation: op})
	})
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	x.succeed(got)
	emptied := x.hide(op.ID)
	if n := f.Deliver(); n != 1 {
		t.Fatalf("%d calls were late, want 1", n)
	}
	x.same("after the late commit", x.get(op.ID), emptied)
	x.order("Claim", x.claim(s, 10))
}

func testFaultsEndLate(t *testing.T, x subject) {
	f := NewFaulty(x.Store)
	op := x.running()
	e := returned()
	e.Claim = op.Claim
	f.Inject(Fault{On: OnUpdate, Outcome: Late})
	if _, err := f.Update(t.Context(), longrun.Change{ID: op.ID, Apply: endRun(e)}); !longrun.IsUnknown(err) {
		t.Fatalf("Update = %v, want an unknown outcome", err)
	}
	x.endRun(op, longrun.RunEnd{Kind: longrun.RunLost})
	second := x.claimOne(x.session())
	f.Deliver()
	x.same("after the late commit", x.get(op.ID), second)
	x.succeed(second)
}

func testFaultsClaimCall(t *testing.T, x subject) {
	f := NewFaulty(x.Store)
	s := x.remote()
	for range 10 {
		x.start()
	}
	for i, outcome := range outcomes {
		f.Inject(Fault{On: OnClaim, Outcome: outcome})
		got, err := again(func() (longrun.Claimed, error) {
			return f.Claim(t.Context(), longrun.ClaimRequest{Session: s, Call: int64(i + 1), Want: []longrun.Want{{Method: work, N: 2}}})
		})
		if err != nil || len(got.Operations) != 2 {
			t.Errorf("Claim = %d operations, %v; want 2", len(got.Operations), err)
		}
	}
	if got := len(x.list(longrun.Query{Session: s}).Operations); got != 2*len(outcomes) {
		t.Errorf("the session holds %d operations, want %d", got, 2*len(outcomes))
	}
}

func testFaultsClaimInProcess(t *testing.T, x subject) {
	f := NewFaulty(x.Store)
	s := x.session()
	op := x.start()
	f.Inject(Fault{On: OnClaim, Outcome: Committed})
	if _, err := f.Claim(t.Context(), longrun.ClaimRequest{Session: s, Want: []longrun.Want{{Method: work, N: 1}}}); !longrun.IsUnknown(err) {
		t.Fatalf("Claim = %v, want an unknown outcome", err)
	}
	x.order("List by session", x.list(longrun.Query{Session: s}).Operations, op)
}

// testFaultsWorkload starts, claims, steps and ends operations through a store
// whose every third write fails in one of the ways, and looks whether each
// operation was stored once, and each step remembered and each run ended once.
func testFaultsWorkload(t *testing.T, x subject) {
	const n = 30
	f := NewFaulty(x.Store)
	for i, outcome := range outcomes {
		f.Inject(Fault{On: OnWrites, Outcome: outcome, Skip: i, Every: 3 + 2*i, Times: -1})
	}
	w := worker{subject: x, f: f, session: x.remote(), begun: map[longrun.Held]int{}}
	for i := range n {
		w.start(i)
	}
	for call := int64(1); len(w.begun) < n; call++ {
		if call > 10*n {
			t.Fatalf("%d of %d operations were begun after %d calls of Claim", len(w.begun), n, call)
		}
		w.claimAndRun(call)
	}
	if f.Struck() < n {
		t.Errorf("%d calls failed, want at least %d", f.Struck(), n)
	}
	all, _ := x.walk(longrun.Query{Parent: parent, Limit: 7})
	for _, op := range all {
		if op.State != longrun.Succeeded || op.Claim.Attempt != 1 || op.CompletedSteps != 2 {
			t.Errorf("State, Attempt, CompletedSteps = %v, %d, %d; want SUCCEEDED, 1, 2", op.State, op.Claim.Attempt, op.CompletedSteps)
		}
	}
	if len(all) != n {
		t.Errorf("List gave %d operations, want %d", len(all), n)
	}
}

// worker is a remote worker behind a bad line.
type worker struct {
	subject
	f       *Faulty
	session longrun.SessionID
	begun   map[longrun.Held]int
}

func (w worker) must(what string, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
}

func (w worker) start(i int) {
	op := newOp()
	if i%3 == 0 {
		op = keyed("key", longrun.Queue)
	}
	_, err := again(func() (*longrun.Operation, error) {
		return w.f.Create(w.t.Context(), longrun.NewOperation{Operation: op})
	})
	w.must("Create", err)
}

func (w worker) claimAndRun(call int64) {
	c, err := again(func() (longrun.Claimed, error) {
		return w.f.Claim(w.t.Context(), longrun.ClaimRequest{Session: w.session, Call: call, Want: []longrun.Want{{Method: work, N: 4}}})
	})
	w.must("Claim", err)
	for _, op := range c.Operations {
		if w.begun[held(op)]++; w.begun[held(op)] > 1 {
			w.t.Errorf("%v was begun twice", op.ID)
		}
		w.change("step", op, "a")
		w.change("step", op, "b")
		w.change("end", op, "")
	}
	b, err := again(func() (longrun.Beat, error) {
		return w.f.Beat(w.t.Context(), longrun.Session{ID: w.session, Remote: true, TTL: sessionTTL, Closed: call})
	})
	w.must("Beat", err)
	wantStops(w.t, b.Stop)
}

// change remembers a step, or ends the run where key is empty.
func (w worker) change(what string, op *longrun.Operation, key string) {
	e := returned()
	e.Claim = op.Claim
	c := longrun.Change{ID: op.ID, Apply: endRun(e)}
	if key != "" {
		c.Step = &longrun.Step{Key: key}
		c.Apply = func(now *longrun.Operation, at time.Time) (*longrun.Operation, error) {
			return now.CountStep(op.Claim, at)
		}
	}
	_, err := again(func() (*longrun.Operation, error) { return w.f.Update(w.t.Context(), c) })
	if !errors.Is(err, longrun.ErrExists) {
		w.must("Update with the "+what+" of a run", err)
	}
}
