package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/longrun-dev/longrun"
)

var createContracts = []contract{
	{"create/stored", "Create stores n.Operation as Operation.Stored makes it, and returns it", testCreateStored},
	{"create/claimed", "Claim.Session set means: already claimed by it, as attempt 1", testCreateClaimed},
	{"create/same-id", "Same ID: returns what is stored, and nil. Nothing is written", testCreateSameID},
	{"create/same-id-hidden", "Nothing is written, also where the row is hidden or emptied (DEL-08, NM-02)", testCreateSameIDHidden},
	{"create/same-id-first", "It looks in this order: same ID, request id, session, conflict key", testCreateSameIDFirst},
	{"create/session-lost", "Claim.Session is set and not alive on record: ErrSessionLost", testCreateSessionLost},
	{"create/session-before-key", "It looks in this order: session, conflict key", testCreateSessionBeforeKey},
	{"create/write", "n.Write runs last, in the same commit", testCreateWrite},
	{"create/write-error", "its error undoes all and comes back as it is", testCreateWriteError},
	{"create/write-error-preempt", "its error undoes all: nobody is preempted, the key stays where it is", testCreateWriteErrorPreempt},
	{"create/dry-run", "With n.DryRun everything is checked, n.Write runs, and all is undone; what would have been stored is returned", testCreateDryRun},
	{"create/dry-run-checks", "With n.DryRun everything is checked", testCreateDryRunChecks},
}

func testCreateStored(t *testing.T, x subject) {
	op := newOp()
	before := x.now()
	got := x.create(op)
	x.same("Create", got, op.Stored(got.CreateTime, false))
	x.same("Get after Create", x.get(op.ID), got)
	if got.CreateTime.Before(before) {
		t.Errorf("CreateTime = %v, want the store's time, not before %v", got.CreateTime, before)
	}
	if op.State != 0 || op.Revision != 0 {
		t.Errorf("Create changed the record it was given: State = %v, Revision = %d", op.State, op.Revision)
	}
}

func testCreateClaimed(t *testing.T, x subject) {
	op := newOp()
	op.Claim = longrun.Claim{Session: x.session(), Call: 7}
	got := x.create(op)
	x.same("Create", got, op.Stored(got.CreateTime, false))
	if got.State != longrun.Running || got.Claim != (longrun.Claim{Session: op.Claim.Session, Attempt: 1, Call: 7}) {
		t.Errorf("State, Claim = %v, %v; want RUNNING as attempt 1 of call 7", got.State, got.Claim)
	}
	if ops := x.claim(x.session(), 10); len(ops) != 0 {
		t.Errorf("Claim gave %d operations, want 0: the only one is claimed", len(ops))
	}
}

func testCreateSameID(t *testing.T, x subject) {
	op := newOp()
	x.create(op)
	now := x.endRun(x.claimOne(x.session()), retryable())
	again := *op
	again.Method, again.Caller = other, "somebody else"
	n := longrun.NewOperation{Operation: &again, Write: func(context.Context, any) error {
		t.Error("n.Write ran on a retry of ours")
		return nil
	}}
	got, err := x.Create(t.Context(), n)
	if err != nil {
		t.Fatalf("Create with the same ID: %v", err)
	}
	x.same("Create with the same ID", got, now)
	x.same("Get after that", x.get(op.ID), now)
}

func testCreateSameIDHidden(t *testing.T, x subject) {
	hidden, emptied := newOp(), newOp()
	x.create(hidden)
	x.create(emptied)
	x.hide(hidden.ID)
	x.cancel(emptied.ID)
	x.hide(emptied.ID)
	for _, op := range []*longrun.Operation{hidden, emptied} {
		stored := x.get(op.ID)
		x.same("Create with the ID of a hidden row", x.create(op), stored)
		x.same("Get after that", x.get(op.ID), stored)
	}
	if page := x.list(longrun.Query{Parent: "-", Limit: 10}); len(page.Operations) != 0 {
		t.Errorf("List shows %d operations, want 0: both are deleted", len(page.Operations))
	}
}

func testCreateSameIDFirst(t *testing.T, x subject) {
	ended := x.session()
	op := keyed("key", longrun.Reject)
	op.RequestID, op.Claim.Session = requestA, ended
	stored := x.create(op)
	x.closeSession(ended)
	got, err := x.Create(t.Context(), longrun.NewOperation{Operation: op})
	if err != nil {
		t.Fatalf("retry of a Create whose request id, session and key are its own: %v", err)
	}
	x.same("retry of a Create", got, stored)
}

func testCreateSessionLost(t *testing.T, x subject) {
	dead, ended := x.session(), x.session()
	x.closeSession(ended)
	x.kill(dead)
	for what, s := range map[string]longrun.SessionID{"dead": dead, "ended": ended, "unknown": longrun.NewSessionID()} {
		op := newOp()
		op.Claim.Session = s
		n := longrun.NewOperation{Operation: op, Write: func(context.Context, any) error {
			t.Errorf("n.Write ran for a session that is %s", what)
			return nil
		}}
		if _, err := x.Create(t.Context(), n); !errors.Is(err, longrun.ErrSessionLost) {
			t.Errorf("Create claimed by a session that is %s: %v, want ErrSessionLost", what, err)
		}
		if got := x.find(op.ID); got != nil {
			t.Errorf("Create claimed by a session that is %s stored %v", what, got.State)
		}
	}
}

