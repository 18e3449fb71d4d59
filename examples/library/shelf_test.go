package main

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/longrun-dev/longrun/examples/library/librarypb"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/runner"
)

func newShelf(id string) *pb.CreateShelfRequest {
	return &pb.CreateShelfRequest{ShelfId: id, Shelf: &pb.Shelf{Theme: "Novels"}}
}

// OP-23, STA-03: the shelf is there as soon as the operation is, in Get and List, and
// cannot be used yet. STA-01, STA-02, OP-24: when the operation is done, its response is
// the shelf, and the shelf is ready, with all that belongs to it.
func TestCreateShelf(t *testing.T) {
	t.Parallel()
	s := newBusySystem(t)
	op, err := s.lro.CreateShelf(t.Context(), newShelf("novels"))
	if err != nil || op.Done() {
		t.Fatalf("CreateShelf = %v, %v; want an operation that is not done", op, err)
	}
	if got, want := s.state("shelves/novels"), pb.Shelf_CREATING; got != want {
		t.Errorf("STA-03: state = %v, want %v", got, want)
	}
	list, err := s.lib.ListShelves(t.Context(), &pb.ListShelvesRequest{})
	if err != nil || len(list.GetShelves()) != 1 || list.GetShelves()[0].GetState() != pb.Shelf_CREATING {
		t.Errorf("STA-03: ListShelves = %v, %v; want the shelf, CREATING", list, err)
	}
	_, err = s.lib.CreateBook(t.Context(), newBook("shelves/novels", "emma"))
	wantError(t, "CreateBook", err, codes.FailedPrecondition, "SHELF_NOT_ACTIVE")

	s.lift()
	made, err := op.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.lib.GetShelf(t.Context(), &pb.GetShelfRequest{Name: "shelves/novels"})
	if err != nil || got.GetState() != pb.Shelf_ACTIVE || !proto.Equal(got, made) {
		t.Errorf("OP-24: GetShelf = %v, %v; want ACTIVE, and the response %v", got, err, made)
	}
	if got, want := s.objects(t, "labels"), []string{"novels.txt"}; !slices.Equal(got, want) {
		t.Errorf("OP-24: labels = %q, want %q", got, want)
	}
	m, err := op.Metadata()
	if err != nil || m.GetTarget() != "shelves/novels" || m.GetVerb() != "create" || m.GetState() != longrunpb.OperationMetadata_SUCCEEDED {
		t.Errorf("Metadata = %v, %v; want create shelves/novels, SUCCEEDED", m, err)
	}
}

// OP-19, PAR-03: a name that is taken is ALREADY_EXISTS from the call, and there is no
// other operation.
func TestCreateShelf_Exists(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.shelf("novels")
	_, err := s.lro.CreateShelf(t.Context(), newShelf("novels"))
	wantError(t, "CreateShelf", err, codes.AlreadyExists, "SHELF_EXISTS")
	if got := s.operations(); got != 0 {
		t.Errorf("OP-19: operations = %d, want 0", got)
	}
}

// VAL-01, VAL-02, VAL-03: validate_only says what the call would say, and does nothing.
// VAL-04: there is no operation then that would go on.
func TestCreateShelf_ValidateOnly(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.shelf("taken")
	for id, want := range map[string]codes.Code{"novels": codes.OK, "taken": codes.AlreadyExists, "No": codes.InvalidArgument} {
		req := newShelf(id)
		req.ValidateOnly = true
		op, err := s.lib.CreateShelf(t.Context(), req)
		if (err == nil) != (want == codes.OK) {
			t.Errorf("VAL-01: CreateShelf of %q: %v, want %v", id, err, want)
		}
		if err == nil && (op.GetName() != "" || !op.GetDone() || !op.GetResponse().MessageIs(&pb.Shelf{})) {
			t.Errorf("VAL-02: CreateShelf of %q = %v, want done, a Shelf, no name", id, op)
		}
	}
	list, err := s.lib.ListShelves(t.Context(), &pb.ListShelvesRequest{})
	if err != nil || len(list.GetShelves()) != 1 || s.operations() != 0 {
		t.Errorf("VAL-01: shelves = %v, %v, operations = %d; want what was there before", list.GetShelves(), err, s.operations())
	}
}

