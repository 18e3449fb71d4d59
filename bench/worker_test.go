package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/dispatch"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/internal/server"
	"github.com/longrun-dev/longrun/longrunpb"
)

// workers is how many work at a time, each on a connection of its own as a process
// of its own has it.
const workers = 64

// BenchmarkAcquireFinish is a no-op of a remote worker: it is acquired and finished
// over gRPC, by 64 workers at a time. Beside it, in the same run, are two echoes: the
// same two calls with the same messages, to a server that does nothing. Reported are
// the CPU time of both, workers and server together, and their ratio.
//
//	go -C bench test -run '^$' -bench AcquireFinish -benchtime 5000x
func BenchmarkAcquireFinish(b *testing.B) {
	for name, open := range map[string]func(b *testing.B) (addr string){"inmem": openInmem, "sqlite": openServer} {
		b.Run(name, func(b *testing.B) {
			answers := newEcho(b)
			echoes := openWorkers(b, serve(b, func(s *grpc.Server) { longrunpb.RegisterDispatcherServer(s, answers) }))
			real := openWorkers(b, open(b))
			startAll(b, real)
			alternate(b, turns*workers, echoes, real) // warms up
			b.ResetTimer()
			echo, own := alternate(b, b.N, echoes, real)
			b.StopTimer()
			b.ReportMetric(float64(own.Nanoseconds())/1000, "cpu-us/op")
			b.ReportMetric(float64(echo.Nanoseconds())/1000, "echoes-cpu-us/op")
			b.ReportMetric(float64(own)/float64(echo), "x-two-echoes")
		})
	}
}

// openInmem serves a Dispatcher on a store in memory.
func openInmem(b *testing.B) string {
	b.Helper()
	store := inmem.New()
	svc, err := longrun.New(store, longrun.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := errors.Join(svc.Close(), store.Close()); err != nil {
			b.Error(err)
		}
	})
	return serve(b, func(s *grpc.Server) { dispatch.Register(s, svc, dispatch.Options{}) })
}

// openServer is "longrun serve" with its store in a file.
func openServer(b *testing.B) string {
	b.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s, err := server.Open(ctx, server.Options{
		Store: "sqlite:" + filepath.Join(b.TempDir(), "longrun.db"), GRPC: "127.0.0.1:0", HTTP: server.NoHTTP, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		stop()
		b.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-ran; err != nil {
			b.Error(err)
		}
	})
	return s.GRPCAddr()
}

// serve serves what register registers, with the windows of "longrun serve".
func serve(b *testing.B, register func(*grpc.Server)) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := grpc.NewServer(grpc.StaticStreamWindowSize(1<<20), grpc.StaticConnWindowSize(4<<20))
	register(s)
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	b.Cleanup(func() {
		s.Stop()
		if err := <-served; err != nil {
			b.Error(err)
		}
	})
	return listener.Addr().String()
}

// request is what every operation asks for.
func request(b *testing.B) *anypb.Any {
	b.Helper()
	body, err := anypb.New(wrapperspb.Bytes(make([]byte, requestBytes)))
	if err != nil {
		b.Fatal(err)
	}
	return body
}

