package longrun_test

import (
	"context"
	"fmt"
	"log"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/testpb"
)

// BatchCreate is a batch with partial success, as AIP-233 has it: its metadata has a
// map<int32, google.rpc.Status> failed_requests.
var BatchCreate = longrun.Method[*testpb.BatchCreateBooksRequest, *testpb.BatchCreateBooksResponse, *testpb.BatchMetadata]{
	Name: Count.Name,
}

// Some of a batch fails: the operation succeeds with the rest. When all of it fails,
// the operation ends ABORTED.
func ExampleRun_FailRequest() {
	svc, end := newService()
	defer end()
	longrun.Handle(svc, BatchCreate, func(_ context.Context, req *testpb.BatchCreateBooksRequest, run *longrun.Run[*testpb.BatchMetadata]) (*testpb.BatchCreateBooksResponse, error) {
		resp := &testpb.BatchCreateBooksResponse{}
		for i, r := range req.Requests {
			if r.Book.Title == "Emma" {
				run.FailRequest(i, status.New(codes.AlreadyExists, "there is an Emma"))
				continue
			}
			resp.Books = append(resp.Books, r.Book)
		}
		return resp, nil
	})
	for _, titles := range [][]string{{"Dune", "Emma"}, {"Emma"}} {
		req := &testpb.BatchCreateBooksRequest{}
		for _, title := range titles {
			req.Requests = append(req.Requests, &testpb.CreateBookRequest{Parent: "shelves/s", Book: &testpb.Book{Title: title}})
		}
		ctx := context.Background()
		op, err := longrun.Start(ctx, svc, BatchCreate, req, longrun.StartOptions{})
		if err != nil {
			log.Fatal(err)
		}
		work(svc)
		if op, err = svc.Get(ctx, op.Name()); err != nil {
			log.Fatal(err)
		}
		md, err := BatchCreate.Metadata(op)
		if err != nil {
			log.Fatal(err)
		}
		resp, err := BatchCreate.Response(op)
		fmt.Println(len(resp.GetBooks()), "created;", len(md.FailedRequests), "failed;", err)
	}
	// Output:
	// 1 created; 1 failed; <nil>
	// 0 created; 1 failed; rpc error: code = Aborted desc = none of the requests succeeded: BatchMetadata.failed_requests has the error of each
}
