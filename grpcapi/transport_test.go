package grpcapi_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/grpcapi"
	"github.com/longrun-dev/longrun/longrunpb"
)

type header = metadata.MD

// GRPC-01, OP-22: five unary methods at google.longrunning.Operations.
func TestTransport_Methods(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	var names []string
	for _, m := range s.server.GetServiceInfo()["google.longrunning.Operations"].Methods {
		names = append(names, m.Name)
		if m.IsClientStream || m.IsServerStream {
			t.Errorf("%s is a stream, want it unary", m.Name)
		}
	}
	slices.Sort(names)
	if got, want := strings.Join(names, " "), "CancelOperation DeleteOperation GetOperation ListOperations WaitOperation"; got != want {
		t.Errorf("methods = %s, want %s", got, want)
	}
}

// GRPC-02, MIX-05: the methods that start operations and Operations itself are
// reached on one connection.
func TestTransport_OneConnection(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	op, err := longrunpb.NewSimulatorClient(s.conn).Simulate(t.Context(), &longrunpb.SimulateRequest{Parent: parent})
	if err != nil {
		t.Fatal(err)
	}
	got, err := longrunningpb.NewOperationsClient(s.conn).GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: op.GetName()})
	if err != nil || got.GetName() != op.GetName() {
		t.Errorf("Get = %v, %v; want %q", got, err, op.GetName())
	}
}

// GRPC-03, AUT-11: routing headers and unknown metadata change nothing, also when
// they name another operation or make no sense.
func TestTransport_Metadata(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	name, other := s.start(t, parent), s.start(t, parent)
	for _, routing := range []string{"name=" + name, "name=" + other, "%zz=&&", ""} {
		ctx := metadata.AppendToOutgoingContext(t.Context(),
			"x-goog-request-params", routing, "x-goog-api-client", "gl-go/1.26 gapic/1.5.0", "x-goog-user-project", "p1",
			"x-goog-fieldmask", "name,done", "x-unknown", "1")
		op, err := s.ops.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: name})
		if err != nil || op.GetName() != name {
			t.Errorf("Get with routing header %q = %v, %v; want %q", routing, op, err, name)
		}
	}
}

// GRPC-04: unknown fields in requests are ignored.
func TestTransport_UnknownFields(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := &longrunningpb.GetOperationRequest{Name: s.start(t, parent)}
	unknown := protowire.AppendString(protowire.AppendTag(nil, 99, protowire.BytesType), "later")
	r.ProtoReflect().SetUnknown(unknown)
	if _, err := s.ops.GetOperation(t.Context(), r); err != nil {
		t.Errorf("Get with field 99: %v", err)
	}
}

// GRPC-05, OP-20: an unknown method is UNIMPLEMENTED; nothing creates or updates
// operations.
func TestTransport_UnknownMethod(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, m := range []string{
		"/google.longrunning.Operations/CreateOperation", "/google.longrunning.Operations/UpdateOperation", "/example.Nothing/At",
	} {
		err := s.conn.Invoke(t.Context(), m, &emptypb.Empty{}, &emptypb.Empty{})
		expect(t, err, switchedOff)
	}
}

// GRPC-06: an expired deadline is DEADLINE_EXCEEDED and a client's cancel is
// CANCELLED, for the call only.
func TestTransport_CallEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		entered := make(chan struct{}, 1)
		s.author.do = func(ctx context.Context, r *longrunpb.SimulateRequest) (*longrun.Operation, error) {
			op, err := s.svc.Start(ctx, longrun.StartRequest{Method: method})
			entered <- struct{}{}
			<-ctx.Done()
			return op, err
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.starter.Simulate(ctx, &longrunpb.SimulateRequest{})
		if got := status.Code(err); got != codes.DeadlineExceeded {
			t.Errorf("code after the deadline = %v, want DeadlineExceeded", got)
		}
		<-entered
		ctx, cancel = context.WithCancel(t.Context())
		go func() {
			<-entered
			cancel()
		}()
		_, err = s.starter.Simulate(ctx, &longrunpb.SimulateRequest{})
		if got := status.Code(err); got != codes.Canceled {
			t.Errorf("code after the client's cancel = %v, want Canceled", got)
		}
		for _, name := range s.list(t, "") {
			if m := metadataOf(t, s.get(t, name)); m.GetRequestedCancellation() || m.GetState() != longrunpb.OperationMetadata_PENDING {
				t.Errorf("operation after its starting call has ended = %v, want it untouched", m)
			}
		}
	})
}

