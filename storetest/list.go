package storetest

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
)

var listContracts = []contract{
	{"list/empty", "List of nothing is nothing, and there is no more", testListEmpty},
	{"list/order", "newest first by (CreateTime, ID) (ORD-01, ORD-02)", testListOrder},
	{"list/parent", `Parent is exact, or has "-" for segments, or is "-" for every parent (LST-07, LST-08)`, testListParent},
	{"list/hidden", "Hidden operations are never listed (DEL-01)", testListHidden},
	{"list/pages", "Limit is how many operations to return at most; After asks for what comes after this place", testListPages},
	{"list/more", "More is exact", testListMore},
	{"list/writes-between", "After asks for what comes after this place: new operations come before it, and removed ones leave no gap (PAG-07)", testListWritesBetween},
	{"list/after-removed", "After is a place, not an operation: that it was taken from may be gone", testListAfterRemoved},
	{"list/scan", "Scan is how many rows to read at most; More is exact unless Scan cut the page (PAG-04)", testListScan},
	{"list/session", "Session, if set, asks for all that run under this session, hidden too, with no limit", testListSession},
	{"list/request-id", "RequestID and Method, if set, ask for the one operation of Parent that was started by this request", testListRequestID},
}

func testListEmpty(t *testing.T, x subject) {
	for _, q := range []longrun.Query{
		{Parent: "-", Limit: 10}, {Limit: 10}, {Parent: parent, Limit: 10, Scan: 10},
		{Session: longrun.NewSessionID()}, {Parent: parent, Method: work, RequestID: requestA, Limit: 1},
	} {
		if page := x.list(q); len(page.Operations) != 0 || page.More {
			t.Errorf("List(%+v) = %d operations, More = %v; want none", q, len(page.Operations), page.More)
		}
	}
}

func testListOrder(t *testing.T, x subject) {
	var want []*longrun.Operation
	for i := range 20 {
		if i == 10 {
			x.advance(time.Second)
		}
		want = append(want, x.start())
	}
	slices.Reverse(want)
	x.order("List", x.list(longrun.Query{Parent: parent, Limit: 100}).Operations, want...)

	for range 20 { // an order of ids against the order of starts
		op := newOp()
		op.ID = longrun.ID(longrun.NewSessionID())
		want = append(want, x.create(op))
	}
	slices.SortFunc(want, func(a, b *longrun.Operation) int {
		if c := b.CreateTime.Compare(a.CreateTime); c != 0 {
			return c
		}
		return bytes.Compare(b.ID[:], a.ID[:])
	})
	x.order("List", x.list(longrun.Query{Parent: parent, Limit: 100}).Operations, want...)
	if first := want[len(want)-1]; len(want) != 40 || first.CreateTime.After(want[0].CreateTime) {
		t.Errorf("%d operations from %v to %v, want 40 in the order of time", len(want), first.CreateTime, want[0].CreateTime)
	}
}

func testListParent(t *testing.T, x subject) {
	parents := []string{"", "projects/p", "projects/q", "projects/p/locations/l", "projects/p/locations/m", "projects/q/locations/l", "projects"}
	for _, p := range parents {
		op := newOp()
		op.Parent = p
		x.create(op)
	}
	for _, tt := range []struct {
		parent string
		want   []string // newest first
	}{
		{"", []string{""}},
		{"projects/p", []string{"projects/p"}},
		{"projects/none", nil},
		{"projects/-", []string{"projects/q", "projects/p"}},
		{"projects/p/locations/-", []string{"projects/p/locations/m", "projects/p/locations/l"}},
		{"projects/-/locations/l", []string{"projects/q/locations/l", "projects/p/locations/l"}},
		{"projects/-/locations/-", []string{"projects/q/locations/l", "projects/p/locations/m", "projects/p/locations/l"}},
		{"-/-", []string{"projects/q", "projects/p"}},
		{"-", []string{"projects", "projects/q/locations/l", "projects/p/locations/m", "projects/p/locations/l", "projects/q", "projects/p", ""}},
		{"projects/_", nil},
		{"projects/%", nil},
	} {
		var got []string
		for _, op := range x.list(longrun.Query{Parent: tt.parent, Limit: 100}).Operations {
			got = append(got, op.Parent)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("List(%q) has the parents %q, want %q", tt.parent, got, tt.want)
		}
	}
}

func testListHidden(_ *testing.T, x subject) {
	pending, done, seen := x.start(), x.start(), x.start()
	x.cancel(done.ID)
	x.hide(done.ID)
	x.hide(pending.ID)
	for _, q := range []longrun.Query{{Parent: parent, Limit: 10}, {Parent: "-", Limit: 10}} {
		x.order("List", x.list(q).Operations, seen)
	}
}

// walk lists page by page and returns all, and how many pages there were.
func (x subject) walk(q longrun.Query) (all []*longrun.Operation, pages int) {
	x.t.Helper()
	for {
		page := x.list(q)
		if len(page.Operations) > q.Limit {
			x.t.Fatalf("List gave %d operations, want at most Limit = %d", len(page.Operations), q.Limit)
		}
		all, pages = append(all, page.Operations...), pages+1
		if !page.More {
			return all, pages
		}
		if page.Next == q.After || pages > 1000 {
			x.t.Fatalf("List does not come to an end: page %d leads to %v", pages, page.Next)
		}
		q.After = page.Next
	}
}

