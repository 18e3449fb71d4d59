package grpcapi_test

import (
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"

	"github.com/longrun-dev/longrun"
)

// expire lets time pass and removes what has expired by then.
func (s *system) expire(t *testing.T, d time.Duration) {
	t.Helper()
	time.Sleep(d)
	if err := s.svc.Work().Sweep(t.Context()); err != nil {
		t.Fatalf("Sweep: %v", err)
	}
}

// EXP-01: a done operation is kept for 30 days after its completion by default.
func TestRetention_Default(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		r := s.run(t, parent)
		time.Sleep(time.Hour)
		r.finish(t, longrun.Result{})
		s.expire(t, 30*24*time.Hour-time.Second)
		s.get(t, r.name)
		s.expire(t, time.Second)
		expect(t, s.getError(t, r.name), notFound)
	})
}

// EXP-01: the time is an option.
func TestRetention_Option(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystemWith(t, settings{Options: longrun.Options{Retention: time.Minute}})
		f := s.fixtures(t, parent)
		s.expire(t, 59*time.Second)
		if got := len(s.list(t, parent)); got != 5 {
			t.Errorf("%d operations before their time is over, want 5", got)
		}
		s.expire(t, 2*time.Second)
		for _, name := range f.done() {
			expect(t, s.getError(t, name), notFound)
		}
	})
}

// EXP-02: running ones never expire.
func TestRetention_RunningNeverExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystemWith(t, settings{Options: longrun.Options{Retention: time.Minute}})
		pending, running := s.start(t, parent), s.run(t, parent)
		s.expire(t, 365*24*time.Hour)
		s.get(t, pending)
		s.get(t, running.name)
		running.finish(t, longrun.Result{})
		s.expire(t, 59*time.Second)
		s.get(t, running.name)
	})
}

// EXP-03: metadata shows expire_time, and nothing is removed before it.
func TestRetention_ExpireTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystemWith(t, settings{Options: longrun.Options{Retention: time.Hour}})
		r := s.run(t, parent)
		if got := metadataOf(t, s.get(t, r.name)).GetExpireTime(); got != nil {
			t.Errorf("expire_time of a running operation = %v, want none", got)
		}
		r.finish(t, longrun.Result{})
		m := metadataOf(t, s.get(t, r.name))
		if got, want := m.GetExpireTime().AsTime(), m.GetEndTime().AsTime().Add(time.Hour); !got.Equal(want) {
			t.Errorf("expire_time = %v, want %v", got, want)
		}
		s.expire(t, time.Until(m.GetExpireTime().AsTime())-time.Microsecond)
		s.get(t, r.name)
		s.expire(t, time.Microsecond)
		expect(t, s.getError(t, r.name), notFound)
	})
}

// EXP-04: after expiry every method answers as after deletion.
func TestRetention_ExpiredIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystemWith(t, settings{Options: longrun.Options{Retention: time.Minute}})
		r := s.run(t, parent)
		r.finish(t, longrun.Result{})
		s.expire(t, time.Minute)
		s.expectGone(t, r.name)
	})
}

// expectGone checks that no method knows the name.
func (s *system) expectGone(t *testing.T, name string) {
	t.Helper()
	ctx := t.Context()
	expectNamed(t, s.getError(t, name), notFound, name)
	_, err := s.ops.CancelOperation(ctx, &longrunningpb.CancelOperationRequest{Name: name})
	expectNamed(t, err, notFound, name)
	_, err = s.ops.DeleteOperation(ctx, &longrunningpb.DeleteOperationRequest{Name: name})
	expectNamed(t, err, notFound, name)
	_, err = s.ops.WaitOperation(ctx, &longrunningpb.WaitOperationRequest{Name: name})
	expectNamed(t, err, notFound, name)
	for _, listed := range s.list(t, "-") {
		if listed == name {
			t.Errorf("List still has %q", name)
		}
	}
}

// EXP-05, DEL-07: the record goes, and nothing that the work has made: what a
// handler did is not undone, and no handler runs again.
func TestRetention_TargetIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystemWith(t, settings{Options: longrun.Options{Retention: time.Minute}})
		shelf := s.handleShelf(t)
		name := s.start(t, parent)
		shelf.work(t, s)
		s.expire(t, time.Minute)
		expect(t, s.getError(t, name), notFound)
		if shelf.books != 1 || s.claim(t, s.session) != nil {
			t.Errorf("books = %d and more work, want 1 and none", shelf.books)
		}
	})
}
