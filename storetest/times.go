package storetest

import (
	"reflect"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
)

var timeContracts = []contract{
	{"times/utc-microseconds", "Times are UTC, whole microseconds", testTimesUTC},
	{"times/never-back", "the store's clock does not go back: now is never earlier than a time the store has given out", testTimesNeverBack},
}

// wantClean checks that a time that the store gave out is as times are.
func wantClean(t *testing.T, what string, at time.Time) {
	t.Helper()
	if at.IsZero() {
		return
	}
	if at.Location() != time.UTC || at.Nanosecond()%1000 != 0 {
		t.Errorf("%s = %v, want UTC and whole microseconds", what, at)
	}
}

func wantCleanRecord(t *testing.T, what string, op *longrun.Operation) {
	t.Helper()
	v := reflect.ValueOf(*op)
	for i := range v.NumField() {
		if at, ok := v.Field(i).Interface().(time.Time); ok {
			wantClean(t, what+": "+v.Type().Field(i).Name, at)
		}
	}
}

func testTimesUTC(t *testing.T, x subject) {
	s := x.sessionFor(time.Hour)
	op := newOp()
	op.ExecutionTimeout = time.Hour
	wantCleanRecord(t, "Create", x.create(op))
	claimed := x.claimOne(s)
	wantCleanRecord(t, "Claim", claimed)
	x.stepped(claimed, "step", "")
	wantClean(t, "Step.Time", x.oneStep(op.ID).Time)
	released := x.endRun(claimed, longrun.RunEnd{Kind: longrun.RunReleased, Delay: 1500 * time.Millisecond})
	wantCleanRecord(t, "Update", released)
	c := x.claimed(longrun.ClaimRequest{Session: s, Want: []longrun.Want{{Method: work, N: 1}}})
	wantClean(t, "Next", c.Next)
	x.update(op.ID, func(op *longrun.Operation, now time.Time) *longrun.Operation {
		wantClean(t, "now of Apply", now)
		return op.RequestCancel(now)
	})
	wantCleanRecord(t, "Get", x.get(op.ID))
	wantCleanRecord(t, "List", x.listOne(longrun.Query{Parent: parent}))
	wantClean(t, "Beat.Time", x.now())
}

func testTimesNeverBack(t *testing.T, x subject) {
	s := x.session()
	var last time.Time
	later := func(what string, at time.Time) {
		t.Helper()
		if at.Before(last) {
			t.Errorf("%s = %v, want not before %v, which the store had given out", what, at, last)
		}
		last = at
	}
	for range 50 {
		op := x.start()
		later("CreateTime", op.CreateTime)
		later("Beat.Time", x.beat(longrun.Session{ID: s, TTL: sessionTTL}).Time)
		claimed := x.claimOne(s)
		later("ClaimTime", claimed.ClaimTime)
		later("EndTime", x.succeed(claimed).EndTime)
	}
}
