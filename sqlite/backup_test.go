package sqlite

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/storetest"
	"google.golang.org/grpc/codes"
	"zombiezen.com/go/sqlite"
)

// writerFunc is a function as an io.Writer.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// fillStore writes so many operations of about 20 kB.
func fillStore(t *testing.T, s *Store, n int) {
	t.Helper()
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			op := newOp()
			op.Request = anyOf(20_000)
			if _, err := s.Create(t.Context(), longrun.NewOperation{Operation: op}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// endlessly creates and ends operations until stop, and calls tell for each write
// that was answered.
func endlessly(t *testing.T, s *Store, stop context.Context, tell func(id longrun.ID, state longrun.State)) (wait func()) {
	session := openSession(t, s, "process")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for stop.Err() == nil {
				op := claimed(session)
				op.Request = anyOf(i * 1000)
				if _, err := s.Create(context.Background(), longrun.NewOperation{Operation: op}); err != nil {
					t.Error(err)
				}
				tell(op.ID, longrun.Running)
				if _, err := s.Update(context.Background(), longrun.Change{ID: op.ID, Apply: returned(i * 500)}); err != nil {
					t.Error(err)
				}
				tell(op.ID, longrun.Succeeded)
				time.Sleep(5 * time.Millisecond) // so that what is to be copied stays small
			}
		})
	}
	return all.Wait
}

// CON-02: a copy of a store under load is sound, and holds all that was answered
// before it was asked for.
func TestBackup_UnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openTest(t, filepath.Join(dir, "x.db"), Options{})
	fillStore(t, s, 200)
	var mu sync.Mutex
	answered := map[longrun.ID]longrun.State{}
	load, stop := context.WithCancel(t.Context())
	wait := endlessly(t, s, load, func(id longrun.ID, state longrun.State) {
		mu.Lock()
		defer mu.Unlock()
		answered[id] = state
	})
	var before []map[longrun.ID]longrun.State
	for i := range 3 {
		known := map[longrun.ID]longrun.State{}
		for len(known) <= 20*i {
			time.Sleep(30 * time.Millisecond) // of load
			mu.Lock()
			maps.Copy(known, answered)
			mu.Unlock()
		}
		before = append(before, known)
		if err := s.Backup(t.Context(), filepath.Join(dir, "copy"+string(rune('0'+i))), BackupOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	wait()
	for i, known := range before {
		file := filepath.Join(dir, "copy"+string(rune('0'+i)))
		wantSound(t, file)
		twin := openTest(t, file, Options{})
		for id, state := range known {
			got := get(t, twin, id)
			if got == nil || state.Done() && !got.State.Done() {
				t.Fatalf("copy %d: %v was answered as %v, and is %v", i, id, state, got)
			}
		}
		if len(known) == 0 {
			t.Error("nothing was written before the copy")
		}
	}
}

// What a copy holds when it is opened: sessions of the old process are dead and
// their work goes on, workers outside have their time, and tokens are signed by the
// same key.
func TestBackup_Opened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clock := storetest.NewClock()
	s := openTest(t, filepath.Join(dir, "x.db"), Options{Now: clock.Now})
	key, err := s.Secret(t.Context(), "session")
	if err != nil {
		t.Fatal(err)
	}
	mine := create(t, s, claimed(openSession(t, s, "process")))
	remote := openSession(t, s, "remote")
	theirs := create(t, s, claimed(remote))
	file := filepath.Join(dir, "copy.db")
	if err := s.Backup(t.Context(), file, BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy's mode is %v, %v, want 0600", info.Mode(), err)
	}
	clock.Advance(time.Hour)
	twin := openTest(t, file, Options{Now: clock.Now})
	if got, err := twin.Secret(t.Context(), "session"); err != nil || !bytes.Equal(got, key) {
		t.Errorf("the key of the copy is another one, or %v", err)
	}
	due, err := twin.Due(t.Context(), longrun.Contact{}, 10)
	if err != nil || len(due) != 1 || due[0].Operation.ID != mine.ID {
		t.Errorf("due in the copy: %v, %v, want what the process ran", due, err)
	}
	if _, err := twin.Beat(t.Context(), longrun.Session{ID: remote, TTL: time.Minute}); err != nil {
		t.Errorf("beat of the worker outside: %v", err)
	}
	wantSame(t, "what it runs", get(t, twin, theirs.ID), theirs)
}

