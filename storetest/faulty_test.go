package storetest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/storetest"
	"google.golang.org/grpc/codes"
)

func newFaulty(t *testing.T) (*storetest.Faulty, longrun.Store) {
	s := inmem.New()
	f := storetest.NewFaulty(s)
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return f, s
}

func newOp() *longrun.Operation {
	return &longrun.Operation{ID: longrun.NewID(), Method: "work", MaxFailures: 1, Retention: time.Hour}
}

// stored reports whether op is in the store.
func stored(t *testing.T, s longrun.Store, op *longrun.Operation) bool {
	t.Helper()
	ops, err := s.Get(t.Context(), op.ID)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return ops[0] != nil
}

func TestFaulty_Outcomes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		outcome         storetest.Outcome
		unknown, stored bool
	}{
		{storetest.Refused, false, false},
		{storetest.Committed, true, true},
		{storetest.Dropped, true, false},
		{storetest.Late, true, false},
	} {
		f, s := newFaulty(t)
		f.Inject(storetest.Fault{On: storetest.OnCreate, Outcome: tt.outcome})
		op := newOp()
		got, err := f.Create(t.Context(), longrun.NewOperation{Operation: op})
		if got != nil || longrun.CodeOf(err) != codes.Unavailable || longrun.IsUnknown(err) != tt.unknown {
			t.Errorf("outcome %d: Create = %v, %v; want Unavailable, unknown %v", tt.outcome, got, err, tt.unknown)
		}
		if is := stored(t, s, op); is != tt.stored {
			t.Errorf("outcome %d: stored = %v, want %v", tt.outcome, is, tt.stored)
		}
		late := f.Deliver()
		if want := tt.outcome == storetest.Late; (late == 1) != want || stored(t, s, op) != (want || tt.stored) {
			t.Errorf("outcome %d: Deliver = %d, stored = %v", tt.outcome, late, stored(t, s, op))
		}
		if f.Struck() != 1 {
			t.Errorf("Struck = %d, want 1", f.Struck())
		}
	}
}

func TestFaulty_Which(t *testing.T) {
	t.Parallel()
	const calls = 9
	for _, tt := range []struct {
		what  string
		fault storetest.Fault
		want  string // "x" for each call that fails
	}{
		{"the next call", storetest.Fault{}, "x........"},
		{"the next three", storetest.Fault{Times: 3}, "xxx......"},
		{"all", storetest.Fault{Times: -1}, "xxxxxxxxx"},
		{"the third", storetest.Fault{Skip: 2}, "..x......"},
		{"every third", storetest.Fault{Every: 3, Times: -1}, "x..x..x.."},
		{"two of every other, from the second on", storetest.Fault{Skip: 1, Every: 2, Times: 2}, ".x.x....."},
		{"negative numbers", storetest.Fault{Skip: -1, Every: -1}, "x........"},
		{"other methods", storetest.Fault{On: storetest.OnWrites, Times: -1}, "........."},
	} {
		f, _ := newFaulty(t)
		f.Inject(tt.fault)
		got := ""
		for range calls {
			if _, err := f.Get(t.Context()); err != nil {
				got += "x"
			} else {
				got += "."
			}
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.what, got, tt.want)
		}
		f.Heal()
		if _, err := f.Get(t.Context()); err != nil {
			t.Errorf("%s: Get after Heal: %v", tt.what, err)
		}
	}
}

func TestFaulty_EveryMethod(t *testing.T) {
	t.Parallel()
	f, _ := newFaulty(t)
	ctx := t.Context()
	for on, call := range map[storetest.Calls]func() error{
		storetest.OnCreate: func() error { _, err := f.Create(ctx, longrun.NewOperation{Operation: newOp()}); return err },
		storetest.OnGet:    func() error { _, err := f.Get(ctx); return err },
		storetest.OnList:   func() error { _, err := f.List(ctx, longrun.Query{Limit: 1}); return err },
		storetest.OnUpdate: func() error { _, err := f.Update(ctx, longrun.Change{ID: longrun.NewID()}); return err },
		storetest.OnClaim:  func() error { _, err := f.Claim(ctx, longrun.ClaimRequest{}); return err },
		storetest.OnBeat:   func() error { _, err := f.Beat(ctx, longrun.Session{}); return err },
		storetest.OnDue:    func() error { _, err := f.Due(ctx, longrun.Contact{}, 1); return err },
		storetest.OnExpire: func() error { _, err := f.Expire(ctx, 1); return err },
		storetest.OnSteps:  func() error { _, err := f.Steps(ctx, longrun.NewID(), "", 1); return err },
		storetest.OnWatch: func() error {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return f.Watch(ctx, func(longrun.Hint) {})
		},
		storetest.OnSecret: func() error { _, err := f.Secret(ctx, "name"); return err },
	} {
		f.Inject(storetest.Fault{On: storetest.OnAll &^ on, Times: -1})
		if err := call(); longrun.CodeOf(err) == codes.Unavailable {
			t.Errorf("method %b: %v, want it left alone", on, err)
		}
		f.Heal()
		f.Inject(storetest.Fault{On: on, Outcome: storetest.Dropped})
		err := call()
		if longrun.CodeOf(err) != codes.Unavailable {
			t.Errorf("method %b: %v, want Unavailable", on, err)
		}
		if want := on&storetest.OnWrites != 0; longrun.IsUnknown(err) != want {
			t.Errorf("method %b: IsUnknown = %v, want %v: a read changes nothing", on, !want, want)
		}
	}
}

func TestFaulty_Hang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFaulty(t)
		for _, outcome := range []storetest.Outcome{storetest.Refused, storetest.Committed, storetest.Dropped} {
			f.Inject(storetest.Fault{Outcome: outcome, Hang: true})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			began, op := time.Now(), newOp()
			_, err := f.Create(ctx, longrun.NewOperation{Operation: op})
			cancel()
			if took := time.Since(began); took != time.Minute {
				t.Errorf("outcome %d: Create hung for %v, want 1m0s", outcome, took)
			}
			if errors.Is(err, context.DeadlineExceeded) || longrun.CodeOf(err) != codes.Unavailable {
				t.Errorf("outcome %d: %v, want Unavailable, not the error of ctx", outcome, err)
			}
			if is, want := stored(t, s, op), outcome == storetest.Committed; is != want {
				t.Errorf("outcome %d: stored = %v, want %v", outcome, is, want)
			}
		}
	})
}

func TestClock(t *testing.T) {
	t.Parallel()
	c := storetest.NewClock()
	first := c.Now()
	if !c.Now().Equal(first) {
		t.Error("the clock moves of itself")
	}
	c.Advance(time.Hour)
	c.Advance(-time.Minute)
	if got := c.Now().Sub(first); got != 59*time.Minute {
		t.Errorf("moved by %v, want 59m0s", got)
	}
}
