package runner

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/longrunpb"
)

// suspended is a clock of a machine that sleeps: the wall clock goes on, the monotonic
// one stands still.
type suspended struct {
	start time.Time
	slept atomic.Int64 // in nanoseconds
}

func (s *suspended) now() moment {
	now, slept := time.Now(), time.Duration(s.slept.Load())
	return moment{mono: now.Sub(s.start), wall: now.Round(0).Add(slept)}
}

// deaf is a store whose beats can be held up.
type deaf struct {
	longrun.Store
	mu   sync.RWMutex // held for writing: beats wait
	open chan struct{}
}

func (d *deaf) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = make(chan struct{})
}

func (d *deaf) Beat(ctx context.Context, s longrun.Session) (longrun.Beat, error) {
	d.mu.RLock()
	open := d.open
	d.mu.RUnlock()
	if open != nil {
		select {
		case <-open:
		case <-ctx.Done():
			return longrun.Beat{}, ctx.Err()
		}
	}
	return d.Store.Beat(ctx, s)
}

// The machine sleeps for five minutes, of which its monotonic clock knows nothing. When
// it wakes, the session is not trusted, and nothing new begins, until the store has
// answered; what runs goes on, in the same attempt.
func TestRun_MachineSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &deaf{Store: inmem.New()}
		svc, err := longrun.New(store, longrun.Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		type run = longrun.Run[*longrunpb.OperationMetadata]
		m := longrun.Method[*emptypb.Empty, *emptypb.Empty, *longrunpb.OperationMetadata]{Name: "work"}
		begun, release := make(chan *run, 2), make(chan struct{})
		longrun.Handle(svc, m, func(ctx context.Context, _ *emptypb.Empty, r *run) (*emptypb.Empty, error) {
			begun <- r
			select {
			case <-release:
				return &emptypb.Empty{}, nil
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		})
		r, err := New(svc, Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		clock := &suspended{start: time.Now()}
		r.now = clock.now
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		time.Sleep(10 * time.Second)

		op, err := longrun.Start(t.Context(), svc, m, &emptypb.Empty{}, longrun.StartOptions{})
		if err != nil {
			t.Fatal(err)
		}
		first := <-begun
		if !first.Trusted() {
			t.Fatal("Trusted = false before the machine sleeps, want true")
		}
		store.shut()
		clock.slept.Store(int64(5 * time.Minute))
		if first.Trusted() {
			t.Error("Trusted = true when the machine has woken, want false")
		}
		next, err := longrun.Start(t.Context(), svc, m, &emptypb.Empty{}, longrun.StartOptions{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if len(begun) != 0 || next.State != longrun.Pending {
			t.Errorf("%d runs have begun, and the operation is %v; want none before the store has answered", len(begun), next.State)
		}
		close(store.open)
		store.mu.Lock()
		store.open = nil
		store.mu.Unlock()
		second := <-begun
		if !first.Trusted() || !second.Trusted() || second.Name() != next.Name() {
			t.Errorf("Trusted = %v, %v of %v; want both when the store has answered", first.Trusted(), second.Trusted(), second.Name())
		}
		close(release)
		for _, n := range []longrun.Name{op.Name(), next.Name()} {
			done, err := svc.Wait(t.Context(), n, time.Minute)
			if err != nil || done.State != longrun.Succeeded || done.Claim.Attempt != 1 {
				t.Errorf("Wait = %v as attempt %d, %v; want SUCCEEDED as 1", done.State, done.Claim.Attempt, err)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		svc.Close()
	})
}