// IDM-01, IDM-02: the same request id is the same operation, also when that has ended and
// the name of the shelf is taken by itself. IDM-04: it cannot be another request's.
// IDM-07: without one it is another call, for which the name is taken.
func TestCreateShelf_RequestID(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	req := newShelf("novels")
	req.RequestId = "7a6e2f1c-3a0e-4f7b-9a53-0d7a41f0b7c2"
	first, err := s.lro.CreateShelf(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := s.lro.CreateShelf(t.Context(), req)
	if err != nil || again.Name() != first.Name() || !again.Done() {
		t.Errorf("IDM-01: CreateShelf again = %v, %v; want %s, done", again, err, first.Name())
	}
	other := newShelf("atlases")
	other.RequestId = req.RequestId
	_, err = s.lro.CreateShelf(t.Context(), other)
	wantError(t, "IDM-04", err, codes.InvalidArgument, "REQUEST_ID_REUSED")
	_, err = s.lro.CreateShelf(t.Context(), newShelf("novels"))
	wantError(t, "IDM-07", err, codes.AlreadyExists, "SHELF_EXISTS")
}

// IDM-01: also of calls that come at the same time, one alone has an effect.
func TestCreateShelf_RequestIDInParallel(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	req := newShelf("novels")
	req.RequestId = "41f0b7c2-3a0e-4f7b-9a53-7a6e2f1c0d7a"
	names := make([]string, 20)
	var calls sync.WaitGroup
	for i := range names {
		calls.Go(func() {
			op, err := s.lib.CreateShelf(t.Context(), req)
			if err != nil {
				t.Errorf("IDM-01: CreateShelf: %v", err)
			}
			names[i] = op.GetName()
		})
	}
	calls.Wait()
	if got := slices.Compact(names); len(got) != 1 || s.operations() != 1 {
		t.Errorf("IDM-01: operations = %q, %d in all; want one", got, s.operations())
	}
}

// IDM-03: a call that failed is not remembered: the same again may succeed. IDM-06: an id
// that is no UUID4 is refused.
func TestCreateShelf_RequestIDOfFailure(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.shelf("novels")
	req := newShelf("novels")
	req.RequestId = "0d7a41f0-3a0e-4f7b-9a53-7a6e2f1cb7c2"
	_, err := s.lro.CreateShelf(t.Context(), req)
	wantError(t, "CreateShelf", err, codes.AlreadyExists, "SHELF_EXISTS")
	s.delete("shelves/novels")
	if _, err := s.lro.CreateShelf(t.Context(), req); err != nil {
		t.Errorf("IDM-03: CreateShelf again: %v", err)
	}
	req.RequestId = "novels, please"
	_, err = s.lro.CreateShelf(t.Context(), req)
	wantError(t, "IDM-06", err, codes.InvalidArgument, "INVALID_FIELD")
}

// delete deletes a shelf and waits until it is gone.
func (s *system) delete(shelf string) {
	s.t.Helper()
	op, err := s.lro.DeleteShelf(s.t.Context(), &pb.DeleteShelfRequest{Name: shelf, Force: true})
	if err != nil {
		s.t.Fatalf("DeleteShelf: %v", err)
	}
	if _, err := op.Wait(s.t.Context()); err != nil {
		s.t.Fatalf("DeleteShelf: %v", err)
	}
}

// An operation that is cancelled before it runs never gets to its handler: what it would
// have created is FAILED, and can be deleted; what it would have deleted is as it was.
func TestShelf_CancelledBeforeItRuns(t *testing.T) {
	t.Parallel()
	s := newPlace(t).serve(t, runner.Options{Concurrency: -1})
	create, err := s.lro.CreateShelf(t.Context(), newShelf("novels"))
	if err != nil {
		t.Fatal(err)
	}
	if err := create.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := s.state("shelves/novels"), pb.Shelf_FAILED; got != want {
		t.Errorf("state after the creation was cancelled = %v, want %v", got, want)
	}
	for _, was := range []pb.Shelf_State{pb.Shelf_FAILED, pb.Shelf_ACTIVE} {
		name := "shelves/novels"
		if was == pb.Shelf_ACTIVE {
			name = s.shelf("atlases")
		}
		op, err := s.lro.DeleteShelf(t.Context(), &pb.DeleteShelfRequest{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := s.state(name), pb.Shelf_DELETING; got != want {
			t.Errorf("state of %s = %v, want %v", name, got, want)
		}
		if err := op.Cancel(t.Context()); err != nil {
			t.Fatal(err)
		}
		if was == pb.Shelf_ACTIVE {
			s.book(name, "emma") // before anybody has looked at the shelf
		}
		if got := s.state(name); got != was {
			t.Errorf("state of %s after its deletion was cancelled = %v, want %v", name, got, was)
		}
	}
}

// STA-03: a shelf that is being deleted is there, and not to be used. STA-02, OP-04, OP-24:
// the response is Empty, and the shelf, its books and its label are gone.
func TestDeleteShelf(t *testing.T) {
	t.Parallel()
	s := newBusySystem(t)
	shelf := s.shelf("novels")
	s.book(shelf, "emma")
	_, err := s.lro.DeleteShelf(t.Context(), &pb.DeleteShelfRequest{Name: shelf})
	wantError(t, "DeleteShelf without force", err, codes.FailedPrecondition, "SHELF_NOT_EMPTY")

	op, err := s.lro.DeleteShelf(t.Context(), &pb.DeleteShelfRequest{Name: shelf, Force: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.state(shelf), pb.Shelf_DELETING; got != want {
		t.Errorf("STA-03: state = %v, want %v", got, want)
	}
	_, err = s.lib.CreateBook(t.Context(), newBook(shelf, "persuasion"))
	wantError(t, "CreateBook", err, codes.FailedPrecondition, "SHELF_NOT_ACTIVE")
	s.lift()
	if _, err := op.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = s.lib.GetShelf(t.Context(), &pb.GetShelfRequest{Name: shelf})
	wantError(t, "OP-24: GetShelf", err, codes.NotFound, "SHELF_NOT_FOUND")
	_, err = s.lib.GetBook(t.Context(), &pb.GetBookRequest{Name: shelf + "/books/emma"})
	wantError(t, "OP-24: GetBook", err, codes.NotFound, "BOOK_NOT_FOUND")
	if got := s.objects(t, "labels"); len(got) != 0 {
		t.Errorf("OP-24: labels = %q, want none", got)
	}
	s.shelf("novels") // its name is free
}

// PAR-07: the etag of a shelf that has changed meanwhile is ABORTED, from the call itself.
func TestDeleteShelf_Etag(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	shelf := s.shelf("novels")
	_, err := s.lro.DeleteShelf(t.Context(), &pb.DeleteShelfRequest{Name: shelf, Etag: `"1"`})
	wantError(t, "PAR-07", err, codes.Aborted, "ETAG_MISMATCH")
	if got := s.operations(); got != 0 {
		t.Errorf("PAR-07: operations = %d, want 0", got)
	}
	got, err := s.lib.GetShelf(t.Context(), &pb.GetShelfRequest{Name: shelf})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.lro.DeleteShelf(t.Context(), &pb.DeleteShelfRequest{Name: shelf, Etag: got.GetEtag()}); err != nil {
		t.Errorf("DeleteShelf with the etag of GetShelf: %v", err)
	}
}

// PAR-02, PAR-03: while something is done to the shelf, its deletion is ABORTED from the
// call, and leaves nothing behind. PAR-06: as soon as that has ended, cancelled too, it is
// not. IDM-03: nor is it with the id that was refused.
func TestDeleteShelf_Busy(t *testing.T) {
	t.Parallel()
	s := newBusySystem(t)
	s.put(t, "novels.jsonl", novels(5)...)
	shelf := s.shelf("novels")
	busy := s.importBooks(shelf, "novels.jsonl")
	req := &pb.DeleteShelfRequest{Name: shelf, Force: true, RequestId: "9a537a6e-3a0e-4f7b-9a53-0d7a41f0b7c2"}
	_, err := s.lro.DeleteShelf(t.Context(), req)
	wantError(t, "PAR-02", err, codes.Aborted, "CONCURRENT_OPERATION")
	if got, want := s.state(shelf), pb.Shelf_ACTIVE; got != want {
		t.Errorf("PAR-02: state = %v, want %v", got, want)
	}
	if got := s.operations(); got != 1 {
		t.Errorf("PAR-02: operations = %d, want 1, the import", got)
	}
	if err := busy.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = busy.Wait(t.Context())
	wantError(t, "the import", err, codes.Canceled, "OPERATION_CANCELLED")
	s.lift()
	op, err := s.lro.DeleteShelf(t.Context(), req)
	if err != nil {
		t.Fatalf("PAR-06: DeleteShelf: %v", err)
	}
	if _, err := op.Wait(t.Context()); err != nil {
		t.Errorf("DeleteShelf: %v", err)
	}
}

// A deletion that is cancelled while it runs leaves a shelf that can be used.
func TestDeleteShelf_Cancelled(t *testing.T) {
	t.Parallel()
	s := newBusySystem(t)
	shelf := s.shelf("novels")
	op, err := s.lro.DeleteShelf(t.Context(), &pb.DeleteShelfRequest{Name: shelf})
	if err != nil {
		t.Fatal(err)
	}
	if err := op.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = op.Wait(t.Context())
	wantError(t, "DeleteShelf", err, codes.Canceled, "OPERATION_CANCELLED")
	if got, want := s.state(shelf), pb.Shelf_ACTIVE; got != want {
		t.Errorf("state = %v, want %v", got, want)
	}
}

// DEL-02: an operation that is deleted goes on with its work, and until that has ended the
// shelf is on its way.
func TestCreateShelf_OperationDeleted(t *testing.T) {
	t.Parallel()
	s := newBusySystem(t)
	op, err := s.lro.CreateShelf(t.Context(), newShelf("novels"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ops.DeleteOperation(t.Context(), &longrunningpb.DeleteOperationRequest{Name: op.Name()}); err != nil {
		t.Fatal(err)
	}
	if got, want := s.state("shelves/novels"), pb.Shelf_CREATING; got != want {
		t.Errorf("state = %v, want %v", got, want)
	}
	s.lift()
	eventually(t, "the shelf is ACTIVE", func() bool { return s.state("shelves/novels") == pb.Shelf_ACTIVE })
}

// OP-19: what is wrong with a request is said by the call, with the field.
func TestShelf_BadRequests(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	long := newShelf("long")
	long.Shelf.Theme = fmt.Sprintf("%0501d", 0)
	for what, call := range map[string]func() error{
		"CreateShelf without anything": func() error { _, err := s.lib.CreateShelf(t.Context(), &pb.CreateShelfRequest{}); return err },
		"CreateShelf without a theme": func() error {
			_, err := s.lib.CreateShelf(t.Context(), &pb.CreateShelfRequest{ShelfId: "novels", Shelf: &pb.Shelf{}})
			return err
		},
		"CreateShelf of a bad id":         func() error { _, err := s.lib.CreateShelf(t.Context(), newShelf("Novels")); return err },
		"CreateShelf of a theme too long": func() error { _, err := s.lib.CreateShelf(t.Context(), long); return err },
		"GetShelf without a name":         func() error { _, err := s.lib.GetShelf(t.Context(), &pb.GetShelfRequest{}); return err },
		"GetShelf of a book": func() error {
			_, err := s.lib.GetShelf(t.Context(), &pb.GetShelfRequest{Name: "shelves/a/books/b"})
			return err
		},
		"ListShelves of a negative size": func() error {
			_, err := s.lib.ListShelves(t.Context(), &pb.ListShelvesRequest{PageSize: -1})
			return err
		},
		"ListShelves of a token of nothing": func() error {
			_, err := s.lib.ListShelves(t.Context(), &pb.ListShelvesRequest{PageToken: "?"})
			return err
		},
		"DeleteShelf without a name": func() error { _, err := s.lib.DeleteShelf(t.Context(), &pb.DeleteShelfRequest{}); return err },
		"DeleteShelf of a bad name": func() error {
			_, err := s.lib.DeleteShelf(t.Context(), &pb.DeleteShelfRequest{Name: "novels"})
			return err
		},
	} {
		wantError(t, what, call(), codes.InvalidArgument, "INVALID_FIELD")
	}
	_, err := s.lib.DeleteShelf(t.Context(), &pb.DeleteShelfRequest{Name: "shelves/none"})
	wantError(t, "DeleteShelf of none", err, codes.NotFound, "SHELF_NOT_FOUND")
	if got := s.operations(); got != 0 {
		t.Errorf("OP-19: operations = %d, want 0", got)
	}
}

// AIP-158: pages of the size that was asked for, a last one without a token, and each shelf
// once.
func TestListShelves_Pages(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	var want, got []string
	for i := range 7 {
		want = append(want, s.shelf(fmt.Sprintf("s-%d", i)))
	}
	req := &pb.ListShelvesRequest{PageSize: 3}
	for pages := 1; ; pages++ {
		page, err := s.lib.ListShelves(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, shelf := range page.GetShelves() {
			got = append(got, shelf.GetName())
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			if pages != 3 {
				t.Errorf("pages = %d, want 3", pages)
			}
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("shelves = %q, want %q", got, want)
	}
}
