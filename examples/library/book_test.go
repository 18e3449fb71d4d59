package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/longrun-dev/longrun/examples/library/librarypb"
)

func TestBook_CreateGetDelete(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	shelf := s.shelf("novels")
	made, err := s.lib.CreateBook(t.Context(), &pb.CreateBookRequest{Parent: shelf, BookId: "emma", Book: &pb.Book{Title: "Emma", Author: "Jane Austen"}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.lib.GetBook(t.Context(), &pb.GetBookRequest{Name: "shelves/novels/books/emma"})
	if err != nil || !proto.Equal(got, made) || got.GetTitle() != "Emma" || got.GetAuthor() != "Jane Austen" {
		t.Errorf("GetBook = %v, %v; want %v", got, err, made)
	}
	_, err = s.lib.CreateBook(t.Context(), newBook(shelf, "emma"))
	wantError(t, "CreateBook again", err, codes.AlreadyExists, "BOOK_EXISTS")

	_, err = s.lib.DeleteBook(t.Context(), &pb.DeleteBookRequest{Name: got.GetName(), Etag: `"0"`})
	wantError(t, "PAR-07: DeleteBook with another etag", err, codes.Aborted, "ETAG_MISMATCH")
	if _, err := s.lib.DeleteBook(t.Context(), &pb.DeleteBookRequest{Name: got.GetName(), Etag: got.GetEtag()}); err != nil {
		t.Errorf("DeleteBook: %v", err)
	}
	_, err = s.lib.GetBook(t.Context(), &pb.GetBookRequest{Name: got.GetName()})
	wantError(t, "GetBook", err, codes.NotFound, "BOOK_NOT_FOUND")
	_, err = s.lib.DeleteBook(t.Context(), &pb.DeleteBookRequest{Name: got.GetName()})
	wantError(t, "DeleteBook again", err, codes.NotFound, "BOOK_NOT_FOUND")
}

// Books that come and go between two pages make no other be skipped or shown twice.
func TestListBooks_Pages(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	shelf := s.shelf("novels")
	for i := range 10 {
		s.book(shelf, fmt.Sprintf("b-%d", i))
	}
	page, err := s.lib.ListBooks(t.Context(), &pb.ListBooksRequest{Parent: shelf, PageSize: 4})
	if err != nil || len(page.GetBooks()) != 4 || page.GetNextPageToken() == "" {
		t.Fatalf("ListBooks = %v, %v; want 4 books and a token", page, err)
	}
	for _, gone := range []string{"b-0", "b-3", "b-8"} {
		if _, err := s.lib.DeleteBook(t.Context(), &pb.DeleteBookRequest{Name: shelf + "/books/" + gone}); err != nil {
			t.Fatal(err)
		}
	}
	s.book(shelf, "a-new")
	rest, err := s.lib.ListBooks(t.Context(), &pb.ListBooksRequest{Parent: shelf, PageToken: page.GetNextPageToken()})
	if err != nil || rest.GetNextPageToken() != "" {
		t.Fatalf("ListBooks = %v, %v; want the last page", rest, err)
	}
	var got []string
	for _, b := range rest.GetBooks() {
		got = append(got, strings.TrimPrefix(b.GetName(), shelf+"/books/"))
	}
	if want := []string{"b-4", "b-5", "b-6", "b-7", "b-9"}; !slices.Equal(got, want) {
		t.Errorf("the rest = %q, want %q", got, want)
	}
	_, err = s.lib.ListBooks(t.Context(), &pb.ListBooksRequest{Parent: s.shelf("other"), PageToken: page.GetNextPageToken()})
	wantError(t, "the token of another shelf", err, codes.InvalidArgument, "INVALID_FIELD")
}

func TestBook_BadRequests(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	shelf := s.shelf("novels")
	long := newBook(shelf, "long")
	long.Book.Author = strings.Repeat("x", maxText+1)
	for what, call := range map[string]func() error{
		"CreateBook without anything": func() error { _, err := s.lib.CreateBook(t.Context(), &pb.CreateBookRequest{}); return err },
		"CreateBook without a shelf":  func() error { _, err := s.lib.CreateBook(t.Context(), newBook("", "emma")); return err },
		"CreateBook without a book": func() error {
			_, err := s.lib.CreateBook(t.Context(), &pb.CreateBookRequest{Parent: shelf, BookId: "emma"})
			return err
		},
		"CreateBook of a bad id":    func() error { _, err := s.lib.CreateBook(t.Context(), newBook(shelf, "a/b")); return err },
		"CreateBook of an author":   func() error { _, err := s.lib.CreateBook(t.Context(), long); return err },
		"GetBook of a shelf":        func() error { _, err := s.lib.GetBook(t.Context(), &pb.GetBookRequest{Name: shelf}); return err },
		"ListBooks without a shelf": func() error { _, err := s.lib.ListBooks(t.Context(), &pb.ListBooksRequest{}); return err },
		"ListBooks of a negative size": func() error {
			_, err := s.lib.ListBooks(t.Context(), &pb.ListBooksRequest{Parent: shelf, PageSize: -1})
			return err
		},
		"ListBooks of no token of ours": func() error {
			_, err := s.lib.ListBooks(t.Context(), &pb.ListBooksRequest{Parent: shelf, PageToken: "!"})
			return err
		},
		"DeleteBook without a name": func() error { _, err := s.lib.DeleteBook(t.Context(), &pb.DeleteBookRequest{}); return err },
	} {
		wantError(t, what, call(), codes.InvalidArgument, "INVALID_FIELD")
	}
	_, err := s.lib.CreateBook(t.Context(), newBook("shelves/none", "emma"))
	wantError(t, "CreateBook on no shelf", err, codes.NotFound, "SHELF_NOT_FOUND")
	_, err = s.lib.ListBooks(t.Context(), &pb.ListBooksRequest{Parent: "shelves/none"})
	wantError(t, "ListBooks of no shelf", err, codes.NotFound, "SHELF_NOT_FOUND")
}

// At the limit a text is taken, and its page can be sent.
func TestListBooks_LargestPage(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	shelf := s.shelf("novels")
	text := strings.Repeat("x", maxText)
	for batch := range maxPage / maxBatch {
		req := &pb.BatchCreateBooksRequest{Parent: shelf}
		for i := range maxBatch {
			id := fmt.Sprintf("b-%d-%d-%s", batch, i, strings.Repeat("x", 40))
			req.Requests = append(req.Requests, &pb.CreateBookRequest{BookId: id, Book: &pb.Book{Title: text, Author: text}})
		}
		s.batchCreate(req)
	}
	page, err := s.lib.ListBooks(t.Context(), &pb.ListBooksRequest{Parent: shelf, PageSize: maxPage + 1})
	if err != nil || len(page.GetBooks()) != maxPage || page.GetNextPageToken() != "" {
		t.Errorf("ListBooks: %d books, %q, %v; want %d, no token", len(page.GetBooks()), page.GetNextPageToken(), err, maxPage)
	}
}

func FuzzReadToken(f *testing.F) {
	f.Add(nextToken("shelves", "shelves/novels"))
	f.Add("c2hlbHZlcw")
	f.Fuzz(func(t *testing.T, token string) {
		after, err := readToken("shelves", token)
		if err != nil && !isFault(err) {
			t.Errorf("%q: %v, want an error that says what is wrong with it", token, err)
		}
		if err == nil && token != "" && nextToken("shelves", after) != token {
			t.Errorf("%q is taken, and is not how the place %q is spelled", token, after)
		}
	})
}
