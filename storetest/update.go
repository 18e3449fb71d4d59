package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"
)

var updateContracts = []contract{
	{"update/kept", "Update applies c.Apply to the record and keeps what it returns. It returns the record as it now is", testUpdateKept},
	{"update/same-record", "When Apply returns the record it was given, nothing is written", testUpdateSameRecord},
	{"update/error", "It returns the record as it now is, also beside the error of Apply, which comes back as it is", testUpdateError},
	{"update/missing", "A missing record is an *Error with code NotFound", testUpdateMissing},
	{"update/progress", "Update keeps a change that does not move Revision", testUpdateProgress},
	{"update/again", "every change is idempotent, so \"already so\" is success", testUpdateAgain},
	{"update/late-run", "the fence: what a run writes under a claim that is not the record's changes nothing", testUpdateLateRun},
	{"update/hidden", "a hidden operation goes on, and is emptied at its end (DEL-02, DEL-08)", testUpdateHidden},
}

func testUpdateKept(t *testing.T, x subject) {
	op := x.start()
	x.advance(time.Minute)
	before := x.now()
	var given, want *longrun.Operation
	var now time.Time
	got, err := x.Update(t.Context(), longrun.Change{ID: op.ID, Apply: func(op *longrun.Operation, at time.Time) (*longrun.Operation, error) {
		given, now, want = op, at, op.RequestCancel(at)
		return want, nil
	}})
	if err != nil {
		t.Fatalf("Update: %v", err)
	}
	x.same("what Apply was given", given, op)
	x.same("what Update returned", got, want)
	x.same("what Get returned", x.get(op.ID), want)
	if now.Before(before) || now.After(before.Add(time.Minute)) {
		t.Errorf("Apply got now = %v, want the store's time, about %v", now, before)
	}
}

func testUpdateSameRecord(t *testing.T, x subject) {
	op := x.start()
	x.advance(time.Minute)
	same := func(op *longrun.Operation, _ time.Time) (*longrun.Operation, error) { return op, nil }
	got, err := x.Update(t.Context(), longrun.Change{ID: op.ID, Apply: same})
	if err != nil {
		t.Fatalf("Update that changes nothing: %v", err)
	}
	x.same("Update that changes nothing", got, op)
	x.same("Get after it", x.get(op.ID), op)
}

func testUpdateError(t *testing.T, x subject) {
	op := x.start()
	mine := errors.New("the transition's")
	for _, refuse := range []func(*longrun.Operation, time.Time) (*longrun.Operation, error){
		func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) { return op, mine },
		func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
			return op.RequestCancel(now), mine
		},
		func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) { return nil, mine },
	} {
		got, err := x.Update(t.Context(), longrun.Change{ID: op.ID, Apply: refuse, Step: &longrun.Step{Key: "step"}})
		if err != mine {
			t.Errorf("Update = %v, want the error of Apply as it is", err)
		}
		x.same("Update that was refused", got, op)
		x.same("Get after it", x.get(op.ID), op)
	}
	if steps, err := x.Steps(t.Context(), op.ID, "", 10); err != nil || len(steps) != 0 {
		t.Errorf("Steps = %v, %v; want none: Apply returned an error", steps, err)
	}
}

func testUpdateMissing(t *testing.T, x subject) {
	_, err := x.Update(t.Context(), longrun.Change{ID: longrun.NewID(), Apply: func(op *longrun.Operation, _ time.Time) (*longrun.Operation, error) {
		t.Error("Apply was called for a missing record")
		return op, nil
	}})
	if e, ok := errors.AsType[*longrun.Error](err); !ok || e.Code != codes.NotFound {
		t.Errorf("Update of a missing record: %v, want NotFound", err)
	}
}

func testUpdateProgress(t *testing.T, x subject) {
	x.start()
	op := x.claimOne(x.session())
	x.advance(time.Second)
	metadata := &anypb.Any{TypeUrl: "type.googleapis.com/test.Metadata", Value: []byte("half")}
	got := x.update(op.ID, func(op *longrun.Operation, now time.Time) *longrun.Operation {
		next, err := op.Report(op.Claim, metadata, now)
		if err != nil {
			t.Errorf("Report: %v", err)
		}
		return next
	})
	want, _ := op.Report(op.Claim, metadata, got.UpdateTime)
	x.same("Update with metadata", got, want)
	x.same("Get after it", x.get(op.ID), want)
	if got.Revision != op.Revision || !got.UpdateTime.After(op.UpdateTime) {
		t.Errorf("Revision, UpdateTime = %d, %v; want %d and later than %v", got.Revision, got.UpdateTime, op.Revision, op.UpdateTime)
	}
}

func testUpdateAgain(_ *testing.T, x subject) {
	x.start()
	op := x.claimOne(x.session())
	done := x.succeed(op)
	x.advance(time.Minute)
	x.same("the same end again", x.succeed(op), done)
	x.same("a cancel of what is done", x.cancel(op.ID), done)
	hidden := x.hide(op.ID)
	x.same("a second delete", x.hide(op.ID), hidden)
}

func testUpdateLateRun(t *testing.T, x subject) {
	s := x.session()
	x.start()
	first := x.claimOne(s)
	x.endRun(first, longrun.RunEnd{Kind: longrun.RunLost})
	late := returned()
	late.Claim = first.Claim
	refused := func(what string) {
		t.Helper()
		was := x.get(first.ID)
		got, err := x.Update(t.Context(), longrun.Change{ID: first.ID, Apply: endRun(late), Step: &longrun.Step{Key: "late"}})
		if !errors.Is(err, longrun.ErrClaimLost) {
			t.Errorf("late end of a run, %s: %v, want ErrClaimLost", what, err)
		}
		x.same("late end of a run, "+what, got, was)
		x.same("Get after it", x.get(first.ID), was)
	}
	refused("nobody runs it")
	second := x.claimOne(s)
	if second.Claim.Attempt != 2 {
		t.Errorf("Attempt = %d, want 2", second.Claim.Attempt)
	}
	refused("the same session runs it again")
	x.succeed(second)
	refused("it is done")
}

func testUpdateHidden(t *testing.T, x subject) {
	x.start()
	op := x.claimOne(x.session())
	hidden := x.hide(op.ID)
	got := x.succeed(op)
	want, err := hidden.EndRun(longrun.RunEnd{Claim: op.Claim, Kind: longrun.RunReturned, Response: returned().Response}, got.UpdateTime)
	if err != nil {
		t.Fatalf("EndRun: %v", err)
	}
	x.same("the end of a hidden operation", got, want)
	x.same("Get after it", x.get(op.ID), want)
	if got.Request != nil || got.Response != nil {
		t.Error("the row is not empty")
	}
}
