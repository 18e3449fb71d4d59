package grpcapi_test

import (
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

func (s *system) deleteError(t *testing.T, name string) error {
	t.Helper()
	_, err := s.ops.DeleteOperation(t.Context(), &longrunningpb.DeleteOperationRequest{Name: name})
	return err
}

// DEL-01: the record goes: every method says NOT_FOUND and List omits it.
// DEL-03: a running one may be deleted. DEL-10: the reply is Empty.
func TestDelete_Gone(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, name := range append(s.fixtures(t, parent).all(), s.start(t, parent)) {
		s.delete(t, name)
		s.expectGone(t, name)
	}
}

// DEL-02: does not cancel: the work goes on, also what had not begun.
func TestDelete_WorkGoesOn(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	sh := s.handleShelf(t)
	s.delete(t, s.start(t, parent))
	running := s.run(t, parent)
	s.delete(t, running.name)
	if why := running.stop(t); why != nil {
		t.Errorf("the run hears %v, want nothing", why)
	}
	sh.work(t, s)
	if sh.books != 1 {
		t.Errorf("books = %d, want 1: the side effect of the deleted operation", sh.books)
	}
}

// DEL-04, POL-07: a second Delete is NOT_FOUND.
func TestDelete_Twice(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, name := range s.fixtures(t, parent).all() {
		s.delete(t, name)
		expectNamed(t, s.deleteError(t, name), notFound, name)
	}
}

// DEL-05: no force, etag or allow_missing in the request.
func TestDelete_Fields(t *testing.T) {
	t.Parallel()
	fields := (&longrunningpb.DeleteOperationRequest{}).ProtoReflect().Descriptor().Fields()
	if fields.Len() != 1 || fields.ByName("name").Number() != 1 {
		t.Errorf("DeleteOperationRequest has fields %v, want name = 1 alone", fields)
	}
}

// DEL-07: what the operation has made is not touched.
func TestDelete_TargetIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	sh := s.handleShelf(t)
	name := s.start(t, parent)
	sh.work(t, s)
	s.delete(t, name)
	if sh.books != 1 || s.claim(t, s.session) != nil {
		t.Errorf("books = %d and more work, want 1 and none", sh.books)
	}
}

// DEL-08: a late completion does not bring the record back, and is no error.
func TestDelete_LateCompletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		r := s.run(t, parent)
		s.delete(t, r.name)
		time.Sleep(time.Minute)
		r.report(t, &longrunpb.OperationMetadata{StatusMessage: "nearly there"})
		r.finish(t, longrun.Result{})
		s.expectGone(t, r.name)
		s.expire(t, longrun.EmptiedRetention)
		s.expectGone(t, r.name)
	})
}

// DEL-12: a request id is free again after deletion: never a name that Get
// denies.
func TestDelete_FreesRequestID(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := &longrunpb.SimulateRequest{Parent: parent, RequestId: "6ba7b810-9dad-41d1-80b4-00c04fd430c8"}
	var names []string
	for range 2 {
		op, err := s.starter.Simulate(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		s.get(t, op.GetName())
		s.delete(t, op.GetName())
		names = append(names, op.GetName())
	}
	if names[0] == names[1] {
		t.Errorf("name = %q twice, want a new operation", names[0])
	}
}
