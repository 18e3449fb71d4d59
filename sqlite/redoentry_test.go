package sqlite

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/longrun-dev/longrun"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"
)

// genSimple draws an operation as simple changes store it.
func genSimple(t *rapid.T) *record {
	r := genRecord(t)
	op := r.op
	op.ID = longrun.NewID()
	op.Parent, op.Method = rapid.String().Draw(t, "parent"), rapid.String().Draw(t, "method")
	op.RequestID = rapid.String().Draw(t, "request id")
	op.ConflictKey = ""
	r.stepped = false
	genState(t, op)
	return r
}

// genState draws what the end of an operation, or a claim, sets.
func genState(t *rapid.T, op *longrun.Operation) {
	times := genTime(op.CreateTime)
	op.State = longrun.State(rapid.IntRange(1, 5).Draw(t, "state"))
	op.ReadyTime, op.ExpireTime = times.Draw(t, "ready"), times.Draw(t, "expire")
	op.Response, op.Error = nil, nil
	if rapid.Bool().Draw(t, "response") {
		op.Response = anyOf(rapid.IntRange(0, 300).Draw(t, "response size"))
	}
	if rapid.Bool().Draw(t, "error") {
		op.Error = &spb.Status{Code: int32(rapid.IntRange(0, 20).Draw(t, "code")), Message: "went wrong"}
	}
}

// What goes into the redo log comes out again: a new record as a whole, and a
// changed one on what was there before.
func TestRedoEntry_RoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first := genSimple(t)
		c, err := packCold(first.op)
		if err != nil {
			t.Fatal(err)
		}
		b, err := appendEntry(nil, first, &c)
		if err != nil {
			t.Fatal(err)
		}
		second := genRecord(t)
		keepCold(second.op, first.op)
		second.op.ID, second.stepped = first.op.ID, false
		genState(t, second.op)
		if b, err = appendEntry(b, second, nil); err != nil {
			t.Fatal(err)
		}
		var got []*record
		err = eachEntry(b, func(e entry) error {
			var before *record
			if len(got) > 0 {
				before = got[len(got)-1]
			}
			r, err := e.record(before)
			got = append(got, r)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 2 {
			t.Fatalf("%d entries, want 2", len(got))
		}
		for i, want := range []*record{first, second} {
			if diff := cmp.Diff(want.op, got[i].op, protocmp.Transform(), cmp.Comparer(time.Time.Equal)); diff != "" {
				t.Errorf("entry %d (-want +got):\n%s", i, diff)
			}
		}
	})
}

// A changed record that nothing stands before is refused: the log has a hole.
func TestRedoEntry_WithoutRecord(t *testing.T) {
	t.Parallel()
	b, err := appendEntry(nil, &record{op: newOp()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = eachEntry(b, func(e entry) error {
		_, err := e.record(nil)
		return err
	})
	if err == nil {
		t.Error("record of a change without a record before it: no error")
	}
}
