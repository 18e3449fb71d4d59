package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/groupcommit"
	"google.golang.org/grpc/codes"
	"zombiezen.com/go/sqlite/sqlitex"
)

// commitOn commits a batch on a store that does nothing else meanwhile.
func commitOn(t *testing.T, s *Store, batch []change) {
	t.Helper()
	s.writer.commit(batch)
}

// anyChange runs a function as a change.
type anyChange struct {
	outcome
	f func(w *writer) error
}

func (c *anyChange) apply(w *writer) error { return c.f(w) }

// A change that fails takes back what it wrote, and its neighbours are kept: with
// nothing written, with half of it written, by a constraint, and by a panic.
func TestBatch_OneBadChange(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]func(w *writer) error{
		"error": func(*writer) error { return errors.New("sorry") },
		"error after a write": func(w *writer) error {
			if err := mustCreate(t, longrun.NewOperation{Operation: newOp()}).apply(w); err != nil {
				return err
			}
			return errors.New("sorry")
		},
		"constraint": func(w *writer) error {
			op := newOp()
			op.ConflictKey = "" // waits for no key: against the schema
			return w.insert(newRecord(op.Stored(w.now(), true)), cold{packed: []byte{}})
		},
		"panic": func(*writer) error { panic("sorry") },
		"panic after a write": func(w *writer) error {
			mustCreate(t, longrun.NewOperation{Operation: newOp()}).apply(w)
			panic("sorry")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
			first, last := newOp(), newOp()
			failing := &anyChange{f: bad}
			commitOn(t, s, []change{
				mustCreate(t, longrun.NewOperation{Operation: first}), failing,
				mustCreate(t, longrun.NewOperation{Operation: last}),
			})
			wantCode(t, "the bad one", failing.err, codes.Internal)
			page, err := s.List(t.Context(), longrun.Query{Parent: "-", Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			if n := len(page.Operations); n != 2 || get(t, s, first.ID) == nil || get(t, s, last.ID) == nil {
				t.Errorf("%d operations are stored, want the two neighbours", n)
			}
		})
	}
}

// Changes of one batch see each other.
func TestBatch_SameRecord(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	op := claimed(openSession(t, s, "process"))
	report := func(n int) *updateChange {
		return &updateChange{c: longrun.Change{ID: op.ID, Apply: func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
			return op.CountStep(op.Claim, now)
		}, Step: &longrun.Step{Key: fmt.Sprint(n)}}}
	}
	end := &updateChange{c: longrun.Change{ID: op.ID, Apply: returned(10)}}
	late := report(3)
	batch := []change{mustCreate(t, longrun.NewOperation{Operation: op}), report(1), report(2), report(2), end, late}
	commitOn(t, s, batch)
	if err := batch[3].state().err; err != longrun.ErrExists {
		t.Errorf("the same step again: %v, want %v", err, longrun.ErrExists)
	}
	if late.err != longrun.ErrClaimLost {
		t.Errorf("step after the end: %v, want %v", late.err, longrun.ErrClaimLost)
	}
	if got := get(t, s, op.ID); got.State != longrun.Succeeded || got.CompletedSteps != 2 {
		t.Errorf("State = %v, CompletedSteps = %d, want SUCCEEDED, 2", got.State, got.CompletedSteps)
	}
	if steps, err := s.Steps(t.Context(), op.ID, "", 10); err != nil || len(steps) > 0 {
		t.Errorf("Steps = %v, %v, want none", steps, err)
	}
}

// limitPages makes the disk full: the database may have no more pages than it
// has and so many.
func limitPages(t *testing.T, s *Store, more int64) {
	t.Helper()
	s.checkpoints.writing.Lock() // no transaction is open
	defer s.checkpoints.writing.Unlock()
	n, err := s.writer.c.number("PRAGMA page_count")
	if err == nil {
		_, err = s.writer.c.number(fmt.Sprintf("PRAGMA max_page_count = %d", n+more))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A full disk makes writes Unavailable, loses nothing, and heals when there is
// space again; reads go on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	s := openTest(t, file, Options{})
	kept := create(t, s, newOp())
	limitPages(t, s, 0)
	var err error
	for range 100 {
		op := newOp()
		op.Request = anyOf(900)
		op.ConflictKey = op.ID.String() // so that the database has to write
		if _, err = s.Create(t.Context(), longrun.NewOperation{Operation: op}); err != nil {
			if got := get(t, s, op.ID); got != nil {
				t.Errorf("Get of what found no space = %v, want nil", got)
			}
			break
		}
	}
	wantCode(t, "Create on a full disk", err, codes.Unavailable)
	if longrun.IsUnknown(err) {
		t.Errorf("Create on a full disk: %v, want that it did not happen", err)
	}
	wantSame(t, "read on a full disk", get(t, s, kept.ID), kept)
	larger := newOp()
	larger.Request = anyOf(20_000)
	var logged *longrun.Operation
	for range mixedBatches + 1 { // which go straight to the tables at first
		if logged, err = s.Create(t.Context(), longrun.NewOperation{Operation: larger}); err == nil {
			break
		}
	}
	if err != nil || stored(t, s, larger.ID) != 0 {
		t.Fatalf("Create: %v, want that the redo log has it, and the tables have not", err)
	}
	wantSame(t, "read of what only the redo log has", get(t, s, logged.ID), logged)
	_, err = s.List(t.Context(), longrun.Query{Parent: "-", Limit: 1})
	wantCode(t, "List, which waits for the tables", err, codes.Unavailable)
	if err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("List: %v, want that it says why", err)
	}
	limitPages(t, s, 1<<20)
	update(t, s, create(t, s, newOp()).ID, cancel)
	closeTest(t, s)
	wantSound(t, file)
}

