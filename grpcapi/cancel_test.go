package grpcapi_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

func (s *system) cancelError(t *testing.T, ctx context.Context, name string) error {
	t.Helper()
	_, err := s.ops.CancelOperation(ctx, &longrunningpb.CancelOperationRequest{Name: name})
	return err
}

// CAN-01: returns Empty at once. CAN-05: until it is done, metadata shows that
// somebody has asked. CAN-03: when it has stopped it is kept, with code 1.
// CAN-04: and with a message and an ErrorInfo.
func TestCancel_Running(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		r := s.run(t, parent)
		took := elapsed(func() { s.cancel(t, r.name) })
		if took >= time.Second {
			t.Errorf("Cancel took %v, want no waiting", took)
		}
		op := s.get(t, r.name)
		if op.GetDone() || !metadataOf(t, op).GetRequestedCancellation() {
			t.Errorf("Get after Cancel = %v, want requested_cancellation and not done", op)
		}
		if why := r.stop(t); why != longrun.ErrCancelled {
			t.Errorf("the run hears %v, want %v", why, longrun.ErrCancelled)
		}
		time.Sleep(10 * time.Second)
		r.finish(t, longrun.Result{Err: longrun.ErrCancelled})
		s.expectCancelled(t, r.name)
	})
}

// stop returns what the session hears of the run.
func (r *run) stop(t *testing.T) error {
	t.Helper()
	beat, err := r.s.svc.Work().Beat(t.Context(), longrun.BeatRequest{Session: r.s.session})
	if err != nil {
		t.Fatal(err)
	}
	for _, stop := range beat.Stop {
		if stop.Name == r.op.Name() {
			return stop.Why
		}
	}
	return nil
}

func (s *system) expectCancelled(t *testing.T, name string) {
	t.Helper()
	op := s.get(t, name)
	if !op.GetDone() || op.GetResponse() != nil {
		t.Fatalf("Get = %v, want it done with an error", op)
	}
	expect(t, statusError(op), want{code: codes.Canceled, reason: longrun.ReasonOperationCancelled})
	if got := metadataOf(t, op).GetState(); got != longrunpb.OperationMetadata_CANCELLED {
		t.Errorf("state = %v, want CANCELLED", got)
	}
}

// CAN-02, CAN-09: best effort: work that goes on ends with its own result and is
// not said to be cancelled.
func TestCancel_Ignored(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, result := range []longrun.Result{{}, {Err: failure}} {
		r := s.run(t, parent)
		s.cancel(t, r.name)
		r.finish(t, result)
		op := s.get(t, r.name)
		if (op.GetResponse() != nil) != (result.Err == nil) || op.GetError().GetCode() == int32(codes.Canceled) {
			t.Errorf("Get = %v, want the work's own result", op)
		}
	}
}

// CAN-06: Cancel of a done operation is OK and changes nothing.
func TestCancel_AfterDone(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, name := range s.fixtures(t, parent).done() {
		before := s.get(t, name)
		s.cancel(t, name)
		if after := s.get(t, name); !proto.Equal(before, after) {
			t.Errorf("Get after Cancel = %v, want it as before: %v", after, before)
		}
	}
}

// CAN-07, POL-07: a repeated Cancel is OK, also at the same time; there is one
// terminal transition.
func TestCancel_Repeated(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, r := range []*run{s.run(t, parent), {name: s.start(t, parent)}} {
		var calls sync.WaitGroup
		for range 10 {
			calls.Go(func() {
				if err := s.cancelError(t, t.Context(), r.name); err != nil {
					t.Errorf("Cancel: %v", err)
				}
			})
		}
		calls.Wait()
		if r.op != nil {
			r.finish(t, longrun.Result{Err: context.Canceled})
		}
		s.expectCancelled(t, r.name)
	}
}

// CAN-08: an unknown, deleted or expired name is NOT_FOUND.
func TestCancel_Unknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystemWith(t, settings{Options: longrun.Options{Retention: time.Hour}})
		f := s.fixtures(t, parent)
		s.delete(t, f.R)
		s.expire(t, time.Hour+time.Second)
		for _, name := range []string{"operations/none", parent + "/operations/" + longrun.NewID().String(), f.R, f.S} {
			expect(t, s.cancelError(t, t.Context(), name), notFound)
		}
	})
}

