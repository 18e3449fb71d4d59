package genlongrun

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/genlongrun/testdata/acmelongrun"
	"github.com/longrun-dev/longrun/internal/genlongrun/testdata/acmepb"
	"github.com/longrun-dev/longrun/internal/genlongrun/testdata/opaquepb"
	"github.com/longrun-dev/longrun/internal/genlongrun/testdata/sharedpb"
	"github.com/longrun-dev/longrun/longruntest"
)

const location = "projects/p/locations/l"

// library is an author's server: the starter, embedded in place of
// UnimplementedLibraryServer, and the methods that take no time.
type library struct {
	*acmepb.LibraryStarter
}

func (l library) GetShelf(_ context.Context, req *acmepb.GetShelfRequest) (*acmepb.Shelf, error) {
	return &acmepb.Shelf{Name: req.GetName()}, nil
}

// The embedding makes a server of the whole service, here and from a package of
// its own, and so does a starter alone.
var (
	_ acmepb.LibraryServer   = library{}
	_ acmepb.LibraryServer   = (*acmepb.LibraryStarter)(nil)
	_ acmepb.LibraryServer   = struct{ *acmelongrun.LibraryStarter }{}
	_ acmepb.ArchiveServer   = struct{ *acmepb.ArchiveStarter }{}
	_ opaquepb.CounterServer = (*opaquepb.CounterStarter)(nil)
)

// A server that embeds both is told so by the compiler, and does not answer
// UNIMPLEMENTED by surprise.
func TestGenerated_EmbeddingBoth(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "build", "./testdata/embedsboth").CombinedOutput()
	if want := "ambiguous selector"; err == nil || !strings.Contains(string(out), want) {
		t.Errorf("go build = %v, %s; want %q", err, out, want)
	}
}

// newLibrary is a process with the handlers h, and a client of it.
func newLibrary(t *testing.T, h acmepb.LibraryHandlers) (*longruntest.System, acmepb.LibraryClient) {
	t.Helper()
	sys := longruntest.New(t, longruntest.Options{Register: func(r grpc.ServiceRegistrar, svc *longrun.Service) {
		acmepb.RegisterLibraryServer(r, library{acmepb.HandleLibrary(svc, h)})
	}})
	return sys, acmepb.NewLibraryClient(sys.Conn())
}

// done waits for the operation that a call has started.
func done(t *testing.T, sys *longruntest.System, op *longrunningpb.Operation, err error) *longrunningpb.Operation {
	t.Helper()
	for err == nil && !op.GetDone() {
		op, err = longrunningpb.NewOperationsClient(sys.Conn()).WaitOperation(t.Context(), &longrunningpb.WaitOperationRequest{Name: op.GetName()})
	}
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// wantResponse is that op has succeeded with want.
func wantResponse(t *testing.T, op *longrunningpb.Operation, want proto.Message) {
	t.Helper()
	got, err := op.GetResponse().UnmarshalNew()
	if err != nil || !proto.Equal(got, want) {
		t.Errorf("%s: response = %v, error %v, %v; want %v", op.GetName(), got, op.GetError(), err, want)
	}
}

func importBooks(_ context.Context, req *acmepb.ImportBooksRequest, run *longrun.Run[*acmepb.ImportBooksMetadata]) (*acmepb.ImportBooksResponse, error) {
	count := int32(len(req.GetTitles()))
	run.Progress(&acmepb.ImportBooksMetadata{Count: count})
	return &acmepb.ImportBooksResponse{Count: count}, nil
}

// A call of the generated server starts the author's function, and ends in what
// operation_info promises.
func TestGenerated_StartToDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, client := newLibrary(t, acmepb.LibraryHandlers{ImportBooks: importBooks})
		started, err := client.ImportBooks(t.Context(), &acmepb.ImportBooksRequest{Parent: location + "/shelves/s", Titles: []string{"Emma", "Ulysses"}})
		if !strings.HasPrefix(started.GetName(), location+"/operations/") {
			t.Errorf("name = %q, want it under %s", started.GetName(), location)
		}
		op := done(t, sys, started, err)
		wantResponse(t, op, &acmepb.ImportBooksResponse{Count: 2})
		metadata := &acmepb.ImportBooksMetadata{}
		if err := op.GetMetadata().UnmarshalTo(metadata); err != nil || metadata.GetCount() != 2 {
			t.Errorf("metadata = %v, %v; want count 2", metadata, err)
		}
		shelf, err := client.GetShelf(t.Context(), &acmepb.GetShelfRequest{Name: "s"})
		if err != nil || shelf.GetName() != "s" {
			t.Errorf("GetShelf = %v, %v; want the author's own answer", shelf, err)
		}
	})
}

