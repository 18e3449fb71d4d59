package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/longrun-dev/longrun"
)

// Request ids, as the service makes them.
const (
	requestA = "0c8f3a52-2f4e-4c3a-9d55-6a1f1f3e7b01"
	requestB = "7d1d6a0e-5c0b-4f0e-8a43-0e6b5a1c9b02"
)

var requestContracts = []contract{
	{"request-id/known", "Same Parent, Method and RequestID, not hidden: returns the earlier one and ErrExists (IDM-01)", testRequestKnown},
	{"request-id/done", "Same Parent, Method and RequestID, not hidden: a done one too (IDM-02)", testRequestDone},
	{"request-id/scope", "Same Parent, Method and RequestID, all three (IDM-05)", testRequestScope},
	{"request-id/empty", "Same RequestID (unless empty) (IDM-07)", testRequestEmpty},
	{"request-id/hidden", "Same RequestID, not hidden: a deleted operation frees it (DEL-12)", testRequestHidden},
	{"request-id/first", "It looks in this order: request id, session, conflict key", testRequestFirst},
}

// withRequest returns an operation that was started by a request.
func withRequest(id string) *longrun.Operation {
	op := newOp()
	op.RequestID, op.RequestHash = id, [32]byte{1, 2, 3}
	return op
}

// refused checks that Create returns the earlier operation and ErrExists, and
// neither stores nor writes anything.
func (x subject) refused(op, earlier *longrun.Operation) {
	x.t.Helper()
	n := longrun.NewOperation{Operation: op, Write: func(context.Context, any) error {
		x.t.Error("n.Write ran for a request that is known")
		return nil
	}}
	got, err := x.Create(x.t.Context(), n)
	if !errors.Is(err, longrun.ErrExists) {
		x.t.Fatalf("Create with a known request id: %v, want ErrExists", err)
	}
	x.same("Create with a known request id", got, earlier)
	x.same("Get of the earlier one", x.get(earlier.ID), earlier)
	if x.find(op.ID) != nil {
		x.t.Error("Create with a known request id stored a second operation")
	}
}

func testRequestKnown(t *testing.T, x subject) {
	first := x.create(withRequest(requestA))
	second := withRequest(requestA)
	second.RequestHash = [32]byte{9} // the service's business, not the store's
	x.refused(second, first)
	if got := x.claim(x.session(), 10); len(got) != 1 {
		t.Errorf("Claim gave %d operations, want 1", len(got))
	}
}

func testRequestDone(t *testing.T, x subject) {
	x.create(withRequest(requestA))
	x.refused(withRequest(requestA), x.succeed(x.claimOne(x.session())))
}

func testRequestScope(t *testing.T, x subject) {
	x.create(withRequest(requestA))
	elsewhere, differently, later := withRequest(requestA), withRequest(requestA), withRequest(requestB)
	elsewhere.Parent, differently.Method = "projects/q", other
	for _, op := range []*longrun.Operation{elsewhere, differently, later} {
		x.same("Create", x.create(op), x.get(op.ID))
	}
}

func testRequestEmpty(t *testing.T, x subject) {
	for range 3 {
		x.start()
	}
	if got := x.claim(x.session(), 10); len(got) != 3 {
		t.Errorf("Claim gave %d operations, want 3", len(got))
	}
}

func testRequestHidden(t *testing.T, x subject) {
	running := x.create(withRequest(requestA))
	x.claimOne(x.session())
	x.hide(running.ID)
	second := x.create(withRequest(requestA))
	if second.ID == running.ID {
		t.Fatal("Create returned the deleted operation")
	}
	x.cancel(second.ID)
	x.hide(second.ID)
	third := x.create(withRequest(requestA))
	x.refused(withRequest(requestA), third)
}

func testRequestFirst(t *testing.T, x subject) {
	op := keyed("key", longrun.Queue)
	op.RequestID = requestA
	earlier := x.create(op)
	for _, p := range []longrun.ConflictPolicy{longrun.Queue, longrun.Reject, longrun.Preempt} {
		again := keyed("key", p)
		again.RequestID, again.Claim.Session = requestA, longrun.NewSessionID()
		x.refused(again, earlier)
	}
}
