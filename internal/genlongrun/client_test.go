package genlongrun

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/genlongrun/testdata/acmelongrun"
	"github.com/longrun-dev/longrun/internal/genlongrun/testdata/acmepb"
	"github.com/longrun-dev/longrun/longruntest"
)

// slowly imports a book each minute.
func slowly(ctx context.Context, req *acmepb.ImportBooksRequest, run *longrun.Run[*acmepb.ImportBooksMetadata]) (*acmepb.ImportBooksResponse, error) {
	for n, title := range req.GetTitles() {
		if title == "" {
			return nil, status.Error(codes.FailedPrecondition, "a book has a title")
		}
		select {
		case <-time.After(time.Minute):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		run.Progress(&acmepb.ImportBooksMetadata{Count: int32(n) + 1})
	}
	return &acmepb.ImportBooksResponse{Count: int32(len(req.GetTitles()))}, nil
}

// A caller starts, looks on, and waits, with the types of operation_info; another
// process goes on by the name.
func TestOperations_StartWaitResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, _ := newLibrary(t, acmepb.LibraryHandlers{ImportBooks: slowly})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		caller := acmepb.NewLibraryOperations(sys.Conn())
		op, err := caller.ImportBooks(ctx, &acmepb.ImportBooksRequest{Parent: location, Titles: []string{"Emma", "Ulysses", "Momo"}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(90 * time.Second)
		if resp, err := op.Poll(ctx); err != nil || op.Done() {
			t.Errorf("Poll = %v, %v, done %v; want it under way", resp, err, op.Done())
		}
		if metadata, err := op.Metadata(); err != nil || metadata.GetCount() != 1 {
			t.Errorf("Metadata = %v, %v; want count 1", metadata, err)
		}
		resumed := acmepb.NewLibraryOperations(sys.Conn()).ImportBooksOperation(op.Name())
		resp, err := resumed.Wait(ctx)
		if want := (&acmepb.ImportBooksResponse{Count: 3}); err != nil || !proto.Equal(resp, want) {
			t.Errorf("Wait = %v, %v; want %v", resp, err, want)
		}
		if metadata, err := resumed.Metadata(); err != nil || metadata.GetCount() != 3 {
			t.Errorf("Metadata = %v, %v; want count 3", metadata, err)
		}
	})
}

func TestOperations_Errors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, _ := newLibrary(t, acmepb.LibraryHandlers{ImportBooks: slowly})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		caller := acmepb.NewLibraryOperations(sys.Conn())
		op, err := caller.ImportBooks(ctx, &acmepb.ImportBooksRequest{Parent: location, Titles: []string{""}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := op.Wait(ctx); status.Code(err) != codes.FailedPrecondition || !op.Done() {
			t.Errorf("Wait = %v, done %v; want the work's FAILED_PRECONDITION", err, op.Done())
		}
		long, err := caller.ImportBooks(ctx, &acmepb.ImportBooksRequest{Parent: location, Titles: []string{"Emma", "Ulysses"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := long.Cancel(ctx); err != nil {
			t.Errorf("Cancel = %v", err)
		}
		if _, err := long.Wait(ctx); status.Code(err) != codes.Canceled {
			t.Errorf("Wait = %v, want CANCELLED", err)
		}
		if op, err := caller.DeleteShelf(ctx, &acmepb.DeleteShelfRequest{Name: "shelves/s"}); op != nil || status.Code(err) != codes.Unimplemented {
			t.Errorf("DeleteShelf = %v, %v; want no operation, UNIMPLEMENTED", op, err)
		}
		if _, err := caller.ImportBooksOperation(location + "/operations/none").Wait(ctx); status.Code(err) != codes.NotFound {
			t.Errorf("Wait for none = %v, want NOT_FOUND", err)
		}
	})
}

// Callers from the package of its own are of the same kind, and an operation that
// was started by another method is told by its types.
func TestOperations_PackageOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{Register: func(r grpc.ServiceRegistrar, svc *longrun.Service) {
			acmepb.RegisterLibraryServer(r, struct{ *acmelongrun.LibraryStarter }{acmelongrun.HandleLibrary(svc, acmelongrun.LibraryHandlers{ImportBooks: slowly})})
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		caller := acmelongrun.NewLibraryOperations(sys.Conn())
		op, err := caller.ImportBooks(ctx, &acmepb.ImportBooksRequest{Parent: location, Titles: []string{"Emma"}})
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := op.Wait(ctx); err != nil || resp.GetCount() != 1 {
			t.Errorf("Wait = %v, %v; want count 1", resp, err)
		}
		if resp, err := caller.UpdateShelfOperation(op.Name()).Wait(ctx); status.Code(err) != codes.Internal {
			t.Errorf("Wait for a Shelf = %v, %v; want INTERNAL", resp, err)
		}
	})
}