// A method without a function answers UNIMPLEMENTED, as a zero starter does.
func TestGenerated_NilMethod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client := newLibrary(t, acmepb.LibraryHandlers{ImportBooks: importBooks})
		if _, err := client.DeleteShelf(t.Context(), &acmepb.DeleteShelfRequest{Name: "shelves/s"}); status.Code(err) != codes.Unimplemented {
			t.Errorf("DeleteShelf = %v, want UNIMPLEMENTED", err)
		}
		if _, err := (&acmepb.LibraryStarter{}).ImportBooks(t.Context(), &acmepb.ImportBooksRequest{}); status.Code(err) != codes.Unimplemented {
			t.Errorf("ImportBooks of a zero starter = %v, want UNIMPLEMENTED", err)
		}
	})
}

// Operations live where the request says: under its parent, or beside the resource
// that it names.
func TestGenerated_Parents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := func(context.Context, *acmepb.UpdateShelfRequest, *longrun.Run[*sharedpb.OperationMetadata]) (*acmepb.Shelf, error) {
			return &acmepb.Shelf{Title: "new"}, nil
		}
		remove := func(context.Context, *acmepb.DeleteShelfRequest, *longrun.Run[*sharedpb.OperationMetadata]) (*emptypb.Empty, error) {
			return &emptypb.Empty{}, nil
		}
		sys, client := newLibrary(t, acmepb.LibraryHandlers{ImportBooks: importBooks, UpdateShelf: shelf, DeleteShelf: remove})
		for _, tt := range []struct {
			prefix   string
			start    func() (*longrunningpb.Operation, error)
			response proto.Message
		}{
			{"operations/", func() (*longrunningpb.Operation, error) {
				return client.ImportBooks(t.Context(), &acmepb.ImportBooksRequest{})
			}, &acmepb.ImportBooksResponse{}},
			{"libraries/l/operations/", func() (*longrunningpb.Operation, error) {
				return client.ImportBooks(t.Context(), &acmepb.ImportBooksRequest{Parent: "libraries/l"})
			}, &acmepb.ImportBooksResponse{}},
			{location + "/operations/", func() (*longrunningpb.Operation, error) {
				return client.UpdateShelf(t.Context(), &acmepb.UpdateShelfRequest{Shelf: &acmepb.Shelf{Name: location + "/shelves/s"}})
			}, &acmepb.Shelf{Title: "new"}},
			{"libraries/l/operations/", func() (*longrunningpb.Operation, error) {
				return client.DeleteShelf(t.Context(), &acmepb.DeleteShelfRequest{Name: "libraries/l/shelves/s"})
			}, &emptypb.Empty{}},
		} {
			op, err := tt.start()
			if err != nil || !strings.HasPrefix(op.GetName(), tt.prefix) {
				t.Errorf("name = %q, %v; want it to begin with %s", op.GetName(), err, tt.prefix)
			}
			wantResponse(t, done(t, sys, op, err), tt.response)
		}
	})
}