// While a copy is made, writers wait no longer than without one, however slowly it
// is taken: a checkpoint does not ask for their place. The log is begun anew when the
// copy was made.
func TestStream_HoldsUpNobody(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	s := openTest(t, file, Options{})
	fillStore(t, s, 50)
	reading, goOn := make(chan struct{}), make(chan struct{})
	copied := make(chan error, 1)
	go func() {
		first := sync.OnceFunc(func() { close(reading); <-goOn })
		copied <- s.Stream(t.Context(), writerFunc(func(b []byte) (int, error) { first(); return len(b), nil }), BackupOptions{})
	}()
	finish := sync.OnceFunc(func() { close(goOn) })
	t.Cleanup(finish) // before the store is closed, which waits for the copy
	<-reading
	fillLog(t, s)
	s.checkpoints.writing.Lock()
	checkpointed := make(chan error, 1)
	go func() { checkpointed <- s.checkpoints.checkpoint() }()
	select {
	case err := <-checkpointed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("a checkpoint waits until no writer is at work, to begin the log anew beside a copy")
	}
	s.checkpoints.writing.Unlock()
	if walSize(file) < restartPages*pageBytes {
		t.Error("the log is short, and the test shows nothing")
	}
	finish()
	if err := <-copied; err != nil {
		t.Error(err)
	}
	if held := s.checkpoints.held.Load(); held != 0 {
		t.Errorf("%d readers hold the log, want none", held)
	}
}

// fillLog writes until the log is longer than restartPages.
func fillLog(t *testing.T, s *Store) {
	t.Helper()
	for range 100 {
		if walSize(s.file) >= restartPages*pageBytes {
			return
		}
		fillStore(t, s, 100)
		settleTest(t, s)
	}
}

// Nor does a reader of the author's that stays.
func TestView_HoldsUpNobody(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	err := s.readers.with(t.Context(), func(c *conn) error {
		if err := c.exec(sqlBeginRead, nil); err != nil {
			return err
		}
		if _, err := c.number(`SELECT count(*) FROM longrun_operation`); err != nil {
			return err
		}
		fillLog(t, s)
		s.checkpoints.one.Lock()
		defer s.checkpoints.one.Unlock()
		var busy, patience int64
		if err := s.checkpoints.c.once(sqlRestart, func(stmt *sqlite.Stmt) { busy = stmt.ColumnInt64(0) }); err != nil || busy != 1 {
			t.Errorf("busy = %d, %v beside a reader that stays, want 1 and no error", busy, err)
		}
		if err := s.checkpoints.c.once("PRAGMA busy_timeout", func(stmt *sqlite.Stmt) { patience = stmt.ColumnInt64(0) }); err != nil || patience != checkpointPatience.Milliseconds() {
			t.Errorf("a checkpoint waits %d ms for a reader, %v; want %v", patience, err, checkpointPatience)
		}
		return c.exec(sqlRollback, nil)
	})
	if err != nil {
		t.Error(err)
	}
}

// Memory: a copy is written in pieces of a bounded size, which are told of.
func TestStream_Pieces(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	fillStore(t, s, 100)
	var written, told, total int64
	pieces := 0
	err := s.Stream(t.Context(), writerFunc(func(b []byte) (int, error) {
		pieces++
		if len(b) > backupChunk {
			t.Errorf("a piece has %d bytes, want %d at most", len(b), backupChunk)
		}
		if written += int64(len(b)); told == 0 && total == 0 {
			t.Error("nothing was told before the first piece")
		}
		return len(b), nil
	}), BackupOptions{Progress: func(done, of int64) { told, total = done, of }})
	if err != nil || pieces < 2 || written != told || told != total {
		t.Errorf("Stream: %v; %d pieces, %d bytes, told %d of %d", err, pieces, written, told, total)
	}
}

// A copy ends with its caller, with its writer, with the store, and when the log
// becomes too long; only one is made at a time.
func TestStream_Ends(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	for name, tt := range map[string]struct {
		first func(t *testing.T, s *Store, stop func()) error // in the first write
		want  func(error) bool
	}{
		"writer": {func(*testing.T, *Store, func()) error { return broken }, func(err error) bool { return err == broken }},
		"caller": {func(_ *testing.T, _ *Store, stop func()) error { stop(); return nil },
			func(err error) bool { return longrun.CodeOf(err) == codes.Canceled }},
		"log": {func(t *testing.T, s *Store, _ func()) error { s.copyLog = -1 << 40; return nil },
			func(err error) bool { return strings.Contains(err.Error(), "more was written meanwhile") }},
		"close": {func(t *testing.T, s *Store, _ func()) error {
			go s.Close()
			<-s.done
			return nil
		}, func(err error) bool { return strings.Contains(err.Error(), "the store is closed") }},
		"second": {func(t *testing.T, s *Store, _ func()) error {
			return s.Stream(t.Context(), io.Discard, BackupOptions{})
		},
			func(err error) bool {
				var e *longrun.Error
				return errors.As(err, &e) && e.Reason == longrun.ReasonOverloaded && e.Delay > 0
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
			fillStore(t, s, 100)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var writes atomic.Int64
			err := s.Stream(ctx, writerFunc(func(b []byte) (int, error) {
				if writes.Add(1) > 1 {
					return len(b), nil
				}
				return len(b), tt.first(t, s, stop)
			}), BackupOptions{})
			if err == nil || !tt.want(err) {
				t.Errorf("Stream = %v", err)
			}
			if n := writes.Load(); n != 1 {
				t.Errorf("%d writes, want none after the first", n)
			}
		})
	}
}

func TestStream_Closed(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	closeTest(t, s)
	wantCode(t, "Stream", s.Stream(t.Context(), io.Discard, BackupOptions{}), codes.Unavailable)
}
