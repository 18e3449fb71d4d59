package server_test

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/server"
	"github.com/longrun-dev/longrun/internal/testpb"
	"github.com/longrun-dev/longrun/longrunpb"
)

// measureFile is a service whose methods promise what is there, what is elsewhere,
// nothing, and what nobody has.
const measureFile = `name: "acme/measure.proto" package: "acme" syntax: "proto3"
  dependency: "acme/size.proto" dependency: "google/longrunning/operations.proto" dependency: "google/protobuf/empty.proto"
  service { name: "Measure"
    method { name: "Do" input_type: ".acme.Size" output_type: ".google.longrunning.Operation"
      options { [google.longrunning.operation_info] { response_type: "Size" metadata_type: "google.protobuf.Empty" } } }
    method { name: "Full" input_type: ".acme.Size" output_type: ".google.longrunning.Operation"
      options { [google.longrunning.operation_info] { response_type: "acme.Size" metadata_type: "google.protobuf.Any" } } }
    method { name: "Lost" input_type: ".acme.Size" output_type: ".google.longrunning.Operation"
      options { [google.longrunning.operation_info] { response_type: "Nowhere" metadata_type: "acme.gone.Size" } } }
    method { name: "Dotted" input_type: ".acme.Size" output_type: ".google.longrunning.Operation"
      options { [google.longrunning.operation_info] { response_type: ".acme.Size" metadata_type: ".google.protobuf.Empty" } } }
    method { name: "Nested" input_type: ".acme.Size" output_type: ".google.longrunning.Operation"
      options { [google.longrunning.operation_info] { response_type: "Scale.Mark" metadata_type: "acme.Scale.Mark" } } }
    method { name: "Empty" input_type: ".acme.Size" output_type: ".google.longrunning.Operation"
      options { [google.longrunning.operation_info] { response_type: "." metadata_type: "" } } }
    method { name: "Silent" input_type: ".acme.Size" output_type: ".google.longrunning.Operation" }
  }
  message_type { name: "Scale" nested_type { name: "Mark" } }`

// INF-03: a name without a dot is of the file's package, any other is a full one, or that
// of a message in one of the package.
func TestTypes_Promised(t *testing.T) {
	t.Parallel()
	types, err := server.LoadTypes(set(t, measureFile, sizeFile))
	if err != nil {
		t.Fatal(err)
	}
	for method, want := range map[string]longrun.Promise{
		"/acme.Measure/Do":           {Response: "acme.Size", Metadata: "google.protobuf.Empty"},
		"/acme.Measure/Full":         {Response: "acme.Size", Metadata: "google.protobuf.Any"},
		"/acme.Measure/Dotted":       {Response: "acme.Size", Metadata: "google.protobuf.Empty"},
		"/acme.Measure/Nested":       {Response: "acme.Scale.Mark", Metadata: "acme.Scale.Mark"},
		"/acme.Measure/Empty":        {},
		"/acme.Measure/Lost":         {},
		"/acme.Measure/Silent":       {},
		"/acme.Measure/Other":        {},
		"/longrun.v1.Simulator/Else": {},
		"measure":                    {},
	} {
		if got := types.Promised(method); got != want {
			t.Errorf("Promised(%q) = %v, want %v", method, got, want)
		}
	}
}

// sizeOf is an acme.Size, which is not linked in.
func sizeOf(width byte) *anypb.Any {
	return &anypb.Any{TypeUrl: "type.googleapis.com/acme.Size", Value: []byte{8, width}}
}

