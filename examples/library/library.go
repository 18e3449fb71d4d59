package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/longrun-dev/longrun"
	pb "github.com/longrun-dev/longrun/examples/library/librarypb"
	"github.com/longrun-dev/longrun/sqlite"
)

// library is the service. The long-running methods are the embedded starter's, which is
// generated: it starts an operation and returns it. The others are methods of library.
type library struct {
	*pb.LibraryServiceStarter

	svc    *longrun.Service
	store  *sqlite.Store // of the operations, and of our tables
	bucket *os.Root
	pause  func(context.Context) error // before each piece of work
	log    *slog.Logger
}

// newLibrary makes the tables, and registers the handlers with svc, which works on store.
func newLibrary(ctx context.Context, svc *longrun.Service, store *sqlite.Store, bucket *os.Root) (*library, error) {
	l := &library{svc: svc, store: store, bucket: bucket, pause: pace(0), log: slog.Default()}
	l.LibraryServiceStarter = pb.HandleLibraryService(svc, pb.LibraryServiceHandlers{
		BeginCreateShelf:      l.beginCreateShelf,
		CreateShelf:           l.createShelf,
		BeginDeleteShelf:      l.beginDeleteShelf,
		DeleteShelf:           l.deleteShelf,
		BeginImportBooks:      l.beginImportBooks,
		ImportBooks:           l.importBooks,
		BeginBatchCreateBooks: l.beginBatchCreateBooks,
		BatchCreateBooks:      l.batchCreateBooks,
		BeginBatchDeleteBooks: l.beginBatchDeleteBooks,
		BatchDeleteBooks:      l.batchDeleteBooks,
	})
	return l, store.Tx(ctx, func(tx *sqlite.Tx) error {
		return sqlitex.ExecuteScript(tx.Conn(), schema, nil)
	})
}

// What is done to one shelf is done in the order in which it was asked for; but nobody
// waits in order to delete it (PAR-01, PAR-02 of docs/spec.md).
func init() {
	pb.LibraryService_CreateShelf.ConflictKey = func(r *pb.CreateShelfRequest) string { return shelfName(r.GetShelfId()) }
	pb.LibraryService_ImportBooks.ConflictKey = (*pb.ImportBooksRequest).GetParent
	pb.LibraryService_BatchCreateBooks.ConflictKey = (*pb.BatchCreateBooksRequest).GetParent
	pb.LibraryService_BatchDeleteBooks.ConflictKey = (*pb.BatchDeleteBooksRequest).GetParent
	pb.LibraryService_DeleteShelf.ConflictKey = (*pb.DeleteShelfRequest).GetName
	pb.LibraryService_DeleteShelf.OnConflict = longrun.Reject

	pb.LibraryService_ImportBooks.ExecutionTimeout = 24 * time.Hour
}

// schema is of our tables, which live in the store's file, so that a row and the
// operation that works on it are written in one commit. Times are microseconds. The
// revision of a row counts its changes, for the etag.
const schema = `
CREATE TABLE IF NOT EXISTS shelf (
	name        TEXT    NOT NULL PRIMARY KEY,
	theme       TEXT    NOT NULL,
	state       INTEGER NOT NULL, -- a Shelf.State
	operation   TEXT    NOT NULL, -- the last that was to change the state
	otherwise   INTEGER NOT NULL, -- the state if that ends without having done so
	create_time INTEGER NOT NULL,
	revision    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS book (
	shelf       TEXT    NOT NULL,
	name        TEXT    NOT NULL,
	title       TEXT    NOT NULL,
	author      TEXT    NOT NULL,
	added_by    TEXT    NOT NULL, -- the operation, and its line or request; or ''
	create_time INTEGER NOT NULL,
	PRIMARY KEY (shelf, name)
) WITHOUT ROWID;`
