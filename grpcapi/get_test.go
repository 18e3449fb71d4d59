package grpcapi_test

import (
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/longrun-dev/longrun"
)

// GET-01: returns the latest state.
func TestGet_LatestState(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.run(t, parent)
	if got := s.get(t, r.name); got.GetDone() || got.GetName() != r.name {
		t.Errorf("Get = %v, want %q not done", got, r.name)
	}
	r.finish(t, longrun.Result{})
	if !s.get(t, r.name).GetDone() {
		t.Error("done = false after the end, want true")
	}
}

// GET-03: once any caller saw done, no later Get shows not-done.
func TestGet_Monotonic(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	other := newSystemOn(t, s.store, settings{})
	for range 50 {
		r := s.run(t, parent)
		finished := make(chan struct{})
		go func() {
			defer close(finished)
			r.finish(t, longrun.Result{})
		}()
		for turn, done := 0, false; turn < 2000 && !done; turn++ {
			done = []*system{s, other}[turn%2].get(t, r.name).GetDone()
			if done && !([]*system{other, s}[turn%2].get(t, r.name).GetDone()) {
				t.Fatal("done went back to false on another connection")
			}
		}
		<-finished
	}
}

// GET-04: no side effects, never blocks for completion.
func TestGet_NoSideEffects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		r := s.run(t, parent)
		before := s.record(t, r)
		took := elapsed(func() {
			for range 100 {
				s.get(t, r.name)
			}
		})
		if took >= time.Second {
			t.Errorf("100 Gets of a running operation took %v, want no blocking", took)
		}
		if after := s.record(t, r); after.Revision != before.Revision || after.UpdateTime != before.UpdateTime {
			t.Errorf("record after Gets = %+v, want it as before: %+v", after, before)
		}
	})
}

// record returns the stored operation.
func (s *system) record(t *testing.T, r *run) *longrun.Operation {
	t.Helper()
	ops, err := s.store.Get(t.Context(), r.op.ID)
	if err != nil {
		t.Fatal(err)
	}
	return ops[0]
}

// GET-05: an empty name is INVALID_ARGUMENT.
func TestGet_EmptyName(t *testing.T) {
	t.Parallel()
	expect(t, newSystem(t).getError(t, ""), badName)
}

// GET-06: a deleted operation is NOT_FOUND.
func TestGet_Deleted(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, name := range s.fixtures(t, parent).all() {
		s.delete(t, name)
		expectNamed(t, s.getError(t, name), notFound, name)
	}
}

// GET-07: an expired operation is NOT_FOUND.
func TestGet_Expired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystemWith(t, settings{Options: longrun.Options{Retention: time.Hour}})
		r := s.run(t, parent)
		r.finish(t, longrun.Result{})
		s.expire(t, time.Hour)
		expectNamed(t, s.getError(t, r.name), notFound, r.name)
	})
}

// GET-08: the wildcard is not accepted in Get.
func TestGet_Wildcard(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	id := longrun.NewID().String()
	for _, name := range []string{"projects/-/locations/-/operations/" + id, "-/operations/" + id, "operations/-"} {
		expect(t, s.getError(t, name), badName)
	}
}

// GET-09, LST-12: Get and List show the same, full message.
func TestGet_EqualsList(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.fixtures(t, parent)
	page, err := s.ops.ListOperations(t.Context(), &longrunningpb.ListOperationsRequest{Name: parent})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.GetOperations()) != 5 {
		t.Fatalf("List has %d operations, want 5", len(page.GetOperations()))
	}
	for _, listed := range page.GetOperations() {
		if got := s.get(t, listed.GetName()); !proto.Equal(got, listed) {
			t.Errorf("Get = %v, List = %v; want them equal", got, listed)
		}
	}
}

// GET-10: no read_mask request field.
func TestGet_NoReadMask(t *testing.T) {
	t.Parallel()
	fields := (&longrunningpb.GetOperationRequest{}).ProtoReflect().Descriptor().Fields()
	if fields.Len() != 1 || fields.ByName("name").Number() != 1 {
		t.Errorf("GetOperationRequest has fields %v, want name = 1 alone", fields)
	}
}

// GET-11, NM-09: an unknown name is answered at once.
func TestGet_UnknownAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		took := elapsed(func() { expect(t, s.getError(t, "operations/does-not-exist"), notFound) })
		if took >= time.Second {
			t.Errorf("NOT_FOUND took %v, want no waiting", took)
		}
	})
}

// GET-01, MIX-02: the one method that is mandatory is there when all others are
// off.
func TestGet_CannotBeSwitchedOff(t *testing.T) {
	t.Parallel()
	s := newSystemWith(t, allOff)
	s.get(t, s.start(t, parent))
}

// retryAfter gets an operation and returns the header retry-after.
func (s *system) retryAfter(t *testing.T, name string) []string {
	t.Helper()
	_, header := s.getWithHeader(t, name)
	return header.Get("retry-after")
}

func (s *system) getWithHeader(t *testing.T, name string) (*longrunningpb.Operation, header) {
	t.Helper()
	var h header
	op, err := s.ops.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: name}, grpc.Header(&h))
	if err != nil {
		t.Fatal(err)
	}
	return op, h
}
