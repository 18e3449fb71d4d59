package dispatch_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// Never more than max_operations in all, however many methods there are; and each
// has its share.
func TestClaim_DividedOverMethods(t *testing.T) {
	for _, tt := range []struct {
		methods, max int
		ready        int // of each method
		want         int
	}{
		{1, 10, 3, 3}, {2, 10, 10, 10}, {3, 10, 10, 10}, {3, 3, 10, 3}, {4, 3, 10, 3}, {100, 1, 1, 1}, {100, 7, 1, 7}, {100, 100, 2, 100},
	} {
		t.Run(fmt.Sprintf("%d methods, max %d", tt.methods, tt.max), func(t *testing.T) {
			bubble(t, func(x *system) {
				for _, m := range methods(tt.methods) {
					for range tt.ready {
						x.start(m)
					}
				}
				ops := x.acquireWith(&longrunpb.AcquireOperationsRequest{Session: x.open(), Methods: methods(tt.methods), MaxOperations: int32(tt.max), Call: 1})
				if len(ops) != tt.want {
					t.Errorf("acquired %d operations, want %d", len(ops), tt.want)
				}
				of := map[string]int{}
				for _, op := range ops {
					of[op.GetMethod()]++
					if share := (tt.max + tt.methods - 1) / tt.methods; of[op.GetMethod()] > share {
						t.Errorf("%d operations of %s, want at most %d", of[op.GetMethod()], op.GetMethod(), share)
					}
				}
			})
		})
	}
}

// The one operation of a hundred methods is found with few questions.
func TestClaim_OneOfAHundredMethods(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		for i, m := range methods(100) {
			name := x.start(m)
			x.store.claims.Store(0)
			ops := x.acquireWith(&longrunpb.AcquireOperationsRequest{Session: session, Methods: methods(100), Call: int64(1000 + 7*i)})
			if len(ops) != 1 || ops[0].GetOperation() != name.String() {
				x.t.Fatalf("acquired %v, want %s", ops, name)
			}
			if x.store.claims.Load() > 9 {
				x.t.Errorf("%d questions to the store, want at most 9", x.store.claims.Load())
			}
		}
	})
}

// Where the method whose turn it is has nothing, the operation that has been
// ready for longest is next.
func TestClaim_OldestFirst(t *testing.T) {
	bubble(t, func(x *system) {
		names := []string{"a", "b", "c", "d", "e"}
		var want []longrun.Name
		for _, m := range []string{"e", "b", "d"} {
			want = append(want, x.start(m))
			time.Sleep(time.Second)
		}
		session := x.open()
		for i, call := range []int64{5, 10, 15} { // the turn of "a"
			ops := x.acquireWith(&longrunpb.AcquireOperationsRequest{Session: session, Methods: names, Call: call})
			if len(ops) != 1 || ops[0].GetOperation() != want[i].String() {
				x.t.Errorf("call %d acquired %v, want %s", call, ops, want[i])
			}
		}
	})
}

// No method starves: each has its turn, by the number of the call.
func TestClaim_Turns(t *testing.T) {
	bubble(t, func(x *system) {
		names := []string{"a", "b", "c"}
		for range 10 {
			x.start("a")
		}
		x.start("b")
		x.start("c")
		session, seen := x.open(), map[string]bool{}
		for call := range int64(3) {
			for _, op := range x.acquireWith(&longrunpb.AcquireOperationsRequest{Session: session, Methods: names, Call: call + 1}) {
				seen[op.GetMethod()] = true
			}
		}
		if len(seen) != 3 {
			x.t.Errorf("three calls gave operations of %v, want of a, b and c", seen)
		}
	})
}

func TestClaim_MethodTwice(t *testing.T) {
	bubble(t, func(x *system) {
		for range 5 {
			x.start(resize)
		}
		ops := x.acquireWith(&longrunpb.AcquireOperationsRequest{Session: x.open(), Methods: []string{resize, resize, resize}, MaxOperations: 3, Call: 1})
		if len(ops) != 3 {
			x.t.Errorf("acquired %d operations, want 3", len(ops))
		}
	})
}

// fill makes a session hold n operations, by calls 1 and up.
func (x *system) fill(session string, n int) (held []*longrunpb.AcquiredOperation) {
	x.t.Helper()
	for range n {
		x.start(resize)
	}
	for call := int64(1); len(held) < n; call++ {
		held = append(held, x.acquire(session, call, int32(min(n-len(held), 100)))...)
	}
	return held
}

// A session holds 1,000 operations and no more. The store is asked how many there
// are only near the limit.
func TestClaim_SessionIsFull(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		held := x.fill(session, longrun.MaxHeld-1)
		if x.store.lists.Load() != 0 {
			x.t.Errorf("%d lists below the limit, want none", x.store.lists.Load())
		}
		for range 3 {
			x.start(resize)
		}
		last := x.acquire(session, 50, 3)
		if len(last) != 1 {
			x.t.Fatalf("acquired %d operations, want the one that fits", len(last))
		}
		// The same call again is answered, another gives nothing.
		if again := x.acquire(session, 50, 3); len(again) != 1 || again[0].GetOperation() != last[0].GetOperation() {
			x.t.Errorf("the same call again gave %v, want %v", again, last)
		}
		if more := x.acquire(session, 51, 3); len(more) != 0 {
			x.t.Errorf("a full session acquired %v, want none", more)
		}
		start := &longrunpb.StartOperationRequest{Method: resize, Session: session, Call: 52}
		_, err := x.StartOperation(x.ctx, start)
		wantError(x.t, err, codes.Unavailable, longrun.ReasonOverloaded, "")

		x.finish(succeed(session, held[0]))
		if _, err := x.StartOperation(x.ctx, start); err != nil {
			x.t.Errorf("StartOperation after a Finish: %v", err)
		}
		x.finish(succeed(session, held[1]))
		x.finish(succeed(session, held[2]))
		if more := x.acquire(session, 53, 3); len(more) != 2 {
			x.t.Errorf("acquired %d operations after two Finishes, want 2", len(more))
		}
	})
}

// A full session that waits gets an operation after it has finished one.
func TestClaim_FullSessionWaits(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		held := x.fill(session, longrun.MaxHeld)
		x.start(resize)
		time.AfterFunc(7*time.Second, func() { x.finish(succeed(session, held[0])) })
		var ops []*longrunpb.AcquiredOperation
		if got := took(func() { ops = x.acquireWith(waiting(session, 50, resize)) }); got != 10*time.Second || len(ops) != 1 {
			x.t.Errorf("took %v and gave %d operations, want 10s (the second poll) and 1", got, len(ops))
		}
	})
}

// A server that has not opened the session asks the store what it holds, once.
func TestClaim_UnknownSession(t *testing.T) {
	bubble(t, func(x *system) {
		id, err := x.svc.Work().OpenSession(x.ctx, longrun.SessionOptions{Remote: true})
		if err != nil {
			x.t.Fatal(err)
		}
		token, err := x.svc.Work().SessionToken(x.ctx, id)
		if err != nil {
			x.t.Fatal(err)
		}
		x.fill(token, 5)
		if x.store.lists.Load() != 1 {
			x.t.Errorf("%d lists, want 1", x.store.lists.Load())
		}
	})
}
