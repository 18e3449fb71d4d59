package sqlite

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/longrun-dev/longrun"
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
