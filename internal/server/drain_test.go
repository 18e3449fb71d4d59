package server_test

import (
	"context"
	"net"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/server"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/sqlite"
)

// house is a server inside a bubble.
type house struct {
	s    *server.Server
	conn *grpc.ClientConn
	stop func()
	ran  chan error
}

func build(t *testing.T, file string) *house {
	t.Helper()
	store, err := sqlite.Open(file, sqlite.Options{})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	l := bufconn.Listen(1 << 20)
	h := run(t, store, l, nil)
	h.conn = dial(t, "passthrough:///bubble", grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	return h
}

// buildFaces is build with a new store and both faces, and no connection.
func buildFaces(t *testing.T, l, web *bufconn.Listener) *house {
	t.Helper()
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "longrun.db"), sqlite.Options{})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	return run(t, store, l, web)
}

// run runs a server on the listeners; no web is no HTTP.
func run(t *testing.T, store longrun.Store, l, web net.Listener) *house {
	t.Helper()
	return runWith(t, store, l, web, server.Options{Simulator: server.On})
}

func runWith(t *testing.T, store longrun.Store, l, web net.Listener, o server.Options) *house {
	t.Helper()
	s, err := server.OpenOn(store, l, o)
	if err != nil {
		t.Fatalf("assemble: %v", err)
	}
	if web != nil {
		s.ServeHTTPOn(web)
	}
	ctx, stop := context.WithCancel(context.Background())
	h := &house{s: s, stop: stop, ran: make(chan error, 1)}
	go func() { h.ran <- s.Run(ctx) }()
	return h
}

func (h *house) health() healthpb.HealthCheckResponse_ServingStatus {
	r, err := healthpb.NewHealthClient(h.conn).Check(context.Background(), &healthpb.HealthCheckRequest{})
	if err != nil {
		return healthpb.HealthCheckResponse_UNKNOWN
	}
	return r.GetStatus()
}

func (h *house) ready() int {
	w := httptest.NewRecorder()
	h.s.HTTPHandler().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
	return w.Code
}

// A drain goes in order: nobody new is sent here, whoever waits is answered at once
// with the latest state, the handlers have their grace, their runs are given back,
// and then the store closes. The next server goes on with the run.
func TestRun_DrainsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "longrun.db")
		h := build(t, file)
		ops := longrunningpb.NewOperationsClient(h.conn)
		op, err := longrunpb.NewSimulatorClient(h.conn).Simulate(t.Context(), &longrunpb.SimulateRequest{RunDuration: durationpb.New(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		waited := make(chan *longrunningpb.Operation, 1)
		go func() {
			op, err := ops.WaitOperation(context.Background(), &longrunningpb.WaitOperationRequest{Name: op.GetName(), Timeout: durationpb.New(time.Minute)})
			if err != nil {
				t.Errorf("wait over a drain: %v, want the latest state (WAI-15)", err)
			}
			waited <- op
		}()
		time.Sleep(time.Second)
		if got := h.health(); got != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("health = %v, want SERVING", got)
		}
		if got := h.ready(); got != 200 {
			t.Errorf("/readyz = %d, want 200", got)
		}

		begin := time.Now()
		h.stop()
		if op := <-waited; op.GetDone() || stateOf(t, op).GetState() != longrunpb.OperationMetadata_RUNNING {
			t.Errorf("the waiter got %v, want a running operation", op)
		}
		if waited := time.Since(begin); waited > time.Second {
			t.Errorf("the waiter was answered after %v, want at once", waited)
		}
		// The handler has its grace, and calls are still answered.
		synctest.Wait()
		if got := h.health(); got != healthpb.HealthCheckResponse_NOT_SERVING {
			t.Errorf("health while draining = %v, want NOT_SERVING", got)
		}
		if got := h.ready(); got != 503 {
			t.Errorf("/readyz while draining = %d, want 503", got)
		}
		if _, err := ops.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: op.GetName()}); err != nil {
			t.Errorf("get while draining: %v, want none", err)
		}

		if err := <-h.ran; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("the drain took %v", took)
		}
		_, err = ops.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: op.GetName()}, grpc.WaitForReady(false))
		if status.Code(err) != codes.Unavailable {
			t.Errorf("get after the drain: %v, want UNAVAILABLE", err)
		}

		again := build(t, file)
		time.Sleep(5 * time.Second)
		got, err := longrunningpb.NewOperationsClient(again.conn).GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: op.GetName()})
		if err != nil {
			t.Fatalf("get after a restart: %v", err)
		}
		if md := stateOf(t, got); md.GetState() != longrunpb.OperationMetadata_RUNNING || md.GetAttempt() != 2 {
			t.Errorf("after a restart: state %v, attempt %d; want RUNNING, 2", md.GetState(), md.GetAttempt())
		}
		again.stop()
		if err := <-again.ran; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
}

func stateOf(t *testing.T, op *longrunningpb.Operation) *longrunpb.OperationMetadata {
	t.Helper()
	md := &longrunpb.OperationMetadata{}
	if op == nil {
		return md
	}
	if err := op.GetMetadata().UnmarshalTo(md); err != nil {
		t.Errorf("metadata of %v: %v", op.GetName(), err)
	}
	return md
}

// A call that does not end is cut off after StopTimeout.
func TestRun_CutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t, filepath.Join(t.TempDir(), "longrun.db"))
		time.Sleep(time.Second)
		stream, err := healthpb.NewHealthClient(h.conn).Watch(context.Background(), &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		h.stop()
		if err := <-h.ran; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if took := time.Since(begin); took < server.StopTimeout || took > server.StopTimeout+10*time.Second {
			t.Errorf("the drain took %v, want %v and a little", took, server.StopTimeout)
		}
	})
}

// Half a request, of which the rest does not come, holds a drain up for StopTimeout at
// most, and is no failure of it.
func TestRun_CutsHTTPOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		web := bufconn.Listen(1 << 20)
		h := buildFaces(t, bufconn.Listen(1<<20), web)
		conn, err := web.Dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("GET /healthz HT")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		begin := time.Now()
		h.stop()
		if err := <-h.ran; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("read %d bytes after the drain, want that the connection was closed", n)
		}
		if took := time.Since(begin); took > server.StopTimeout {
			t.Errorf("the drain, and the connection, ended after %v, want %v at most", took, server.StopTimeout)
		}
	})
}

// A server whose listener breaks says so, and closes everything.
func TestRun_ListenerBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "longrun.db")
		store, err := sqlite.Open(file, sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		l := bufconn.Listen(1)
		s, err := server.OpenOn(store, l, server.Options{})
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		if err := s.Run(t.Context()); err == nil {
			t.Error("Run = nil, want an error")
		}
		again, err := sqlite.Open(file, sqlite.Options{})
		if err != nil {
			t.Fatalf("the store was left open: %v", err)
		}
		again.Close()
	})
}