// CAN-10, CON-03: of a completion and a Cancel at the same instant one wins, and
// what is done stays so.
func TestCancel_RacesWithCompletion(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for range 500 {
		r := s.run(t, parent)
		var race sync.WaitGroup
		race.Go(func() { r.finish(t, longrun.Result{}) })
		race.Go(func() { s.cancel(t, r.name) })
		race.Wait()
		op := s.get(t, r.name)
		if !op.GetDone() || op.GetResponse() == nil {
			t.Fatalf("Get = %v, want it done with its result", op)
		}
		if again := s.get(t, r.name); !proto.Equal(op, again) {
			t.Fatalf("Get = %v, and then %v", op, again)
		}
	}
}

// CAN-11, AUT-07: Cancel has a permission of its own.
func TestCancel_Permission(t *testing.T) {
	t.Parallel()
	s := newSystemWith(t, settings{Options: longrun.Options{Authorize: denyVerb(longrun.VerbCancel)}})
	r := s.run(t, parent)
	expectNamed(t, s.cancelError(t, t.Context(), r.name), denied, r.name)
	if metadataOf(t, s.get(t, r.name)).GetRequestedCancellation() {
		t.Error("requested_cancellation = true, want the operation unaffected")
	}
}

// CAN-12: one that has not begun ends at once and does not run.
func TestCancel_Queued(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.session = s.openSession(t, 0)
	pending, queued := s.start(t, parent), s.startKeyed(t, longrunpb.ConflictPolicy_QUEUE)
	waiting := s.startKeyed(t, longrunpb.ConflictPolicy_QUEUE)
	for _, name := range []string{pending, waiting, queued} {
		s.cancel(t, name)
		s.expectCancelled(t, name)
	}
	if r := s.claim(t, s.session); r != nil {
		t.Errorf("claimed %q, want no work", r.name)
	}
}

// startKeyed starts an operation with a conflict key.
func (s *system) startKeyed(t *testing.T, policy longrunpb.ConflictPolicy) string {
	t.Helper()
	op, err := s.starter.Simulate(t.Context(), &longrunpb.SimulateRequest{Parent: parent, ConflictKey: "shelf", OnConflict: policy})
	if err != nil {
		t.Fatal(err)
	}
	return op.GetName()
}

// CAN-14, PAR-05: one that was pre-empted ends with code 10, not 1.
func TestCancel_PreemptedIsNoCancel(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.session = s.openSession(t, 0)
	first := s.startKeyed(t, longrunpb.ConflictPolicy_PREEMPT)
	running := s.claim(t, s.session)
	second := s.startKeyed(t, longrunpb.ConflictPolicy_PREEMPT)
	if why := running.stop(t); why != longrun.ErrPreempted {
		t.Errorf("the run hears %v, want %v", why, longrun.ErrPreempted)
	}
	running.finish(t, longrun.Result{Err: context.Canceled})
	expect(t, statusError(s.get(t, first)), want{code: codes.Aborted, reason: longrun.ReasonOperationPreempted})
	if next := s.claim(t, s.session); next == nil || next.name != second {
		t.Errorf("claimed %v, want the newest", next)
	}
}

// CAN-15, WAI-14: a client that goes away, or whose deadline passes, cancels
// nothing.
func TestCancel_NotByDisconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		r := s.run(t, parent)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := s.ops.WaitOperation(ctx, &longrunningpb.WaitOperationRequest{Name: r.name})
			ended <- err
		}()
		synctest.Wait()
		cancel()
		<-ended
		s.conn.Close()
		again := newSystemOn(t, s.store, settings{})
		if m := metadataOf(t, again.get(t, r.name)); m.GetRequestedCancellation() || m.GetEndTime() != nil {
			t.Errorf("metadata after the client has gone = %v, want the operation untouched", m)
		}
		r.finish(t, longrun.Result{})
		if again.get(t, r.name).GetResponse() == nil {
			t.Error("no response, want the operation to go on")
		}
	})
}
