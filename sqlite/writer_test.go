package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/storetest"
)

// failingCommit writes what COMMIT refuses: a reference to nothing. The store
// itself does not have references checked.
func failingCommit(t *testing.T, s *Store) {
	t.Helper()
	references := func(query string) {
		s.checkpoints.writing.Lock() // no transaction is open
		defer s.checkpoints.writing.Unlock()
		if err := s.writer.c.once(query, nil); err != nil {
			t.Fatal(err)
		}
	}
	references("PRAGMA foreign_keys = ON")
	defer references("PRAGMA foreign_keys = OFF")
	failing := &anyChange{outcome: outcome{verb: "test"}, f: func(w *writer) error {
		if err := w.c.once("PRAGMA defer_foreign_keys = ON", nil); err != nil {
			return err
		}
		w.now()
		return w.wrote(w.c.once("INSERT INTO longrun_step VALUES (1, 'a', NULL, 1)", nil))
	}}
	if err := s.queue.Do(t.Context(), failing, 1); err != nil {
		t.Fatal(err)
	}
	if !longrun.IsUnknown(failing.err) {
		t.Fatalf("commit: %v, want that COMMIT has failed", failing.err)
	}
}

// CON-02, CON-06: no time is on disk that is past the clock's ceiling there, also
// when the commit that was to raise it has failed.
func TestCeiling_FailedCommit(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	file := filepath.Join(t.TempDir(), "x.db")
	s := openTest(t, file, Options{Now: clock.Now})
	create(t, s, newOp())
	clock.Advance(time.Minute)
	failingCommit(t, s)
	clock.Advance(clockLease / 2)
	create(t, s, newOp())
	wantSound(t, copyAsIs(t, s))
	clock.Advance(time.Minute)
	create(t, s, newOp())
	wantSound(t, copyAsIs(t, s))
}
