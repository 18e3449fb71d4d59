package simulator_test

import (
	"context"
	"log"
	"net"
	"testing"
	"testing/synctest"
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
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/simulator"
)

// A system is a Simulator behind a real connection, and a runner.
type system struct {
	longrunpb.SimulatorClient
	t     *testing.T
	ctx   context.Context
	svc   *longrun.Service
	store longrun.Store
}

// bubble runs f with a fresh system, in a bubble whose time jumps.
func bubble(t *testing.T, f func(x *system)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		x := newSystem(t, inmem.New())
		x.work()
		f(x)
	})
}

// newSystem serves the Simulator on store. Nobody works yet.
func newSystem(t *testing.T, store longrun.Store) *system {
	t.Helper()
	svc, err := longrun.New(store, longrun.Options{Domain: "simulator.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	simulator.Register(server, svc)
	client, stop := dial(server)
	t.Cleanup(func() {
		stop()
		svc.Close()
	})
	return &system{SimulatorClient: client, t: t, ctx: t.Context(), svc: svc, store: store}
}

// work runs a runner until stop is called, or the test ends; then it drains.
func (x *system) work() (stop func()) {
	x.t.Helper()
	r, err := runner.New(x.svc, runner.Options{})
	if err != nil {
		x.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(x.ctx)
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	synctest.Wait()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			x.t.Errorf("Run: %v", err)
		}
	}
	x.t.Cleanup(stop)
	return stop
}

// dial serves server in memory and returns a client of it.
func dial(server *grpc.Server) (client longrunpb.SimulatorClient, stop func()) {
	listener := bufconn.Listen(1 << 20)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		log.Fatal(err)
	}
	return longrunpb.NewSimulatorClient(conn), func() {
		conn.Close()
		server.Stop()
		if err := <-served; err != nil {
			log.Print(err)
		}
	}
}

// simulate starts an operation and expects that to be accepted.
func (x *system) simulate(r *longrunpb.SimulateRequest) longrun.Name {
	x.t.Helper()
	op, err := x.Simulate(x.ctx, r)
	if err != nil {
		x.t.Fatalf("Simulate: %v", err)
	}
	n, err := longrun.ParseName(op.GetName())
	if err != nil {
		x.t.Fatal(err)
	}
	return n
}

func (x *system) get(n longrun.Name) *longrun.Operation {
	x.t.Helper()
	op, err := x.svc.Get(x.ctx, n)
	if err != nil {
		x.t.Fatalf("Get: %v", err)
	}
	return op
}

func (x *system) cancel(n longrun.Name) {
	x.t.Helper()
	if err := x.svc.Cancel(x.ctx, n); err != nil {
		x.t.Fatalf("Cancel: %v", err)
	}
}

// end waits until the operation is done, and returns it.
func (x *system) end(n longrun.Name) *longrun.Operation {
	x.t.Helper()
	for {
		op, err := x.svc.Wait(x.ctx, n, time.Minute)
		if err != nil {
			x.t.Fatalf("Wait: %v", err)
		}
		if op.State.Done() {
			return op
		}
	}
}

// wantEnd waits until the operation is done and checks how it ends, and how long
// after its start, to the millisecond.
func (x *system) wantEnd(n longrun.Name, s longrun.State, code codes.Code, after time.Duration) *longrun.Operation {
	x.t.Helper()
	op := x.end(n)
	got := op.EndTime.Sub(op.CreateTime).Round(time.Millisecond)
	if op.State != s || codes.Code(op.Error.GetCode()) != code || got != after {
		x.t.Errorf("ended %v, code %v, after %v, want %v, %v, %v", op.State, codes.Code(op.Error.GetCode()), got, s, code, after)
	}
	return op
}

// metadata returns the metadata as callers see it.
func (x *system) metadata(n longrun.Name) *longrunpb.OperationMetadata {
	x.t.Helper()
	return metadataOf(x.t, x.svc.Proto(x.get(n)))
}

func metadataOf(t *testing.T, op *longrunningpb.Operation) *longrunpb.OperationMetadata {
	t.Helper()
	md := &longrunpb.OperationMetadata{}
	if err := op.GetMetadata().UnmarshalTo(md); err != nil {
		t.Fatal(err)
	}
	return md
}

// count returns how many operations there are.
func (x *system) count() int {
	x.t.Helper()
	page, err := x.svc.List(x.ctx, longrun.ListRequest{Parent: "-"})
	if err != nil {
		x.t.Fatal(err)
	}
	return len(page.Operations)
}

// wantError checks code, reason and field of an error that a client has got, and
// that its domain is the service's (ERR-02, ERR-05, ERR-08).
func wantError(t *testing.T, err error, code codes.Code, reason, field string) {
	t.Helper()
	st := status.Convert(err)
	gotReason, gotField := "", ""
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			gotReason = d.GetReason()
			if d.GetDomain() != "simulator.example.com" {
				t.Errorf("domain = %q, want %q", d.GetDomain(), "simulator.example.com")
			}
		case *errdetails.BadRequest:
			gotField = d.GetFieldViolations()[0].GetField()
		}
	}
	if st.Code() != code || gotReason != reason || gotField != field {
		t.Errorf("error = %v (%s, field %q: %s), want %v (%s, field %q)", st.Code(), gotReason, gotField, st.Message(), code, reason, field)
	}
}

func seconds(n float64) *durationpb.Duration {
	return durationpb.New(time.Duration(n * float64(time.Second)))
}

func text(s string) *anypb.Any { return pack(wrapperspb.String(s)) }

// pack packs a message that can be packed.
func pack(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	return a
}