func packed(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// OP-06: workers are held to the operation_info of the descriptor sets.
func TestServer_HoldsWorkersToDescriptorSets(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	o := options(t)
	o.DescriptorSets = []string{set(t, measureFile, sizeFile)}
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	s := serve(t, o)
	conn := dial(t, s.GRPCAddr())
	d, ops := longrunpb.NewDispatcherClient(conn), longrunningpb.NewOperationsClient(conn)
	session, err := d.OpenSession(t.Context(), &longrunpb.OpenSessionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	call := int64(0)
	// finish runs one operation of Do and returns what callers see.
	finish := func(response *anypb.Any) *longrunningpb.Operation {
		t.Helper()
		call++
		if _, err := d.StartOperation(t.Context(), &longrunpb.StartOperationRequest{Method: "/acme.Measure/Do"}); err != nil {
			t.Fatal(err)
		}
		acquired, err := d.AcquireOperations(t.Context(), &longrunpb.AcquireOperationsRequest{Session: session.Session, Call: call, Methods: []string{"/acme.Measure/Do"}})
		if err != nil || len(acquired.Operations) != 1 {
			t.Fatalf("acquired %v, %v", acquired, err)
		}
		op := acquired.Operations[0]
		_, err = d.ReportProgress(t.Context(), &longrunpb.ReportProgressRequest{Name: op.Operation, Session: session.Session, Attempt: op.Attempt,
			Report: &longrunpb.ReportProgressRequest_Metadata{Metadata: packed(t, wrapperspb.Bool(true))}})
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("ReportProgress of another type = %v, want INVALID_ARGUMENT", err)
		}
		if _, err := d.FinishOperation(t.Context(), &longrunpb.FinishOperationRequest{Name: op.Operation, Session: session.Session, Attempt: op.Attempt,
			Result: &longrunpb.FinishOperationRequest_Response{Response: response}}); err != nil {
			t.Fatal(err)
		}
		done, err := ops.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: op.Operation})
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	if done := finish(sizeOf(7)); !proto.Equal(done.GetResponse(), sizeOf(7)) || !done.GetMetadata().MessageIs(&emptypb.Empty{}) {
		t.Errorf("operation = %v, want the size, and metadata as promised", done)
	}
	done := finish(packed(t, wrapperspb.String("hunter2")))
	if done.GetError().GetCode() != int32(codes.Internal) || done.GetResponse() != nil {
		t.Errorf("operation = %v, want INTERNAL", done)
	}
	if got := log.String(); !strings.Contains(got, "StringValue") || !strings.Contains(got, done.Name) || strings.Contains(got, "hunter2") {
		t.Errorf("log = %s, want the operation and the type, and no payload", got)
	}
}

// Required fields of a method that the server knows are looked for in starts by name,
// over both faces, before anything is stored.
func TestServer_RequiredFields(t *testing.T) {
	t.Parallel()
	s := serve(t, options(t))
	create := longrun.Method[*testpb.CreateBookRequest, *testpb.Book, *testpb.BatchMetadata]{Name: "/longrun.test.v1.Library/CreateBook"}
	longrun.Declare(s.Service(), create)
	conn := dial(t, s.GRPCAddr())
	_, err := longrunpb.NewDispatcherClient(conn).StartOperation(t.Context(), &longrunpb.StartOperationRequest{
		Method: create.Name, Request: packed(t, &testpb.CreateBookRequest{Parent: "shelves/s"}),
	})
	st, _ := status.FromError(err)
	var fields []string
	for _, d := range st.Details() {
		if b, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range b.FieldViolations {
				fields = append(fields, v.Field)
			}
		}
	}
	if st.Code() != codes.InvalidArgument || strings.Join(fields, " ") != "request.book" {
		t.Errorf("over gRPC: %v, fields %v; want request.book", err, fields)
	}
	body := `{"method": "/longrun.test.v1.Library/CreateBook", "request": {"@type": "type.googleapis.com/longrun.test.v1.CreateBookRequest", "book": {"author": {}}}}`
	resp, err := webClient(t, nil).Post("http://"+s.HTTPAddr()+"/v1/operations:start", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"request.parent", "request.book.title", "request.book.author.family_name"} {
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), want) {
			t.Errorf("over HTTP: %d %s, want %s in it", resp.StatusCode, text, want)
		}
	}
	page, err := s.Service().List(t.Context(), longrun.ListRequest{Parent: "-"})
	if err != nil || len(page.Operations) != 0 {
		t.Errorf("%d operations are stored, %v; want none", len(page.Operations), err)
	}
}
