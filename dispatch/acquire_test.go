package dispatch_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/dispatch"
	"github.com/longrun-dev/longrun/longrunpb"
)

// waiting is an Acquire that waits as long as it may.
func waiting(session string, call int64, methods ...string) *longrunpb.AcquireOperationsRequest {
	return &longrunpb.AcquireOperationsRequest{Session: session, Methods: methods, Call: call, WaitTimeout: durationpb.New(time.Hour)}
}

// What a worker gets is all that it needs, oldest first.
func TestAcquire_Operations(t *testing.T) {
	bubble(t, func(x *system) {
		first := x.startWith(&longrunpb.StartOperationRequest{
			Parent: "projects/p", Method: resize, Request: text("in"), Metadata: text("first"),
			ExecutionTimeout: durationpb.New(time.Hour),
		})
		second := x.start(resize)
		ops := x.acquire(x.open(), 1, 10)
		if len(ops) != 2 || ops[1].GetOperation() != second.String() {
			x.t.Fatalf("acquired %v, want two operations", ops)
		}
		want := &longrunpb.AcquiredOperation{
			Operation: first.String(), Attempt: 1, Method: resize, Request: text("in"), Metadata: text("first"),
			DeadlineTime: ops[0].GetDeadlineTime(),
		}
		if !proto.Equal(ops[0], want) {
			x.t.Errorf("acquired %v, want %v", ops[0], want)
		}
		if got := ops[0].GetDeadlineTime().AsTime(); !got.Equal(x.get(first).DeadlineTime) {
			x.t.Errorf("deadline_time = %v, want %v", got, x.get(first).DeadlineTime)
		}
		if ops[1].DeadlineTime != nil || ops[1].Metadata != nil {
			x.t.Errorf("deadline_time = %v, metadata = %v, want none", ops[1].DeadlineTime, ops[1].Metadata)
		}
	})
}

// The metadata is what the run before has saved.
func TestAcquire_MetadataOfTheRunBefore(t *testing.T) {
	bubble(t, func(x *system) {
		x.start(resize)
		session := x.open()
		op := x.acquireOne(session, 1)
		r := fail(session, op, codes.Unavailable)
		r.Metadata = text("half done")
		x.finish(r)
		time.Sleep(time.Second)
		if got := x.acquireOne(session, 2); !proto.Equal(got.GetMetadata(), text("half done")) || got.GetAttempt() != 2 {
			x.t.Errorf("acquired %v, want attempt 2 with the metadata of attempt 1", got)
		}
	})
}

func TestAcquire_MaxOperations(t *testing.T) {
	bubble(t, func(x *system) {
		for range 250 {
			x.start(resize)
		}
		session := x.open()
		for i, tt := range []struct {
			max  int32
			want int
		}{{0, 1}, {1, 1}, {7, 7}, {100, 100}, {101, 100}, {1000, 41}} {
			if got := len(x.acquire(session, int64(i+1), tt.max)); got != tt.want {
				x.t.Errorf("max_operations %d: %d operations, want %d", tt.max, got, tt.want)
			}
		}
	})
}

func TestAcquire_Invalid(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		for _, tt := range []struct {
			field  string
			change func(*longrunpb.AcquireOperationsRequest)
		}{
			{"call", func(r *longrunpb.AcquireOperationsRequest) { r.Call = 0 }},
			{"call", func(r *longrunpb.AcquireOperationsRequest) { r.Call = -1 }},
			{"methods", func(r *longrunpb.AcquireOperationsRequest) { r.Methods = nil }},
			{"methods", func(r *longrunpb.AcquireOperationsRequest) { r.Methods = []string{"no method"} }},
			{"methods", func(r *longrunpb.AcquireOperationsRequest) { r.Methods = methods(101) }},
			{"max_operations", func(r *longrunpb.AcquireOperationsRequest) { r.MaxOperations = -1 }},
		} {
			r := waiting(session, 1, resize)
			tt.change(r)
			_, err := x.AcquireOperations(x.ctx, r)
			wantInvalid(x.t, err, tt.field)
		}
		for _, wait := range []*durationpb.Duration{negative, endless, torn} {
			r := waiting(session, 1, resize)
			r.WaitTimeout = wait
			_, err := x.AcquireOperations(x.ctx, r)
			wantError(x.t, err, codes.InvalidArgument, longrun.ReasonInvalidTimeout, "wait_timeout")
		}
	})
}

