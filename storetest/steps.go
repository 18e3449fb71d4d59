package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
)

var stepContracts = []contract{
	{"steps/remembered", "c.Step is remembered; its Time is filled by the store", testStepsRemembered},
	{"steps/once", "a step that is remembered already is kept as it was, and the error is ErrExists; then nothing is written", testStepsOnce},
	{"steps/refused", "Step is remembered if Apply returns no error", testStepsRefused},
	{"steps/order", "Steps returns up to n remembered steps whose key is greater than after, in key order, bytewise", testStepsOrder},
	{"steps/ended", "an ended operation loses its steps", testStepsEnded},
	{"steps/ended-elsewhere", "an ended operation loses its steps, whoever ended it", testStepsEndedElsewhere},
	{"steps/next-run", "a later run of the same operation does not repeat what is remembered", testStepsNextRun},
	{"steps/large", "A step has a key of at most MaxStepKeyBytes and a result of at most MaxStepBytes", testStepsLarge},
}

// step remembers a step of the run that op shows.
func (x subject) step(op *longrun.Operation, key, result string) (*longrun.Operation, error) {
	return x.Update(x.t.Context(), longrun.Change{
		ID:   op.ID,
		Step: &longrun.Step{Key: key, Result: []byte(result)},
		Apply: func(now *longrun.Operation, at time.Time) (*longrun.Operation, error) {
			return now.CountStep(op.Claim, at)
		},
	})
}

// stepped is step where it must go well.
func (x subject) stepped(op *longrun.Operation, key, result string) *longrun.Operation {
	x.t.Helper()
	got, err := x.step(op, key, result)
	if err != nil {
		x.t.Fatalf("Update with step %q: %v", key, err)
	}
	return got
}

// keys returns what Steps gives as "key=result".
func (x subject) keys(id longrun.ID, after string, n int) []string {
	x.t.Helper()
	steps, err := x.Steps(x.t.Context(), id, after, n)
	if err != nil {
		x.t.Fatalf("Steps: %v", err)
	}
	var keys []string
	for _, s := range steps {
		keys = append(keys, s.Key+"="+string(s.Result))
	}
	return keys
}

// oneStep returns the first step, which must be there.
func (x subject) oneStep(id longrun.ID) longrun.Step {
	x.t.Helper()
	steps, err := x.Steps(x.t.Context(), id, "", 1)
	if err != nil || len(steps) != 1 {
		x.t.Fatalf("Steps with n = 1: %d steps, %v; want 1", len(steps), err)
	}
	return steps[0]
}

// running returns an operation that a session of its own runs.
func (x subject) running() *longrun.Operation {
	x.t.Helper()
	return x.startIn(x.session())
}

func (x subject) hasSteps(what string, id longrun.ID, want ...string) {
	x.t.Helper()
	if got := x.keys(id, "", 1000); !slices.Equal(got, want) {
		x.t.Errorf("%s: Steps = %q, want %q", what, got, want)
	}
}

func testStepsRemembered(t *testing.T, x subject) {
	op, neighbour := x.running(), x.running()
	before := x.now()
	got := x.stepped(op, "fetch", "42 rows")
	want, _ := op.CountStep(op.Claim, got.UpdateTime)
	x.same("Update with a step", got, want)
	x.same("Get after it", x.get(op.ID), want)
	x.hasSteps("after one step", op.ID, "fetch=42 rows")
	x.hasSteps("another operation", neighbour.ID)
	x.hasSteps("an unknown operation", longrun.NewID())
	if at := x.oneStep(op.ID).Time; at.Before(before) || at.After(before.Add(time.Minute)) {
		t.Errorf("Time = %v, want the store's time, about %v", at, before)
	}
}

func testStepsOnce(t *testing.T, x subject) {
	op := x.running()
	was := x.stepped(op, "fetch", "first")
	x.advance(time.Second)
	got, err := x.step(op, "fetch", "second")
	if !errors.Is(err, longrun.ErrExists) {
		t.Errorf("Update with a step that is remembered: %v, want ErrExists", err)
	}
	x.same("Update with a step that is remembered", got, was)
	x.same("Get after it", x.get(op.ID), was)
	x.hasSteps("after the second try", op.ID, "fetch=first")
}

