package sqlite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
	"zombiezen.com/go/sqlite"
)

// stored says whether the database itself has the operation, and in which state.
func stored(t *testing.T, s *Store, id longrun.ID) (state longrun.State) {
	t.Helper()
	err := s.readers.with(t.Context(), func(c *conn) error {
		return c.query(`SELECT state FROM longrun_operation WHERE id = ?`, func(stmt *sqlite.Stmt) {
			stmt.BindBytes(1, id[:])
		}, func(stmt *sqlite.Stmt) error {
			state = longrun.State(stmt.ColumnInt64(0))
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// CON-01, CON-02: what is told to be done is in the redo log, and read from memory,
// while the database knows nothing of it. It gets an operation that is done by then
// once, as it is.
func TestSimple_DatabaseComesLater(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	session := openSession(t, s, "process")
	s.checkpoints.writing.Lock()
	done := update(t, s, create(t, s, claimed(session)).ID, returned(10))
	runs := create(t, s, claimed(session))
	waits := create(t, s, newOp())
	for _, op := range []*longrun.Operation{done, runs, waits} {
		wantSame(t, "Get of a fresh operation", get(t, s, op.ID), op)
		if state := stored(t, s, op.ID); state != 0 {
			t.Errorf("state in the database = %v, want that it is not there", state)
		}
	}
	twin := copyLocked(t, s)
	s.checkpoints.writing.Unlock()
	settleTest(t, s)
	for _, op := range []*longrun.Operation{done, runs, waits} {
		if state := stored(t, s, op.ID); state != op.State {
			t.Errorf("state in the database = %v, want %v", state, op.State)
		}
	}
	wantSound(t, twin)
	again := openTest(t, twin, Options{})
	for _, op := range []*longrun.Operation{done, runs, waits} {
		wantSame(t, "Get after a crash", get(t, again, op.ID), op)
	}
}

// A list, a claim and a look at what is due see what was told to be done before.
func TestSimple_QueriesSeeIt(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	session := openSession(t, s, "process")
	for i := range 20 {
		op := create(t, s, newOp())
		page, err := s.List(t.Context(), longrun.Query{Parent: op.Parent, Limit: 100})
		if err != nil || len(page.Operations) != i+1 || page.Operations[0].ID != op.ID {
			t.Fatalf("List: %d operations, %v, want %d, the new one first", len(page.Operations), err, i+1)
		}
		if i%2 == 0 {
			continue
		}
		got, err := s.Claim(t.Context(), longrun.ClaimRequest{Session: session, Want: []longrun.Want{{Method: op.Method, N: 2}}})
		if err != nil || len(got.Operations) != 2 || got.Operations[1].ID != op.ID {
			t.Fatalf("Claim = %v, %v, want the two new ones", got.Operations, err)
		}
	}
}

// CON-06, IDM-01: an id or a request id that is taken is found wherever it is: in the same
// batch, fresh, on its way, or in the database.
func TestSimple_Duplicates(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{CacheBytes: -1})
	settle := func() { settleTest(t, s) }
	for _, between := range []struct {
		name string
		do   func()
	}{{"fresh", func() {}}, {"stored", settle}} {
		op := newOp()
		op.RequestID = uuid.NewString()
		first := create(t, s, op)
		create(t, s, newOp()) // a newer id
		between.do()
		wantSame(t, between.name+": same id", create(t, s, op), first)
		other := newOp()
		other.RequestID = op.RequestID
		got, err := s.Create(t.Context(), longrun.NewOperation{Operation: other})
		if err != longrun.ErrExists {
			t.Errorf("%s: same request id: %v, want ErrExists", between.name, err)
		}
		wantSame(t, between.name+": same request id", got, first)
	}
	requestID := uuid.NewString()
	ids := make([]longrun.ID, 20)
	var group sync.WaitGroup
	for i := range ids {
		group.Go(func() {
			op := newOp()
			op.RequestID = requestID
			got, err := s.Create(t.Context(), longrun.NewOperation{Operation: op})
			if err != nil && err != longrun.ErrExists {
				t.Error(err)
				return
			}
			ids[i] = got.ID
		})
	}
	group.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("%v was made of a request id beside %v", id, ids[0])
		}
	}
}

// A redo log that cannot be written is gone round: the database takes the change.
func TestSimple_LogNotWritten(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	s := openTest(t, file, Options{})
	f := makeFaulty(s.redo)
	logged := create(t, s, newOp())
	f.write = errBroken
	op := create(t, s, newOp())
	if state := stored(t, s, op.ID); state != longrun.Pending {
		t.Errorf("state in the database = %v, want Pending", state)
	}
	f.write = nil
	create(t, s, newOp())
	closeTest(t, s)
	wantSound(t, file)
	s = openTest(t, file, Options{})
	wantSame(t, "after opening", get(t, s, op.ID), op)
	wantSame(t, "after opening", get(t, s, logged.ID), logged)
}

// When a flush of the redo log fails, the outcome is unknown to its callers; nobody
// sees what it may have stored, then or after a crash that comes once the store
// works again; and it does work again with the next write.
func TestSimple_LogNotFlushed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	s := openTest(t, file, Options{})
	f := makeFaulty(s.redo)
	kept := create(t, s, newOp())
	f.flush = errBroken
	lost := newOp()
	_, err := s.Create(t.Context(), longrun.NewOperation{Operation: lost})
	wantCode(t, "Create", err, codes.Unavailable)
	if !longrun.IsUnknown(err) {
		t.Errorf("Create: %v, want an unknown outcome", err)
	}
	if got := get(t, s, lost.ID); got != nil {
		t.Errorf("Get of an unknown outcome = %v, want nil", got)
	}
	_, err = s.Update(t.Context(), longrun.Change{ID: kept.ID, Apply: cancel})
	if err != nil {
		t.Errorf("Update after a failed flush: %v", err)
	}
	f.flush = nil
	again := create(t, s, newOp())
	if s.redo.isBroken() {
		t.Error("the redo log is out of use after a write that went well")
	}
	twin := openTest(t, copyAsIs(t, s), Options{})
	if got := get(t, twin, lost.ID); got != nil {
		t.Errorf("Get of an unknown outcome after a crash = %v, want nil", got)
	}
	if op := get(t, twin, kept.ID); op.State != longrun.Cancelled {
		t.Errorf("State = %v, want Cancelled", op.State)
	}
	wantSame(t, "after a crash", get(t, twin, again.ID), again)
}

// Change after change of all kinds, with crashes at any time: a copy as a crash
// leaves it has exactly what was told to be done.
func TestSimple_AfterCrash(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 7))
			s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{CacheBytes: 40_000})
			m := &mixed{s: s, session: openSession(t, s, "remote"), all: map[longrun.ID]*longrun.Operation{}}
			for step := range 120 {
				m.step(t, random)
				if step%40 == 39 {
					m.wantAll(t, s)
					twin := copyAsIs(t, s)
					wantSound(t, twin)
					m.wantAll(t, openTest(t, twin, Options{}))
				}
			}
		})
	}
}