func testListPages(t *testing.T, x subject) {
	var want []*longrun.Operation
	for i := range 23 {
		op := newOp()
		if op.Parent = "projects/p"; i%3 == 0 {
			op.Parent = "projects/q"
		}
		want = append(want, x.create(op))
	}
	slices.Reverse(want)
	inP := slices.DeleteFunc(slices.Clone(want), func(op *longrun.Operation) bool { return op.Parent != "projects/p" })
	for _, limit := range []int{1, 2, 5, 15, 22, 23, 24} {
		for p, want := range map[string][]*longrun.Operation{"-": want, "projects/-": want, "projects/p": inP} {
			got, pages := x.walk(longrun.Query{Parent: p, Limit: limit})
			x.order("List page by page", got, want...)
			if full := max(1, (len(want)+limit-1)/limit); pages != full {
				t.Errorf("List(%q) with Limit = %d: %d pages, want %d", p, limit, pages, full)
			}
		}
	}
}

func testListMore(t *testing.T, x subject) {
	hidden, elsewhere := x.start(), newOp()
	elsewhere.Parent = "projects/q"
	x.create(elsewhere)
	x.start()
	x.start()
	x.hide(hidden.ID)
	for _, q := range []longrun.Query{{Parent: parent, Limit: 2}, {Parent: "projects/p/locations/-", Limit: 2}} {
		if page := x.list(q); len(page.Operations) != 2 || page.More {
			t.Errorf("List(%q) = %d operations, More = %v; want 2 and no more: what is left is hidden or elsewhere", q.Parent, len(page.Operations), page.More)
		}
	}
}

func testListWritesBetween(t *testing.T, x subject) {
	x.advance(48 * time.Hour)
	var was []*longrun.Operation
	for range 6 {
		was = append(was, x.start())
	}
	slices.Reverse(was)
	first := x.list(longrun.Query{Parent: parent, Limit: 3})
	x.start()
	x.cancel(was[4].ID)
	x.hide(was[4].ID)
	x.claim(x.session(), 1)
	rest := x.list(longrun.Query{Parent: parent, Limit: 3, After: first.Next})
	x.order("the pages together", slices.Concat(first.Operations, rest.Operations), was[0], was[1], was[2], was[3], was[5])
	if rest.More {
		t.Error("More = true at the end, want false")
	}
}

func testListAfterRemoved(t *testing.T, x subject) {
	old, gone, young := x.start(), newOp(), newOp()
	gone.Retention = time.Hour
	x.create(gone)
	x.create(young)
	page := x.list(longrun.Query{Parent: parent, Limit: 2})
	x.cancel(gone.ID)
	x.advance(48 * time.Hour)
	x.expire()
	if x.find(gone.ID) != nil {
		t.Fatal("the operation has not been removed")
	}
	x.order("List after a place that is gone", x.list(longrun.Query{Parent: parent, Limit: 2, After: page.Next}).Operations, old)
}

func testListScan(t *testing.T, x subject) {
	var want []*longrun.Operation
	for i := range 30 {
		op := newOp()
		if op.Parent = "projects/p/locations/l"; i%10 == 3 {
			op.Parent = "projects/q/locations/l"
		}
		if x.create(op); i%10 == 3 {
			want = append(want, op)
		}
	}
	slices.Reverse(want)
	for _, p := range []string{"projects/q/locations/l", "projects/-/locations/l", "-"} {
		whole, _ := x.walk(longrun.Query{Parent: p, Limit: 30})
		for _, scan := range []int{2, 3, 7, 29, 30, 100} {
			got, _ := x.walk(longrun.Query{Parent: p, Limit: 2, Scan: scan})
			x.order("List with Scan", got, whole...)
		}
		if p == "projects/q/locations/l" {
			x.order("List without Scan", whole, want...)
		}
	}
	if page := x.list(longrun.Query{Parent: "-", Limit: 5, Scan: 5}); len(page.Operations) != 5 || !page.More {
		t.Errorf("List with Scan = Limit: %d operations, More = %v; want 5 and more", len(page.Operations), page.More)
	}
}

func testListSession(t *testing.T, x subject) {
	mine, yours := x.session(), x.session()
	running, hidden, done, released := x.startIn(mine), x.startIn(mine), x.startIn(mine), x.startIn(mine)
	elsewhere := newOp()
	elsewhere.Parent, elsewhere.Claim.Session = "projects/q", mine
	x.create(elsewhere)
	x.startIn(yours)
	x.start()
	x.hide(hidden.ID)
	x.succeed(done)
	x.endRun(released, longrun.RunEnd{Kind: longrun.RunReleased})
	want := []string{running.ID.String(), hidden.ID.String(), elsewhere.ID.String()}
	for _, q := range []longrun.Query{{Session: mine}, {Session: mine, Limit: 1}, {Session: mine, Parent: "projects/none", Limit: 1}} {
		got := ids(x.list(q).Operations)
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("List(%+v) = %v, want %v in some order", q, got, want)
		}
	}
	for _, op := range x.list(longrun.Query{Session: mine}).Operations {
		x.same("List by session", op, x.get(op.ID))
	}
}

func testListRequestID(_ *testing.T, x subject) {
	op := x.create(withRequest(requestA))
	elsewhere := withRequest(requestA)
	elsewhere.Parent = "projects/q"
	x.create(elsewhere)
	x.start()
	q := longrun.Query{Parent: parent, Method: work, RequestID: requestA, Limit: 1}
	x.order("List by request id", x.list(q).Operations, op)
	x.same("List by request id", x.listOne(q), op)
	otherMethod, otherID := q, q
	otherMethod.Method, otherID.RequestID = other, requestB
	x.order("List by request id of another method", x.list(otherMethod).Operations)
	x.order("List by another request id", x.list(otherID).Operations)
	x.succeed(x.claim(x.session(), 1)[0])
	x.order("List by request id of a done one", x.list(q).Operations, op)
	x.hide(op.ID)
	x.order("List by request id of a hidden one", x.list(q).Operations)
}