// startAll starts the operations that are measured, and those to warm up with.
func startAll(b *testing.B, all []*remoteWorker) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N + turns*workers))
	body := request(b)
	eachWorker(b, func(i int) error {
		for left.Add(-1) >= 0 {
			if _, err := all[i].client.StartOperation(b.Context(), &longrunpb.StartOperationRequest{Method: noop.Name, Request: body}); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachWorker runs f for every worker, and returns when all have.
func eachWorker(b *testing.B, f func(i int) error) {
	b.Helper()
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			if err := f(i); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
}

// openWorkers connects the workers of a server and opens their sessions.
func openWorkers(b *testing.B, addr string) []*remoteWorker {
	b.Helper()
	all := make([]*remoteWorker, workers)
	eachWorker(b, func(i int) (err error) {
		all[i], err = openWorker(b.Context(), addr)
		return err
	})
	if b.Failed() {
		b.FailNow()
	}
	b.Cleanup(func() {
		for _, w := range all {
			if err := w.conn.Close(); err != nil {
				b.Error(err)
			}
		}
	})
	return all
}

// turns is into how many parts a measurement is cut, so that what else the machine
// does strikes both sides alike.
const turns = 8

// alternate has both sides do n operations, in turn, and returns the CPU time of one
// of each.
func alternate(b *testing.B, n int, echoes, real []*remoteWorker) (echo, own time.Duration) {
	b.Helper()
	for i := range turns {
		part := n*(i+1)/turns - n*i/turns
		echo += bring(b, echoes, part)
		own += bring(b, real, part)
	}
	return echo / time.Duration(n), own / time.Duration(n)
}

// bring has the workers do n operations and returns the CPU time that it took.
func bring(b *testing.B, all []*remoteWorker, n int) time.Duration {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	before := cpuTime()
	eachWorker(b, func(i int) error {
		for left.Add(-1) >= 0 {
			if err := all[i].work(b.Context()); err != nil {
				return err
			}
		}
		return nil
	})
	return cpuTime() - before
}

// remoteWorker is one worker with its connection and session.
type remoteWorker struct {
	conn    *grpc.ClientConn
	client  longrunpb.DispatcherClient
	session string
	call    int64
	done    *anypb.Any
}

func openWorker(ctx context.Context, addr string) (*remoteWorker, error) {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	done, err := anypb.New(&emptypb.Empty{})
	if err != nil {
		return nil, err
	}
	w := &remoteWorker{conn: conn, client: longrunpb.NewDispatcherClient(conn), done: done}
	r, err := w.client.OpenSession(ctx, &longrunpb.OpenSessionRequest{Worker: "bench", Ttl: durationpb.New(longrun.MaxSessionTTL)})
	w.session = r.GetSession()
	return w, err
}

// work acquires an operation and finishes it.
func (w *remoteWorker) work(ctx context.Context) error {
	w.call++
	r, err := w.client.AcquireOperations(ctx, &longrunpb.AcquireOperationsRequest{
		Session: w.session, Methods: []string{noop.Name}, Call: w.call, WaitTimeout: durationpb.New(10 * time.Second),
	})
	if err != nil {
		return err
	}
	if len(r.GetOperations()) != 1 {
		return fmt.Errorf("acquired %d operations, want 1", len(r.GetOperations()))
	}
	op := r.GetOperations()[0]
	_, err = w.client.FinishOperation(ctx, &longrunpb.FinishOperationRequest{
		Name: op.GetOperation(), Session: w.session, Attempt: op.GetAttempt(),
		Result: &longrunpb.FinishOperationRequest_Response{Response: w.done},
	})
	return err
}

// echo answers as a Dispatcher would, and does nothing.
type echo struct {
	longrunpb.UnimplementedDispatcherServer
	acquired *longrunpb.AcquireOperationsResponse
	token    string
}

// newEcho returns an echo whose answers are as large as real ones.
func newEcho(b *testing.B) *echo {
	b.Helper()
	svc, err := longrun.New(inmem.New(), longrun.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer svc.Close()
	op, err := svc.Start(b.Context(), longrun.StartRequest{Method: noop.Name, Request: request(b)})
	token, tokenErr := svc.Work().SessionToken(b.Context(), longrun.NewSessionID())
	if err := errors.Join(err, tokenErr); err != nil {
		b.Fatal(err)
	}
	return &echo{token: token, acquired: &longrunpb.AcquireOperationsResponse{Operations: []*longrunpb.AcquiredOperation{{
		Operation: op.Name().String(), Attempt: 1, Method: op.Method, Request: op.Request, Metadata: op.Metadata,
	}}}}
}

func (e *echo) OpenSession(context.Context, *longrunpb.OpenSessionRequest) (*longrunpb.OpenSessionResponse, error) {
	return &longrunpb.OpenSessionResponse{Session: e.token}, nil
}

func (e *echo) AcquireOperations(context.Context, *longrunpb.AcquireOperationsRequest) (*longrunpb.AcquireOperationsResponse, error) {
	return e.acquired, nil
}

func (e *echo) FinishOperation(context.Context, *longrunpb.FinishOperationRequest) (*longrunpb.FinishOperationResponse, error) {
	return &longrunpb.FinishOperationResponse{}, nil
}
