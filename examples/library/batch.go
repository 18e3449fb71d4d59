package main

import (
	"context"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/emptypb"
	zombiezen "zombiezen.com/go/sqlite"

	"github.com/longrun-dev/longrun"
	pb "github.com/longrun-dev/longrun/examples/library/librarypb"
	"github.com/longrun-dev/longrun/sqlite"
)

// maxBatch is how many books a batch may have. If all of them fail, the metadata with
// their errors is not too large to be kept.
const maxBatch = 200

// beginBatch checks what the batches have in common.
func (l *library) beginBatch(ctx context.Context, parent, verb, field string, n int, d *longrun.Draft) error {
	if err := checkShelf("parent", parent); err != nil {
		return err
	}
	if _, err := l.shelf(ctx, parent); err != nil { // settled
		return err
	}
	if n > maxBatch {
		return invalid(field, "must be at most %d", maxBatch)
	}
	d.Target, d.Verb, d.APIVersion, d.Metadata = parent, verb, "v1", &pb.BatchBooksOperationMetadata{}
	sqlite.Write(d, func(_ context.Context, tx *sqlite.Tx) error { return usableShelf(tx.Conn(), parent) })
	return nil
}

// beginBatchCreateBooks refuses a batch of which all or nothing is to be done when it is
// clear already that one of its books cannot be added.
func (l *library) beginBatchCreateBooks(ctx context.Context, req *pb.BatchCreateBooksRequest, d *longrun.Draft) error {
	if err := l.beginBatch(ctx, req.GetParent(), "create", "requests", len(req.GetRequests()), d); err != nil {
		return err
	}
	for i, r := range req.GetRequests() {
		if err := checkNewBook(req.GetParent(), r); err != nil && !req.GetReturnPartialSuccess() {
			return inBatch(i, err)
		}
	}
	return nil
}

// batchCreateBooks adds the books in one transaction. In a batch that may succeed in part,
// what a single call would have answered goes to the metadata's failed_requests; when that
// is so for all, the operation ends ABORTED by itself.
func (l *library) batchCreateBooks(ctx context.Context, req *pb.BatchCreateBooksRequest, run *longrun.Run[*pb.BatchBooksOperationMetadata]) (*pb.BatchCreateBooksResponse, error) {
	if err := l.pause(ctx); err != nil {
		return nil, err
	}
	resp := &pb.BatchCreateBooksResponse{}
	err := l.store.Tx(ctx, func(tx *sqlite.Tx) error {
		for i, r := range req.GetRequests() {
			book, err := addBook(tx.Conn(), req.GetParent(), r, fmt.Sprintf("%s#%d", run.Name(), i))
			switch {
			case err == nil:
				resp.Books = append(resp.Books, book)
			case req.GetReturnPartialSuccess() && isFault(err):
				run.FailRequest(i, status.Convert(err))
			default:
				return inBatch(i, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func (l *library) beginBatchDeleteBooks(ctx context.Context, req *pb.BatchDeleteBooksRequest, d *longrun.Draft) error {
	for i, name := range req.GetNames() {
		field := fmt.Sprintf("names[%d]", i)
		if err := checkBook(field, name); err != nil {
			return err
		}
		if shelfOf(name) != req.GetParent() {
			return invalid(field, "must be on the shelf that is the parent")
		}
	}
	return l.beginBatch(ctx, req.GetParent(), "delete", "names", len(req.GetNames()), d)
}

// batchDeleteBooks deletes the books that are there. A book that an earlier run has deleted
// must not look like one that never was: so a step remembers which are missing before the
// first is deleted. Deleting twice does no harm, and is no step.
func (l *library) batchDeleteBooks(ctx context.Context, req *pb.BatchDeleteBooksRequest, run *longrun.Run[*pb.BatchBooksOperationMetadata]) (*emptypb.Empty, error) {
	looked, err := longrun.StepResult(ctx, run, "look", func(ctx context.Context) (*pb.BatchBooksOperationMetadata, error) {
		return l.missing(ctx, req.GetNames())
	})
	if err != nil {
		return nil, err
	}
	for i, st := range looked.GetFailedRequests() {
		run.FailRequest(int(i), status.FromProto(st))
	}
	err = l.store.Tx(ctx, func(tx *sqlite.Tx) error {
		for i, name := range req.GetNames() {
			if looked.GetFailedRequests()[int32(i)] != nil {
				continue
			}
			if err := deleteBook(tx.Conn(), name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := l.pause(ctx); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

// missing returns what DeleteBook would answer for the books that are not there.
func (l *library) missing(ctx context.Context, names []string) (*pb.BatchBooksOperationMetadata, error) {
	looked := &pb.BatchBooksOperationMetadata{FailedRequests: map[int32]*statuspb.Status{}}
	err := l.store.View(ctx, func(c *zombiezen.Conn) error {
		for i, name := range names {
			_, err := findBook(c, name)
			if err != nil && !isFault(err) {
				return err
			}
			if err != nil {
				looked.FailedRequests[int32(i)] = status.Convert(err).Proto()
			}
		}
		return nil
	})
	return looked, err
}

// inBatch says which request of a batch an error is about, and makes the fields that it names
// those of the batch.
func inBatch(i int, err error) error {
	if !isFault(err) {
		return err
	}
	st, at := status.Convert(err), fmt.Sprintf("requests[%d]", i)
	var details []protoadapt.MessageV1
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if field, ok := d.GetMetadata()["field"]; ok {
				d.Metadata["field"] = at + "." + field
			}
			details = append(details, d)
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				v.Field = at + "." + v.GetField()
			}
			details = append(details, d)
		}
	}
	with, err := status.New(st.Code(), at+": "+st.Message()).WithDetails(details...)
	if err != nil {
		return err
	}
	return with.Err()
}
