package main

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/longrun-dev/longrun/examples/library/librarypb"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/sqlite"
)

// tx runs f in a transaction.
func (s *system) tx(f func(tx *sqlite.Tx) error) {
	s.t.Helper()
	if err := s.store.Tx(s.t.Context(), f); err != nil {
		s.t.Fatal(err)
	}
}

// A run that does again what an earlier one has done, because the process died before that
// was remembered, finds its own book; anybody else finds the name taken.
func TestAddBook_Again(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	shelf := s.shelf("novels")
	s.tx(func(tx *sqlite.Tx) error {
		first, err := addBook(tx.Conn(), shelf, newBook("", "emma"), "operations/a#1")
		if err != nil {
			return err
		}
		again, err := addBook(tx.Conn(), shelf, newBook("", "emma"), "operations/a#1")
		if err != nil || !proto.Equal(first, again) {
			t.Errorf("addBook again = %v, %v; want %v", again, err, first)
		}
		for _, by := range []string{"operations/a#2", "operations/b#1", ""} {
			_, err := addBook(tx.Conn(), shelf, newBook("", "emma"), by)
			wantError(t, "addBook by "+by, err, codes.AlreadyExists, "BOOK_EXISTS")
		}
		_, err = addBook(tx.Conn(), shelf, newBook("", "persuasion"), "")
		if err != nil {
			return err
		}
		_, err = addBook(tx.Conn(), shelf, newBook("", "persuasion"), "")
		wantError(t, "addBook by nobody, again", err, codes.AlreadyExists, "BOOK_EXISTS")
		return nil
	})
}

// A shelf is moved once, and by the operation that works on it alone.
func TestMoveShelf_Again(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	shelf := s.shelf("novels")
	etag := func() string {
		got, err := s.lib.GetShelf(t.Context(), &pb.GetShelfRequest{Name: shelf})
		if err != nil {
			t.Fatal(err)
		}
		return got.GetEtag()
	}
	before := etag()
	s.tx(func(tx *sqlite.Tx) error { return moveShelf(tx.Conn(), shelf, "operations/none", pb.Shelf_ACTIVE) })
	s.tx(func(tx *sqlite.Tx) error { return moveShelf(tx.Conn(), shelf, "operations/other", pb.Shelf_FAILED) })
	if got := etag(); got != before || s.state(shelf) != pb.Shelf_ACTIVE {
		t.Errorf("etag = %s, state = %v; want %s, ACTIVE, as before", got, s.state(shelf), before)
	}
}

// A process that stops gives back what it runs, and the next one does it: the creation and
// the deletion of shelves, whose work was interrupted.
func TestShelf_NextProcess(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	var create, remove string
	t.Run("first process", func(t *testing.T) {
		s := p.serve(t, runner.Options{})
		c, err := s.lro.CreateShelf(t.Context(), newShelf("novels"))
		if err != nil {
			t.Fatal(err)
		}
		d, err := s.lro.DeleteShelf(t.Context(), &pb.DeleteShelfRequest{Name: s.shelf("atlases")})
		if err != nil {
			t.Fatal(err)
		}
		create, remove = c.Name(), d.Name()
	})
	t.Run("second process", func(t *testing.T) {
		s := p.serve(t, runner.Options{})
		s.lift()
		if _, err := s.lro.CreateShelfOperation(create).Wait(t.Context()); err != nil {
			t.Errorf("CreateShelf: %v", err)
		}
		if _, err := s.lro.DeleteShelfOperation(remove).Wait(t.Context()); err != nil {
			t.Errorf("DeleteShelf: %v", err)
		}
		if got, want := s.state("shelves/novels"), pb.Shelf_ACTIVE; got != want {
			t.Errorf("state = %v, want %v", got, want)
		}
		_, err := s.lib.GetShelf(t.Context(), &pb.GetShelfRequest{Name: "shelves/atlases"})
		wantError(t, "GetShelf", err, codes.NotFound, "SHELF_NOT_FOUND")
	})
}
