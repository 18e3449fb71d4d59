package storetest

import (
	"testing"

	"github.com/longrun-dev/longrun"
)

var getContracts = []contract{
	{"get/missing", "Get returns nil where there is none", testGetMissing},
	{"get/order", "Get returns the operations with these ids, in this order", testGetOrder},
	{"get/hidden", "Hidden ones are returned", testGetHidden},
	{"get/values", "Records are values: whoever gets one may keep it and change its fields", testGetValues},
}

func testGetMissing(t *testing.T, x subject) {
	if got := x.find(longrun.NewID()); got != nil {
		t.Errorf("Get of an unknown id = %v, want nil", got)
	}
	op := x.start()
	got, err := x.Get(t.Context(), longrun.NewID(), op.ID, longrun.ID{})
	if err != nil || len(got) != 3 || got[0] != nil || got[1] == nil || got[2] != nil {
		t.Errorf("Get(unknown, known, zero) = %v, %v; want nil, the operation, nil", got, err)
	}
	if got, err := x.Get(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("Get() = %v, %v; want nothing", got, err)
	}
}

func testGetOrder(t *testing.T, x subject) {
	a, b, c := x.start(), x.start(), x.start()
	got, err := x.Get(t.Context(), b.ID, c.ID, b.ID, a.ID)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	x.order("Get", got, b, c, b, a)
	many := make([]longrun.ID, 1000)
	for i := range many {
		many[i] = longrun.NewID()
	}
	many[999] = a.ID
	if got, err = x.Get(t.Context(), many...); err != nil || len(got) != 1000 || got[999] == nil {
		t.Errorf("Get of 1000 ids: %d records, %v; want 1000, the last of which is there", len(got), err)
	}
}

func testGetHidden(t *testing.T, x subject) {
	pending, done := x.start(), x.start()
	x.cancel(done.ID)
	for _, op := range []*longrun.Operation{pending, done} {
		hidden := x.hide(op.ID)
		x.same("Get of a hidden operation", x.get(op.ID), hidden)
		if !hidden.Hidden {
			t.Error("Hidden = false, want true")
		}
	}
}

func testGetValues(t *testing.T, x subject) {
	op := newOp()
	created := x.create(op)
	want := *created
	spoil := func(op *longrun.Operation) {
		op.Method, op.State, op.Revision, op.Request = other, longrun.Failed, 99, nil
	}

	spoil(op)
	spoil(created)
	x.same("Get after the records of Create were changed", x.get(want.ID), &want)
	spoil(x.get(want.ID))
	x.same("Get after the record of Get was changed", x.get(want.ID), &want)
	spoil(x.listOne(longrun.Query{Parent: parent}))
	x.same("Get after the record of List was changed", x.get(want.ID), &want)

	s := x.session()
	claimed := x.claimOne(s)
	want = *claimed
	spoil(claimed)
	x.same("Get after the record of Claim was changed", x.get(want.ID), &want)
	cancelled := x.cancel(want.ID)
	want = *cancelled
	spoil(cancelled)
	x.same("Get after the record of Update was changed", x.get(want.ID), &want)
}
