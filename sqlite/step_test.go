package sqlite

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/storetest"
)

// commits counts the commits in a write-ahead log, each of which the disk is waited
// for once (synchronous=FULL): frames that say how large the database is after them.
func commits(t *testing.T, wal string) int {
	t.Helper()
	const header, frameHeader = 32, 24
	b, err := os.ReadFile(wal)
	if err != nil || len(b) < header {
		t.Fatalf("the log has %d bytes, %v", len(b), err)
	}
	page, salts := int(binary.BigEndian.Uint32(b[8:])), b[16:24]
	n := 0
	for f := b[header:]; len(f) >= frameHeader+page && bytes.Equal(f[8:16], salts); f = f[frameHeader+page:] {
		if binary.BigEndian.Uint32(f[4:]) != 0 {
			n++
		}
	}
	return n
}

// step remembers a step of a run.
func step(op *longrun.Operation, key string) *updateChange {
	return &updateChange{c: longrun.Change{
		ID: op.ID, Step: &longrun.Step{Key: key, Result: []byte("result")},
		Apply: func(now *longrun.Operation, t time.Time) (*longrun.Operation, error) {
			return now.CountStep(op.Claim, t)
		},
	}}
}

// A step costs one commit, and those of many runs that come together share one: the
// disk is waited for once.
func TestStep_OneCommit(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	s := openTest(t, file, Options{Now: storetest.NewClock().Now})
	session := openSession(t, s, "process")
	var ops []*longrun.Operation
	for range 50 {
		ops = append(ops, create(t, s, claimed(session)))
	}
	settleTest(t, s)

	before := commits(t, file+"-wal")
	for i := range 10 {
		if _, err := s.Update(t.Context(), step(ops[0], fmt.Sprint("alone ", i)).c); err != nil {
			t.Fatal(err)
		}
	}
	if got := commits(t, file+"-wal") - before; got != 10 {
		t.Errorf("10 steps, one after the other, were %d commits, want 10", got)
	}

	var batch []change
	for _, op := range ops {
		batch = append(batch, step(op, "together"))
	}
	before = commits(t, file+"-wal")
	commitOn(t, s, batch)
	if got := commits(t, file+"-wal") - before; got != 1 {
		t.Errorf("the steps of %d runs together were %d commits, want 1", len(ops), got)
	}
	for i, op := range ops {
		steps, err := s.Steps(t.Context(), op.ID, "alone 9", 10)
		if err != nil || len(steps) != 1 || string(steps[0].Result) != "result" {
			t.Fatalf("steps of run %d = %v, %v; want the one that was remembered", i, steps, err)
		}
	}
}
