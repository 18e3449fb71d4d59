package server_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	reflectpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun/internal/server"
	"github.com/longrun-dev/longrun/longrunpb"
)

func serviceOf(t *testing.T, name string) protoreflect.ServiceDescriptor {
	t.Helper()
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		t.Fatal(err)
	}
	s, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		t.Fatalf("%s is no service", name)
	}
	return s
}

// MIX-03: no other service of this server has a method that is named like one of
// google.longrunning.Operations, which clients mix into every service. MIX-05: and none
// has messages of its own for what that has.
func TestMixin_NoCollision(t *testing.T) {
	t.Parallel()
	s := serve(t, options(t))
	stream, err := reflectpb.NewServerReflectionClient(dial(t, s.GRPCAddr())).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectpb.ServerReflectionRequest{MessageRequest: &reflectpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	list, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	mixin, seen := serviceOf(t, "google.longrunning.Operations"), 0
	for _, s := range list.GetListServicesResponse().GetService() {
		if s.GetName() == string(mixin.FullName()) {
			continue
		}
		seen++
		for methods, i := serviceOf(t, s.GetName()).Methods(), 0; i < methods.Len(); i++ {
			if m := methods.Get(i); mixin.Methods().ByName(m.Name()) != nil {
				t.Errorf("%s has the name of a method of %s", m.FullName(), mixin.FullName())
			} else if m.Output().Name() == "Operation" && m.Output().FullName() != "google.longrunning.Operation" {
				t.Errorf("%s answers with a %s, want the shared message", m.FullName(), m.Output().FullName())
			}
		}
	}
	if seen < 4 {
		t.Errorf("%d other services were looked at, want those of Longrun and of gRPC", seen)
	}
}

// MIX-07: an operation can be handed to another API, which waits for its result. As the
// request of another operation it arrives whole, and its name is enough for whoever may
// ask; a push of results is not offered.
func TestMixin_HandedOver(t *testing.T) {
	t.Parallel()
	s := serve(t, options(t))
	starter, other := dial(t, s.GRPCAddr()), dial(t, s.GRPCAddr())
	result, err := anypb.New(durationpb.New(7 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	op, err := longrunpb.NewSimulatorClient(starter).Simulate(t.Context(), &longrunpb.SimulateRequest{
		Parent: "projects/p", RunDuration: durationpb.New(50 * time.Millisecond), Outcome: &longrunpb.SimulateRequest_Response{Response: result},
	})
	if err != nil {
		t.Fatal(err)
	}
	handed, err := anypb.New(op)
	if err != nil {
		t.Fatal(err)
	}
	notice, err := longrunpb.NewDispatcherClient(starter).StartOperation(t.Context(), &longrunpb.StartOperationRequest{Method: "notify", Request: handed})
	if err != nil {
		t.Fatal(err)
	}

	worker := longrunpb.NewDispatcherClient(other)
	session, err := worker.OpenSession(t.Context(), &longrunpb.OpenSessionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	work, err := worker.AcquireOperations(t.Context(), &longrunpb.AcquireOperationsRequest{
		Session: session.GetSession(), Methods: []string{"notify"}, Call: 1, WaitTimeout: durationpb.New(10 * time.Second),
	})
	if err != nil || len(work.GetOperations()) != 1 || work.GetOperations()[0].GetOperation() != notice.GetName() {
		t.Fatalf("acquired %v, %v; want %s", work, err, notice.GetName())
	}
	got := new(longrunningpb.Operation)
	if err := work.GetOperations()[0].GetRequest().UnmarshalTo(got); err != nil || !proto.Equal(got, op) {
		t.Fatalf("handed over %v, %v; want %v", got, err, op)
	}
	done, err := waitFor(t, other, got.GetName())
	if err != nil || !proto.Equal(done.GetResponse(), result) {
		t.Errorf("the result of %s = %v, %v; want %v", got.GetName(), done, err, result)
	}
}

// MIX-01: the configuration that is our example lists the interface among its apis and has
// a rule for each of its methods, and all of them are served by it, at those paths alone.
func TestMixin_ExampleConfiguration(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.ServiceConfig = filepath.Join("..", "..", "docs", "service-config.yaml")
	text, err := os.ReadFile(o.ServiceConfig)
	if err != nil {
		t.Fatal(err)
	}
	mixin := serviceOf(t, "google.longrunning.Operations")
	if !strings.Contains(string(text), "\n- name: google.longrunning.Operations\n") {
		t.Errorf("%s does not list %s", o.ServiceConfig, mixin.FullName())
	}
	for i := range mixin.Methods().Len() {
		if name := string(mixin.Methods().Get(i).FullName()); !strings.Contains(string(text), "selector: "+name+"\n") {
			t.Errorf("%s has no rule for %s", o.ServiceConfig, name)
		}
	}
	d := httpDoor{webClient(t, nil), "http://" + serve(t, o).HTTPAddr()}
	op := new(longrunningpb.Operation)
	if code := d.do(t.Context(), "POST", "/v1/projects/p/locations/l/operations:simulate", `{"runDuration":"60s"}`, op); code != codes.OK {
		t.Fatalf("simulate = %v", code)
	}
	for _, call := range []struct{ method, path string }{
		{"GET", "projects/p/locations/l/operations"}, {"GET", op.GetName()}, {"POST", op.GetName() + ":cancel"}, {"POST", op.GetName() + ":wait"}, {"DELETE", op.GetName()},
	} {
		if code := d.do(t.Context(), call.method, "/v1/"+call.path, "", nil); code != codes.NotFound {
			t.Errorf("%s /v1/%s = %v, want NOT_FOUND", call.method, call.path, code)
		}
		if code := d.do(t.Context(), call.method, "/v3/"+call.path, "", nil); code != codes.OK {
			t.Errorf("%s /v3/%s = %v, want OK", call.method, call.path, code)
		}
	}
}

// MIX-04: a rule is for google.longrunning.Operations.X. One that takes X for a method of
// the service that starts operations is refused, not passed over.
func TestMixin_SelectorOfTheHost(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.ServiceConfig = filepath.Join(t.TempDir(), "service.yaml")
	write(t, o.ServiceConfig, "http:\n  rules:\n  - {selector: longrun.v1.Simulator.GetOperation, get: '/v3/{name=operations/*}'}\n")
	_, err := server.Open(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), `longrun.v1.Simulator has no method "GetOperation"`) {
		t.Errorf("Open = %v, want the selector in it", err)
	}
}

// HTTP-16: a method without a route is there over gRPC all the same, unless the
// configuration leaves it out of the interface (TestServiceConfig).
func TestServiceConfig_NoRoute(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.ServiceConfig = filepath.Join(t.TempDir(), "service.yaml")
	write(t, o.ServiceConfig, "http:\n  rules:\n  - selector: google.longrunning.Operations.DeleteOperation\n")
	s := serve(t, o)
	d, conn := httpDoor{webClient(t, nil), "http://" + s.HTTPAddr()}, dial(t, s.GRPCAddr())
	op, err := longrunpb.NewSimulatorClient(conn).Simulate(t.Context(), &longrunpb.SimulateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if code := d.delete(t.Context(), op.GetName()); code != codes.Unimplemented { // 405
		t.Errorf("DELETE = %v, want UNIMPLEMENTED", code)
	}
	if _, code := d.get(t.Context(), op.GetName()); code != codes.OK {
		t.Errorf("GET = %v, want OK", code)
	}
	if _, err := longrunningpb.NewOperationsClient(conn).DeleteOperation(t.Context(), &longrunningpb.DeleteOperationRequest{Name: op.GetName()}); err != nil {
		t.Errorf("DeleteOperation: %v", err)
	}
}
