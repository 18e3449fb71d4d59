package grpcapi_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// countingStore counts reads.
type countingStore struct {
	longrun.Store
	gets atomic.Int64
}

func (s *countingStore) Get(ctx context.Context, ids ...longrun.ID) ([]*longrun.Operation, error) {
	s.gets.Add(1)
	return s.Store.Get(ctx, ids...)
}

// CON-02: a name that was returned outlives the server that returned it.
func TestConsistency_Restart(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	name := s.start(t, parent)
	s.server.Stop()
	again := newSystemOn(t, s.store, settings{})
	if got := again.get(t, name); got.GetName() != name {
		t.Errorf("name = %q, want %q", got.GetName(), name)
	}
}

// CON-01, GET-02: when a method has returned, every reader of this store sees it.
func TestConsistency_OtherServer(t *testing.T) {
	t.Parallel()
	a := newSystem(t)
	b := newSystemOn(t, a.store, settings{})
	for range 100 {
		r := a.run(t, parent)
		b.get(t, r.name)
		b.cancel(t, r.name)
		if !metadataOf(t, a.get(t, r.name)).GetRequestedCancellation() {
			t.Fatal("requested_cancellation = false on the other server, want true")
		}
		a.delete(t, r.name)
		expectNamed(t, b.getError(t, r.name), notFound, r.name)
	}
}

// CON-03: of many ends of an operation one counts.
func TestConsistency_OneEnd(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for range 100 {
		r := s.run(t, parent)
		var race sync.WaitGroup
		results := []longrun.Result{{}, {Err: failure}, {Err: longrun.ErrCancelled}, {Response: pack(t, &longrunpb.CommandResponse{})}}
		for _, result := range results {
			race.Go(func() {
				// The run's claim is used up by the first.
				s.svc.Work().Finish(t.Context(), r.op.Name(), r.op.Claim, result)
			})
		}
		race.Go(func() { s.cancel(t, r.name) })
		race.Wait()
		op := s.get(t, r.name)
		if again := s.get(t, r.name); !op.GetDone() || !proto.Equal(op, again) {
			t.Fatalf("Get = %v, and then %v; want it done and unchanged", op, again)
		}
	}
}

// lose lets a session die: another one beats until its time is over, and sweeps.
func (s *system) lose(t *testing.T, ttl time.Duration) {
	t.Helper()
	alive := s.openSession(t, ttl)
	for range 8 {
		time.Sleep(ttl / 4)
		if _, err := s.svc.Work().Beat(t.Context(), longrun.BeatRequest{Session: alive}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.svc.Work().Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.session = alive
}

// CON-04: if the worker is lost, the operation runs again; CON-06: progress and
// update_time do not go back.
func TestConsistency_WorkerLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		const ttl = 10 * time.Second
		name := s.start(t, parent)
		first := s.claim(t, s.openSession(t, ttl))
		first.report(t, &longrunpb.OperationMetadata{Progress: &longrunpb.Progress{CompletedUnits: 7}})
		before := metadataOf(t, s.get(t, name))
		s.lose(t, ttl)
		again := s.claim(t, s.session)
		if again == nil || again.name != name {
			t.Fatalf("claimed %v after the session died, want %q", again, name)
		}
		again.report(t, &longrunpb.OperationMetadata{Progress: &longrunpb.Progress{CompletedUnits: 2}})
		m := metadataOf(t, s.get(t, name))
		if m.GetAttempt() != 2 || m.GetProgress().GetCompletedUnits() != 7 || m.GetUpdateTime().AsTime().Before(before.GetUpdateTime().AsTime()) {
			t.Errorf("metadata of the second run = %v, want attempt 2, 7 units, a later update_time than %v", m, before)
		}
		if _, err := s.svc.Work().Finish(t.Context(), first.op.Name(), first.op.Claim, longrun.Result{}); longrun.CodeOf(err) != codes.Aborted {
			t.Errorf("late Finish of the first run = %v, want ABORTED", err)
		}
		again.finish(t, longrun.Result{})
		if !s.get(t, name).GetDone() {
			t.Error("done = false, want true")
		}
	})
}

// CON-04: one that must not run twice ends ABORTED. CON-05, PAR-06: and its
// conflict key is free.
func TestConsistency_LostKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		const ttl = 10 * time.Second
		start := longrun.StartRequest{Method: method, AtMostOnce: true, StartOptions: longrun.StartOptions{Parent: parent, ConflictKey: "shelf"}}
		op, err := s.svc.Start(t.Context(), start)
		if err != nil {
			t.Fatal(err)
		}
		s.claim(t, s.openSession(t, ttl))
		next := s.startKeyed(t, longrunpb.ConflictPolicy_QUEUE)
		s.lose(t, ttl)
		expect(t, statusError(s.get(t, op.Name().String())), want{code: codes.Aborted, reason: longrun.ReasonRunLost})
		if r := s.claim(t, s.session); r == nil || r.name != next {
			t.Errorf("claimed %v, want %q", r, next)
		}
	})
}