func methods(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("method-%d", i)
	}
	return names
}

// The same number again is the same call, also with other arguments.
func TestAcquire_SameCallAgain(t *testing.T) {
	bubble(t, func(x *system) {
		for range 5 {
			x.start(resize)
		}
		session := x.open()
		first := x.acquire(session, 1, 2)
		again := x.acquire(session, 1, 100)
		if len(first) != 2 || len(again) != 2 || !proto.Equal(first[0], again[0]) || !proto.Equal(first[1], again[1]) {
			x.t.Errorf("call 1 again gave %v, want %v", again, first)
		}
	})
}

func TestAcquire_Waits(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		for i, tt := range []struct{ wait, want time.Duration }{
			{0, 0}, {time.Second, time.Second}, {time.Minute, time.Minute}, {time.Hour, time.Minute},
		} {
			r := waiting(session, int64(i+1), resize)
			r.WaitTimeout = durationpb.New(tt.wait)
			var ops []*longrunpb.AcquiredOperation
			if got := took(func() { ops = x.acquireWith(r) }); got != tt.want || len(ops) != 0 {
				x.t.Errorf("wait %v: took %v and gave %v, want %v and none", tt.wait, got, ops, tt.want)
			}
			x.beat(session, 0)
		}
	})
}

func TestAcquire_CallersDeadline(t *testing.T) {
	bubble(t, func(x *system) {
		ctx, cancel := context.WithTimeout(x.ctx, 10*time.Second)
		defer cancel()
		var err error
		got := took(func() { _, err = x.AcquireOperations(ctx, waiting(x.open(), 1, resize)) })
		if err != nil || got != 9750*time.Millisecond {
			x.t.Errorf("took %v, %v, want 9.75s", got, err)
		}
	})
}

// An operation that is started while a worker waits is handed over at once.
func TestAcquire_Woken(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		started := make(chan struct{})
		time.AfterFunc(1234*time.Millisecond, func() {
			defer close(started)
			x.start(resize)
		})
		var ops []*longrunpb.AcquiredOperation
		if got := took(func() { ops = x.acquireWith(waiting(session, 1, "other", resize)) }); got != 1234*time.Millisecond || len(ops) != 1 {
			x.t.Errorf("took %v and gave %v, want 1.234s and one", got, ops)
		}
		<-started
	})
}

// An operation that may be run later is claimed at its time, without a hint.
func TestAcquire_ReadyLater(t *testing.T) {
	bubble(t, func(x *system) {
		x.start(resize)
		session := x.open()
		op := x.acquireOne(session, 1)
		_, err := x.ReleaseOperation(x.ctx, &longrunpb.ReleaseOperationRequest{Name: op.GetOperation(), Session: session, Attempt: 1,
			RetryDelay: durationpb.New(3 * time.Second)})
		if err != nil {
			x.t.Fatal(err)
		}
		var ops []*longrunpb.AcquiredOperation
		got := took(func() { ops = x.acquireWith(waiting(session, 2, resize)) }).Round(time.Millisecond)
		if got != 3*time.Second || len(ops) != 1 || ops[0].GetAttempt() != 2 {
			x.t.Errorf("took %v and gave %v, want 3s and attempt 2", got, ops)
		}
	})
}

// Without hints the store is asked every Poll.
func TestAcquire_Polls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			poll time.Duration
			want int64 // claims in a minute
		}{{0, 13}, {20 * time.Second, 4}, {-1, 2}} {
			x := newSystem(t, dispatch.Options{Poll: tt.poll})
			_, stop := x.svc.Work().Ready() // the first who listens is told to look
			synctest.Wait()
			stop()
			x.acquireWith(waiting(x.open(), 1, resize))
			if x.store.claims.Load() != tt.want {
				t.Errorf("Poll %v: %d claims in a minute, want %d", tt.poll, x.store.claims.Load(), tt.want)
			}
		}
	})
}