// CON-01: a record is not read back older than its caller has been told, while
// many write and read.
func TestGet_NeverOlder(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{CacheBytes: 200_000})
	session := openSession(t, s, "process")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			op, err := s.Create(t.Context(), longrun.NewOperation{Operation: claimed(session)})
			if err != nil {
				t.Error(err)
				return
			}
			for range 100 {
				next, err := s.Update(t.Context(), longrun.Change{ID: op.ID, Apply: func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
					return op.CountStep(op.Claim, now)
				}})
				if err != nil {
					t.Error(err)
					return
				}
				got, err := s.Get(t.Context(), op.ID)
				if err != nil || got[0].CompletedSteps != next.CompletedSteps {
					t.Errorf("CompletedSteps = %v, %v, want %d", got[0].CompletedSteps, err, next.CompletedSteps)
				}
			}
		})
	}
	group.Wait()
}

// A caller that goes away hears whether its write can still happen, never a plain
// context error.
func TestWrite_CallerGone(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	entered, leave := make(chan struct{}), make(chan struct{})
	blocker := make(chan error)
	flight, land := context.WithCancel(t.Context())
	go func() {
		blocker <- s.Tx(flight, func(*Tx) error {
			close(entered)
			<-leave
			return nil
		})
	}()
	<-entered
	ctx, stop := context.WithCancel(t.Context())
	waits := make(chan error)
	op := newOp()
	go func() {
		_, err := s.Create(ctx, longrun.NewOperation{Operation: op})
		waits <- err
	}()
	stop()
	err := <-waits
	wantCode(t, "Create that waited", err, codes.Unavailable)
	if longrun.IsUnknown(err) {
		t.Errorf("Create that waited: %v, want that it did not happen", err)
	}
	land()
	err = <-blocker
	wantCode(t, "Tx under way", err, codes.Unavailable)
	if !longrun.IsUnknown(err) {
		t.Errorf("Tx under way: %v, want that nobody knows", err)
	}
	close(leave)
	create(t, s, newOp())
	if get(t, s, op.ID) != nil {
		t.Error("what did not happen has happened")
	}
}

// POL-04: beyond the bound a write is refused as overload, with a delay.
func TestWrite_Overload(t *testing.T) {
	t.Parallel()
	err := queueError("create", groupcommit.ErrFull)
	wantCode(t, "full queue", err, codes.Unavailable)
	e, ok := errors.AsType[*longrun.Error](err)
	if !ok || e.Reason != longrun.ReasonOverloaded || e.Delay <= 0 {
		t.Errorf("error = %+v, want reason OVERLOADED and a delay", e)
	}
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{QueueBytes: 1})
	create(t, s, newOp())
}

// What goes wrong in COMMIT itself leaves open whether it happened.
func TestBatchError_Unknown(t *testing.T) {
	t.Parallel()
	err := (&writer{}).batchError("create", &unknownError{errors.New("sorry")})
	wantCode(t, "commit", err, codes.Unavailable)
	if !longrun.IsUnknown(err) {
		t.Errorf("error of COMMIT: %v, want that nobody knows", err)
	}
}

// What an author writes meets a full disk as the store does: it is UNAVAILABLE, and may
// be done again.
func TestFullDisk_Author(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	write := func(script string) error {
		return s.Tx(t.Context(), func(tx *Tx) error { return sqlitex.ExecuteScript(tx.Conn(), script, nil) })
	}
	const insert = "INSERT INTO image VALUES (randomblob(100000))"
	if err := write("CREATE TABLE image (body BLOB)"); err != nil {
		t.Fatal(err)
	}
	limitPages(t, s, 0)
	wantCode(t, "Tx on a full disk", write(insert), codes.Unavailable)
	_, err := s.Create(t.Context(), longrun.NewOperation{Operation: newOp(), Write: func(_ context.Context, tx any) error {
		return sqlitex.ExecuteScript(tx.(*Tx).Conn(), insert, nil)
	}})
	wantCode(t, "Create with a Write on a full disk", err, codes.Unavailable)
	if err := write("INSERT INTO picture VALUES (1)"); longrun.CodeOf(err) == codes.Unavailable {
		t.Errorf("a statement that is wrong: %v, want that it comes back as it is", err)
	}
	limitPages(t, s, 1<<20)
	if err := write(insert); err != nil {
		t.Errorf("with space again: %v", err)
	}
}
