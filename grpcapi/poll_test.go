package grpcapi_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// POL-01, POL-02: Get and Wait of a running operation suggest when to ask again,
// in whole seconds, from a second to a minute, by its progress and age; a done one
// has nothing to suggest.
func TestPoll_RetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		r := s.run(t, parent)
		for _, tt := range []struct {
			age  time.Duration
			want int
		}{{0, 1}, {4 * time.Second, 1}, {5 * time.Second, 2}, {40 * time.Second, 10}, {time.Hour, 60}} {
			time.Sleep(tt.age - time.Since(r.op.CreateTime))
			if got := s.retryAfter(t, r.name); len(got) != 1 || got[0] != strconv.Itoa(tt.want) {
				t.Errorf("retry-after at the age of %v = %q, want %d", tt.age, got, tt.want)
			}
		}
		end := timestamppb.New(time.Now().Add(20 * time.Second))
		r.report(t, &longrunpb.OperationMetadata{Progress: &longrunpb.Progress{EstimatedEndTime: end}})
		if got := s.retryAfter(t, r.name); len(got) != 1 || got[0] != "10" {
			t.Errorf("retry-after 20s before the estimated end = %q, want 10", got)
		}
		var h header
		if _, err := s.ops.WaitOperation(t.Context(), &longrunningpb.WaitOperationRequest{Name: r.name}, grpc.Header(&h)); err != nil || len(h.Get("retry-after")) != 1 {
			t.Errorf("retry-after of Wait = %q, %v; want one", h.Get("retry-after"), err)
		}
		r.finish(t, longrun.Result{})
		if got := s.retryAfter(t, r.name); len(got) != 0 {
			t.Errorf("retry-after when done = %q, want none", got)
		}
	})
}

// POL-03, POL-06: many pollers are answered; a Get waits for nothing.
func TestPoll_Many(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		r := s.run(t, parent)
		r.finishIn(t, time.Minute, longrun.Result{})
		polls := make(chan int)
		const pollers = 200
		for range pollers {
			go func() {
				n := 0
				for delay := 100 * time.Millisecond; ; delay = min(delay*13/10, time.Minute) {
					n++
					if s.get(t, r.name).GetDone() || t.Failed() {
						polls <- n
						return
					}
					time.Sleep(delay)
				}
			}()
		}
		for range pollers {
			if n := <-polls; n < 15 {
				t.Errorf("a poller was done after %d polls, want it to poll for a minute", n)
			}
		}
	})
}

// POL-04: overload is UNAVAILABLE, which clients try again, and not
// RESOURCE_EXHAUSTED.
func TestPoll_Overload(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	broken := newSystemOn(t, unavailableStore{s.store}, settings{})
	name := "operations/" + longrun.NewID().String()
	_, waited := broken.wait(t.Context(), name, 0)
	for _, err := range []error{broken.getError(t, name), waited} {
		expect(t, err, want{code: codes.Unavailable, reason: longrun.ReasonOverloaded})
	}
}

// POL-07, CAN-07, DEL-04: what a client tries again, because the reply was lost,
// does no harm.
func TestPoll_RetriesAreSafe(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.run(t, parent)
	for range 5 {
		s.get(t, r.name)
		s.list(t, parent)
		s.cancel(t, r.name)
	}
	s.delete(t, r.name)
	for range 4 {
		expectNamed(t, s.deleteError(t, r.name), notFound, r.name)
	}
	if got := len(s.list(t, parent)); got != 0 {
		t.Errorf("List has %d operations, want none", got)
	}
}
