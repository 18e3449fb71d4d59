package clienttest

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/longrunning"
	autogen "cloud.google.com/go/longrunning/autogen"
	"google.golang.org/api/option"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/grpcapi"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/sqlite"
)

const (
	domain = "library.example.com"
	parent = "projects/p1/locations/l1"
)

// command is the method of all operations here. What it does is its first
// argument: "succeed", "fail", or "wait" until the server's gate opens.
var command = longrun.Method[*longrunpb.CommandRequest, *longrunpb.CommandResponse, *longrunpb.OperationMetadata]{Name: "command"}

// server is one that can be stopped, and started again on the same address and
// file.
type server struct {
	addr, file string
	gate       chan struct{} // closed when "wait" may go on
	opened     sync.Once

	svc  *longrun.Service
	stop func() // nil while it is stopped
}

// newServer starts a server, which ends with the test.
func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{addr: quietAddr(t), file: filepath.Join(t.TempDir(), "longrun.db"), gate: make(chan struct{})}
	s.start(t)
	t.Cleanup(func() {
		s.open()
		if s.stop != nil {
			s.stop()
		}
	})
	return s
}

// quietPorts are the ports that tests have had.
var quietPorts sync.Map

// quietAddr returns an address on a port that the system gives to nobody by itself, nor
// another test, so that it is still free when a server that was stopped comes back.
func quietAddr(t *testing.T) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 30_000+rand.IntN(2_700))
		if _, had := quietPorts.LoadOrStore(addr, true); had {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			report(t, "close", l.Close())
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// open lets all runs of "wait" go on.
func (s *server) open() { s.opened.Do(func() { close(s.gate) }) }

func (s *server) start(t *testing.T) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	store, err := sqlite.Open(s.file, sqlite.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	s.svc, err = longrun.New(store, longrun.Options{Domain: domain, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	longrun.Handle(s.svc, command, s.work)
	work, err := runner.New(s.svc, runner.Options{Grace: -1, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	api := grpc.NewServer(grpcapi.ServerOptions(s.svc, grpcapi.Options{Log: log})...)
	grpcapi.Register(api, s.svc, grpcapi.Options{Log: log})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { report(t, "serve", api.Serve(listener)) })
	running.Go(func() { report(t, "run", work.Run(ctx)) })
	svc := s.svc
	s.stop = func() {
		s.stop = nil
		api.Stop() // cuts all connections, as a crash would
		cancel()
		running.Wait()
		report(t, "close service", svc.Close())
		report(t, "close store", store.Close())
	}
}

func report(t *testing.T, what string, err error) {
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// work is the handler.
func (s *server) work(ctx context.Context, r *longrunpb.CommandRequest, run *longrun.Run[*longrunpb.OperationMetadata]) (*longrunpb.CommandResponse, error) {
	run.Update(func(m *longrunpb.OperationMetadata) { m.StatusMessage = "at work" })
	switch r.GetArguments()[0] {
	case "wait":
		select {
		case <-s.gate:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	case "fail":
		st, err := status.New(codes.FailedPrecondition, "the shelf is full").WithDetails(
			&errdetails.ErrorInfo{Reason: "SHELF_FULL", Domain: domain, Metadata: map[string]string{"shelf": "7"}},
			&errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{{Type: "SHELF", Subject: "shelves/7"}}},
		)
		if err != nil {
			return nil, err
		}
		return nil, st.Err()
	}
	return &longrunpb.CommandResponse{OutputTail: []byte("done by " + r.GetArguments()[0])}, nil
}

// begin starts an operation.
func (s *server) begin(t *testing.T, do string) *longrun.Operation {
	t.Helper()
	op, err := longrun.Start(t.Context(), s.svc, command, &longrunpb.CommandRequest{Arguments: []string{do}}, longrun.StartOptions{Parent: parent})
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// follow starts an operation and returns Google's handle on it.
func (s *server) follow(t *testing.T, client *autogen.OperationsClient, do string) *longrunning.Operation {
	t.Helper()
	return longrunning.InternalNewOperation(client, s.svc.Proto(s.begin(t, do)))
}

// dial makes Google's client of the server.
func (s *server) dial(t *testing.T, opts ...grpc.DialOption) *autogen.OperationsClient {
	t.Helper()
	options := []option.ClientOption{option.WithEndpoint(s.addr), option.WithoutAuthentication()}
	for _, o := range append(opts, grpc.WithTransportCredentials(insecure.NewCredentials())) {
		options = append(options, option.WithGRPCDialOption(o))
	}
	client, err := autogen.NewOperationsClient(t.Context(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// bounded is a context that ends long after a test should have.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}
