package main

import (
	"context"
	"errors"
	"io/fs"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/emptypb"
	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/longrun-dev/longrun"
	pb "github.com/longrun-dev/longrun/examples/library/librarypb"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/sqlite"
)

// beginDeleteShelf marks the shelf in the commit that stores the operation. That another
// operation is at work on it is found out before, by the conflict key.
func (l *library) beginDeleteShelf(ctx context.Context, req *pb.DeleteShelfRequest, d *longrun.Draft) error {
	if err := checkShelf("name", req.GetName()); err != nil {
		return err
	}
	if _, err := l.shelf(ctx, req.GetName()); err != nil { // settled, so that its etag is what callers see
		return err
	}
	d.Target, d.Verb, d.APIVersion = req.GetName(), "delete", "v1"
	sqlite.Write(d, func(_ context.Context, tx *sqlite.Tx) error {
		return markDeleted(tx.Conn(), req, d.Name().String())
	})
	return nil
}

// markDeleted makes the shelf DELETING, unless it must not be deleted.
func markDeleted(c *zombiezen.Conn, req *pb.DeleteShelfRequest, operation string) error {
	shelf, err := findShelf(c, req.GetName())
	if err != nil {
		return err
	}
	if req.GetEtag() != "" && req.GetEtag() != shelf.GetEtag() {
		return fault(codes.Aborted, "ETAG_MISMATCH", req.GetName(), "the shelf %q has changed: its etag is another one", req.GetName())
	}
	books, err := selectBooks(c, "shelf = ? LIMIT 1", req.GetName())
	if err != nil {
		return err
	}
	if len(books) > 0 && !req.GetForce() {
		return fault(codes.FailedPrecondition, "SHELF_NOT_EMPTY", req.GetName(), "the shelf %q has books: delete them, or use force", req.GetName())
	}
	otherwise := shelf.State
	if otherwise == pb.Shelf_CREATING || otherwise == pb.Shelf_DELETING { // and nobody knows what became of that
		otherwise = shelf.otherwise
	}
	return sqlitex.Execute(c, `UPDATE shelf SET state = ?, operation = ?, otherwise = ?, revision = revision + 1 WHERE name = ?`,
		&sqlitex.ExecOptions{Args: []any{int(pb.Shelf_DELETING), operation, int(otherwise), req.GetName()}})
}

// deleteShelf deletes the books bit by bit, so that nobody else has to wait long to write,
// then the shelf and its label. What is gone already does no harm.
func (l *library) deleteShelf(ctx context.Context, req *pb.DeleteShelfRequest, run *longrun.Run[*longrunpb.OperationMetadata]) (*emptypb.Empty, error) {
	var deleted int64
	for more := true; more; {
		if err := l.pause(ctx); err != nil {
			return nil, err
		}
		err := l.store.Tx(ctx, func(tx *sqlite.Tx) error {
			n, err := deleteSome(tx.Conn(), req.GetName())
			deleted, more = deleted+int64(n), n > 0
			return err
		})
		if err != nil {
			return nil, err
		}
		run.Update(func(m *longrunpb.OperationMetadata) {
			m.Progress = &longrunpb.Progress{Phase: "books", CompletedUnits: deleted}
		})
	}
	err := l.store.Tx(ctx, func(tx *sqlite.Tx) error {
		return sqlitex.Execute(tx.Conn(), `DELETE FROM shelf WHERE name = ? AND operation = ?`,
			&sqlitex.ExecOptions{Args: []any{req.GetName(), run.Name().String()}})
	})
	if err != nil {
		return nil, err
	}
	// Nobody else's label: this operation has the conflict key until it is done.
	if err := l.bucket.Remove(labelOf(req.GetName())); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

// deleteSome deletes some books of a shelf and says how many.
func deleteSome(c *zombiezen.Conn, shelf string) (int, error) {
	err := sqlitex.Execute(c, `DELETE FROM book WHERE shelf = ?1 AND name IN (SELECT name FROM book WHERE shelf = ?1 LIMIT 500)`,
		&sqlitex.ExecOptions{Args: []any{shelf}})
	return c.Changes(), err
}
