package grpcapi_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/grpcapi"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/longrunpb"
)

const (
	domain = "library.example.com" // of every system under test
	parent = "projects/p1/locations/l1"
	method = longrunpb.Simulator_Simulate_FullMethodName
)

// system is a server of operations and of an author's own service, with a client,
// connected by a real grpc-go connection in memory, and a session that works.
type system struct {
	store   longrun.Store
	svc     *longrun.Service
	author  *author
	server  *grpc.Server
	ops     longrunningpb.OperationsClient
	starter longrunpb.SimulatorClient
	conn    *grpc.ClientConn
	session longrun.SessionID
}

type settings struct {
	longrun.Options
	grpc   grpcapi.Options
	client []grpc.DialOption
	server []grpc.ServerOption
}

func newSystem(t *testing.T) *system { return newSystemWith(t, settings{}) }

func newSystemWith(t *testing.T, set settings) *system {
	t.Helper()
	store := inmem.New()
	t.Cleanup(func() { store.Close() })
	return newSystemOn(t, store, set)
}

// newSystemOn is a system on a store that may be used by several, one after the
// other or at once.
func newSystemOn(t *testing.T, store longrun.Store, set settings) *system {
	t.Helper()
	if set.Log == nil {
		set.Log = slog.New(slog.DiscardHandler)
	}
	if set.grpc.Log == nil {
		set.grpc.Log = set.Log
	}
	set.Domain = domain
	svc, err := longrun.New(store, set.Options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { svc.Close() })
	s := &system{store: store, svc: svc, author: &author{svc: svc}}
	opts := append(grpcapi.ServerOptions(svc, set.grpc), grpc.WaitForHandlers(true))
	s.server = grpc.NewServer(append(opts, set.server...)...)
	grpcapi.Register(s.server, svc, set.grpc)
	longrunpb.RegisterSimulatorServer(s.server, s.author)
	s.connect(t, set.client)
	return s
}

func (s *system) connect(t *testing.T, opts []grpc.DialOption) {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	served, server := make(chan struct{}), s.server
	go func() {
		defer close(served)
		server.Serve(listener)
	}()
	t.Cleanup(func() {
		s.svc.Drain()
		server.Stop()
		<-served
	})
	opts = append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	conn, err := grpc.NewClient("passthrough:///bufconn", opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s.conn = conn
	s.ops, s.starter = longrunningpb.NewOperationsClient(conn), longrunpb.NewSimulatorClient(conn)
}

// author is the author's own service beside ours. Its method starts an operation
// of the request, unless do is set.
type author struct {
	longrunpb.UnimplementedSimulatorServer
	svc *longrun.Service
	do  func(ctx context.Context, r *longrunpb.SimulateRequest) (*longrun.Operation, error)
}

func (a *author) Simulate(ctx context.Context, r *longrunpb.SimulateRequest) (*longrunningpb.Operation, error) {
	if a.do != nil {
		op, err := a.do(ctx, r)
		return a.svc.Proto(op), err
	}
	op, err := longrun.Start(ctx, a.svc, simulate, r, longrun.StartOptions{
		Parent: r.GetParent(), RequestID: r.GetRequestId(), ValidateOnly: r.GetValidateOnly(),
		ConflictKey: r.GetConflictKey(), OnConflict: policies[r.GetOnConflict()],
	})
	return a.svc.Proto(op), err
}

var simulate = longrun.Method[*longrunpb.SimulateRequest, *anypb.Any, *longrunpb.OperationMetadata]{Name: method}

var policies = map[longrunpb.ConflictPolicy]longrun.ConflictPolicy{
	longrunpb.ConflictPolicy_CONFLICT_POLICY_UNSPECIFIED: longrun.Queue,
	longrunpb.ConflictPolicy_QUEUE:                       longrun.Queue,
	longrunpb.ConflictPolicy_REJECT:                      longrun.Reject,
	longrunpb.ConflictPolicy_PREEMPT:                     longrun.Preempt,
}

// start starts an operation that nobody has claimed.
func (s *system) start(t *testing.T, parent string) string {
	t.Helper()
	op, err := s.starter.Simulate(t.Context(), &longrunpb.SimulateRequest{Parent: parent})
	if err != nil {
		t.Fatalf("Simulate: %v", err)
	}
	return op.GetName()
}

// run is a run of an operation by the system's session.
type run struct {
	s    *system
	op   *longrun.Operation
	name string
}

// run starts an operation that the system's session runs (R and U of the spec).
func (s *system) run(t *testing.T, parent string) *run {
	t.Helper()
	return s.runRequest(t, longrun.StartRequest{
		Method: method, Request: pack(t, &longrunpb.SimulateRequest{}), StartOptions: longrun.StartOptions{Parent: parent},
	})
}

func (s *system) runRequest(t *testing.T, r longrun.StartRequest) *run {
	t.Helper()
	if s.session.IsZero() {
		s.session = s.openSession(t, longrun.MaxSessionTTL)
	}
	r.Session = s.session
	op, err := s.svc.Start(t.Context(), r)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	return &run{s: s, op: op, name: op.Name().String()}
}

func (s *system) openSession(t *testing.T, ttl time.Duration) longrun.SessionID {
	t.Helper()
	id, err := s.svc.Work().OpenSession(t.Context(), longrun.SessionOptions{Worker: "test", TTL: ttl})
	if err != nil {
		t.Fatalf("OpenSession: %v", err)
	}
	return id
}

// claim claims one operation of the author's method for a session; nil when none
// is ready.
func (s *system) claim(t *testing.T, session longrun.SessionID) *run {
	t.Helper()
	c, err := s.svc.Work().Claim(t.Context(), longrun.ClaimRequest{Session: session, Want: []longrun.Want{{Method: method, N: 1}}})
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	if len(c.Operations) == 0 {
		return nil
	}
	op := c.Operations[0]
	return &run{s: s, op: op, name: op.Name().String()}
}

// finish ends the run.
func (r *run) finish(t *testing.T, result longrun.Result) {
	t.Helper()
	if _, err := r.s.svc.Work().Finish(t.Context(), r.op.Name(), r.op.Claim, result); err != nil {
		t.Errorf("Finish: %v", err)
	}
}

// report saves metadata of the run.
func (r *run) report(t *testing.T, m *longrunpb.OperationMetadata) {
	t.Helper()
	if err := r.s.svc.Work().Report(t.Context(), r.op.Name(), r.op.Claim, longrun.Report{Metadata: pack(t, m)}); err != nil {
		t.Fatalf("Report: %v", err)
	}
}

// fixtures are the operations that the spec calls S, E, C, R and U.
type fixtures struct{ S, E, C, R, U string }

func (f fixtures) all() []string  { return []string{f.S, f.E, f.C, f.R, f.U} }
func (f fixtures) done() []string { return []string{f.S, f.E, f.C} }

// fixtures starts the spec's set of operations under a parent.
func (s *system) fixtures(t *testing.T, parent string) fixtures {
	t.Helper()
	succeeded, failed, cancelled := s.run(t, parent), s.run(t, parent), s.run(t, parent)
	succeeded.finish(t, longrun.Result{Response: pack(t, &longrunpb.CommandResponse{})})
	failed.finish(t, longrun.Result{Err: failure})
	s.cancel(t, cancelled.name)
	cancelled.finish(t, longrun.Result{Err: longrun.ErrCancelled})
	return fixtures{S: succeeded.name, E: failed.name, C: cancelled.name, R: s.run(t, parent).name, U: s.run(t, parent).name}
}

// failure is what E fails with.
var failure = status.Error(codes.FailedPrecondition, "the shelf is full")

func (s *system) get(t *testing.T, name string) *longrunningpb.Operation {
	t.Helper()
	op, err := s.ops.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: name})
	if err != nil {
		t.Errorf("GetOperation(%q): %v", name, err)
	}
	return op
}

