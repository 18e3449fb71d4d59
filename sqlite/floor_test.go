package sqlite

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/storetest"
	"zombiezen.com/go/sqlite"
)

// indexedRows counts the rows in the index of sessions.
func indexedRows(t *testing.T, s *Store) (n int) {
	t.Helper()
	err := s.View(t.Context(), func(c *sqlite.Conn) error {
		stmt := c.Prep("SELECT count(*) FROM longrun_operation WHERE session IS NOT NULL")
		defer stmt.Reset()
		_, err := stmt.Step()
		n = stmt.ColumnInt(0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What ends soon after it began never enters the index; what goes on does, once.
func TestFloor_Index(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{Now: clock.Now})
	session := openSession(t, s, "process")
	short, long := create(t, s, claimed(session)), create(t, s, claimed(session))
	if n := indexedRows(t, s); n != 0 {
		t.Errorf("%d rows are indexed at once, want none", n)
	}
	update(t, s, short.ID, returned(10))
	clock.Advance(time.Minute)
	create(t, s, newOp())
	if n := indexedRows(t, s); n != 1 {
		t.Errorf("%d rows are indexed after a minute, want the one that runs", n)
	}
	update(t, s, long.ID, returned(10))
	if n := indexedRows(t, s); n != 0 {
		t.Errorf("%d rows are indexed, want none: nothing runs", n)
	}
}

// What waited for long and is claimed now is below the floor, and indexed at once.
func TestFloor_OldClaim(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{Now: clock.Now})
	session := openSession(t, s, "process")
	create(t, s, newOp())
	clock.Advance(time.Minute)
	create(t, s, claimed(session)) // raises the floor
	_, err := s.Claim(t.Context(), longrun.ClaimRequest{Session: session, Want: []longrun.Want{{Method: "resize-image", N: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	if n := indexedRows(t, s); n != 1 {
		t.Errorf("%d rows are indexed, want the old one", n)
	}
}

// CON-02, CON-04: whatever the order of claims, ends and commits that fail, a file
// left behind by a crash says exactly what was running.
func TestFloor_AfterCrash(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			clock := storetest.NewClock()
			file := filepath.Join(t.TempDir(), "x.db")
			s := openTest(t, file, Options{Now: clock.Now})
			f := &floorTest{s: s, session: openSession(t, s, "process"), running: map[longrun.ID]bool{}}
			for step := range 300 {
				clock.Advance(time.Duration(random.IntN(400)) * time.Millisecond)
				f.step(t, random)
				if step%25 == 24 {
					f.wantFound(t)
				}
			}
		})
	}
}

type floorTest struct {
	s       *Store
	session longrun.SessionID
	running map[longrun.ID]bool
}

func (f *floorTest) step(t *testing.T, random *rand.Rand) {
	switch random.IntN(5) {
	case 0:
		f.running[create(t, f.s, claimed(f.session)).ID] = true
	case 1:
		create(t, f.s, newOp())
	case 2:
		got, err := f.s.Claim(t.Context(), longrun.ClaimRequest{Session: f.session, Want: []longrun.Want{{Method: "resize-image", N: 1 + random.IntN(2)}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range got.Operations {
			f.running[op.ID] = true
		}
	case 3:
		for id := range f.running {
			end := returned(10)
			if random.IntN(2) == 0 {
				end = released
			}
			update(t, f.s, id, end)
			delete(f.running, id)
			break
		}
	case 4:
		// The floor goes up in a commit that comes to nothing.
		failing := &anyChange{f: func(w *writer) error {
			if err := w.raiseFloor(w.now()); err != nil {
				return err
			}
			return errors.Join(w.c.exec(sqlRollback, nil), errors.New("sorry"))
		}}
		if err := f.s.queue.Do(t.Context(), failing, 1); err != nil {
			t.Fatal(err)
		}
	}
}

func released(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
	return op.EndRun(longrun.RunEnd{Claim: op.Claim, Kind: longrun.RunReleased}, now)
}

// copyAsIs copies a database that is in use, as a crash would leave it behind.
func copyAsIs(t *testing.T, s *Store) (twin string) {
	t.Helper()
	s.checkpoints.writing.Lock()
	defer s.checkpoints.writing.Unlock()
	return copyLocked(t, s)
}

// copyLocked is copyAsIs for a test that holds the database still.
func copyLocked(t *testing.T, s *Store) (twin string) {
	t.Helper()
	s.redo.mu.Lock()
	defer s.redo.mu.Unlock()
	twin = filepath.Join(t.TempDir(), "twin.db")
	for _, end := range []string{"", "-wal", redoSuffixes[0], redoSuffixes[1]} {
		body, err := os.ReadFile(s.file + end)
		if errors.Is(err, os.ErrNotExist) && end != "" {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(twin+end, body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return twin
}

// wantFound opens a copy of the file as it is, as after a crash, and compares what
// is found to have been running.
func (f *floorTest) wantFound(t *testing.T) {
	t.Helper()
	twin := copyAsIs(t, f.s)
	wantSound(t, twin)
	s := openTest(t, twin, Options{})
	due, err := s.Due(t.Context(), longrun.Contact{}, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range due {
		if !d.SessionLost || !f.running[d.Operation.ID] {
			t.Errorf("%v is due, session lost %v; want only what was running", d.Operation.ID, d.SessionLost)
		}
	}
	if len(due) != len(f.running) {
		t.Errorf("%d operations are found to have been running, want %d", len(due), len(f.running))
	}
}
