package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/longrun-dev/longrun/client"
	pb "github.com/longrun-dev/longrun/examples/library/librarypb"
	"github.com/longrun-dev/longrun/runner"
)

func batch(shelf string, ids ...string) *pb.BatchCreateBooksRequest {
	req := &pb.BatchCreateBooksRequest{Parent: shelf}
	for _, id := range ids {
		req.Requests = append(req.Requests, newBook("", id))
	}
	return req
}

// batchCreate adds a batch and returns the books, which must be added.
func (s *system) batchCreate(req *pb.BatchCreateBooksRequest) []*pb.Book {
	s.t.Helper()
	op, err := s.lro.BatchCreateBooks(s.t.Context(), req)
	if err != nil {
		s.t.Fatalf("BatchCreateBooks: %v", err)
	}
	resp, err := op.Wait(s.t.Context())
	if err != nil {
		s.t.Fatalf("BatchCreateBooks: %v", err)
	}
	return resp.GetBooks()
}

// failed are the entries of failed_requests, as "INDEX CODE", in order.
func failed[Resp proto.Message](t *testing.T, op *client.Operation[Resp, *pb.BatchBooksOperationMetadata]) (entries []string) {
	t.Helper()
	m, err := op.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	for i, st := range m.GetFailedRequests() {
		entries = append(entries, fmt.Sprintf("%d %v", i, codes.Code(st.GetCode())))
	}
	slices.Sort(entries)
	return entries
}

// BAT-01: without partial success it is all or nothing. What is wrong with the request is
// the call's error; that a book exists is the operation's.
func TestBatchCreateBooks_AllOrNothing(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	shelf := s.shelf("novels")
	if got, want := len(s.batchCreate(batch(shelf, "emma", "persuasion"))), 2; got != want {
		t.Errorf("books = %d, want %d", got, want)
	}
	op, err := s.lro.BatchCreateBooks(t.Context(), batch(shelf, "sanditon", "emma"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = op.Wait(t.Context())
	wantError(t, "BatchCreateBooks of one that exists", err, codes.AlreadyExists, "BOOK_EXISTS")
	if !strings.Contains(fmt.Sprint(err), "requests[1]") {
		t.Errorf("error = %v, want it to say requests[1]", err)
	}
	_, err = s.lro.BatchCreateBooks(t.Context(), batch(shelf, "sanditon", "Not an id"))
	wantError(t, "BatchCreateBooks of a bad id", err, codes.InvalidArgument, "INVALID_FIELD")
	var fields []string
	for _, d := range status.Convert(err).Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			fields = append(fields, d.GetMetadata()["field"])
		case *errdetails.BadRequest:
			fields = append(fields, d.GetFieldViolations()[0].GetField())
		}
	}
	if want := []string{"requests[1].book_id", "requests[1].book_id"}; !slices.Equal(fields, want) {
		t.Errorf("fields = %q, want %q", fields, want)
	}
	if got, want := s.titles(shelf), []string{"The emma", "The persuasion"}; !slices.Equal(got, want) {
		t.Errorf("BAT-01: books = %q, want %q", got, want)
	}
}

