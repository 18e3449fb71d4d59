package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun"
	pb "github.com/longrun-dev/longrun/examples/library/librarypb"
	"github.com/longrun-dev/longrun/longruntest"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/sqlite"
)

// A place is what is left of a library when its process is gone: a file and a bucket.
type place struct {
	store  *sqlite.Store
	folder string
	bucket *os.Root
}

func newPlace(t *testing.T) *place {
	t.Helper()
	folder := t.TempDir()
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "library.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	bucket, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bucket.Close() })
	return &place{store: store, folder: folder, bucket: bucket}
}

// put writes an object.
func (p *place) put(t *testing.T, object string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.folder, object), []byte(strings.Join(lines, "\n")), 0o666); err != nil {
		t.Fatal(err)
	}
}

// objects are the names of what is in a folder of the bucket.
func (p *place) objects(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(p.folder, folder))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// novels are lines of n books.
func novels(n int) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprintf(`{"bookId": "novel-%04d", "book": {"title": "Novel %d"}}`, i, i))
	}
	return lines
}

// A gate holds up every piece of work until it is opened.
type gate struct {
	open  chan struct{}
	close func()
}

func newGate() *gate {
	g := &gate{open: make(chan struct{})}
	g.close = sync.OnceFunc(func() { close(g.open) })
	return g
}

// lift lets all work go on.
func (g *gate) lift() { g.close() }

func (g *gate) pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-g.open:
		return nil
	}
}

// A system is a library that runs, and a caller.
type system struct {
	t *testing.T
	*place
	*gate
	lib pb.LibraryServiceClient
	lro *pb.LibraryServiceOperations
	ops longrunningpb.OperationsClient
}

// newSystem returns a library in a new place, where nothing holds it up.
func newSystem(t *testing.T) *system {
	t.Helper()
	s := newPlace(t).serve(t, runner.Options{})
	s.lift()
	return s
}

// newBusySystem returns one in which work begins, and ends when the gate is lifted: as much of
// it at a time as a test waits to see, also on a machine of one core.
func newBusySystem(t *testing.T) *system {
	t.Helper()
	return newPlace(t).serve(t, runner.Options{Concurrency: 8})
}

// serve begins a process, which ends with the test; what it runs then is given back.
func (p *place) serve(t *testing.T, o runner.Options) *system {
	t.Helper()
	g := newGate()
	sys := longruntest.New(t, longruntest.Options{
		Store: p.store, Runner: o, Service: longrun.Options{Domain: domain},
		Register: func(r grpc.ServiceRegistrar, svc *longrun.Service) {
			l, err := newLibrary(context.Background(), svc, p.store, p.bucket)
			if err != nil {
				t.Error(err)
				return
			}
			l.pause, l.log = g.pause, slog.New(slog.NewTextHandler(t.Output(), nil))
			pb.RegisterLibraryServiceServer(r, l)
		},
	})
	return &system{
		t: t, place: p, gate: g,
		lib: pb.NewLibraryServiceClient(sys.Conn()), lro: pb.NewLibraryServiceOperations(sys.Conn()),
		ops: longrunningpb.NewOperationsClient(sys.Conn()),
	}
}

// shelf makes a shelf, which is then ACTIVE, also while the gate is down.
func (s *system) shelf(id string) string {
	s.t.Helper()
	err := s.store.Tx(s.t.Context(), func(tx *sqlite.Tx) error {
		if err := insertShelf(tx.Conn(), shelfName(id), "Novels", "operations/none"); err != nil {
			return err
		}
		return moveShelf(tx.Conn(), shelfName(id), "operations/none", pb.Shelf_ACTIVE)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return shelfName(id)
}

// book puts a book on a shelf.
func (s *system) book(shelf, id string) *pb.Book {
	s.t.Helper()
	book, err := s.lib.CreateBook(s.t.Context(), newBook(shelf, id))
	if err != nil {
		s.t.Fatalf("CreateBook: %v", err)
	}
	return book
}

func newBook(shelf, id string) *pb.CreateBookRequest {
	return &pb.CreateBookRequest{Parent: shelf, BookId: id, Book: &pb.Book{Title: "The " + id}}
}

// titles are those of all books on a shelf.
func (s *system) titles(shelf string) (titles []string) {
	s.t.Helper()
	req := &pb.ListBooksRequest{Parent: shelf, PageSize: maxPage}
	for {
		page, err := s.lib.ListBooks(s.t.Context(), req)
		if err != nil {
			s.t.Fatalf("ListBooks: %v", err)
		}
		for _, b := range page.GetBooks() {
			titles = append(titles, b.GetTitle())
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			return titles
		}
	}
}

// state is that of a shelf.
func (s *system) state(shelf string) pb.Shelf_State {
	s.t.Helper()
	got, err := s.lib.GetShelf(s.t.Context(), &pb.GetShelfRequest{Name: shelf})
	if err != nil {
		s.t.Fatalf("GetShelf: %v", err)
	}
	return got.GetState()
}

// operations counts all operations.
func (s *system) operations() int {
	s.t.Helper()
	list, err := s.ops.ListOperations(s.t.Context(), &longrunningpb.ListOperationsRequest{Name: "-"})
	if err != nil {
		s.t.Fatalf("ListOperations: %v", err)
	}
	return len(list.GetOperations())
}

// wantError checks an error's code and reason, which is how programs tell errors apart.
func wantError(t *testing.T, what string, err error, code codes.Code, reason string) {
	t.Helper()
	st, got := status.Convert(err), ""
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			got = info.GetReason()
		}
	}
	if st.Code() != code || got != reason {
		t.Errorf("%s: %v %s (%v), want %v %s", what, st.Code(), got, err, code, reason)
	}
}

// statusOf is err as it comes over the wire.
func statusOf(err error) *statuspb.Status { return status.Convert(err).Proto() }

// eventually waits until f reports true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %v it is not so that %s", patience, what)
		}
	}
}

// patience is how long a test waits for what must happen.
const patience = 5 * time.Minute
