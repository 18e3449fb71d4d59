package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/storetest"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/anypb"
)

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) (longrun.Store, func(time.Duration)) {
		clock := storetest.NewClock()
		return openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{Now: clock.Now}), clock.Advance
	})
}

// The contract holds too when nothing is remembered in memory.
func TestContract_WithoutCache(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) (longrun.Store, func(time.Duration)) {
		clock := storetest.NewClock()
		return openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{Now: clock.Now, CacheBytes: -1}), clock.Advance
	})
}

// openTest opens a store that the test's end closes.
func openTest(t testing.TB, file string, o Options) *Store {
	t.Helper()
	s, err := Open(file, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// settleTest lets the tables have what was told to be done.
func settleTest(t testing.TB, s *Store) {
	t.Helper()
	if err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func closeTest(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// newOp is an operation about to be stored.
func newOp() *longrun.Operation {
	return &longrun.Operation{
		ID: longrun.NewID(), Parent: "projects/p", Method: "resize-image", MaxFailures: 20, Retention: time.Hour,
	}
}

func create(t testing.TB, s longrun.Creator, op *longrun.Operation) *longrun.Operation {
	t.Helper()
	stored, err := s.Create(t.Context(), longrun.NewOperation{Operation: op})
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func update(t testing.TB, s *Store, id longrun.ID, f func(*longrun.Operation, time.Time) (*longrun.Operation, error)) *longrun.Operation {
	t.Helper()
	op, err := s.Update(t.Context(), longrun.Change{ID: id, Apply: f})
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// returned ends the run of an operation with a response of so many bytes.
func returned(bytes int) func(*longrun.Operation, time.Time) (*longrun.Operation, error) {
	return func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
		return op.EndRun(longrun.RunEnd{Claim: op.Claim, Kind: longrun.RunReturned, Response: anyOf(bytes)}, now)
	}
}

func cancel(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
	return op.RequestCancel(now), nil
}

func anyOf(bytes int) *anypb.Any {
	return &anypb.Any{TypeUrl: "type.googleapis.com/google.protobuf.BytesValue", Value: make([]byte, bytes)}
}

func openSession(t testing.TB, s *Store, remote string) longrun.SessionID {
	t.Helper()
	id := longrun.NewSessionID()
	_, err := s.Beat(t.Context(), longrun.Session{ID: id, Open: true, TTL: time.Minute, Worker: "w", Remote: remote == "remote"})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func get(t testing.TB, s *Store, id longrun.ID) *longrun.Operation {
	t.Helper()
	ops, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return ops[0]
}

func wantSame(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func wantCode(t testing.TB, what string, err error, want codes.Code) {
	t.Helper()
	if got := longrun.CodeOf(err); got != want {
		t.Errorf("%s: %v, code %v, want %v", what, err, got, want)
	}
}

func wantSound(t testing.TB, file string) {
	t.Helper()
	problems, err := Check(t.Context(), file)
	if err != nil {
		t.Errorf("Check: %v", err)
	}
	for _, p := range problems {
		t.Errorf("Check: %s", p.Text)
	}
}

// CON-02, IDM-08: what was stored is there after the store was closed and opened
// again, in every field.
func TestReopen_KeepsRecords(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	s := openTest(t, file, Options{})
	session := openSession(t, s, "remote")
	ops := map[string]*longrun.Operation{}
	for name, request := range map[string]*anypb.Any{
		"no request": nil, "empty request": {}, "small request": anyOf(10), "large request": anyOf(100_000),
	} {
		op := newOp()
		op.Request, op.Metadata = request, anyOf(3)
		op.RequestID, op.RequestHash = longrun.NewID().String(), [32]byte{1, 2, 3}
		op.Caller, op.TraceParent, op.Labels = "me", "00-x", map[string]string{"a": "b", "": "empty"}
		op.ExecutionTimeout, op.AtMostOnce, op.Pinned = time.Hour, true, true
		op.Claim = longrun.Claim{Session: session, Call: 7}
		ops[name] = create(t, s, op)
	}
	ops["succeeded"] = update(t, s, create(t, s, claimed(session)).ID, returned(5000))
	ops["cancelled"] = update(t, s, create(t, s, newOp()).ID, cancel)
	ops["failed"] = update(t, s, create(t, s, claimed(session)).ID, func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
		return op.EndRun(longrun.RunEnd{Claim: op.Claim, Kind: longrun.RunReturned, Error: &statuspb.Status{Code: 5, Message: "no"}}, now)
	})
	secret, err := s.Secret(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	closeTest(t, s)
	wantSound(t, file)

	s = openTest(t, file, Options{})
	for name, want := range ops {
		wantSame(t, name, get(t, s, want.ID), want)
	}
	again, err := s.Secret(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, "secret", again, secret)
}

// claimed is an operation about to be stored with its first claim.
func claimed(session longrun.SessionID) *longrun.Operation {
	op := newOp()
	op.Claim.Session = session
	return op
}

// CON-04: sessions of the process that owned the file before are dead from the
// moment of opening, so that their work goes on at once; workers outside live on.
func TestReopen_ProcessSessionsAreDead(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	s := openTest(t, file, Options{})
	mine, remote := openSession(t, s, "process"), openSession(t, s, "remote")
	lost, held := create(t, s, claimed(mine)), create(t, s, claimed(remote))
	closeTest(t, s)

	s = openTest(t, file, Options{})
	if _, err := s.Beat(t.Context(), longrun.Session{ID: mine, TTL: time.Minute}); err != longrun.ErrSessionLost {
		t.Errorf("beat of a session of the last owner: %v, want %v", err, longrun.ErrSessionLost)
	}
	if _, err := s.Beat(t.Context(), longrun.Session{ID: remote, TTL: time.Minute}); err != nil {
		t.Errorf("beat of a remote session: %v", err)
	}
	due, err := s.Due(t.Context(), longrun.Contact{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, "due", due, []longrun.Overdue{{Operation: lost, SessionLost: true}})
	page, err := s.List(t.Context(), longrun.Query{Session: remote})
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, "of the remote session", page.Operations, []*longrun.Operation{held})
}

// CON-06: the store's time goes on from where it was, also when the machine's
// clock has been set back while nobody looked.
func TestReopen_TimeDoesNotGoBack(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	clock := storetest.NewClock()
	s := openTest(t, file, Options{Now: clock.Now})
	first := create(t, s, newOp())
	clock.Advance(time.Minute)
	ended := update(t, s, first.ID, cancel)
	closeTest(t, s)

	opened := time.Now()
	s = openTest(t, file, Options{Now: func() time.Time { return clock.Now().Add(-time.Hour) }})
	second := create(t, s, newOp())
	if second.CreateTime.Before(ended.UpdateTime) {
		t.Errorf("CreateTime = %v, want it not before %v", second.CreateTime, ended.UpdateTime)
	}
	if d := second.CreateTime.Sub(ended.UpdateTime); d > time.Since(opened)+time.Millisecond {
		t.Errorf("CreateTime is %v after the last time of the last owner, want the time since then at most", d)
	}
}

// ORD-01: create times differ, so that the order of a list is total.
func TestCreateTime_GoesUp(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{Now: clock.Now})
	last := create(t, s, newOp())
	for range 10 {
		op := create(t, s, newOp())
		if !op.CreateTime.After(last.CreateTime) {
			t.Errorf("CreateTime = %v, want it after %v", op.CreateTime, last.CreateTime)
		}
		last = op
	}
}

// A record that is large is not written again with each change of the operation.
func TestLargeRequest_IsWrittenOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	s := openTest(t, file, Options{})
	op := claimed(openSession(t, s, "process"))
	op.Request = anyOf(1 << 20)
	create(t, s, op)
	before := walSize(file)
	for range 10 {
		update(t, s, op.ID, func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
			return op.Report(op.Claim, anyOf(100), now)
		})
	}
	if grown := walSize(file) - before; grown > 10*10*4096 {
		t.Errorf("ten reports wrote %d bytes, want less than the request once", grown)
	}
}

// Everything is Unavailable after Close, and a second Close does nothing.
func TestClose(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	s := openTest(t, file, Options{})
	create(t, s, newOp())
	closeTest(t, s)
	closeTest(t, s)
	if walSize(file) != 0 {
		t.Error("the log is left after Close")
	}
	_, err := s.Create(t.Context(), longrun.NewOperation{Operation: newOp()})
	wantCode(t, "Create", err, codes.Unavailable)
	wantCode(t, "Tx", s.Tx(t.Context(), func(*Tx) error { return nil }), codes.Unavailable)
	wantCode(t, "Watch", s.Watch(t.Context(), func(longrun.Hint) {}), codes.Unavailable)
}

// A call that began before Close, and reads after it, ends.
func TestClose_ReadComesLate(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	closeTest(t, s)
	done := make(chan error, 1)
	go func() { _, err := s.get(t.Context(), []longrun.ID{longrun.NewID()}); done <- err }()
	select {
	case err := <-done:
		wantCode(t, "a late read", readError("get", err), codes.Unavailable)
	case <-time.After(time.Minute):
		t.Error("a late read does not end")
	}
}
