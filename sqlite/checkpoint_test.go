package sqlite

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The log is copied into the file while the store works, so that it stays short.
func TestCheckpoint_InTheBackground(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	s := openTest(t, file, Options{})
	before := fileSize(t, file)
	for range 20 {
		op := newOp()
		op.Request = anyOf(1 << 20)
		create(t, s, op)
	}
	for end := time.Now().Add(time.Minute); fileSize(t, file) < before+5<<20; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the file has %d bytes more than before, want 5 MiB", fileSize(t, file)-before)
		}
	}
}

func fileSize(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// A log that has become long is begun anew.
func TestCheckpoint_Restart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	s := openTest(t, file, Options{})
	c, err := openConn(file, 2)
	if err != nil {
		t.Fatal(err)
	}
	p := newCheckpointer(c, slog.Default())
	defer c.close()
	op := newOp()
	op.Request = anyOf(3 << 20)
	for range 12 {
		create(t, s, op)
		again := *op
		again.ID = newOp().ID
		op = &again
	}
	// The store's own checkpoints may be in the way for a while.
	var length int64
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if err := p.checkpoint(); err != nil {
			t.Fatal(err)
		}
		create(t, s, newOp())
		settleTest(t, s)
		if length, err = p.pragma(sqlPassive); err != nil {
			t.Fatal(err)
		}
		if length <= restartPages {
			return
		}
	}
	t.Errorf("the log has %d pages, want it begun anew", length)
}
