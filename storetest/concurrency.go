package storetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
)

var concurrencyContracts = []contract{
	{"together/request-id", "All methods are safe for concurrent use: 50 Creates of one request are one operation (IDM-01)", testTogetherRequestID},
	{"together/same-id", "All methods are safe for concurrent use: one ID is one operation", testTogetherSameID},
	{"together/claims", "Claim never gives one operation twice", testTogetherClaims},
	{"together/ends", "exactly one terminal transition per operation (CON-03, CAN-10)", testTogetherEnds},
	{"together/updates", "Apply runs inside the writing transaction: no change is lost", testTogetherUpdates},
	{"together/steps", "a step is remembered once", testTogetherSteps},
	{"together/calls", "the same number again claims no more, also at the same time", testTogetherCalls},
	{"together/keys", "no two operations with the same key are claimed at a time", testTogetherKeys},
}

// together calls f(0) to f(n-1) at once and waits for all.
func together(t *testing.T, n int, f func(i int) error) {
	t.Helper()
	start := make(chan struct{})
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Errorf("of %d calls at once: %v", n, err)
	}
}

func testTogetherRequestID(t *testing.T, x subject) {
	const n = 50
	got := make([]*longrun.Operation, n)
	var mu sync.Mutex
	stored := 0
	together(t, n, func(i int) (err error) {
		got[i], err = x.Create(t.Context(), longrun.NewOperation{Operation: withRequest(requestA)})
		if errors.Is(err, longrun.ErrExists) {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		stored++
		return err
	})
	if t.Failed() {
		return
	}
	for _, op := range got {
		x.same("Create", op, got[0])
	}
	if all := x.list(longrun.Query{Parent: parent, Limit: n}).Operations; stored != 1 || len(all) != 1 {
		t.Errorf("%d Creates without ErrExists, %d operations; want 1 and 1", stored, len(all))
	}
}

func testTogetherSameID(t *testing.T, x subject) {
	const n = 20
	op := newOp()
	got := make([]*longrun.Operation, n)
	together(t, n, func(i int) (err error) {
		got[i], err = x.Create(t.Context(), longrun.NewOperation{Operation: op})
		return err
	})
	if t.Failed() {
		return
	}
	for _, again := range got {
		x.same("Create", again, got[0])
	}
	x.order("Claim", x.claim(x.session(), n), op)
}

func testTogetherClaims(t *testing.T, x subject) {
	const ops, workers = 100, 8
	for range ops {
		x.start()
	}
	sessions := make([]longrun.SessionID, workers)
	for i := range sessions {
		sessions[i] = x.session()
	}
	var mu sync.Mutex
	times := map[longrun.ID]int{}
	together(t, workers, func(i int) error {
		for {
			c, err := x.Claim(t.Context(), longrun.ClaimRequest{Session: sessions[i], Want: []longrun.Want{{Method: work, N: 3}}})
			if err != nil || len(c.Operations) == 0 {
				return err
			}
			mu.Lock()
			for _, op := range c.Operations {
				times[op.ID]++
			}
			mu.Unlock()
		}
	})
	for id, n := range times {
		if n != 1 {
			t.Errorf("%v was claimed %d times, want 1", id, n)
		}
	}
	if len(times) != ops {
		t.Errorf("%d operations were claimed, want %d", len(times), ops)
	}
}

func testTogetherEnds(t *testing.T, x subject) {
	const n = 12
	for range 10 {
		op := x.running()
		ends := make([]*longrun.Operation, n)
		together(t, n, func(i int) (err error) {
			e := longrun.RunEnd{Claim: op.Claim, Kind: longrun.RunReturned, Response: op.Request}
			switch i % 3 {
			case 1:
				e.Response, e.Error = nil, &statuspb.Status{Code: int32(codes.DataLoss), Message: "failed"}
			case 2:
				_, err = x.Update(t.Context(), longrun.Change{ID: op.ID, Apply: certain((*longrun.Operation).RequestCancel)})
				return err
			}
			ends[i], err = x.Update(t.Context(), longrun.Change{ID: op.ID, Apply: endRun(e)})
			if errors.Is(err, longrun.ErrClaimLost) {
				ends[i], err = nil, nil // the other end was first
			}
			return err
		})
		final := x.get(op.ID)
		told := 0
		for _, end := range ends {
			if end != nil {
				told++
				x.same("the end that every run was told", end, final)
			}
		}
		if told == 0 {
			t.Errorf("no end was taken, and the operation is %v", final.State)
		}
	}
}

func testTogetherUpdates(t *testing.T, x subject) {
	const n, each = 8, 10
	op := x.running()
	together(t, n, func(int) error {
		for range each {
			_, err := x.Update(t.Context(), longrun.Change{ID: op.ID, Apply: func(now *longrun.Operation, at time.Time) (*longrun.Operation, error) {
				return now.CountStep(op.Claim, at)
			}})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if got := x.get(op.ID).CompletedSteps; got != n*each {
		t.Errorf("CompletedSteps = %d, want %d", got, n*each)
	}
}

func testTogetherSteps(t *testing.T, x subject) {
	const n = 16
	op := x.running()
	var mu sync.Mutex
	var first []string
	together(t, n, func(i int) error {
		result := string(rune('a' + i))
		_, err := x.step(op, "step", result)
		if errors.Is(err, longrun.ErrExists) {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		first = append(first, "step="+result)
		return err
	})
	x.hasSteps("of all who tried", op.ID, first...)
	if got := x.get(op.ID).CompletedSteps; len(first) != 1 || got != 1 {
		t.Errorf("%d were told that they were first, CompletedSteps = %d; want 1 and 1", len(first), got)
	}
}

func testTogetherCalls(t *testing.T, x subject) {
	s := x.remote()
	for range 20 {
		x.start()
	}
	together(t, 10, func(int) error {
		_, err := x.Claim(t.Context(), longrun.ClaimRequest{Session: s, Call: 1, Want: []longrun.Want{{Method: work, N: 2}}})
		return err
	})
	if got := len(x.list(longrun.Query{Session: s}).Operations); got != 2 {
		t.Errorf("call 1, made ten times, holds %d operations, want 2", got)
	}
}

// testTogetherKeys lets workers claim, retry, cancel and preempt operations of
// two keys, and looks for two claims of one key at a time.
func testTogetherKeys(t *testing.T, x subject) {
	const workers, each = 6, 16
	holding := holders{of: map[string]longrun.ID{}}
	var sessions []longrun.SessionID
	for range workers {
		sessions = append(sessions, x.sessionFor(time.Hour))
	}
	together(t, workers, func(i int) error {
		for k := range each {
			p := longrun.Queue
			if (i+k)%7 == 0 {
				p = longrun.Preempt
			}
			op, err := x.Create(t.Context(), longrun.NewOperation{Operation: keyed([]string{"a", "b"}[k/2%2], p)})
			if err == nil && k%5 == 0 {
				_, err = x.Update(t.Context(), longrun.Change{ID: op.ID, Apply: certain((*longrun.Operation).RequestCancel)})
			}
			if err == nil && k%2 == 1 { // two of a key have been started
				err = x.workOnKeys(sessions[i], k/2, &holding)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	for k := 0; x.unfinished() > 0; k++ {
		if k > 2*workers*each {
			t.Fatalf("%d operations are left that nobody can claim", x.unfinished())
		}
		if err := x.workOnKeys(sessions[0], 1, &holding); err != nil {
			t.Fatal(err)
		}
	}
}

// holders watches that no two operations of a key are claimed at a time.
type holders struct {
	mu sync.Mutex
	of map[string]longrun.ID // guarded by mu
}

// take notes that op is claimed, and give that it is about to be no more.
func (h *holders) take(t *testing.T, op *longrun.Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if other, taken := h.of[op.ConflictKey]; taken {
		t.Errorf("key %q: %v was claimed while %v was", op.ConflictKey, op.ID, other)
	}
	h.of[op.ConflictKey] = op.ID
}

func (h *holders) give(op *longrun.Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.of, op.ConflictKey)
}

// workOnKeys claims up to two operations, says how far they are, and ends their
// runs.
func (x subject) workOnKeys(s longrun.SessionID, k int, h *holders) error {
	c, err := x.Claim(x.t.Context(), longrun.ClaimRequest{Session: s, Want: []longrun.Want{{Method: work, N: 2}}})
	for _, op := range c.Operations {
		h.take(x.t, op)
	}
	for _, op := range c.Operations {
		if _, err := x.Update(x.t.Context(), longrun.Change{ID: op.ID, Apply: func(now *longrun.Operation, at time.Time) (*longrun.Operation, error) {
			return now.Report(op.Claim, op.Request, at)
		}}); err != nil {
			return err
		}
		e := returned()
		if k%4 == 2 {
			e = longrun.RunEnd{Kind: longrun.RunReleased}
		}
		e.Claim = op.Claim
		h.give(op)
		if _, err := x.Update(x.t.Context(), longrun.Change{ID: op.ID, Apply: endRun(e)}); err != nil {
			return err
		}
	}
	return err
}

// unfinished counts the operations of the test that are not done.
func (x subject) unfinished() int {
	x.t.Helper()
	all, _ := x.walk(longrun.Query{Parent: parent, Limit: 100})
	n := 0
	for _, op := range all {
		if !op.State.Done() {
			n++
		}
	}
	return n
}
