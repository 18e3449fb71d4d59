package server_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/server"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/sqlite"
)

// A timeHouse is a server whose store's clock can be set, in a bubble.
type timeHouse struct {
	*house
	t    *testing.T
	set  atomic.Int64 // by how much the machine's clock was set, in nanoseconds
	ops  longrunningpb.OperationsClient
	sim  longrunpb.SimulatorClient
	work longrunpb.DispatcherClient
}

// inTime runs f with a server that keeps operations for so long.
func inTime(t *testing.T, retained time.Duration, f func(t *testing.T, h *timeHouse)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &timeHouse{t: t}
		store, err := sqlite.Open(filepath.Join(t.TempDir(), "longrun.db"), sqlite.Options{
			Now: func() time.Time { return time.Now().Add(time.Duration(h.set.Load())) },
		})
		if err != nil {
			t.Fatal(err)
		}
		l := bufconn.Listen(1 << 20)
		h.house = runWith(t, store, l, nil, server.Options{Simulator: server.On, Retention: retained})
		h.conn = dial(t, "passthrough:///bubble", grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
		h.ops, h.sim, h.work = longrunningpb.NewOperationsClient(h.conn), longrunpb.NewSimulatorClient(h.conn), longrunpb.NewDispatcherClient(h.conn)
		time.Sleep(20 * time.Second) // the server is in contact with its store
		f(t, h)
		h.stop()
		if err := <-h.ran; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
}

// step sets the machine's clock.
func (h *timeHouse) step(d time.Duration) { h.set.Add(int64(d)) }

func (h *timeHouse) simulate(r *longrunpb.SimulateRequest) *longrunningpb.Operation {
	h.t.Helper()
	op, err := h.sim.Simulate(h.t.Context(), r)
	if err != nil {
		h.t.Fatalf("Simulate: %v", err)
	}
	return op
}

func (h *timeHouse) get(name string) *longrunpb.OperationMetadata {
	h.t.Helper()
	op, err := h.ops.GetOperation(h.t.Context(), &longrunningpb.GetOperationRequest{Name: name})
	if err != nil {
		h.t.Fatalf("Get: %v", err)
	}
	return stateOf(h.t, op)
}

// wait waits for the end of an operation, as clients do, and returns how long it took.
func (h *timeHouse) wait(name string, limit time.Duration) time.Duration {
	h.t.Helper()
	begin := time.Now()
	for time.Since(begin) < limit {
		op, err := h.ops.WaitOperation(h.t.Context(), &longrunningpb.WaitOperationRequest{Name: name, Timeout: durationpb.New(limit - time.Since(begin))})
		if err != nil {
			h.t.Fatalf("Wait: %v", err)
		}
		if op.GetDone() {
			return time.Since(begin)
		}
	}
	h.t.Errorf("%s is %v after %v, want it done", name, h.get(name).GetState(), limit)
	return time.Since(begin)
}

// stepped is a worker whose session beats, and holds an operation of its own method.
type stepped struct {
	h       *timeHouse
	session string
	held    *longrunpb.HeldOperation
}

// worker opens a session with the shortest TTL that runs an operation of method.
func (h *timeHouse) worker(method string) *stepped {
	h.t.Helper()
	s, err := h.work.OpenSession(h.t.Context(), &longrunpb.OpenSessionRequest{Ttl: durationpb.New(longrun.MinSessionTTL)})
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.work.StartOperation(h.t.Context(), &longrunpb.StartOperationRequest{Method: method}); err != nil {
		h.t.Fatal(err)
	}
	w := &stepped{h: h, session: s.GetSession()}
	got, err := h.work.AcquireOperations(h.t.Context(), &longrunpb.AcquireOperationsRequest{Session: w.session, Methods: []string{method}, Call: 1})
	if err != nil || len(got.GetOperations()) != 1 {
		h.t.Fatalf("acquire: %v, %v", got, err)
	}
	op := got.GetOperations()[0]
	w.held = &longrunpb.HeldOperation{Operation: op.GetOperation(), Attempt: op.GetAttempt()}
	return w
}

// beat beats and expects to hear nothing.
func (w *stepped) beat(when string) {
	r, err := w.h.work.BeatSession(w.h.t.Context(), &longrunpb.BeatSessionRequest{
		Session: w.session, ClosedCall: 1, Held: []*longrunpb.HeldOperation{w.held},
	})
	if err != nil || len(r.GetStop()) != 0 {
		w.h.t.Errorf("a beat %s: %v, %v; want that the session holds what it held", when, r.GetStop(), err)
	}
}

// keeps beats every four of the TTL's five seconds, until it is told to end.
func (w *stepped) keeps() (end func()) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(4 * time.Second):
				w.beat(fmt.Sprintf("with the clock set by %v", time.Duration(w.h.set.Load())))
			}
		}
	}()
	return func() {
		close(stop)
		<-done
	}
}

func (w *stepped) finish() {
	w.h.t.Helper()
	_, err := w.h.work.FinishOperation(w.h.t.Context(), &longrunpb.FinishOperationRequest{
		Name: w.held.GetOperation(), Session: w.session, Attempt: w.held.GetAttempt(),
		Result: &longrunpb.FinishOperationRequest_Response{Response: mustPack(w.h.t)},
	})
	if err != nil {
		w.h.t.Errorf("finish: %v", err)
	}
}