// BAT-05: with return_partial_success, BAT-04: the response has what was added, and BAT-02:
// the metadata what a single call would have answered for the others, by their index.
func TestBatchCreateBooks_PartialSuccess(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	shelf := s.shelf("novels")
	s.book(shelf, "emma")
	req := batch(shelf, "sanditon", "emma", "Not an id", "persuasion", "sanditon")
	req.ReturnPartialSuccess = true
	op, err := s.lro.BatchCreateBooks(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := op.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range resp.GetBooks() {
		got = append(got, b.GetTitle())
	}
	if want := []string{"The sanditon", "The persuasion"}; !slices.Equal(got, want) {
		t.Errorf("BAT-04: books = %q, want %q", got, want)
	}
	if got, want := failed(t, op), []string{"1 AlreadyExists", "2 InvalidArgument", "4 AlreadyExists"}; !slices.Equal(got, want) {
		t.Errorf("BAT-02: failed_requests = %q, want %q", got, want)
	}
	m, err := op.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	_, single := s.lib.CreateBook(t.Context(), newBook(shelf, "emma"))
	if got := m.GetFailedRequests()[1]; !proto.Equal(got, statusOf(single)) {
		t.Errorf("BAT-02: failed_requests[1] = %v, want %v, as from CreateBook", got, statusOf(single))
	}
}

// BAT-03: when all have failed, the operation has, with ABORTED and a text that points to
// failed_requests, which has them all.
func TestBatchCreateBooks_AllFailed(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	shelf := s.shelf("novels")
	s.book(shelf, "emma")
	req := batch(shelf, "emma", "Not an id")
	req.ReturnPartialSuccess = true
	op, err := s.lro.BatchCreateBooks(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	_, err = op.Wait(t.Context())
	if st := statusOf(err); codes.Code(st.GetCode()) != codes.Aborted || !strings.Contains(st.GetMessage(), "failed_requests") {
		t.Errorf("BAT-03: error = %v, want ABORTED, and failed_requests in its text", err)
	}
	if got, want := failed(t, op), []string{"0 AlreadyExists", "1 InvalidArgument"}; !slices.Equal(got, want) {
		t.Errorf("BAT-03: failed_requests = %q, want %q", got, want)
	}
}

// A batch at the limit of which nothing succeeds can still tell why.
func TestBatchCreateBooks_Limit(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	shelf := s.shelf("a" + strings.Repeat("s", 62))
	var ids []string
	for i := range maxBatch + 1 {
		ids = append(ids, fmt.Sprintf("b%062d", i))
	}
	s.batchCreate(batch(shelf, ids[:maxBatch]...))
	again := batch(shelf, ids[:maxBatch]...)
	again.ReturnPartialSuccess = true
	op, err := s.lro.BatchCreateBooks(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = op.Wait(t.Context()); codes.Code(statusOf(err).GetCode()) != codes.Aborted {
		t.Errorf("BatchCreateBooks: %v, want ABORTED", err)
	}
	if got := len(failed(t, op)); got != maxBatch {
		t.Errorf("failed_requests = %d, want %d", got, maxBatch)
	}
	_, err = s.lro.BatchCreateBooks(t.Context(), batch(shelf, ids...))
	wantError(t, "one book more", err, codes.InvalidArgument, "INVALID_FIELD")
}

func (s *system) batchDelete(shelf string, ids ...string) *client.Operation[*emptypb.Empty, *pb.BatchBooksOperationMetadata] {
	s.t.Helper()
	req := &pb.BatchDeleteBooksRequest{Parent: shelf}
	for _, id := range ids {
		req.Names = append(req.Names, bookName(shelf, id))
	}
	op, err := s.lro.BatchDeleteBooks(s.t.Context(), req)
	if err != nil {
		s.t.Fatalf("BatchDeleteBooks: %v", err)
	}
	return op
}

// BAT-06: books are deleted by their names. BAT-02: those that are not there are in the
// metadata; BAT-03: and when none is there, the operation has failed.
func TestBatchDeleteBooks(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	shelf := s.shelf("novels")
	s.batchCreate(batch(shelf, "emma", "persuasion", "sanditon"))
	op := s.batchDelete(shelf, "emma", "none", "sanditon")
	if _, err := op.Wait(t.Context()); err != nil {
		t.Errorf("BatchDeleteBooks: %v", err)
	}
	if got, want := failed(t, op), []string{"1 NotFound"}; !slices.Equal(got, want) {
		t.Errorf("BAT-02: failed_requests = %q, want %q", got, want)
	}
	if got, want := s.titles(shelf), []string{"The persuasion"}; !slices.Equal(got, want) {
		t.Errorf("books = %q, want %q", got, want)
	}
	op = s.batchDelete(shelf, "none", "emma")
	if _, err := op.Wait(t.Context()); codes.Code(statusOf(err).GetCode()) != codes.Aborted {
		t.Errorf("BAT-03: error = %v, want ABORTED", err)
	}
	for _, name := range []string{"shelves/others/books/emma", "emma"} {
		_, err := s.lib.BatchDeleteBooks(t.Context(), &pb.BatchDeleteBooksRequest{Parent: shelf, Names: []string{name}})
		wantError(t, "BatchDeleteBooks of "+name, err, codes.InvalidArgument, "INVALID_FIELD")
	}
	_, err := s.lib.BatchDeleteBooks(t.Context(), &pb.BatchDeleteBooksRequest{Parent: shelf})
	wantError(t, "BatchDeleteBooks of nothing", err, codes.InvalidArgument, "INVALID_FIELD")
}

// A run that comes after one that had deleted the books already does not take them for
// books that never were.
func TestBatchDeleteBooks_RunAgain(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	shelf, name := "", ""
	t.Run("first run", func(t *testing.T) {
		s := p.serve(t, runner.Options{})
		shelf = s.shelf("novels")
		s.book(shelf, "emma")
		s.book(shelf, "persuasion")
		name = s.batchDelete(shelf, "emma", "none").Name()
		eventually(t, "the book is gone", func() bool { return len(s.titles(shelf)) == 1 })
	})
	t.Run("second run", func(t *testing.T) {
		s := p.serve(t, runner.Options{})
		s.lift()
		op := s.lro.BatchDeleteBooksOperation(name)
		if _, err := op.Wait(t.Context()); err != nil {
			t.Errorf("BatchDeleteBooks: %v", err)
		}
		if got, want := failed(t, op), []string{"1 NotFound"}; !slices.Equal(got, want) {
			t.Errorf("failed_requests = %q, want %q", got, want)
		}
	})
}