// WAI-15: a drain answers who waits at once; nothing is claimed after it.
func TestAcquire_Drain(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		time.AfterFunc(2*time.Second, func() { x.svc.Drain() })
		var ops []*longrunpb.AcquiredOperation
		if got := took(func() { ops = x.acquireWith(waiting(session, 1, resize)) }); got != 2*time.Second || len(ops) != 0 {
			x.t.Errorf("took %v and gave %v, want 2s and none", got, ops)
		}
		x.start(resize)
		_, err := x.AcquireOperations(x.ctx, waiting(session, 2, resize))
		wantError(x.t, err, codes.Unavailable, longrun.ReasonUnavailable, "")
	})
}

// WAI-14: a caller that goes claims nothing afterwards.
func TestAcquire_CallerGone(t *testing.T) {
	bubble(t, func(x *system) {
		ctx, cancel := context.WithCancel(x.ctx)
		time.AfterFunc(time.Second, cancel)
		if _, err := x.AcquireOperations(ctx, waiting(x.open(), 1, resize)); err == nil {
			x.t.Error("AcquireOperations of a caller that has gone: no error")
		}
		synctest.Wait()
		name := x.start(resize)
		synctest.Wait()
		x.wantState(name, longrun.Pending, 0)
	})
}

func TestAcquire_SessionLostWhileWaiting(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		time.AfterFunc(time.Second, func() { x.CloseSession(x.ctx, &longrunpb.CloseSessionRequest{Session: session}) })
		_, err := x.AcquireOperations(x.ctx, waiting(session, 1, resize))
		wantSessionLost(x.t, err)
	})
}

// GRPC-07: a reply fits into 3.5 MiB; what does not is released before anybody
// has begun it, without a failure, and can be acquired at once.
func TestAcquire_ReplyIsCut(t *testing.T) {
	bubble(t, func(x *system) {
		var names []longrun.Name
		for range 5 {
			names = append(names, x.startWith(&longrunpb.StartOperationRequest{Method: resize, Request: sized(1 << 20), AtMostOnce: true}))
		}
		session := x.open()
		r := &longrunpb.AcquireOperationsRequest{Session: session, Methods: []string{resize}, MaxOperations: 5, Call: 1}
		reply, err := x.AcquireOperations(x.ctx, r)
		if err != nil {
			x.t.Fatal(err)
		}
		if got := len(reply.GetOperations()); got != 3 || proto.Size(reply) > longrun.MaxPageBytes {
			x.t.Fatalf("the reply has %d operations and %d bytes, want 3 and at most %d", got, proto.Size(reply), longrun.MaxPageBytes)
		}
		for i, n := range names {
			want := longrun.Running
			if i >= 3 {
				want = longrun.Pending
			}
			if op := x.get(n); op.State != want || op.Failures != 0 {
				x.t.Errorf("operation %d: State = %v, Failures = %d, want %v, 0", i, op.State, op.Failures, want)
			}
		}
		if again := x.acquireWith(r); len(again) != 3 {
			x.t.Errorf("the same call again gave %d operations, want 3", len(again))
		}
		rest := x.acquire(session, 2, 5)
		if len(rest) != 2 || rest[0].GetAttempt() != 2 {
			x.t.Errorf("the next call gave %d operations, want the other two as attempt 2", len(rest))
		}
	})
}

// The largest operation there is fits.
func TestAcquire_LargestOperation(t *testing.T) {
	bubble(t, func(x *system) {
		x.startWith(&longrunpb.StartOperationRequest{Method: resize, Request: sized(longrun.MaxRequestBytes), Metadata: sized(longrun.MaxMetadataBytes)})
		x.acquireOne(x.open(), 1)
	})
}
