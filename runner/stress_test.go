package runner_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/storetest"
)

// Runners that come and go, on real goroutines and real time, while operations
// are started, cancelled and deleted: every operation ends, and none that runs at
// most once begins twice.
func TestStress_StartStop(t *testing.T) {
	t.Parallel()
	store := inmem.New()
	log := slog.New(slog.DiscardHandler)
	m := method{Name: "work", AtMostOnce: true}
	var mu sync.Mutex // guards begun
	begun := map[string]int{}
	h := func(ctx context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
		mu.Lock()
		begun[run.Name().String()]++
		mu.Unlock()
		run.Progress(&meta{StatusMessage: "begun"})
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
		return wrapperspb.String("response"), ctx.Err()
	}
	newService := func() *longrun.Service {
		svc, err := longrun.New(store, longrun.Options{Log: log})
		if err != nil {
			t.Fatal(err)
		}
		longrun.Handle(svc, m, h)
		return svc
	}
	work := func(svc *longrun.Service, life time.Duration) {
		ctx, cancel := context.WithTimeout(context.Background(), life)
		defer cancel()
		r, err := runner.New(svc, runner.Options{Concurrency: 8, Grace: -1, Log: log})
		if err == nil {
			err = r.Run(ctx)
		}
		if err != nil {
			t.Error(err)
		}
	}

	starter := newService() // of its own, to work when all others have gone
	defer starter.Close()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 40 {
				svc := newService()
				var runs sync.WaitGroup
				for range 2 {
					runs.Go(func() { work(svc, time.Duration(rand.IntN(10))*time.Millisecond) })
				}
				for range 5 {
					startSome(t, svc, m)
				}
				runs.Wait()
				svc.Close()
			}
		})
	}
	all.Wait()
	left := unfinished(t, store)
	for end := time.Now().Add(time.Minute); len(left) > 0 && time.Now().Before(end); left = unfinished(t, store) {
		work(starter, time.Second)
	}
	for _, op := range left {
		t.Errorf("%v is %v, attempt %d", op.Name(), op.State, op.Claim.Attempt)
	}
	for name, n := range begun {
		if n > 1 {
			t.Errorf("%s began %d times", name, n)
		}
	}
}

// unfinished returns the operations that are not done.
func unfinished(t *testing.T, store longrun.Store) []*longrun.Operation {
	t.Helper()
	page, err := store.List(t.Context(), longrun.Query{Parent: "-", Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(page.Operations, func(op *longrun.Operation) bool { return op.State.Done() })
}

// startSome starts an operation and perhaps cancels or deletes it.
func startSome(t *testing.T, svc *longrun.Service, m method) {
	ctx := context.Background()
	op, err := longrun.Start(ctx, svc, m, wrapperspb.String(""), longrun.StartOptions{})
	if err != nil {
		t.Error(err)
		return
	}
	switch rand.IntN(4) {
	case 0:
		err = svc.Cancel(ctx, op.Name())
	case 1:
		err = svc.Delete(ctx, op.Name())
	}
	if err != nil {
		t.Error(err)
	}
}

// Whatever of the store's calls fail, every operation ends, and none that runs at
// most once begins twice.
func TestStress_Faults(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *system) { testFaults(t, s, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func testFaults(t *testing.T, s *system, random *rand.Rand) {
	m := method{Name: "work", AtMostOnce: true}
	var mu sync.Mutex // guards begun
	begun := map[longrun.Name]int{}
	h := func(ctx context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
		mu.Lock()
		begun[run.Name()]++
		mu.Unlock()
		time.Sleep(3 * time.Second)
		run.Progress(&meta{})
		return nil, nil
	}
	processes := []*process{s.process, s.newProcess()}
	for _, p := range processes {
		longrun.Handle(p.Service, m, h)
		p.begin(runner.Options{Concurrency: 5, SessionTTL: 10 * time.Second})
	}
	outcomes := []storetest.Outcome{storetest.Refused, storetest.Committed, storetest.Dropped, storetest.Late}
	for range 300 {
		p := processes[random.IntN(2)]
		p.store.Inject(storetest.Fault{On: storetest.OnAll &^ storetest.OnWatch, Outcome: outcomes[random.IntN(4)],
			Skip: random.IntN(10), Times: 1 + random.IntN(3), Hang: random.IntN(10) == 0})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		// An error is no news here; what was stored shall end all the same.
		longrun.Start(ctx, p.Service, m, wrapperspb.String(""), longrun.StartOptions{})
		cancel()
		if random.IntN(3) == 0 {
			p.store.Deliver()
		}
		time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
	}
	for _, p := range processes {
		p.store.Heal()
		p.store.Deliver()
	}
	time.Sleep(10 * time.Minute)
	page, err := s.records.List(t.Context(), longrun.Query{Parent: "-", Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range page.Operations {
		if n := begun[op.Name()]; !op.State.Done() || n > 1 {
			t.Errorf("%v is %v, attempt %d, begun %d times; want done, and begun once at most", op.Name(), op.State, op.Claim.Attempt, n)
		}
	}
	if len(page.Operations) < 200 {
		t.Errorf("%d operations, want most of 300", len(page.Operations))
	}
}
