package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	"pgregory.net/rapid"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// genTime draws a time of the store's, or none.
func genTime(base time.Time) *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "zero") {
			return time.Time{}
		}
		return base.Add(time.Duration(rapid.Int64Range(-1e9, 1e15).Draw(t, "micros")) * time.Microsecond)
	})
}

// genRecord draws a record; only what the packed columns hold.
func genRecord(t *rapid.T) *record {
	op := &longrun.Operation{CreateTime: time.UnixMicro(1_790_000_000_000_000).UTC()}
	op.Revision = rapid.Int64().Draw(t, "revision")
	op.Claim = longrun.Claim{Attempt: rapid.Int64().Draw(t, "attempt"), Call: rapid.Int64().Draw(t, "call")}
	copy(op.Claim.Session[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "session"))
	op.Failures, op.CompletedSteps, op.MaxFailures = rapid.Int().Draw(t, "failures"), rapid.Int().Draw(t, "steps"), rapid.Int().Draw(t, "max")
	flag := func(name string) bool { return rapid.Bool().Draw(t, name) }
	op.CancelRequested, op.Preempted, op.EndedByRun = flag("cancel"), flag("preempted"), flag("by run")
	op.AtMostOnce, op.Pinned = flag("once"), flag("pinned")
	times := genTime(op.CreateTime)
	for _, p := range []*time.Time{&op.StartTime, &op.ClaimTime, &op.UpdateTime, &op.EndTime, &op.DeadlineTime} {
		*p = times.Draw(t, "time")
	}
	if flag("metadata") {
		op.Metadata = anyOf(rapid.IntRange(0, 300).Draw(t, "metadata size"))
	}
	if flag("request") {
		op.Request = anyOf(rapid.IntRange(0, 3000).Draw(t, "request size"))
	}
	op.Caller, op.TraceParent, op.ConflictKey = rapid.String().Draw(t, "caller"), rapid.String().Draw(t, "trace"), rapid.String().Draw(t, "key")
	copy(op.RequestHash[:], rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(t, "hash"))
	op.ExecutionTimeout, op.Retention = time.Duration(rapid.Int64().Draw(t, "timeout")), time.Duration(rapid.Int64().Draw(t, "retention"))
	op.OnConflict = longrun.ConflictPolicy(rapid.IntRange(0, 2).Draw(t, "policy"))
	if flag("labels") {
		op.Labels = rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "labels")
	}
	return &record{op: op, stepped: flag("stepped")}
}

// What is packed comes out again, field by field.
func TestPack_RoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := genRecord(t)
		c, err := packCold(r.op)
		if err != nil {
			t.Fatal(err)
		}
		hot, err := appendHot(nil, r)
		if err != nil {
			t.Fatal(err)
		}
		got := &record{op: &longrun.Operation{CreateTime: r.op.CreateTime}}
		if err := unpackCold(got, c.packed); err != nil {
			t.Fatal(err)
		}
		if err := unpackHot(got, hot); err != nil {
			t.Fatal(err)
		}
		if got.aside {
			got.op.Request = r.op.Request
		}
		if !sameCold(got.op, &longrun.Operation{}) && got.op.Request != nil {
			got.op.Request = r.op.Request // compared below by its size only
		}
		if !sameCold(got.op, r.op) || got.stepped != r.stepped {
			t.Fatalf("cold part = %+v, want %+v", got.op, r.op)
		}
		wantSamePart(t, got.op, r.op)
	})
}

func wantSamePart(t *rapid.T, got, want *longrun.Operation) {
	if got.Revision != want.Revision || got.Claim != want.Claim || got.Failures != want.Failures ||
		got.CompletedSteps != want.CompletedSteps || got.CancelRequested != want.CancelRequested ||
		got.Preempted != want.Preempted || got.EndedByRun != want.EndedByRun || got.StartTime != want.StartTime ||
		got.ClaimTime != want.ClaimTime || got.UpdateTime != want.UpdateTime || got.EndTime != want.EndTime ||
		got.DeadlineTime != want.DeadlineTime || (got.Metadata == nil) != (want.Metadata == nil) ||
		len(got.Metadata.GetValue()) != len(want.Metadata.GetValue()) {
		t.Fatalf("hot part = %+v, want %+v", got, want)
	}
}

// FuzzUnpack feeds packed columns that a damaged file may have.
func FuzzUnpack(f *testing.F) {
	r := &record{op: newOp()}
	c, err := packCold(r.op)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.packed)
	f.Fuzz(func(_ *testing.T, b []byte) {
		r := &record{op: &longrun.Operation{}}
		if unpackCold(r, b) == nil {
			packCold(r.op)
		}
		unpackHot(&record{op: &longrun.Operation{}}, b)
	})
}

// payload is what SQLite says that all rows take.
func payload(t *testing.T, s *Store) (bytes int) {
	t.Helper()
	err := s.View(t.Context(), func(c *sqlite.Conn) (err error) {
		bytes, err = sqlitex.ResultInt(c.Prep("SELECT sum(payload) FROM dbstat WHERE name = 'longrun_operation'"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// A row keeps its size through the whole life of its operation, so that it is
// overwritten in place.
func TestRowSize_Stays(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	session := openSession(t, s, "process")
	op := newOp()
	op.ExecutionTimeout, op.Request = time.Hour, anyOf(100)
	create(t, s, op)
	want := payload(t, s)
	if _, err := s.Claim(t.Context(), longrun.ClaimRequest{Session: session, Want: []longrun.Want{{Method: op.Method, N: 1}}}); err != nil {
		t.Fatal(err)
	}
	if got := payload(t, s); got != want {
		t.Errorf("row after the claim = %d bytes, want %d", got, want)
	}
	update(t, s, op.ID, func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
		return op.Report(op.Claim, anyOf(20), now)
	})
	if got := payload(t, s); got != want {
		t.Errorf("row after a report = %d bytes, want %d", got, want)
	}
	update(t, s, op.ID, returned(10))
	if got := payload(t, s); got != want {
		t.Errorf("row after the end = %d bytes, want %d", got, want)
	}
}

// Rows get more room when operations that end need more, and less when they do
// not.
func TestRoom_Learns(t *testing.T) {
	t.Parallel()
	r := firstRoom
	for range 100 {
		r.learn(300)
	}
	if r < 300 || r > 310 {
		t.Errorf("room = %d, want about 300", r)
	}
	for range 2000 {
		r.learn(0)
	}
	if r > 64 {
		t.Errorf("room = %d, want it small", r)
	}
	r.learn(1 << 20)
	for range 100 {
		r.learn(1 << 20)
	}
	if r != maxRoom {
		t.Errorf("room = %d, want %d at most", r, maxRoom)
	}
}

func TestPadding(t *testing.T) {
	t.Parallel()
	running, done := &longrun.Operation{State: longrun.Running}, &longrun.Operation{State: longrun.Succeeded}
	for without := 100; without < 700; without++ {
		pad, row := firstRoom.padding(running, without, 500)
		if want := without + textSize(pad); row != want {
			t.Errorf("row of %d bytes with %d = %d, want %d", without, pad, row, want)
		}
		if fits := 500 - without; fits > 0 && fits != 59 && row != 500 {
			t.Errorf("row of %d bytes becomes %d, want 500 as before", without, row)
		}
	}
	if pad, row := firstRoom.padding(done, 600, 500); pad != 0 || row != 601 {
		t.Errorf("done row = %d bytes with %d of padding, want 601 with none", row, pad)
	}
}
