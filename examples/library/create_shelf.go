package main

import (
	"context"
	"fmt"
	"path"

	"github.com/longrun-dev/longrun"
	pb "github.com/longrun-dev/longrun/examples/library/librarypb"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/sqlite"
)

// beginCreateShelf runs in the call that starts the operation. What is wrong with the
// request is that call's error, and then there is no operation. The shelf is written in
// the commit that stores the operation: whoever has the name of the one can see the
// other. With validate_only all of this happens too, and nothing of it is kept.
func (l *library) beginCreateShelf(_ context.Context, req *pb.CreateShelfRequest, d *longrun.Draft) error {
	if err := checkID("shelf_id", req.GetShelfId()); err != nil {
		return err
	}
	if err := checkText("shelf.theme", req.GetShelf().GetTheme()); err != nil {
		return err
	}
	name := shelfName(req.GetShelfId())
	d.Target, d.Verb, d.APIVersion = name, "create", "v1"
	sqlite.Write(d, func(_ context.Context, tx *sqlite.Tx) error {
		return insertShelf(tx.Conn(), name, req.GetShelf().GetTheme(), d.Name().String())
	})
	return nil
}

// createShelf does the work, and may do it again after a crash: the same label takes the
// place of the same label, and a shelf that is ACTIVE stays so. When it returns, there is
// nothing left to do.
func (l *library) createShelf(ctx context.Context, req *pb.CreateShelfRequest, run *longrun.Run[*longrunpb.OperationMetadata]) (*pb.Shelf, error) {
	if err := l.pause(ctx); err != nil {
		return nil, err
	}
	name := shelfName(req.GetShelfId())
	if err := l.writeLabel(name, req.GetShelf().GetTheme()); err != nil {
		return nil, err
	}
	var row *shelfRow
	err := l.store.Tx(ctx, func(tx *sqlite.Tx) (err error) {
		if err := moveShelf(tx.Conn(), name, run.Name().String(), pb.Shelf_ACTIVE); err != nil {
			return err
		}
		row, err = findShelf(tx.Conn(), name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return row.Shelf, nil
}

// labelOf returns the object that has the label of a shelf.
func labelOf(shelf string) string { return "labels/" + path.Base(shelf) + ".txt" }

// writeLabel writes the label of a shelf as a whole.
func (l *library) writeLabel(shelf, theme string) error {
	label := labelOf(shelf)
	if err := l.bucket.MkdirAll(path.Dir(label), 0o777); err != nil {
		return err
	}
	if err := l.bucket.WriteFile(label+".new", fmt.Appendf(nil, "%s\n%s\n", shelf, theme), 0o666); err != nil {
		return err
	}
	return l.bucket.Rename(label+".new", label)
}
