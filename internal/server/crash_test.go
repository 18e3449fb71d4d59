package server_test

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/server"
	"github.com/longrun-dev/longrun/longrunpb"
)

const (
	crashes      = 50
	crashesShort = 8

	// recoveryBound is within what work that ran in a killed process goes on, after
	// most kills, on a machine that does other things too; three seconds are promised on
	// one that does not. Whoever waited for the TTL of the dead session would never be
	// so soon.
	recoveryBound = longrun.DefaultSessionTTL / 2
	// endBound is how long the last operation may take to end when the killing has
	// ended: a worker that has crashed is found within two of its TTLs.
	endBound = 5 * time.Minute
)

// CON-02, CON-03, CON-04, CON-05, CON-06, IDM-08: a server under load is killed again
// and again, and nothing that it has acknowledged is lost, ends twice, changes after
// its end, or never ends.
func TestCrash(t *testing.T) {
	t.Parallel()
	n := crashes
	if testing.Short() {
		n = crashesShort
	}
	store := filepath.Join(t.TempDir(), "longrun.db")
	p := startProcess(t, store)
	h := newHistory()
	l := newLoad(connect(t, p.addr), h)

	chaos, calm := context.WithCancel(t.Context())
	defer calm()
	done, finish := context.WithCancel(t.Context())
	defer finish()
	clients := l.run(t, chaos, done)

	var recoveries []time.Duration
	for range n {
		recoveries = append(recoveries, crashOnce(t, p, l))
	}
	calm()
	all := l.settle(t)
	finish()
	clients.Wait()
	p.stop(t)

	if err := l.wrong.Load(); err != nil {
		t.Errorf("an answer that no server may give: %v", *err)
	}
	operations, calls := h.check(t)
	keyed := l.keys.check(t)
	if found, err := server.Check(t.Context(), store); err != nil || len(found) > 0 {
		t.Errorf("longrun check: %v, %v; want nothing", found, err)
	}
	slices.Sort(recoveries)
	t.Logf("%d kills, %d operations, %d calls, %d left in the list; %d ends of runs took more than one try; %d runs with a key",
		n, operations, calls, all, l.over.Load(), keyed)
	median := recoveries[len(recoveries)/2]
	t.Logf("work went on after: median %v, longest %v", median, recoveries[len(recoveries)-1])
	if median > recoveryBound {
		t.Errorf("work went on %v after a restart, by the median, want within %v", median, recoveryBound)
	}
}

// crashOnce kills the server at some moment while it runs an operation, and returns
// how long it took from the start of the next one until that operation ran again.
func crashOnce(t *testing.T, p *process, l *load) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), endBound)
	defer cancel()
	pilot := &longrunpb.SimulateRequest{RunDuration: durationpb.New(time.Hour), Parent: "projects/pilot", RequestId: uuid.NewString()}
	name := l.insist(ctx, func(ctx context.Context) (*longrunningpb.Operation, error) { return l.sim.Simulate(ctx, pilot) })
	l.awaitRunning(ctx, t, name, 1)
	sleep(ctx, time.Duration(rand.IntN(500))*time.Millisecond)
	p.kill()
	if rand.IntN(4) == 0 { // and once more while it starts
		p.launch(t)
		sleep(ctx, time.Duration(rand.IntN(100))*time.Millisecond)
		p.kill()
	}
	begin := time.Now()
	p.start(t)
	l.awaitRunning(ctx, t, name, 2)
	took := time.Since(begin)
	l.cancelOne(ctx, name)
	return took
}

// awaitRunning waits until the operation runs as this attempt or a later one.
func (l *load) awaitRunning(ctx context.Context, t *testing.T, name string, attempt int64) {
	t.Helper()
	for {
		op := l.look(ctx, name, func(ctx context.Context) (*longrunningpb.Operation, error) {
			return l.ops.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: name})
		})
		if md := stateOf(t, op); op != nil && md.GetState() == longrunpb.OperationMetadata_RUNNING && md.GetAttempt() >= attempt {
			return
		}
		if op.GetDone() || ctx.Err() != nil {
			t.Fatalf("%q does not run as attempt %d: %v", name, attempt, op)
		}
		sleep(ctx, 5*time.Millisecond)
	}
}

// settle waits until every operation that is left is done, and sees each once more,
// by its name and in the list. It returns how many there are.
func (l *load) settle(t *testing.T) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), endBound)
	defer cancel()
	l.mu.Lock()
	names := slices.Clone(l.names)
	for _, s := range l.kept {
		names = append(names, s.name)
	}
	l.mu.Unlock()
	visible := map[string]bool{}
	for _, name := range names {
		for {
			op := l.look(ctx, name, func(ctx context.Context) (*longrunningpb.Operation, error) {
				return l.ops.WaitOperation(ctx, &longrunningpb.WaitOperationRequest{Name: name, Timeout: durationpb.New(time.Second)})
			})
			if op == nil || op.GetDone() {
				if op != nil {
					visible[name] = true
				}
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("never ends: %v", op)
			}
		}
	}
	listed := l.listAll(ctx, t)
	for name := range visible {
		if listed[name] != 1 {
			t.Errorf("%s is in the list %d times, want once", name, listed[name])
		}
	}
	return len(listed)
}

// listAll reads the whole list, sees all that is in it, and counts it.
func (l *load) listAll(ctx context.Context, t *testing.T) map[string]int {
	t.Helper()
	listed := map[string]int{}
	for token := ""; ; {
		begin := l.h.now()
		page, err := l.ops.ListOperations(ctx, &longrunningpb.ListOperationsRequest{Name: "-", PageSize: 500, PageToken: token})
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		for _, op := range page.GetOperations() {
			l.h.see(begin, op)
			listed[op.GetName()]++
		}
		if token = page.GetNextPageToken(); token == "" {
			return listed
		}
	}
}