// mixed is a store and what was told of its operations.
type mixed struct {
	s       *Store
	session longrun.SessionID
	all     map[longrun.ID]*longrun.Operation
	ids     []longrun.ID
}

func (m *mixed) keep(op *longrun.Operation) {
	if m.all[op.ID] == nil {
		m.ids = append(m.ids, op.ID)
	}
	m.all[op.ID] = op
}

func (m *mixed) step(t *testing.T, random *rand.Rand) {
	t.Helper()
	switch k := random.IntN(20); {
	case k < 9 || len(m.ids) == 0:
		op := newOp()
		op.Request = anyOf(random.IntN(2000))
		if random.IntN(2) == 0 {
			op.Claim.Session = m.session
		} else if random.IntN(4) == 0 {
			op.ConflictKey = op.ID.String()
		}
		if random.IntN(3) == 0 {
			op.RequestID = uuid.NewString()
		}
		m.keep(create(t, m.s, op))
	case k < 18:
		id := m.ids[len(m.ids)-1-random.IntN(min(20, len(m.ids)))]
		m.keep(update(t, m.s, id, m.change(random)))
	case k == 18:
		got, err := m.s.Claim(t.Context(), longrun.ClaimRequest{Session: m.session, Want: []longrun.Want{{Method: "resize-image", N: 2}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range got.Operations {
			m.keep(op)
		}
	default:
		settleTest(t, m.s)
	}
}

// change draws what may happen to an operation.
func (m *mixed) change(random *rand.Rand) func(*longrun.Operation, time.Time) (*longrun.Operation, error) {
	size, kind := random.IntN(1000), random.IntN(5)
	return func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
		switch {
		case kind == 0:
			return op.RequestCancel(now), nil
		case kind == 1 && size < 200:
			return op.Hide(now), nil
		case op.State != longrun.Running:
			return op, nil
		case kind == 2:
			return op.Report(op.Claim, anyOf(size), now)
		case kind == 3:
			return released(op, now)
		}
		return returned(size)(op, now)
	}
}

// wantAll compares every operation with what was told of it.
func (m *mixed) wantAll(t *testing.T, s *Store) {
	t.Helper()
	ops, err := s.Get(t.Context(), m.ids...)
	if err != nil {
		t.Fatal(err)
	}
	for i, op := range ops {
		wantSame(t, "operation", op, m.all[m.ids[i]])
	}
}

// CON-02: Close in the midst of calls of all kinds ends, they all end, and what was
// answered is there afterwards.
func TestSimple_CloseWhileBusy(t *testing.T) {
	t.Parallel()
	for range 3 {
		file := filepath.Join(t.TempDir(), "x.db")
		s := openTest(t, file, Options{})
		session := openSession(t, s, "process")
		var all sync.WaitGroup
		var mu sync.Mutex
		told := map[longrun.ID]longrun.State{}
		tell := func(op *longrun.Operation, err error) bool {
			mu.Lock()
			defer mu.Unlock()
			if err == nil && op != nil {
				told[op.ID] = op.State
			}
			if err != nil {
				wantCode(t, "a call beside Close", err, codes.Unavailable)
			}
			return err == nil
		}
		for range 8 {
			all.Go(func() {
				for {
					op, err := s.Create(context.Background(), longrun.NewOperation{Operation: claimed(session)})
					if !tell(op, err) {
						return
					}
					if op, err = s.Update(context.Background(), longrun.Change{ID: op.ID, Apply: returned(10)}); !tell(op, err) {
						return
					}
					_, err = s.List(context.Background(), longrun.Query{Parent: "-", Limit: 3})
					if !tell(nil, err) {
						return
					}
				}
			})
		}
		time.Sleep(50 * time.Millisecond)
		closeTest(t, s)
		all.Wait()
		wantSound(t, file)
		s = openTest(t, file, Options{})
		for id, state := range told {
			if got := get(t, s, id); got == nil || got.State != state {
				t.Errorf("%v after opening, want %v", got, state)
			}
		}
	}
}