func testCreateSessionBeforeKey(t *testing.T, x subject) {
	holder := x.create(keyed("key", longrun.Queue))
	for _, p := range []longrun.ConflictPolicy{longrun.Reject, longrun.Preempt} {
		op := keyed("key", p)
		op.Claim.Session = longrun.NewSessionID()
		if _, err := x.Create(t.Context(), longrun.NewOperation{Operation: op}); !errors.Is(err, longrun.ErrSessionLost) {
			t.Errorf("Create with %v by an unknown session: %v, want ErrSessionLost", p, err)
		}
	}
	x.same("the holder of the key", x.get(holder.ID), holder)
}

func testCreateWrite(t *testing.T, x subject) {
	op, ran := newOp(), 0
	n := longrun.NewOperation{Operation: op, Write: func(_ context.Context, tx any) error {
		if ran++; tx == nil {
			t.Error("n.Write got no transaction")
		}
		return nil
	}}
	if _, err := x.Create(t.Context(), n); err != nil {
		t.Fatalf("Create: %v", err)
	}
	if ran != 1 {
		t.Errorf("n.Write ran %d times, want 1", ran)
	}
	x.get(op.ID)
}

func testCreateWriteError(t *testing.T, x subject) {
	mine := errors.New("the author's")
	op := keyed("key", longrun.Queue)
	op.RequestID = requestA
	n := longrun.NewOperation{Operation: op, Write: func(context.Context, any) error { return mine }}
	if _, err := x.Create(t.Context(), n); err != mine {
		t.Errorf("Create = %v, want the error of n.Write as it is", err)
	}
	if got := x.find(op.ID); got != nil {
		t.Errorf("Get = %v, want nil: it is undone", got.State)
	}
	again := keyed("key", longrun.Reject)
	again.RequestID = requestA
	if got := x.create(again); got.ReadyTime.IsZero() {
		t.Error("the next operation of the key waits, want ready: the key is not held")
	}
}

func testCreateWriteErrorPreempt(t *testing.T, x subject) {
	x.create(keyed("key", longrun.Queue))
	holder := x.claimOne(x.session())
	waiting := x.create(keyed("key", longrun.Queue))
	mine := errors.New("the author's")
	for _, n := range []longrun.NewOperation{
		{Write: func(context.Context, any) error { return mine }},
		{DryRun: true},
	} {
		n.Operation = keyed("key", longrun.Preempt)
		if _, err := x.Create(t.Context(), n); !n.DryRun && err != mine {
			t.Errorf("Create = %v, want the error of n.Write as it is", err)
		}
		x.same("the holder of the key", x.get(holder.ID), holder)
		x.same("the one that waits", x.get(waiting.ID), waiting)
	}
	x.succeed(holder)
	if got := x.get(waiting.ID); got.ReadyTime.IsZero() {
		t.Error("after the holder's end the one that waits is not ready")
	}
}

func testCreateDryRun(t *testing.T, x subject) {
	ran := 0
	n := longrun.NewOperation{Operation: keyed("key", longrun.Queue), DryRun: true, Write: func(context.Context, any) error {
		ran++
		return nil
	}}
	n.Operation.RequestID = requestA
	got, err := x.Create(t.Context(), n)
	if err != nil {
		t.Fatalf("Create with DryRun: %v", err)
	}
	x.same("Create with DryRun", got, n.Operation.Stored(got.CreateTime, false))
	if ran != 1 {
		t.Errorf("n.Write ran %d times, want 1", ran)
	}
	if stored := x.find(n.Operation.ID); stored != nil {
		t.Errorf("Get after DryRun = %v, want nil", stored.State)
	}
	again := keyed("key", longrun.Reject)
	again.RequestID = requestA
	x.create(again) // neither the key nor the request id is taken
	if got := x.claim(x.session(), 10); len(got) != 1 {
		t.Errorf("Claim gave %d operations, want 1", len(got))
	}
}

func testCreateDryRunChecks(t *testing.T, x subject) {
	first := keyed("key", longrun.Queue)
	first.RequestID = requestA
	stored := x.create(first)

	same, repeated, lost, busy := newOp(), newOp(), newOp(), keyed("key", longrun.Reject)
	same.ID, repeated.RequestID, lost.Claim.Session = first.ID, requestA, longrun.NewSessionID()
	for _, tt := range []struct {
		what string
		op   *longrun.Operation
		want string
	}{
		{"the same ID", same, ""},
		{"a known request id", repeated, "ErrExists"},
		{"an unknown session", lost, "ErrSessionLost"},
		{"a held key", busy, "Aborted"},
	} {
		_, err := x.Create(t.Context(), longrun.NewOperation{Operation: tt.op, DryRun: true})
		if got := kind(err); got != tt.want {
			t.Errorf("Create with DryRun and %s: %q, want %q", tt.what, got, tt.want)
		}
	}
	waits, err := x.Create(t.Context(), longrun.NewOperation{Operation: keyed("key", longrun.Queue), DryRun: true})
	if err != nil || !waits.ReadyTime.IsZero() {
		t.Errorf("Create with DryRun behind a holder: ReadyTime = %v, %v; want none: it would wait", waits.ReadyTime, err)
	}
	x.same("the first operation", x.get(first.ID), stored)
}
