package sqlite

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/storetest"
	"zombiezen.com/go/sqlite/sqlitex"
)

// leaveRunning makes a file in which n operations run under one session, which was
// opened an hour ago by a process that is gone.
func leaveRunning(t testing.TB, file, kind string, n int) longrun.SessionID {
	t.Helper()
	s := openTest(t, file, Options{Now: func() time.Time { return time.Now().Add(-time.Hour) }})
	id := longrun.NewSessionID()
	if _, err := s.Beat(t.Context(), longrun.Session{ID: id, Open: true, TTL: longrun.MinSessionTTL, Remote: kind == "remote"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(t.Context(), longrun.NewOperation{Operation: claimed(id)}); err != nil {
		t.Fatal(err)
	}
	closeTest(t, s)
	if n > 1 {
		multiply(t, file, n)
	}
	return id
}

// multiply makes n operations of the one that is in a file.
func multiply(t testing.TB, file string, n int) {
	t.Helper()
	c, err := openWriter(file)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, script := range []string{
		fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO longrun_operation SELECT create_time + i, randomblob(16), parent, method, state, hidden, request_id,
				conflict_key, session, ready_time, deadline_time, expire_time, cold, hot, response, error, pad
			FROM longrun_operation, n`, n-1),
		`UPDATE longrun_operation SET session = (SELECT id FROM longrun_session)`,
		`UPDATE longrun_clock SET floor = 1 + (SELECT max(create_time) FROM longrun_operation), ceiling = max(ceiling, 1 + (SELECT max(create_time) FROM longrun_operation))`,
	} {
		if err := sqlitex.ExecuteTransient(c.Conn, script, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// inMemory is how many claims of sessions the store knows.
func inMemory(s *Store) (n int) {
	s.live.mu.Lock()
	defer s.live.mu.Unlock()
	for _, ses := range s.live.sessions {
		n += len(ses.claims)
	}
	return n
}

// recovery decides what is due, slice by slice, and starts an operation after each.
type recovery struct {
	s       *Store
	contact longrun.Contact
	decided int
	most    int // claims that were in memory at a time
	started []*longrun.Operation
	behind  []int // for each one started, how many were ready before it
}

const slice = 100

func (r *recovery) step(t *testing.T) (more bool) {
	t.Helper()
	due, err := r.s.Due(t.Context(), r.contact, slice)
	if err != nil {
		t.Fatal(err)
	}
	r.most = max(r.most, inMemory(r.s))
	var all sync.WaitGroup
	for _, d := range due {
		if !d.SessionLost {
			t.Errorf("%v is due and its session is not lost", d.Operation.ID)
		}
		all.Go(func() {
			_, err := r.s.Update(t.Context(), longrun.Change{ID: d.Operation.ID, Apply: func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
				return op.EndRun(longrun.RunEnd{Claim: d.Operation.Claim, Kind: longrun.RunLost}, now)
			}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	r.decided += len(due)
	r.started = append(r.started, create(t, r.s, newOp()))
	r.behind = append(r.behind, r.decided)
	return len(due) == slice
}

// CON-04, CON-05: however much ran under a session that is dead, it is taken over
// slice by slice, with no more of it in memory than a slice; what is started
// meanwhile is stored at once, and runs before what is taken over later.
func TestRecovery_InSlices(t *testing.T) {
	t.Parallel()
	for kind, n := range map[string]int{"process": 4_000, "remote": 2_000} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "x.db")
			leaveRunning(t, file, kind, n)
			wantSound(t, file)
			clock := storetest.NewClock()
			s := openTest(t, file, Options{Now: clock.Now})
			if got := inMemory(s); got != 0 {
				t.Errorf("%d claims are in memory after opening, want none", got)
			}
			r := &recovery{s: s}
			if kind == "remote" {
				if r.step(t); r.decided > 0 {
					t.Fatal("a worker outside was not given its time")
				}
				clock.Advance(time.Minute)
				r.contact = longrun.Contact{AsOf: s.clock.now(), Span: time.Hour}
			}
			for r.step(t) {
				clock.Advance(time.Millisecond)
			}
			if r.decided != n {
				t.Errorf("%d operations were taken over, want %d", r.decided, n)
			}
			if r.most > slice {
				t.Errorf("%d claims were in memory, want %d at most", r.most, slice)
			}
			r.wantInTurn(t)
			closeTest(t, s)
			wantSound(t, file)
		})
	}
}

// wantInTurn claims everything, and checks that what was started had its turn
// right after what was ready before.
func (r *recovery) wantInTurn(t *testing.T) {
	t.Helper()
	session := openSession(t, r.s, "process")
	turn := map[longrun.ID]int{}
	for {
		got, err := r.s.Claim(t.Context(), longrun.ClaimRequest{Session: session, Want: []longrun.Want{{Method: "resize-image", N: 1000}}})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Operations) == 0 {
			break
		}
		for _, op := range got.Operations {
			turn[op.ID] = len(turn)
		}
	}
	if got, want := len(turn), r.decided+len(r.started); got != want {
		t.Errorf("%d operations could be claimed, want %d", got, want)
	}
	for i, op := range r.started {
		if got, want := turn[op.ID], r.behind[i]+i; got != want {
			t.Errorf("the start after %d take-overs has turn %d, want %d", r.behind[i], got, want)
		}
	}
}

// CON-04: a worker outside that speaks again finds its claims as they were, though
// they were not read when the file was opened: it is told to stop what was
// cancelled, keeps what it names, gives back what it has never heard of, and gets
// the answer to a call again.
func TestRecovery_WorkerComesBack(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	clock := storetest.NewClock()
	s := openTest(t, file, Options{Now: clock.Now})
	id := openSession(t, s, "remote")
	for range 3 {
		create(t, s, newOp())
	}
	var held []*longrun.Operation
	for call := range int64(3) {
		got, err := s.Claim(t.Context(), longrun.ClaimRequest{Session: id, Call: call + 1, Want: []longrun.Want{{Method: "resize-image", N: 1}}})
		if err != nil || len(got.Operations) != 1 {
			t.Fatalf("claim: %v, %v", got, err)
		}
		held = append(held, got.Operations...)
	}
	clock.Advance(time.Minute)
	create(t, s, newOp()) // raises the floor
	closeTest(t, s)

	s = openTest(t, file, Options{Now: clock.Now})
	if n := inMemory(s); n != 0 {
		t.Fatalf("%d claims are in memory after opening, want none", n)
	}
	again, err := s.Claim(t.Context(), longrun.ClaimRequest{Session: id, Call: 3, Want: []longrun.Want{{Method: "resize-image", N: 1}}})
	if err != nil || len(again.Operations) != 1 || again.Operations[0].ID != held[2].ID {
		t.Errorf("call 3 again: %v, %v, want what it had claimed", again.Operations, err)
	}
	closeTest(t, s)

	name := func(op *longrun.Operation) longrun.Held {
		return longrun.Held{Name: op.Name(), Attempt: op.Claim.Attempt}
	}
	s = openTest(t, file, Options{Now: clock.Now})
	beat, err := s.Beat(t.Context(), longrun.Session{ID: id, TTL: time.Minute, Held: []longrun.Held{name(held[0]), name(held[1])}})
	if err != nil || len(beat.Stop) != 0 {
		t.Errorf("beat = %v, %v, want that nothing must stop", beat.Stop, err)
	}
	closeTest(t, s)

	s = openTest(t, file, Options{Now: clock.Now})
	update(t, s, held[0].ID, cancel)
	beat, err = s.Beat(t.Context(), longrun.Session{ID: id, TTL: time.Minute, Closed: 2, Held: []longrun.Held{name(held[0])}})
	if err != nil || len(beat.Stop) != 1 || beat.Stop[0].Why != longrun.ErrCancelled {
		t.Errorf("beat = %v, %v, want that the first must stop", beat.Stop, err)
	}
	for i, want := range []longrun.State{longrun.Running, longrun.Pending, longrun.Running} {
		if got := get(t, s, held[i].ID); got.State != want {
			t.Errorf("operation %d is %v, want %v", i, got.State, want)
		}
	}
	page, err := s.List(t.Context(), longrun.Query{Session: id})
	if err != nil || len(page.Operations) != 2 {
		t.Errorf("list of the session: %v, %v, want two", page.Operations, err)
	}
}

// A late result of a run whose claim was not read is taken, and the sweep finds
// nothing to decide there.
func TestRecovery_LateFinish(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	id := leaveRunning(t, file, "process", 10)
	s := openTest(t, file, Options{})
	var first longrun.ID
	err := s.readers.with(t.Context(), func(c *conn) error {
		r, err := c.one(`SELECT `+recordColumns+recordTables+`ORDER BY o.create_time LIMIT 1`, nil)
		first = r.op.ID
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	update(t, s, first, returned(10))
	due, err := s.Due(t.Context(), longrun.Contact{}, 100)
	if err != nil || len(due) != 9 {
		t.Errorf("Due = %d operations, %v, want the 9 others", len(due), err)
	}
	page, err := s.List(t.Context(), longrun.Query{Session: id})
	if err != nil || len(page.Operations) != 9 {
		t.Errorf("list of the session = %d operations, %v, want 9", len(page.Operations), err)
	}
}
