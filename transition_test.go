package longrun

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/anypb"
)

// fresh is a new operation as a Service asks for it.
func fresh() *Operation {
	return &Operation{
		ID: NewID(), Parent: "projects/p", Method: "m", Request: &anypb.Any{TypeUrl: "x"}, RequestID: "r", RequestHash: [32]byte{1},
		Caller: "c", TraceParent: "t", Labels: map[string]string{"a": "b"}, ConflictKey: "k", MaxFailures: 3, Retention: time.Hour,
	}
}

func claimed(t *testing.T, op *Operation, now time.Time) *Operation {
	t.Helper()
	next, err := op.ClaimBy(NewSessionID(), 0, now)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func succeeded(t *testing.T, op *Operation, now time.Time) *Operation {
	t.Helper()
	next, err := op.EndRun(RunEnd{Claim: op.Claim, Kind: RunReturned, Response: &anypb.Any{TypeUrl: "x"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func TestStored(t *testing.T) {
	t.Parallel()
	session := NewSessionID()
	ready := fresh().Stored(storeStart, false)
	if ready.State != Pending || !ready.ReadyTime.Equal(storeStart) || ready.Revision != 1 || !ready.CreateTime.Equal(storeStart) {
		t.Errorf("stored: %v, ready %v, revision %d", ready.State, ready.ReadyTime, ready.Revision)
	}
	waiting := fresh().Stored(storeStart, true)
	if waiting.State != Pending || !waiting.ReadyTime.IsZero() || waiting.Revision != 1 {
		t.Errorf("stored, waits: %v, ready %v", waiting.State, waiting.ReadyTime)
	}
	folded := fresh()
	folded.Claim = Claim{Session: session, Call: 7}
	folded.ExecutionTimeout = time.Hour
	got := folded.Stored(storeStart, false)
	if got.State != Running || got.Claim != (Claim{session, 1, 7}) || got.Revision != 1 || !got.StartTime.Equal(storeStart) {
		t.Errorf("stored, claimed: %v under %v, revision %d", got.State, got.Claim, got.Revision)
	}
	if want := storeStart.Add(time.Hour); !got.DeadlineTime.Equal(want) {
		t.Errorf("DeadlineTime = %v, want %v", got.DeadlineTime, want)
	}
}

func TestClaimBy(t *testing.T) {
	t.Parallel()
	op := fresh()
	op.ExecutionTimeout = time.Hour
	first := claimed(t, op.Stored(storeStart, false), storeStart.Add(time.Minute))
	if first.Claim.Attempt != 1 || !first.ReadyTime.IsZero() || !first.StartTime.Equal(storeStart.Add(time.Minute)) {
		t.Errorf("attempt %d, ready %v, started %v", first.Claim.Attempt, first.ReadyTime, first.StartTime)
	}
	back, err := first.EndRun(RunEnd{Claim: first.Claim, Kind: RunReleased, Delay: time.Second}, storeStart.Add(2*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := back.ClaimBy(NewSessionID(), 0, back.ReadyTime.Add(-time.Microsecond)); CodeOf(err) != 13 {
		t.Errorf("claimed before its ready time: %v", err)
	}
	second := claimed(t, back, back.ReadyTime)
	if second.Claim.Attempt != 2 {
		t.Errorf("Attempt = %d, want 2: it never repeats", second.Claim.Attempt)
	}
	if second.StartTime != first.StartTime || second.DeadlineTime != first.DeadlineTime || !second.ClaimTime.After(first.ClaimTime) {
		t.Errorf("start %v, deadline %v, claim %v: want the first two as they were", second.StartTime, second.DeadlineTime, second.ClaimTime)
	}
	for name, op := range map[string]*Operation{
		"running": second, "done": succeeded(t, second, storeStart), "waits for its key": fresh().Stored(storeStart, true),
	} {
		if next, err := op.ClaimBy(NewSessionID(), 0, storeStart.Add(time.Hour)); next != op || err == nil {
			t.Errorf("%s: claimed again, %v", name, err)
		}
	}
}

// CAN-01, CAN-06, CAN-07, CAN-12.
func TestRequestCancel(t *testing.T) {
	t.Parallel()
	pending := fresh().Stored(storeStart, false)
	for name, op := range map[string]*Operation{"ready": pending, "waiting": fresh().Stored(storeStart, true)} {
		if got := op.RequestCancel(storeStart); resultOf(got) != "CANCELLED Canceled OPERATION_CANCELLED" || !got.CancelRequested {
			t.Errorf("CAN-12: cancel of one that is %s: %s", name, resultOf(got))
		}
	}
	running := claimed(t, pending, storeStart)
	told := running.RequestCancel(storeStart)
	if told.State != Running || !told.CancelRequested || told.Claim != running.Claim {
		t.Errorf("CAN-01: cancel of a running one: %v, requested %v", told.State, told.CancelRequested)
	}
	if told.RequestCancel(storeStart.Add(time.Hour)) != told {
		t.Error("CAN-07: a second cancel changes something")
	}
	done := succeeded(t, running, storeStart)
	if done.RequestCancel(storeStart) != done {
		t.Error("CAN-06: cancel of a done one changes something")
	}
}

// PAR-05, CAN-14.
func TestPreempt(t *testing.T) {
	t.Parallel()
	pending := fresh().Stored(storeStart, false)
	if got := resultOf(pending.Preempt(storeStart)); got != "FAILED Aborted OPERATION_PREEMPTED" {
		t.Errorf("preempt of a pending one: %s", got)
	}
	running := claimed(t, pending, storeStart)
	told := running.Preempt(storeStart)
	if told.State != Running || !told.Preempted || told.Preempt(storeStart) != told {
		t.Errorf("preempt of a running one: %v, preempted %v", told.State, told.Preempted)
	}
	if got := succeeded(t, told, storeStart); resultOf(got) != "FAILED Aborted OPERATION_PREEMPTED" {
		t.Errorf("its result: %s, want ABORTED whatever it returns", resultOf(got))
	}
	if done := succeeded(t, running, storeStart); done.Preempt(storeStart) != done {
		t.Error("OP-16: preempt of a done one changes something")
	}
}

func TestMakeReady(t *testing.T) {
	t.Parallel()
	waiting := fresh().Stored(storeStart, true)
	ready := waiting.MakeReady(storeStart.Add(time.Second))
	if !ready.ReadyTime.Equal(storeStart.Add(time.Second)) || ready.Revision != 2 {
		t.Errorf("ready at %v, revision %d", ready.ReadyTime, ready.Revision)
	}
	if ready.MakeReady(storeStart.Add(time.Hour)) != ready {
		t.Error("made ready again, it changes")
	}
	for _, op := range []*Operation{claimed(t, ready, storeStart.Add(time.Second)), waiting.RequestCancel(storeStart)} {
		if op.MakeReady(storeStart) != op {
			t.Errorf("one that is %v is made ready", op.State)
		}
	}
}

// A waiting one ends at its deadline, a running one DeadlineGrace later.
func TestPassDeadline(t *testing.T) {
	t.Parallel()
	op := fresh()
	op.ExecutionTimeout = time.Hour
	pending := op.Stored(storeStart, false)
	if pending.PassDeadline(storeStart.Add(24*time.Hour)) != pending {
		t.Error("the timeout runs before the first claim")
	}
	running := claimed(t, pending, storeStart)
	deadline := running.DeadlineTime
	if running.PassDeadline(deadline.Add(DeadlineGrace-1)) != running {
		t.Error("a running one ends before the grace is over")
	}
	if got := resultOf(running.PassDeadline(deadline.Add(DeadlineGrace))); got != "FAILED DeadlineExceeded DEADLINE_PASSED" {
		t.Errorf("a running one after the grace: %s", got)
	}
	back, err := running.EndRun(RunEnd{Claim: running.Claim, Kind: RunReleased}, storeStart)
	if err != nil {
		t.Fatal(err)
	}
	if back.PassDeadline(deadline.Add(-1)) != back {
		t.Error("a waiting one ends before its deadline")
	}
	if got := resultOf(back.PassDeadline(deadline)); got != "FAILED DeadlineExceeded DEADLINE_PASSED" {
		t.Errorf("a waiting one at its deadline: %s", got)
	}
	if got := resultOf(running.Preempt(storeStart).PassDeadline(deadline.Add(DeadlineGrace))); got != "FAILED Aborted OPERATION_PREEMPTED" {
		t.Errorf("a preempted one: %s", got)
	}
	if forever := claimed(t, fresh().Stored(storeStart, false), storeStart); forever.PassDeadline(storeStart.Add(1e18)) != forever {
		t.Error("one without a timeout passes a deadline")
	}
}

// DEL-01, DEL-02, DEL-08: hidden at once, the work goes on, and its end brings
// nothing back.
func TestHide(t *testing.T) {
	t.Parallel()
	running := claimed(t, fresh().Stored(storeStart, false), storeStart)
	hidden := running.Hide(storeStart)
	if !hidden.Hidden || hidden.State != Running || hidden.Claim != running.Claim || hidden.Request == nil {
		t.Errorf("hidden: %+v, want it to run on", hidden)
	}
	if hidden.RequestID != "" || hidden.RequestHash != [32]byte{} || hidden.ConflictKey != "k" {
		t.Errorf("DEL-12: request id %q, key %q; want the id free and the key kept", hidden.RequestID, hidden.ConflictKey)
	}
	if hidden.Hide(storeStart) != hidden {
		t.Error("hidden twice, it changes")
	}
	checkEmptied(t, succeeded(t, hidden, storeStart.Add(time.Minute)), storeStart.Add(time.Minute))
	checkEmptied(t, succeeded(t, running, storeStart).Hide(storeStart.Add(time.Hour)), storeStart.Add(time.Hour))
	checkEmptied(t, succeeded(t, running, storeStart).Empty(storeStart.Add(time.Hour)), storeStart.Add(time.Hour))
	if running.Empty(storeStart) != running {
		t.Error("one that is not done is emptied")
	}
}

func checkEmptied(t *testing.T, op *Operation, now time.Time) {
	t.Helper()
	if op.Request != nil || op.Response != nil || op.Error != nil || op.Metadata != nil || op.Labels != nil || op.RequestID != "" || op.Caller != "" || op.TraceParent != "" {
		t.Errorf("emptied: %+v, want nothing of the caller's left", op)
	}
	if !op.Hidden || op.ID.IsZero() || op.CreateTime.IsZero() || op.EndTime.IsZero() || !op.State.Done() {
		t.Errorf("emptied: %+v, want its id, its times and its state kept", op)
	}
	if want := now.Add(EmptiedRetention); !op.ExpireTime.Equal(want) {
		t.Errorf("ExpireTime = %v, want %v", op.ExpireTime, want)
	}
	if op.Hide(now) != op || op.Empty(now) != op {
		t.Error("emptied again, it changes")
	}
}

// EXP-03: when it may be removed is fixed at the end.
func TestEnd_ExpireTime(t *testing.T) {
	t.Parallel()
	done := succeeded(t, claimed(t, fresh().Stored(storeStart, false), storeStart), storeStart.Add(time.Minute))
	if want := storeStart.Add(time.Minute + time.Hour); !done.ExpireTime.Equal(want) {
		t.Errorf("ExpireTime = %v, want %v", done.ExpireTime, want)
	}
}

// The fence: every write by a run carries its claim, and a late one is refused.
func TestClaimLost(t *testing.T) {
	t.Parallel()
	running := claimed(t, fresh().Stored(storeStart, false), storeStart)
	lost, err := running.EndRun(RunEnd{Claim: running.Claim, Kind: RunLost}, storeStart)
	if err != nil {
		t.Fatal(err)
	}
	taken := claimed(t, lost, storeStart)
	same := Claim{Session: taken.Claim.Session, Attempt: running.Claim.Attempt}
	other := Claim{Session: running.Claim.Session, Attempt: taken.Claim.Attempt}
	for name, claim := range map[string]Claim{"the old claim": running.Claim, "same session, old attempt": same, "other session, same attempt": other, "none": {}} {
		before := *taken
		for what, f := range map[string]func() (*Operation, error){
			"finish": func() (*Operation, error) {
				return taken.EndRun(RunEnd{Claim: claim, Kind: RunReturned, Response: &anypb.Any{}}, storeStart)
			},
			"retry":   func() (*Operation, error) { return taken.EndRun(RunEnd{Claim: claim, Kind: RunRetryable}, storeStart) },
			"release": func() (*Operation, error) { return taken.EndRun(RunEnd{Claim: claim, Kind: RunReleased}, storeStart) },
			"lost":    func() (*Operation, error) { return taken.EndRun(RunEnd{Claim: claim, Kind: RunLost}, storeStart) },
			"report":  func() (*Operation, error) { return taken.Report(claim, nil, storeStart) },
			"step":    func() (*Operation, error) { return taken.CountStep(claim, storeStart) },
		} {
			if next, err := f(); next != taken || !errors.Is(err, ErrClaimLost) {
				t.Errorf("%s by %s: %v, changed %v; want ErrClaimLost", what, name, err, next != taken)
			}
		}
		if !reflect.DeepEqual(before, *taken) {
			t.Errorf("%s has changed the record", name)
		}
	}
	// What its session has lost is not the run's any more, also before anybody else has it.
	if _, err := lost.EndRun(RunEnd{Claim: running.Claim, Kind: RunReturned, Response: &anypb.Any{}}, storeStart); !errors.Is(err, ErrClaimLost) {
		t.Errorf("a result after the session was lost: %v, want ErrClaimLost", err)
	}
}

// Progress and steps are no revision.
func TestReport_KeepsRevision(t *testing.T) {
	t.Parallel()
	running := claimed(t, fresh().Stored(storeStart, false), storeStart)
	metadata := &anypb.Any{TypeUrl: "x"}
	reported, err := running.Report(running.Claim, metadata, storeStart.Add(time.Second))
	if err != nil || reported.Revision != running.Revision || reported.Metadata != metadata {
		t.Errorf("report: %v, revision %d", err, reported.Revision)
	}
	counted, err := reported.CountStep(running.Claim, storeStart.Add(-time.Hour))
	if err != nil || counted.Revision != running.Revision || counted.CompletedSteps != 1 {
		t.Errorf("step: %v, revision %d, steps %d", err, counted.Revision, counted.CompletedSteps)
	}
	if !counted.UpdateTime.Equal(storeStart.Add(time.Second)) {
		t.Errorf("CON-06: UpdateTime = %v, want it not to go back", counted.UpdateTime)
	}
}

// After an unknown outcome the same end is applied again, whatever has happened
// to the operation meanwhile, and finds that it is there already.
func TestEndRun_AgainLater(t *testing.T) {
	t.Parallel()
	running := claimed(t, fresh().Stored(storeStart, false), storeStart)
	for what, end := range map[string]RunEnd{
		"retry":       {Claim: running.Claim, Kind: RunRetryable, Error: endStatus(14, "X", "x")},
		"retry after": {Claim: running.Claim, Kind: RunDelayed},
		"release":     {Claim: running.Claim, Kind: RunReleased},
		"lost":        {Claim: running.Claim, Kind: RunLost},
		"a result":    {Claim: running.Claim, Kind: RunReturned, Response: &anypb.Any{}},
	} {
		ended, err := running.EndRun(end, storeStart)
		if err != nil {
			t.Fatal(err)
		}
		for then, now := range map[string]*Operation{
			"cancelled": ended.RequestCancel(storeStart), "preempted": ended.Preempt(storeStart), "hidden": ended.Hide(storeStart),
		} {
			if again, err := now.EndRun(end, storeStart); again != now || err != nil {
				t.Errorf("%s, then %s, then the same end again: %v, changed %v; want nothing", what, then, err, again != now)
			}
		}
	}
}

// A run that has ended and says another end is told that its claim was over; the same
// end, and one that the engine may have put its own error in the place of, is not.
func TestEndRun_AnotherEnd(t *testing.T) {
	t.Parallel()
	running := claimed(t, fresh().Stored(storeStart, false), storeStart)
	returned := func(e RunEnd) RunEnd {
		e.Claim, e.Kind = running.Claim, max(e.Kind, RunReturned)
		return e
	}
	response, other := returned(RunEnd{Response: &anypb.Any{TypeUrl: "a"}}), returned(RunEnd{Response: &anypb.Any{TypeUrl: "b"}})
	notFound, lost := returned(RunEnd{Error: endStatus(5, "X", "x")}), returned(RunEnd{Error: endStatus(5, "X", "y")})
	internal, again := returned(RunEnd{Error: endStatus(13, "INTERNAL", "id 1")}), returned(RunEnd{Error: endStatus(13, "INTERNAL", "id 2")})
	canceled := returned(RunEnd{Error: endStatus(1, "X", "x")})
	retry := returned(RunEnd{Kind: RunRetryable, Error: endStatus(14, "X", "x")})
	release := returned(RunEnd{Kind: RunReleased})
	late := returned(RunEnd{Error: endStatus(4, "X", "x"), Timeout: true})

	cancelled := running.RequestCancel(storeStart)
	limited := *running
	limited.DeadlineTime = storeStart
	for _, tt := range []struct {
		name        string
		op          *Operation
		first, then RunEnd
		want        error
	}{
		{"another response", running, response, other, ErrClaimLost},
		{"an error after a response", running, response, notFound, ErrClaimLost},
		{"a retry after a response", running, response, retry, ErrClaimLost},
		{"a release after a response", running, response, release, nil},
		{"a response after an error", running, notFound, response, ErrClaimLost},
		{"another error", running, notFound, lost, ErrClaimLost},
		{"another code", running, internal, notFound, ErrClaimLost},
		{"the same error under another id", running, internal, again, nil},
		{"cancelled on request, told again", cancelled, canceled, canceled, nil},
		{"cancelled on request, then a response", cancelled, canceled, response, ErrClaimLost},
		{"past its deadline, told again", &limited, late, late, nil},
		{"past its deadline, then a response", &limited, late, response, ErrClaimLost},
		{"preempted: nothing it says is kept", running.Preempt(storeStart), response, notFound, nil},
		{"deleted: nothing it said is known", running.Hide(storeStart), response, notFound, nil},
	} {
		ended, err := tt.op.EndRun(tt.first, storeStart)
		if err != nil || !ended.State.Done() {
			t.Fatalf("%s: the first end: %v, %v", tt.name, ended.State, err)
		}
		if same, err := ended.EndRun(tt.first, storeStart); same != ended || err != nil {
			t.Errorf("%s: the first end again: %v, changed %v; want nothing", tt.name, err, same != ended)
		}
		if after, err := ended.EndRun(tt.then, storeStart); after != ended || err != tt.want {
			t.Errorf("%s: %v, changed %v; want %v and nothing changed", tt.name, err, after != ended, tt.want)
		}
	}
}