// The hook runs once for each operation, before it is stored: it refuses, and it
// fills in the draft.
func TestGenerated_Begin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := 0
		sys, client := newLibrary(t, acmepb.LibraryHandlers{
			CreateShelf: func(_ context.Context, req *acmepb.CreateShelfRequest, _ *longrun.Run[*sharedpb.OperationMetadata]) (*acmepb.Shelf, error) {
				return req.GetShelf(), nil
			},
			BeginCreateShelf: func(_ context.Context, req *acmepb.CreateShelfRequest, draft *longrun.Draft) error {
				begun++
				if req.GetShelf().GetTitle() == "" {
					return status.Error(codes.FailedPrecondition, "a shelf has a title")
				}
				draft.Metadata = &sharedpb.OperationMetadata{Target: draft.Name().String()}
				return nil
			},
		})
		req := &acmepb.CreateShelfRequest{Parent: location, Shelf: &acmepb.Shelf{Title: "poems"}, RequestId: "9e107d9d-372b-4b6e-8f00-2f1a0c0f3a11"}
		first, err := client.CreateShelf(t.Context(), req)
		wantResponse(t, done(t, sys, first, err), &acmepb.Shelf{Title: "poems"})
		metadata := &sharedpb.OperationMetadata{}
		if err := first.GetMetadata().UnmarshalTo(metadata); err != nil || metadata.GetTarget() != first.GetName() {
			t.Errorf("metadata = %v, %v; want the operation's name in it", metadata, err)
		}
		// IDM-01: the same request id is the same operation, and asks no hook again.
		again, err := client.CreateShelf(t.Context(), req)
		if err != nil || again.GetName() != first.GetName() || begun != 1 {
			t.Errorf("again = %q, %v, %d hooks; want %q, 1", again.GetName(), err, begun, first.GetName())
		}
		req.RequestId, req.Shelf = "", &acmepb.Shelf{Name: "untitled"}
		if _, err := client.CreateShelf(t.Context(), req); status.Code(err) != codes.FailedPrecondition {
			t.Errorf("CreateShelf without a title = %v, want FAILED_PRECONDITION", err)
		}
	})
}

// VAL-01, VAL-03: validate_only asks the hook, and stores nothing.
func TestGenerated_ValidateOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, ran := 0, 0
		sys, client := newLibrary(t, acmepb.LibraryHandlers{
			CreateShelf: func(context.Context, *acmepb.CreateShelfRequest, *longrun.Run[*sharedpb.OperationMetadata]) (*acmepb.Shelf, error) {
				ran++
				return &acmepb.Shelf{}, nil
			},
			BeginCreateShelf: func(context.Context, *acmepb.CreateShelfRequest, *longrun.Draft) error { begun++; return nil },
		})
		op, err := client.CreateShelf(t.Context(), &acmepb.CreateShelfRequest{Parent: location, Shelf: &acmepb.Shelf{Title: "poems"}, ValidateOnly: true})
		if err != nil || !op.GetDone() || op.GetName() != "" {
			t.Errorf("CreateShelf = %v, %v; want a done operation without a name", op, err)
		}
		wantResponse(t, op, &acmepb.Shelf{})
		time.Sleep(time.Hour)
		list, err := longrunningpb.NewOperationsClient(sys.Conn()).ListOperations(t.Context(), &longrunningpb.ListOperationsRequest{Name: location})
		if err != nil || len(list.GetOperations()) != 0 || begun != 1 || ran != 0 {
			t.Errorf("list = %v, %v, %d hooks, %d runs; want none, 1, 0", list, err, begun, ran)
		}
	})
}

// Fields that are required are checked before anything else of the author's.
func TestGenerated_RequiredField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client := newLibrary(t, acmepb.LibraryHandlers{
			CreateShelf: func(context.Context, *acmepb.CreateShelfRequest, *longrun.Run[*sharedpb.OperationMetadata]) (*acmepb.Shelf, error) {
				return &acmepb.Shelf{}, nil
			},
			BeginCreateShelf: func(context.Context, *acmepb.CreateShelfRequest, *longrun.Draft) error {
				t.Error("the hook was asked")
				return nil
			},
		})
		_, err := client.CreateShelf(t.Context(), &acmepb.CreateShelfRequest{Parent: location})
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(status.Convert(err).Message(), "shelf") {
			t.Errorf("CreateShelf = %v, want INVALID_ARGUMENT that names shelf", err)
		}
	})
}

