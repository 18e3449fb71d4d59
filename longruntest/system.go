package longruntest

import (
	"log/slog"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/grpcapi"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/storetest"
)

// Options configures a System. The zero Options is ready for use: without
// handlers, for sessions that are driven by hand.
type Options struct {
	// Register registers the author's services on r, where there are any, and
	// handlers with svc. It is called for every process: once, and once more for
	// each Crash. Nil means neither services nor handlers.
	Register func(r grpc.ServiceRegistrar, svc *longrun.Service)

	// Service configures each process's Service. A nil Log there writes to the
	// test's output, which is shown when the test fails.
	Service longrun.Options

	// Runner configures each process's runner. A zero Grace there means none, so
	// that tests end quickly; a nil Log is the Service's.
	Runner runner.Options

	// API configures google.longrunning.Operations. A nil Log there is the
	// Service's.
	API grpcapi.Options

	// Store is what the processes work on, and stays the caller's to close. Nil
	// means a new inmem.Store.
	Store longrun.Store
}

// A System is a store and one process that works on it. Make one with New. Its
// methods are safe for concurrent use, but for Crash.
type System struct {
	t        testing.TB
	opts     Options
	store    longrun.Store
	observer *longrun.Service // of the test itself, which no fault strikes

	mu      sync.Mutex // guards what follows
	process *process
	conn    *grpc.ClientConn
	methods map[string]bool // of operations started by Start, for Session.Claim
}

// New returns a running System, which ends with the test: runs are stopped, and
// one that does not return fails the test.
func New(t testing.TB, opts Options) *System {
	t.Helper()
	if opts.Service.Log == nil {
		opts.Service.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	if opts.Runner.Log == nil {
		opts.Runner.Log = opts.Service.Log
	}
	if opts.API.Log == nil {
		opts.API.Log = opts.Service.Log
	}
	if opts.Runner.Grace == 0 {
		opts.Runner.Grace = -1
	}
	s := &System{t: t, opts: opts, store: opts.Store, methods: map[string]bool{}}
	if s.store == nil {
		own := inmem.New()
		t.Cleanup(func() { own.Close() })
		s.store = own
	}
	observer, err := longrun.New(s.store, longrun.Options{Log: opts.Service.Log})
	if err != nil {
		t.Fatalf("longruntest: %v", err)
	}
	t.Cleanup(func() { observer.Close() })
	s.observer = observer
	s.process = s.begin(t)
	t.Cleanup(func() {
		s.hangUp()
		p := s.current()
		p.faults.Heal()
		if err := p.end(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Service returns the Service of the process that runs now: after a Crash,
// another one than before.
func (s *System) Service() *longrun.Service { return s.current().svc }

func (s *System) current() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}

// Faults returns the store as the process that runs now sees it: what is injected
// there fails its calls, until Heal or the end of the test. What the test itself
// looks at (Get, Done, Until) comes from the store behind it and never fails so.
//
// The process that a Crash begins has no faults. A commit that was Late can still be
// delivered then, by whoever has kept the Faults of the process that made it: it
// comes in after its sender has died.
func (s *System) Faults() *storetest.Faulty { return s.current().faults }

// Start starts an operation of m. An error ends the test.
func Start[Req, Resp, Meta proto.Message](t testing.TB, sys *System, m longrun.Method[Req, Resp, Meta], req Req) *longrun.Operation {
	t.Helper()
	op, err := longrun.Start(t.Context(), sys.Service(), m, req, longrun.StartOptions{})
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	sys.note(m.Name)
	return op
}

// Start starts an operation of a method by its name, with an empty request: for
// tests of everything but the handler. An error ends the test.
func (s *System) Start(t testing.TB, method string) *longrun.Operation {
	t.Helper()
	op, err := s.Service().Start(t.Context(), longrun.StartRequest{Method: method})
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	s.note(method)
	return op
}

func (s *System) note(method string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.methods[method] = true
}