// GRPC-07, PAG-04: a page is cut so that a client with default limits receives it.
func TestTransport_PageFits(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	const count = 300
	status := strings.Repeat("x", 20_000)
	for range count {
		s.run(t, parent).report(t, &longrunpb.OperationMetadata{StatusMessage: status})
	}
	page, err := s.ops.ListOperations(t.Context(), &longrunningpb.ListOperationsRequest{Name: parent, PageSize: longrun.MaxPageSize})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(page.GetOperations()); n == 0 || n >= count || page.GetNextPageToken() == "" {
		t.Errorf("page has %d operations, token %q; want a short page with a token", n, page.GetNextPageToken())
	}
	if got := len(s.list(t, parent)); got != count {
		t.Errorf("all pages have %d operations, want %d", got, count)
	}
}

// GRPC-07: the largest operation that can be fits as well.
func TestTransport_LargestOperation(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.run(t, parent)
	response := largeAny(t, longrun.MaxResponseBytes)
	metadata := pack(t, &longrunpb.OperationMetadata{StatusMessage: strings.Repeat("m", longrun.MaxMetadataBytes-100)})
	r.finish(t, longrun.Result{Response: response, Metadata: metadata})
	if !s.get(t, r.name).GetDone() {
		t.Error("done = false, want true")
	}
	if got := s.list(t, parent); len(got) != 1 {
		t.Errorf("List = %q, want one", got)
	}
}

// allOff is a server that has nothing but Get.
var allOff = settings{grpc: grpcapi.Options{NoList: true, NoCancel: true, NoDelete: true, NoWait: true}}

// MIX-02, LST-04, CAN-09, DEL-06, WAI-17: a method that is not supported is
// UNIMPLEMENTED, whatever the name.
func TestTransport_SwitchedOff(t *testing.T) {
	t.Parallel()
	s := newSystemWith(t, allOff)
	for _, name := range []string{s.start(t, parent), "operations/none", ""} {
		_, err := s.ops.ListOperations(t.Context(), &longrunningpb.ListOperationsRequest{Name: name})
		expect(t, err, switchedOff)
		_, err = s.ops.CancelOperation(t.Context(), &longrunningpb.CancelOperationRequest{Name: name})
		expect(t, err, switchedOff)
		_, err = s.ops.DeleteOperation(t.Context(), &longrunningpb.DeleteOperationRequest{Name: name})
		expect(t, err, switchedOff)
		_, err = s.ops.WaitOperation(t.Context(), &longrunningpb.WaitOperationRequest{Name: name})
		expect(t, err, switchedOff)
	}
}

// MIX-02: any subset; each switch is for one method.
func TestTransport_Subsets(t *testing.T) {
	t.Parallel()
	for method, o := range map[string]grpcapi.Options{
		"ListOperations": {NoList: true}, "CancelOperation": {NoCancel: true},
		"DeleteOperation": {NoDelete: true}, "WaitOperation": {NoWait: true},
	} {
		s := newSystemWith(t, settings{grpc: o})
		for _, m := range s.server.GetServiceInfo()["google.longrunning.Operations"].Methods {
			err := s.conn.Invoke(t.Context(), "/google.longrunning.Operations/"+m.Name, &emptypb.Empty{}, &emptypb.Empty{})
			if off := status.Code(err) == codes.Unimplemented; off != (m.Name == method) {
				t.Errorf("%s with %+v: %v", m.Name, o, err)
			}
		}
	}
}

// Register is a registration like any other: a second one of the service panics in
// grpc's own registrar, before the server serves.
func TestRegister_AnyRegistrar(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := registrar{}
	grpcapi.Register(r, s.svc, grpcapi.Options{})
	if !r["google.longrunning.Operations"] {
		t.Errorf("registered = %v, want google.longrunning.Operations", r)
	}
}

type registrar map[string]bool

func (r registrar) RegisterService(desc *grpc.ServiceDesc, _ any) { r[desc.ServiceName] = true }