// INF-08: Struct and Any are metadata like other messages, and Any promises none.
func TestGenerated_StructAndAny(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, client := newLibrary(t, acmepb.LibraryHandlers{
			RewriteBooks: func(_ context.Context, _ *acmepb.RewriteBooksRequest, run *longrun.Run[*structpb.Struct]) (*acmepb.RewriteBooksRequest_Result, error) {
				run.Progress(&structpb.Struct{Fields: map[string]*structpb.Value{"pages": structpb.NewNumberValue(3)}})
				return &acmepb.RewriteBooksRequest_Result{Words: []string{"It", "was"}}, nil
			},
			Reindex: func(_ context.Context, _ *emptypb.Empty, run *longrun.Run[*anypb.Any]) (*anypb.Any, error) {
				said, err := anypb.New(&acmepb.ImportBooksMetadata{Count: 7})
				if err != nil {
					return nil, err
				}
				run.Progress(said)
				return anypb.New(&acmepb.Shelf{Name: "index"})
			},
		})
		op, err := client.RewriteBooks(t.Context(), &acmepb.RewriteBooksRequest{RequestId: 1})
		op = done(t, sys, op, err)
		wantResponse(t, op, &acmepb.RewriteBooksRequest_Result{Words: []string{"It", "was"}})
		metadata := &structpb.Struct{}
		if err := op.GetMetadata().UnmarshalTo(metadata); err != nil || metadata.GetFields()["pages"].GetNumberValue() != 3 {
			t.Errorf("metadata = %v, %v; want 3 pages", metadata, err)
		}
		// In JSON a Struct has the form of a well-known type.
		text, err := protojson.Marshal(op.GetMetadata())
		if want := `{"@type":"type.googleapis.com/google.protobuf.Struct","value":{"pages":3}}`; err != nil || strings.ReplaceAll(string(text), " ", "") != want {
			t.Errorf("metadata = %s, %v; want %s", text, err, want)
		}
		op, err = client.Reindex(t.Context(), &emptypb.Empty{})
		op = done(t, sys, op, err)
		wantResponse(t, op, &acmepb.Shelf{Name: "index"})
		count := &acmepb.ImportBooksMetadata{}
		if err := op.GetMetadata().UnmarshalTo(count); err != nil || count.GetCount() != 7 {
			t.Errorf("metadata = %v, %v; want count 7", count, err)
		}
	})
}

// An API node starts what another process runs.
func TestGenerated_StarterAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{Register: func(r grpc.ServiceRegistrar, svc *longrun.Service) {
			acmepb.RegisterLibraryServer(r, library{acmepb.NewLibraryStarter(svc)})
		}})
		client := acmepb.NewLibraryClient(sys.Conn())
		op, err := client.ImportBooks(t.Context(), &acmepb.ImportBooksRequest{Parent: location, Titles: []string{"Emma"}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		looked, err := longrunningpb.NewOperationsClient(sys.Conn()).GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: op.GetName()})
		if err != nil || looked.GetDone() {
			t.Errorf("GetOperation = %v, %v; want it to wait for a runner elsewhere", looked, err)
		}
		// What it does not know, it still refuses: the method is declared.
		wrong, err := anypb.New(&acmepb.Shelf{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = sys.Service().Start(t.Context(), longrun.StartRequest{Method: acmepb.Library_ImportBooks.Name, Request: wrong})
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("Start with a Shelf = %v, want INVALID_ARGUMENT", err)
		}
	})
}

