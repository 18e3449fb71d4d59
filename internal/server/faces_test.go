package server_test

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun/internal/server"
	"github.com/longrun-dev/longrun/longrunpb"
)

// get asks the HTTP face.
func get(t *testing.T, method, url string) (code int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	s := serve(t, options(t))
	await(t, s)
	for _, tt := range []struct {
		method, path string
		code         int
		body         string
	}{
		{"GET", "/healthz", 200, "ok\n"},
		{"GET", "/readyz", 200, "ready\n"},
		{"HEAD", "/readyz", 200, ""},
		{"POST", "/readyz", 405, "Method Not Allowed\n"},
	} {
		code, body := get(t, tt.method, "http://"+s.HTTPAddr()+tt.path)
		if code != tt.code || body != tt.body {
			t.Errorf("%s %s = %d %q, want %d %q", tt.method, tt.path, code, body, tt.code, tt.body)
		}
	}
}

func TestHTTP_Off(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.HTTP = server.NoHTTP
	s := serve(t, o)
	await(t, s)
	if got := s.HTTPAddr(); got != "" {
		t.Errorf("HTTPAddr = %q, want none", got)
	}
}

// await waits until the server says that it is ready, by the gRPC health service.
func await(t *testing.T, s *server.Server) {
	t.Helper()
	stream, err := healthpb.NewHealthClient(dial(t, s.GRPCAddr())).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		r, err := stream.Recv()
		if err != nil {
			t.Fatalf("watch health: %v", err)
		}
		if r.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			return
		}
	}
}

// GRPC-08: health and reflection are offered, and health knows each service.
func TestHealth(t *testing.T) {
	t.Parallel()
	s := serve(t, options(t))
	await(t, s)
	c := healthpb.NewHealthClient(dial(t, s.GRPCAddr()))
	for _, name := range []string{"", "google.longrunning.Operations", "longrun.v1.Dispatcher", "longrun.v1.Simulator"} {
		r, err := c.Check(t.Context(), &healthpb.HealthCheckRequest{Service: name})
		if err != nil || r.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("health of %q = %v, %v; want SERVING", name, r.GetStatus(), err)
		}
	}
	// The interceptor is around every service: also this error has an ErrorInfo.
	_, err := c.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "nobody"})
	if status.Code(err) != codes.NotFound || infoOf(err) == nil {
		t.Errorf("health of an unknown service: %v, want NOT_FOUND with an ErrorInfo", err)
	}
}

func infoOf(err error) *errdetails.ErrorInfo {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	return nil
}

// GRPC-01, LST-01: reflection shows the service; and it resolves what payloads are
// made of, so that tools can print them.
func TestReflection(t *testing.T) {
	t.Parallel()
	s := serve(t, options(t))
	stream, err := reflectpb.NewServerReflectionClient(dial(t, s.GRPCAddr())).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(r *reflectpb.ServerReflectionRequest) *reflectpb.ServerReflectionResponse {
		t.Helper()
		if err := stream.Send(r); err != nil {
			t.Fatal(err)
		}
		resp, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	var services []string
	for _, s := range ask(&reflectpb.ServerReflectionRequest{MessageRequest: &reflectpb.ServerReflectionRequest_ListServices{}}).
		GetListServicesResponse().GetService() {
		services = append(services, s.GetName())
	}
	for _, want := range []string{"google.longrunning.Operations", "grpc.health.v1.Health", "longrun.v1.Dispatcher", "longrun.v1.Simulator"} {
		if !slices.Contains(services, want) {
			t.Errorf("services = %v, want %s among them", services, want)
		}
	}
	for _, symbol := range []string{
		"google.longrunning.Operations.WaitOperation", "longrun.v1.OperationMetadata", "longrun.v1.CommandResponse", "longrun.v1.SimulateRequest",
		"google.rpc.Status", "google.rpc.ErrorInfo", "google.rpc.BadRequest", "google.rpc.RetryInfo", "google.rpc.Code",
		"google.protobuf.Any", "google.protobuf.Struct", "google.protobuf.Duration", "google.protobuf.Timestamp", "google.protobuf.Empty",
		"google.protobuf.StringValue", "google.protobuf.FieldMask",
	} {
		r := ask(&reflectpb.ServerReflectionRequest{MessageRequest: &reflectpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: symbol}})
		if len(r.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
			t.Errorf("reflection of %s: %v", symbol, r.GetErrorResponse())
		}
	}
}

// GRPC-07: the largest payload that an operation may have is received; what no
// payload could need is refused.
func TestGRPC_MessageSize(t *testing.T) {
	t.Parallel()
	s := serve(t, options(t))
	c := longrunpb.NewDispatcherClient(dial(t, s.GRPCAddr()))
	start := func(size int) error {
		body, err := anypb.New(wrapperspb.Bytes(bytes.Repeat([]byte{'x'}, size)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.StartOperation(t.Context(), &longrunpb.StartOperationRequest{Method: "m", Request: body})
		return err
	}
	overhead := proto.Size(&anypb.Any{TypeUrl: "type.googleapis.com/google.protobuf.BytesValue", Value: make([]byte, 3<<20)}) - 3<<20 + 8
	if err := start(3<<20 - overhead); err != nil {
		t.Errorf("a request of 3 MiB: %v, want none", err)
	}
	if err := start(3<<20 + 1); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a request of more than 3 MiB: %v, want INVALID_ARGUMENT", err)
	}
	if err := start(server.MaxReceiveBytes + 1); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a message of more than 4 MiB: %v, want RESOURCE_EXHAUSTED", err)
	}
}

// The simulator is off unless it was asked for.
func TestSimulator_Off(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Simulator = server.Off
	s := serve(t, o)
	_, err := longrunpb.NewSimulatorClient(dial(t, s.GRPCAddr())).Simulate(t.Context(), &longrunpb.SimulateRequest{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("Simulate = %v, want UNIMPLEMENTED", err)
	}
}

// GRPC-02: one connection serves the method that starts operations, and the
// operations.
func TestGRPC_OneChannel(t *testing.T) {
	t.Parallel()
	conn := dial(t, serve(t, options(t)).GRPCAddr())
	op, err := longrunpb.NewSimulatorClient(conn).Simulate(t.Context(), &longrunpb.SimulateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	done, err := waitFor(t, conn, op.GetName())
	if err != nil || done.GetResponse() == nil {
		t.Errorf("wait = %v, %v; want a response", done, err)
	}
}

// waitFor waits until the operation is done.
func waitFor(t *testing.T, conn grpc.ClientConnInterface, name string) (*longrunningpb.Operation, error) {
	t.Helper()
	for {
		op, err := longrunningpb.NewOperationsClient(conn).WaitOperation(t.Context(), &longrunningpb.WaitOperationRequest{Name: name})
		if err != nil || op.GetDone() {
			return op, err
		}
	}
}
