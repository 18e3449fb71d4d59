package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"
	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/longrun-dev/longrun"
	pb "github.com/longrun-dev/longrun/examples/library/librarypb"
	"github.com/longrun-dev/longrun/sqlite"
)

// GetShelf returns a shelf, also one that is being created or deleted.
func (l *library) GetShelf(ctx context.Context, req *pb.GetShelfRequest) (*pb.Shelf, error) {
	if err := checkShelf("name", req.GetName()); err != nil {
		return nil, err
	}
	return l.shelf(ctx, req.GetName())
}

// ListShelves returns a page of the shelves.
func (l *library) ListShelves(ctx context.Context, req *pb.ListShelvesRequest) (*pb.ListShelvesResponse, error) {
	size, err := pageSize(req.GetPageSize())
	if err != nil {
		return nil, err
	}
	after, err := readToken("shelves", req.GetPageToken())
	if err != nil {
		return nil, err
	}
	var rows []*shelfRow
	err = l.store.View(ctx, func(c *zombiezen.Conn) (err error) {
		rows, err = selectShelves(c, "name > ? ORDER BY name LIMIT ?", after, size+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	resp := &pb.ListShelvesResponse{}
	if len(rows) > size {
		rows = rows[:size]
		resp.NextPageToken = nextToken("shelves", rows[size-1].GetName())
	}
	for _, row := range rows {
		shelf, err := l.settled(ctx, row)
		if err != nil {
			return nil, err
		}
		resp.Shelves = append(resp.Shelves, shelf)
	}
	return resp, nil
}

// shelf returns the shelf of this name, or NOT_FOUND.
func (l *library) shelf(ctx context.Context, name string) (*pb.Shelf, error) {
	var row *shelfRow
	err := l.store.View(ctx, func(c *zombiezen.Conn) (err error) {
		row, err = findShelf(c, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return l.settled(ctx, row)
}

// settled returns the shelf, which an operation may have left between two states: one
// that is cancelled before it runs never gets to its handler. So whoever looks at a shelf
// that is on its way looks at the operation too, and puts the shelf where that has left it.
func (l *library) settled(ctx context.Context, row *shelfRow) (*pb.Shelf, error) {
	if row.State == pb.Shelf_ACTIVE || row.State == pb.Shelf_FAILED {
		return row.Shelf, nil
	}
	name, err := longrun.ParseName(row.operation)
	if err != nil {
		return nil, err
	}
	op, err := l.svc.Get(ctx, name)
	switch {
	case longrun.CodeOf(err) == codes.NotFound: // deleted, which does not stop its work
		return row.Shelf, nil
	case err != nil:
		return nil, err
	case op.State != longrun.Failed && op.State != longrun.Cancelled:
		return row.Shelf, nil
	}
	err = l.store.Tx(ctx, func(tx *sqlite.Tx) error {
		if err := moveShelf(tx.Conn(), row.Name, row.operation, row.otherwise); err != nil {
			return err
		}
		row, err = findShelf(tx.Conn(), row.Name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return row.Shelf, nil
}

// A shelfRow is a shelf as it is in the table.
type shelfRow struct {
	*pb.Shelf
	operation string
	otherwise pb.Shelf_State
}

// selectShelves returns the rows for which the rest of a SELECT, from its condition on,
// holds.
func selectShelves(c *zombiezen.Conn, condition string, args ...any) (rows []*shelfRow, err error) {
	err = sqlitex.Execute(c, `SELECT name, theme, state, operation, otherwise, create_time, revision FROM shelf WHERE `+condition,
		&sqlitex.ExecOptions{Args: args, ResultFunc: func(row *zombiezen.Stmt) error {
			s := &pb.Shelf{
				Name: row.ColumnText(0), Theme: row.ColumnText(1), State: pb.Shelf_State(row.ColumnInt(2)),
				CreateTime: timestamppb.New(time.UnixMicro(row.ColumnInt64(5))),
				Etag:       fmt.Sprintf(`"%x-%x"`, row.ColumnInt64(5), row.ColumnInt64(6)),
			}
			if s.State == pb.Shelf_ACTIVE {
				s.Label = labelOf(s.Name)
			}
			rows = append(rows, &shelfRow{s, row.ColumnText(3), pb.Shelf_State(row.ColumnInt(4))})
			return nil
		}})
	return rows, err
}

// findShelf returns the row of a shelf, or NOT_FOUND.
func findShelf(c *zombiezen.Conn, name string) (*shelfRow, error) {
	rows, err := selectShelves(c, "name = ?", name)
	if err == nil && len(rows) == 0 {
		err = fault(codes.NotFound, "SHELF_NOT_FOUND", name, "there is no shelf %q", name)
	}
	if err != nil {
		return nil, err
	}
	return rows[0], nil
}

// usableShelf returns an error unless the shelf is there and ACTIVE.
func usableShelf(c *zombiezen.Conn, name string) error {
	shelf, err := findShelf(c, name)
	if err == nil && shelf.State != pb.Shelf_ACTIVE {
		err = fault(codes.FailedPrecondition, "SHELF_NOT_ACTIVE", name, "the shelf %q is %v", name, shelf.State)
	}
	return err
}

// insertShelf adds a shelf that is being created by an operation.
func insertShelf(c *zombiezen.Conn, name, theme, operation string) error {
	err := sqlitex.Execute(c, `INSERT INTO shelf (name, theme, state, operation, otherwise, create_time, revision) VALUES (?, ?, ?, ?, ?, ?, 1) ON CONFLICT DO NOTHING`,
		&sqlitex.ExecOptions{Args: []any{name, theme, int(pb.Shelf_CREATING), operation, int(pb.Shelf_FAILED), time.Now().UnixMicro()}})
	if err == nil && c.Changes() == 0 {
		err = fault(codes.AlreadyExists, "SHELF_EXISTS", name, "there is a shelf %q already", name)
	}
	return err
}

// moveShelf moves a shelf that an operation works on to another state, unless it is there
// already or another operation has taken it over: a run may do again what an earlier one
// has done.
func moveShelf(c *zombiezen.Conn, name, operation string, to pb.Shelf_State) error {
	return sqlitex.Execute(c, `UPDATE shelf SET state = ?1, revision = revision + 1 WHERE name = ?2 AND operation = ?3 AND state <> ?1`,
		&sqlitex.ExecOptions{Args: []any{int(to), name, operation}})
}
