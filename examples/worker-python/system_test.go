package workerpython

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/longrun-dev/longrun/longrunpb"
)

// ttl is the workers' in these tests: short, because some wait until it is over, and
// long enough for a worker to beat in time on a busy machine.
const ttl = 12 * time.Second

// A system is the real server, and a proxy to which workers connect.
type system struct {
	t      *testing.T
	store  string
	ttl    time.Duration // of the workers
	proxy  *proxy
	server *process

	conn *grpc.ClientConn
	ops  longrunningpb.OperationsClient
	disp longrunpb.DispatcherClient
}

func newSystem(t *testing.T) *system {
	t.Helper()
	needPython(t)
	s := &system{t: t, store: filepath.Join(t.TempDir(), "longrun.db"), ttl: ttl, proxy: newProxy(t)}
	t.Cleanup(func() {
		if err := s.conn.Close(); err != nil {
			t.Error(err)
		}
	})
	s.serve()
	return s
}

// serve starts the server, again after it was killed.
func (s *system) serve() {
	s.t.Helper()
	s.server = start(s.t, program(s.t), "serve", "--store", "sqlite:"+s.store, "--grpc", "127.0.0.1:0", "--http", "off")
	addr := s.server.says(s.t, `serving gRPC on (\S+)`)
	if s.conn != nil {
		if err := s.conn.Close(); err != nil {
			s.t.Error(err)
		}
	}
	s.conn = dial(s.t, addr)
	s.ops, s.disp = longrunningpb.NewOperationsClient(s.conn), longrunpb.NewDispatcherClient(s.conn)
	if err := s.proxy.connect(dial(s.t, addr)); err != nil {
		s.t.Error(err)
	}
}

// work starts a worker and waits until it has a session.
func (s *system) work(concurrency int) *process {
	s.t.Helper()
	w := start(s.t, interpreter(), "worker.py", "--server", s.proxy.addr,
		"--concurrency", fmt.Sprint(concurrency), "--ttl", fmt.Sprint(s.ttl.Seconds()))
	w.says(s.t, "session opened")
	return w
}

// start starts an operation with a request that names a path.
func (s *system) start(method, path string) string {
	s.t.Helper()
	request, err := structpb.NewStruct(map[string]any{"path": path})
	if err != nil {
		s.t.Fatal(err)
	}
	body, err := anypb.New(request)
	if err != nil {
		s.t.Fatal(err)
	}
	op, err := s.disp.StartOperation(s.t.Context(), &longrunpb.StartOperationRequest{Method: method, Request: body})
	if err != nil {
		s.t.Fatal(err)
	}
	return op.GetName()
}

// get returns an operation and its metadata.
func (s *system) get(name string) (*longrunningpb.Operation, *longrunpb.OperationMetadata) {
	s.t.Helper()
	op, err := s.ops.GetOperation(s.t.Context(), &longrunningpb.GetOperationRequest{Name: name})
	if err != nil {
		s.t.Fatal(err)
	}
	return op, s.metadata(op)
}

func (s *system) metadata(op *longrunningpb.Operation) *longrunpb.OperationMetadata {
	s.t.Helper()
	md := &longrunpb.OperationMetadata{}
	if err := op.GetMetadata().UnmarshalTo(md); err != nil {
		s.t.Fatal(err)
	}
	return md
}

// running waits until a worker has said that it waits.
func (s *system) running(name string) {
	s.t.Helper()
	eventually(s.t, name+" runs and has reported", func() bool {
		_, md := s.get(name)
		return md.GetProgress().GetPhase() == "waiting"
	})
}

// done waits for the end of an operation.
func (s *system) done(name string) (*longrunningpb.Operation, *longrunpb.OperationMetadata) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	for {
		op, err := s.ops.WaitOperation(ctx, &longrunningpb.WaitOperationRequest{Name: name, Timeout: durationpb.New(patience)})
		if err != nil {
			s.t.Fatalf("WaitOperation: %v", err)
		}
		if op.GetDone() {
			return op, s.metadata(op)
		}
	}
}

// answer finishes a run of await-file as a worker with this token would.
func (s *system) answer(token, name string, attempt int64) error {
	response, err := anypb.New(&structpb.Struct{})
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.disp.FinishOperation(s.t.Context(), &longrunpb.FinishOperationRequest{
		Name: name, Session: token, Attempt: attempt, Result: &longrunpb.FinishOperationRequest_Response{Response: response},
	})
	return err
}

// wantReason checks that an error is ABORTED for this reason.
func wantReason(t *testing.T, err error, reason string) {
	t.Helper()
	got := ""
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			got = info.GetReason()
		}
	}
	if status.Code(err) != codes.Aborted || got != reason {
		t.Errorf("error = %v, reason %q; want ABORTED, %s", err, got, reason)
	}
}