// A hook whose work is elsewhere is a mistake that shows at once.
func TestGenerated_BeginAlone(t *testing.T) {
	t.Parallel()
	defer func() {
		if got, want := recover(), "HandleLibrary: BeginImportBooks without ImportBooks: use longrun.Begin and NewLibraryStarter where the work is done elsewhere"; got != want {
			t.Errorf("panic = %v, want %q", got, want)
		}
	}()
	acmepb.HandleLibrary(nil, acmepb.LibraryHandlers{BeginImportBooks: func(context.Context, *acmepb.ImportBooksRequest, *longrun.Draft) error { return nil }})
}

// The exported Method is the policy: what is set before Handle counts, and what is
// set afterwards does not.
func TestGenerated_Policy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := acmelongrun.Archive_ArchiveBooks
		t.Cleanup(func() { acmelongrun.Archive_ArchiveBooks = before })
		acmelongrun.Archive_ArchiveBooks.ExecutionTimeout = time.Minute
		sys := longruntest.New(t, longruntest.Options{Register: func(r grpc.ServiceRegistrar, svc *longrun.Service) {
			acmepb.RegisterArchiveServer(r, acmelongrun.HandleArchive(svc, acmelongrun.ArchiveHandlers{
				ArchiveBooks: func(ctx context.Context, _ *acmepb.ImportBooksRequest, _ *longrun.Run[*acmepb.ImportBooksMetadata]) (*acmepb.ImportBooksResponse, error) {
					<-ctx.Done()
					return nil, context.Cause(ctx)
				},
			}))
			acmelongrun.Archive_ArchiveBooks.ExecutionTimeout = time.Hour
		}})
		began := time.Now()
		op, err := acmepb.NewArchiveClient(sys.Conn()).ArchiveBooks(t.Context(), &acmepb.ImportBooksRequest{Parent: location})
		op = done(t, sys, op, err)
		if got := codes.Code(op.GetError().GetCode()); got != codes.DeadlineExceeded || time.Since(began) > 2*time.Minute {
			t.Errorf("%v after %v, want DEADLINE_EXCEEDED after a minute", got, time.Since(began))
		}
	})
}

// Opaque messages are read by their own getters, and a proto3 optional or a member
// of a oneof is a field like another.
func TestGenerated_Opaque(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{Register: func(r grpc.ServiceRegistrar, svc *longrun.Service) {
			opaquepb.RegisterCounterServer(r, opaquepb.HandleCounter(svc, opaquepb.CounterHandlers{
				Count: func(_ context.Context, req *opaquepb.CountRequest, _ *longrun.Run[*opaquepb.CountMetadata]) (*opaquepb.CountResponse, error) {
					return opaquepb.CountResponse_builder{Number: req.GetNumber()}.Build(), nil
				},
			}))
		}})
		client := opaquepb.NewCounterClient(sys.Conn())
		id := "9e107d9d-372b-4b6e-8f00-2f1a0c0f3a11"
		req := opaquepb.CountRequest_builder{Parent: location, Number: 3, RequestId: &id}.Build()
		op, err := client.Count(t.Context(), req)
		if !strings.HasPrefix(op.GetName(), location+"/operations/") {
			t.Errorf("name = %q, want it under %s", op.GetName(), location)
		}
		wantResponse(t, done(t, sys, op, err), opaquepb.CountResponse_builder{Number: 3}.Build())
		if again, err := client.Count(t.Context(), req); err != nil || again.GetName() != op.GetName() {
			t.Errorf("again = %q, %v; want %q", again.GetName(), err, op.GetName())
		}
		req.SetNumber(4)
		if _, err := client.Count(t.Context(), req); status.Code(err) != codes.InvalidArgument {
			t.Errorf("the id for another request = %v, want INVALID_ARGUMENT", err)
		}
		req.SetRequestId("")
		req.SetValidateOnly(true)
		if op, err := client.Count(t.Context(), req); err != nil || !op.GetDone() || op.GetName() != "" {
			t.Errorf("validate_only = %v, %v; want a done operation without a name", op, err)
		}
	})
}
