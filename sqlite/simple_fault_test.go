package sqlite

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/storetest"
	"google.golang.org/grpc/codes"
	"zombiezen.com/go/sqlite"
)

// crashWith opens what a crash leaves of the tables of one store and the redo log
// of another.
func crashWith(t *testing.T, tables string, s *Store) (*Store, error) {
	t.Helper()
	left := copyAsIs(t, s)
	for _, suffix := range redoSuffixes {
		if err := os.Rename(left+suffix, tables+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	twin, err := Open(tables, Options{})
	if err == nil {
		t.Cleanup(func() { twin.Close() })
	}
	return twin, err
}

// CON-06: a COMMIT that has failed may be on the disk all the same, and a crash
// brings it to light. What its callers are told to do then, which is the same
// again, fits with that.
func TestSimple_AfterFailedCommit(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	op := newOp()
	op.RequestID = uuid.NewString()
	happened := copyAsIs(t, s)
	other := openTest(t, happened, Options{})
	_, err := other.Create(t.Context(), longrun.NewOperation{Operation: op, Write: func(context.Context, any) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	tables := copyAsIs(t, other)
	failingCommit(t, s)
	again := create(t, s, op)
	twin, err := crashWith(t, tables, s)
	if err != nil {
		t.Fatalf("Open after a crash: %v", err)
	}
	if got := get(t, twin, op.ID); got == nil || got.State != again.State {
		t.Errorf("after a crash: %v, want %v", got, again)
	}
}

// What a COMMIT that has failed may have written does not outlast the next one,
// also when that has nothing to store.
func TestSimple_FailedCommitIsWrittenOver(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	session := openSession(t, s, "process")
	failingCommit(t, s)
	before, err := os.ReadFile(s.file + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), longrun.ClaimRequest{Session: session}); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(s.file + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(before, after) {
		t.Error("the log of the tables is as the COMMIT that has failed has left it")
	}
}

// A change that the tables refuse is refused alone, and nothing waits behind it.
func TestSimple_RefusedByTables(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	s := openTest(t, file, Options{})
	session := openSession(t, s, "process")
	for name, change := range map[string]func(op *longrun.Operation, now time.Time){
		"no response":     func(op *longrun.Operation, now time.Time) { op.State, op.ExpireTime = longrun.Succeeded, now },
		"no error":        func(op *longrun.Operation, now time.Time) { op.State, op.ExpireTime = longrun.Failed, now },
		"kept for ever":   func(op *longrun.Operation, now time.Time) { op.State, op.Response = longrun.Succeeded, anyOf(1) },
		"ready and runs":  func(op *longrun.Operation, now time.Time) { op.ReadyTime = now },
		"waits for none":  func(op *longrun.Operation, now time.Time) { op.State = longrun.Pending },
		"no state at all": func(op *longrun.Operation, now time.Time) { op.State = 0 },
		"unknown state":   func(op *longrun.Operation, now time.Time) { op.State = 6 },
	} {
		op := create(t, s, claimed(session))
		_, err := s.Update(t.Context(), longrun.Change{ID: op.ID, Apply: func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
			change(op, now)
			next := *op
			return &next, nil
		}})
		wantCode(t, name, err, codes.Internal)
		wantSame(t, name, get(t, s, op.ID), op)
		if err := s.settle(t.Context()); err != nil {
			t.Fatalf("%s: what is fresh cannot be stored: %v", name, err)
		}
	}
	closeTest(t, s)
	openTest(t, file, Options{})
}

// A flush has failed, and then the store is closed: what its callers were told to
// do again, and have done with the next owner, is not undone by what the log of the
// first one may still hold.
func TestSimple_NotFlushedAndClosed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	s := openTest(t, file, Options{})
	f := makeFaulty(s.redo)
	create(t, s, newOp())
	if err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.flush = errBroken
	lost := newOp()
	if _, err := s.Create(t.Context(), longrun.NewOperation{Operation: lost}); !longrun.IsUnknown(err) {
		t.Fatalf("Create: %v, want an unknown outcome", err)
	}
	left := map[string][]byte{}
	for _, suffix := range redoSuffixes {
		b, err := os.ReadFile(s.file + suffix)
		if err == nil {
			left[suffix] = b
		}
	}
	closeTest(t, s)
	again := openTest(t, file, Options{})
	_, err := again.Create(t.Context(), longrun.NewOperation{Operation: lost, Write: func(context.Context, any) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	// The names of removed files may come back when the power fails.
	twin := copyAsIs(t, again)
	for suffix, b := range left {
		if err := os.WriteFile(twin+suffix, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wantSound(t, twin)
	openTest(t, twin, Options{})
}

// A write that has failed may have reached the disk all the same: the frame is
// passed over, as the batch went another way.
func TestSimple_WriteHasHappened(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	f := makeFaulty(s.redo)
	create(t, s, newOp())
	f.late = errBroken
	op := create(t, s, newOp())
	f.late = nil
	twin := copyAsIs(t, s)
	wantSound(t, twin)
	wantSame(t, "after a crash", get(t, openTest(t, twin, Options{}), op.ID), op)
	create(t, s, newOp())
	twin = copyAsIs(t, s)
	wantSound(t, twin)
	openTest(t, twin, Options{})
}

// breakStatement lets the writer run another statement in the place of one of its
// own. In that, test_hook() calls f.
func breakStatement(t *testing.T, s *Store, query, instead string, f func() error) (mend func()) {
	t.Helper()
	s.checkpoints.writing.Lock() // no transaction is open
	defer s.checkpoints.writing.Unlock()
	c := s.writer.c
	err := c.CreateFunction("test_hook", &sqlite.FunctionImpl{AllowIndirect: true,
		Scalar: func(sqlite.Context, []sqlite.Value) (sqlite.Value, error) { return sqlite.IntegerValue(1), f() }})
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := c.PrepareTransient(instead)
	if err != nil {
		t.Fatal(err)
	}
	sound, err := c.prep(query)
	if err != nil {
		t.Fatal(err)
	}
	c.stmts[query] = other
	return func() {
		s.checkpoints.writing.Lock()
		defer s.checkpoints.writing.Unlock()
		c.stmts[query] = sound
		other.Finalize()
	}
}

// CON-01: a record that is read while the tables get what is fresh does not hide
// what became of it meanwhile.
func TestSimple_ChangedWhileFloorGoesUp(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{Now: clock.Now, CacheBytes: 40_000})
	op := create(t, s, claimed(openSession(t, s, "process")))
	for range 50 {
		create(t, s, newOp()) // the cache forgets op
	}
	if err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r, _ := s.cache.get(op.ID); r != nil {
		t.Fatal("the operation is in memory still")
	}
	var reported *longrun.Operation
	var change sync.Once
	mend := breakStatement(t, s, sqlByID, sqlByID+" AND test_hook()", func() (err error) {
		change.Do(func() {
			get(t, s, op.ID) // and so it is in memory again
			reported = update(t, s, op.ID, func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
				return op.Report(op.Claim, anyOf(10), now)
			})
		})
		return nil
	})
	clock.Advance(time.Minute)
	create(t, s, newOp())
	if err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	mend()
	if reported == nil {
		t.Fatal("the operation was not read")
	}
	wantSame(t, "Get after it was stored", get(t, s, op.ID), reported)
}

// CON-02: where the COMMIT of what was fresh has happened and failed all the same,
// what runs is in the index of sessions later, as ever.
func TestSimple_CommitHasHappened(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{Now: clock.Now})
	session := openSession(t, s, "process")
	var happened atomic.Int64
	mend := breakStatement(t, s, sqlCommit, "SELECT abs(-9223372036854775807 - test_hook())", func() error {
		happened.Add(1)
		return s.writer.c.once(sqlCommit, nil)
	})
	op := create(t, s, claimed(session))
	// The store may have tried by itself before, and then this one finds it done.
	err := s.settle(t.Context())
	if n := happened.Load(); n != 1 {
		t.Errorf("settle = %v after %d COMMITs, want that one has failed", err, n)
	}
	if state := stored(t, s, op.ID); state != longrun.Running {
		t.Fatalf("state in the database = %v, want Running", state)
	}
	mend()
	if err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Minute)
	wantSame(t, "same id", create(t, s, op), op)
	create(t, s, newOp())
	wantSound(t, copyAsIs(t, s))
	if err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantSound(t, copyAsIs(t, s))
}