func mustPack(t *testing.T) *anypb.Any {
	t.Helper()
	a, err := anypb.New(&emptypb.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// CON-06, ORD-02: the machine's clock goes back by an hour. No time that is shown goes
// back, and nothing waits for the hour: not retries, not waits, not the finding of a
// worker that has crashed, not the end of retention.
func TestClock_Back(t *testing.T) {
	const retained = 10 * time.Minute
	inTime(t, retained, func(t *testing.T, h *timeHouse) {
		before := h.simulate(&longrunpb.SimulateRequest{RunDuration: durationpb.New(30 * time.Second)})
		failing := h.simulate(&longrunpb.SimulateRequest{RunDuration: durationpb.New(2 * time.Second), Failures: 2})
		alive, crashed := h.worker("alive"), h.worker("crashed")
		end := alive.keeps()
		waited := make(chan time.Duration, 1)
		go func() { waited <- h.wait(before.GetName(), 45*time.Second) }()
		time.Sleep(time.Second)
		last := h.get(before.GetName()).GetUpdateTime().AsTime()

		h.step(-time.Hour)
		after := h.simulate(&longrunpb.SimulateRequest{})
		if got := h.get(after.GetName()).GetCreateTime().AsTime(); got.Before(last) {
			t.Errorf("create_time = %v, want it not before %v", got, last)
		}
		h.wait(after.GetName(), time.Second)
		h.wait(failing.GetName(), 15*time.Second) // two backoffs of at most 1s and 2s, and three runs
		if got := h.get(failing.GetName()).GetAttempt(); got != 3 {
			t.Errorf("attempt = %d after two failures, want 3", got)
		}
		time.Sleep(15 * time.Second)
		if got := <-waited; got > 35*time.Second {
			t.Errorf("the wait for 30s took %v", got)
		}
		md := h.get(before.GetName())
		for _, p := range [][2]time.Time{
			{md.GetCreateTime().AsTime(), md.GetStartTime().AsTime()}, {md.GetStartTime().AsTime(), md.GetEndTime().AsTime()},
			{last, md.GetUpdateTime().AsTime()},
		} {
			if p[1].Before(p[0]) {
				t.Errorf("times go back from %v to %v: %v", p[0], p[1], md)
			}
		}
		if got := md.GetExpireTime().AsTime().Sub(md.GetEndTime().AsTime()); got != retained {
			t.Errorf("expire_time is %v after the end, want %v", got, retained)
		}
		if got := h.get(crashed.held.GetOperation()).GetState(); got != longrunpb.OperationMetadata_PENDING {
			t.Errorf("the operation of a worker that has crashed is %v, want PENDING", got)
		}
		end()
		alive.finish()
		time.Sleep(retained + retained/8) // by a clock that is a tenth slower
		_, err := h.ops.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: after.GetName()})
		if status.Code(err) != codes.NotFound {
			t.Errorf("Get after the retention: %v, want NOT_FOUND", err)
		}
	})
}

// The machine's clock goes forward by five hours, and later back again. Nobody who beats
// is taken for dead, no run begins again, what has not ended does not expire, and what
// has is kept until its time.
func TestClock_Forward(t *testing.T) {
	inTime(t, 10*time.Hour, func(t *testing.T, h *timeHouse) {
		done := h.simulate(&longrunpb.SimulateRequest{})
		h.wait(done.GetName(), time.Second)
		slow := h.simulate(&longrunpb.SimulateRequest{RunDuration: durationpb.New(90 * time.Second)})
		w := h.worker("alive")
		begin, end := time.Now(), w.keeps()
		time.Sleep(12500 * time.Millisecond) // the next beat comes after the next sweep
		for i, step := range []time.Duration{5 * time.Hour, -5 * time.Hour} {
			h.step(step)
			time.Sleep(20 * time.Second)
			if md := h.get(slow.GetName()); md.GetAttempt() != 1 || md.GetState() != longrunpb.OperationMetadata_RUNNING {
				t.Errorf("after step %d a run is %v as attempt %d, want RUNNING, 1", i+1, md.GetState(), md.GetAttempt())
			}
			h.get(done.GetName()) // it has five hours and more
		}
		h.wait(slow.GetName(), 90*time.Second-time.Since(begin)+5*time.Second)
		if got := h.get(slow.GetName()).GetAttempt(); got != 1 {
			t.Errorf("attempt = %d, want 1: the run has not begun again", got)
		}
		end()
		w.finish()
		unfinished, err := h.work.StartOperation(t.Context(), &longrunpb.StartOperationRequest{Method: "nobody-has-it"})
		if err != nil {
			t.Fatal(err)
		}
		h.step(1000 * 24 * time.Hour)
		time.Sleep(time.Minute)
		if got := h.get(unfinished.GetName()).GetState(); got != longrunpb.OperationMetadata_PENDING {
			t.Errorf("what has not ended is %v after three years, want PENDING", got)
		}
	})
}