// getError gets what must not be there to get.
func (s *system) getError(t *testing.T, name string) error {
	t.Helper()
	op, err := s.ops.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: name})
	if err == nil {
		t.Fatalf("GetOperation(%q) = %v, want an error", name, op)
	}
	return err
}

func (s *system) cancel(t *testing.T, name string) {
	t.Helper()
	if _, err := s.ops.CancelOperation(t.Context(), &longrunningpb.CancelOperationRequest{Name: name}); err != nil {
		t.Errorf("CancelOperation(%q): %v", name, err)
	}
}

func (s *system) delete(t *testing.T, name string) {
	t.Helper()
	if _, err := s.ops.DeleteOperation(t.Context(), &longrunningpb.DeleteOperationRequest{Name: name}); err != nil {
		t.Errorf("DeleteOperation(%q): %v", name, err)
	}
}

// list returns the names under a parent, in the order of the list, of all pages.
func (s *system) list(t *testing.T, parent string) []string {
	t.Helper()
	var names []string
	r := &longrunningpb.ListOperationsRequest{Name: parent}
	for {
		page, err := s.ops.ListOperations(t.Context(), r)
		if err != nil {
			t.Fatalf("ListOperations(%q): %v", parent, err)
		}
		names = append(names, namesOf(page)...)
		if r.PageToken = page.GetNextPageToken(); r.PageToken == "" {
			return names
		}
	}
}

func namesOf(page *longrunningpb.ListOperationsResponse) []string {
	var names []string
	for _, op := range page.GetOperations() {
		names = append(names, op.GetName())
	}
	return names
}

func metadataOf(t *testing.T, op *longrunningpb.Operation) *longrunpb.OperationMetadata {
	t.Helper()
	m := &longrunpb.OperationMetadata{}
	if err := op.GetMetadata().UnmarshalTo(m); err != nil {
		t.Fatalf("metadata of %q: %v", op.GetName(), err)
	}
	return m
}

func pack(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// errorInfoOf returns the ErrorInfo of a Status, nil unless there is exactly one.
func errorInfoOf(st *status.Status) (found *errdetails.ErrorInfo) {
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			if found != nil {
				return nil
			}
			found = info
		}
	}
	return found
}

// elapsed returns how long f takes.
func elapsed(f func()) time.Duration {
	begin := time.Now()
	f()
	return time.Since(begin)
}

var errDetail = errors.New("dial tcp 10.0.0.7:5432: password of user admin is wrong")
