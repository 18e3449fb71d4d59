package longruntest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/grpcapi"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/storetest"
)

// pipeBytes is how much a connection holds that nobody has read.
const pipeBytes = 1 << 20

// process is what one process of a server has: a Service, a runner, a gRPC
// server, and its own way to the store: it can be cut, and behind that are the
// faults that a test injects. In this order a crash holds, whatever is healed.
type process struct {
	svc      *longrun.Service
	cut      *storetest.Faulty
	faults   *storetest.Faulty
	server   *grpc.Server
	listener *bufconn.Listener
	crashed  atomic.Bool
	end      func() error // drains and ends everything; again: the same error
}

// begin begins a process on the system's store.
func (s *System) begin(t testing.TB) *process {
	t.Helper()
	faults := storetest.NewFaulty(s.store)
	p := &process{faults: faults, cut: storetest.NewFaulty(faults), listener: bufconn.Listen(pipeBytes)}
	svc, err := longrun.New(p.cut, s.opts.Service)
	if err != nil {
		t.Fatalf("longruntest: %v", err)
	}
	p.svc = svc
	// Its own calls are waited for, so that no goroutine outlives the test.
	p.server = grpc.NewServer(append(grpcapi.ServerOptions(svc, s.opts.API), grpc.WaitForHandlers(true))...)
	grpcapi.Register(p.server, svc, s.opts.API)
	if s.opts.Register != nil {
		s.opts.Register(p.server, svc)
	}
	o := s.opts.Runner
	if onDrain := o.OnDrain; onDrain != nil {
		o.OnDrain = func() {
			if !p.crashed.Load() {
				onDrain()
			}
		}
	}
	r, err := runner.New(svc, o)
	if err != nil {
		t.Fatalf("longruntest: %v", err)
	}
	p.end = p.start(r)
	return p
}

// start starts what has goroutines, and returns how to end it.
func (p *process) start(r *runner.Runner) (end func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	var both sync.WaitGroup
	var ran, served error
	both.Go(func() { ran = r.Run(ctx) })
	both.Go(func() { served = p.server.Serve(p.listener) })
	return sync.OnceValue(func() error {
		cancel()
		p.svc.Drain()
		p.server.Stop()
		both.Wait()
		p.svc.Close()
		if errors.Is(served, grpc.ErrServerStopped) {
			served = nil // ended before it served
		}
		return errors.Join(ran, served)
	})
}

// Crash ends the process as a killed one ends: nothing of it reaches the store any
// more, nothing is given back, connections break. The contexts of its runs end.
// Then another process begins on the same store. What the old one had claimed goes
// on when its session's TTL has passed.
func (s *System) Crash(t testing.TB) {
	t.Helper()
	old := s.current()
	old.crashed.Store(true)
	old.cut.Inject(storetest.Fault{Times: -1})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// What it could not give back is the point of a crash.
		_ = old.end()
	}()
	s.t.Cleanup(func() { <-ended })
	next := s.begin(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process = next
}