func testStepsRefused(t *testing.T, x subject) {
	op := x.running()
	stale := *op
	stale.Claim.Attempt++
	if _, err := x.step(&stale, "fetch", "x"); !errors.Is(err, longrun.ErrClaimLost) {
		t.Errorf("step under another claim: %v, want ErrClaimLost", err)
	}
	x.hasSteps("after a step under another claim", op.ID)
	x.stepped(op, "fetch", "y")
	if _, err := x.step(&stale, "fetch", "x"); !errors.Is(err, longrun.ErrClaimLost) {
		t.Errorf("remembered step under another claim: %v, want ErrClaimLost: Apply comes first", err)
	}
}

func testStepsOrder(t *testing.T, x subject) {
	op := x.running()
	sorted := []string{"", " ", "10", "2", "A", "B", "a", "a/1", "ab", "\u00e4", "\u4e16", "\U0001f600"}
	for i := range sorted {
		x.stepped(op, sorted[(i*5+3)%len(sorted)], "")
	}
	var want []string
	for _, key := range sorted {
		want = append(want, key+"=")
	}
	if got := x.keys(op.ID, "", 100); !slices.Equal(got, want[1:]) {
		t.Errorf(`Steps after "" = %q, want %q: in bytewise order, greater than ""`, got, want[1:])
	}
	if got := x.keys(op.ID, "", 3); !slices.Equal(got, want[1:4]) {
		t.Errorf("Steps with n = 3: %q, want %q", got, want[1:4])
	}
	for i, after := range sorted {
		if got := x.keys(op.ID, after, 100); !slices.Equal(got, want[i+1:]) {
			t.Errorf("Steps after %q = %q, want %q", after, got, want[i+1:])
		}
	}
	if got := x.keys(op.ID, "a0", 2); !slices.Equal(got, []string{"ab=", "\u00e4="}) {
		t.Errorf(`Steps after "a0", which is none, = %q, want what follows it`, got)
	}
}

func testStepsEnded(_ *testing.T, x subject) {
	op, neighbour := x.running(), x.running()
	x.stepped(op, "a", "1")
	x.stepped(op, "b", "2")
	x.stepped(neighbour, "a", "3")
	x.succeed(op)
	x.hasSteps("after the end", op.ID)
	x.hasSteps("of another operation", neighbour.ID, "a=3")
}

func testStepsEndedElsewhere(_ *testing.T, x subject) {
	s := x.session()
	x.create(keyed("key", longrun.Queue))
	preempted := x.claimOne(s)
	x.stepped(preempted, "a", "1")
	x.endRun(preempted, retryable())
	x.hasSteps("between two runs", preempted.ID, "a=1")
	x.create(keyed("key", longrun.Preempt))
	x.hasSteps("after a preempting Create", preempted.ID)

	claimed := newOp()
	claimed.Claim = longrun.Claim{Session: s, Call: 1}
	released := x.create(claimed)
	x.stepped(released, "a", "1")
	x.cancel(released.ID)
	x.beat(longrun.Session{ID: s, TTL: sessionTTL, Closed: 1})
	x.hasSteps("after a release that ended it", released.ID)
}

func testStepsNextRun(t *testing.T, x subject) {
	s := x.session()
	op := x.startIn(s)
	x.stepped(op, "a", "1")
	x.endRun(op, longrun.RunEnd{Kind: longrun.RunReleased})
	again := x.claimOne(s)
	x.hasSteps("in the second run", op.ID, "a=1")
	if _, err := x.step(again, "a", "2"); !errors.Is(err, longrun.ErrExists) {
		t.Errorf("the same step in the second run: %v, want ErrExists", err)
	}
	if got := x.stepped(again, "b", "2"); got.CompletedSteps != 2 {
		t.Errorf("CompletedSteps = %d, want 2", got.CompletedSteps)
	}
	x.hasSteps("at last", op.ID, "a=1", "b=2")
}

func testStepsLarge(t *testing.T, x subject) {
	op := x.running()
	key, result := strings.Repeat("k", longrun.MaxStepKeyBytes), strings.Repeat("\x00\xff", longrun.MaxStepBytes/2)
	x.stepped(op, key, result)
	if got := x.keys(op.ID, "", 1); len(got) != 1 || got[0] != key+"="+result {
		t.Error("a step with the largest key and result came back changed")
	}
	for i := range 200 {
		x.stepped(op, fmt.Sprintf("many-%03d", i), "r")
	}
	if got := x.keys(op.ID, "many-", 1000); len(got) != 200 || got[199] != "many-199=r" {
		t.Errorf("Steps gave %d of 200, want all in order", len(got))
	}
}
