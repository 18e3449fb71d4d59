package longrun_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/testpb"
)

var (
	createBooks = longrun.Method[*testpb.BatchCreateBooksRequest, *testpb.BatchCreateBooksResponse, *testpb.BatchMetadata]{Name: word}
	deleteBooks = longrun.Method[*testpb.BatchDeleteBooksRequest, *emptypb.Empty, *testpb.BatchMetadata]{Name: word}
)

type batchRun = longrun.Run[*testpb.BatchMetadata]

// books is a batch of n requests.
func books(n int) *testpb.BatchCreateBooksRequest {
	req := &testpb.BatchCreateBooksRequest{}
	for i := range n {
		req.Requests = append(req.Requests, &testpb.CreateBookRequest{Parent: "shelves/s", Book: &testpb.Book{Title: fmt.Sprint("book ", i)}})
	}
	return req
}

// doOnce starts an operation of m and runs it once, as a runner does.
func doOnce[Req, Resp, Meta proto.Message](t *testing.T, sys *system, m longrun.Method[Req, Resp, Meta], req Req) (*longrun.Operation, longrun.Result) {
	t.Helper()
	if _, err := longrun.Start(t.Context(), sys.svc, m, req, longrun.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	op := sys.claim(t, sys.session(t, longrun.SessionOptions{}), 1)[0]
	task, err := sys.work.Task(op, longrun.TaskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r := task.Run(t.Context())
	return sys.finish(t, op, r), r
}

// failedOf returns what callers see in failed_requests.
func failedOf(t *testing.T, sys *system, op *longrun.Operation) *testpb.BatchMetadata {
	t.Helper()
	m := &testpb.BatchMetadata{}
	if err := sys.svc.Proto(op).Metadata.UnmarshalTo(m); err != nil {
		t.Fatal(err)
	}
	return m
}

// createAllBut handles createBooks: all books are created, but for those.
func createAllBut(sys *system, fail ...int) {
	longrun.Handle(sys.svc, createBooks, func(_ context.Context, req *testpb.BatchCreateBooksRequest, run *batchRun) (*testpb.BatchCreateBooksResponse, error) {
		resp := &testpb.BatchCreateBooksResponse{}
		for i, r := range req.Requests {
			if slices.Contains(fail, i) {
				if !run.FailRequest(i, status.Newf(codes.AlreadyExists, "book %d exists", i)) {
					return nil, fmt.Errorf("FailRequest(%d) = false", i)
				}
				continue
			}
			resp.Books = append(resp.Books, r.Book)
		}
		run.Update(func(m *testpb.BatchMetadata) { m.Done = int32(len(resp.Books)) })
		return resp, nil
	})
}

// BAT-02: failed_requests has, by the index in requests, what the single call would
// have returned. BAT-04: the operation is done, with a response of what succeeded.
func TestFailRequest_SomeFailed(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	createAllBut(sys, 0, 2)
	op, _ := doOnce(t, sys, createBooks, books(3))
	resp, err := createBooks.Response(op)
	if err != nil || len(resp.Books) != 1 || resp.Books[0].Title != "book 1" {
		t.Errorf("response = %v, %v; want the book that was created", resp, err)
	}
	md := failedOf(t, sys, op)
	if len(md.FailedRequests) != 2 || md.Done != 1 {
		t.Fatalf("metadata = %v, want entries 0 and 2 and what else was said", md)
	}
	if got := md.FailedRequests[2]; got.GetCode() != int32(codes.AlreadyExists) || got.GetMessage() != "book 2 exists" {
		t.Errorf("failed_requests[2] = %v", got)
	}
}

// BAT-03: when all have failed the operation ends ABORTED, with a message that points
// to failed_requests.
func TestFailRequest_AllFailed(t *testing.T) {
	t.Parallel()
	for _, retried := range []codes.Code{codes.DataLoss, codes.Aborted} {
		sys := newSystem(t, longrun.Options{})
		createBooks := createBooks
		createBooks.RetryOn = []codes.Code{retried} // which is for errors of the run
		createAllBut(sys, 0, 1, 2)
		longrun.Declare(sys.svc, createBooks)
		op, _ := doOnce(t, sys, createBooks, books(3))
		if op.State != longrun.Failed || op.Error.Code != int32(codes.Aborted) || reasonOf(op) != longrun.ReasonOperationFailed {
			t.Errorf("operation = %v %v, want ABORTED", op.State, op.Error)
		}
		if msg := op.Error.GetMessage(); !strings.Contains(msg, "none of the requests succeeded") || !strings.Contains(msg, "BatchMetadata.failed_requests") {
			t.Errorf("message = %q", msg)
		}
		if md := failedOf(t, sys, op); len(md.FailedRequests) != 3 {
			t.Errorf("metadata = %v, want all three", md)
		}
	}
}

// BAT-03 for the batches that have names in place of requests, in whatever order they
// failed.
func TestFailRequest_Names(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	longrun.Handle(sys.svc, deleteBooks, func(_ context.Context, _ *testpb.BatchDeleteBooksRequest, run *batchRun) (*emptypb.Empty, error) {
		run.FailRequest(1, status.New(codes.NotFound, "none"))
		run.FailRequest(0, status.New(codes.NotFound, "none"))
		return nil, nil
	})
	op, _ := doOnce(t, sys, deleteBooks, &testpb.BatchDeleteBooksRequest{Names: []string{"books/a", "books/b"}})
	if op.State != longrun.Failed || op.Error.Code != int32(codes.Aborted) || len(failedOf(t, sys, op).FailedRequests) != 2 {
		t.Errorf("operation = %v %v, want ABORTED", op.State, op.Error)
	}
}

// BAT-04: a batch of nothing has not failed.
func TestFailRequest_NothingToFail(t *testing.T) {
	t.Parallel()
	sys := intercepted(t, func(ctx context.Context, _ proto.Message, run longrun.AnyRun, next longrun.Handler) (proto.Message, error) {
		return next(ctx, books(0), run) // none is left
	})
	createAllBut(sys)
	if op, _ := doOnce(t, sys, createBooks, books(1)); op.State != longrun.Succeeded {
		t.Errorf("operation = %v %v, want a success", op.State, op.Error)
	}
}

// An error of the run is the operation's, whatever else has failed.
func TestFailRequest_OtherEnds(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	longrun.Handle(sys.svc, createBooks, func(_ context.Context, _ *testpb.BatchCreateBooksRequest, run *batchRun) (*testpb.BatchCreateBooksResponse, error) {
		run.FailRequest(0, status.New(codes.NotFound, "none"))
		return nil, status.Error(codes.PermissionDenied, "not your shelf")
	})
	op, _ := doOnce(t, sys, createBooks, books(1))
	if op.Error.GetCode() != int32(codes.PermissionDenied) {
		t.Errorf("error = %v, want what the handler has returned", op.Error)
	}
	none := longrun.Method[*wrapperspb.StringValue, *emptypb.Empty, *testpb.BatchMetadata]{Name: word}
	other := newSystem(t, longrun.Options{})
	longrun.Handle(other.svc, none, func(_ context.Context, _ *wrapperspb.StringValue, run *batchRun) (*emptypb.Empty, error) {
		if !run.FailRequest(7, status.New(codes.NotFound, "none")) {
			return nil, errors.New("a request that is no batch has no entries to count")
		}
		return nil, nil
	})
	if op, _ := doOnce(t, other, none, wrapperspb.String("x")); op.State != longrun.Succeeded || len(failedOf(t, other, op).FailedRequests) != 1 {
		t.Errorf("operation = %v %v", op.State, op.Error)
	}
}

// Where there is no place for it, and where there is no such entry, FailRequest says
// so; what was noted can be taken back.
func TestFailRequest_Reports(t *testing.T) {
	t.Parallel()
	gone := status.New(codes.NotFound, "none")
	sys := newSystem(t, longrun.Options{})
	longrun.Handle(sys.svc, createBooks, func(_ context.Context, _ *testpb.BatchCreateBooksRequest, run *batchRun) (*testpb.BatchCreateBooksResponse, error) {
		for _, i := range []int{-1, 2, math.MaxInt32 + 1} {
			if run.FailRequest(i, gone) {
				t.Errorf("FailRequest(%d) = true of 2 entries", i)
			}
		}
		run.FailRequest(0, gone)
		run.FailRequest(1, gone)
		run.FailRequest(0, status.New(codes.OK, ""))
		run.FailRequest(1, nil)
		run.FailRequest(0, status.New(codes.DataLoss, "torn"))
		return nil, nil
	})
	op, _ := doOnce(t, sys, createBooks, books(2))
	if md := failedOf(t, sys, op); len(md.FailedRequests) != 1 || md.FailedRequests[0].Code != int32(codes.DataLoss) || op.State != longrun.Succeeded {
		t.Errorf("operation = %v with %v", op.State, md)
	}

	plain := newSystem(t, longrun.Options{})
	plain.handle(func(_ context.Context, r *run) (*wrapperspb.Int64Value, error) {
		if r.FailRequest(0, gone) {
			t.Error("FailRequest = true, and there is no place for it")
		}
		return nil, nil
	})
	if _, r := plain.do(t, longrun.StartOptions{}, longrun.TaskOptions{}); r.Metadata != nil || r.Err != nil {
		t.Errorf("result = %+v, want nothing written", r)
	}
}

// BAT-02: counting does not forget what has failed. Whoever says it all says this too.
func TestFailRequest_Progress(t *testing.T) {
	t.Parallel()
	gone := status.New(codes.NotFound, "none")
	sys := newSystem(t, longrun.Options{})
	longrun.Handle(sys.svc, createBooks, func(_ context.Context, _ *testpb.BatchCreateBooksRequest, run *batchRun) (*testpb.BatchCreateBooksResponse, error) {
		run.FailRequest(0, gone)
		run.Progress(&testpb.BatchMetadata{Done: 1})
		if md := run.Metadata(); len(md.FailedRequests) != 1 || md.Done != 1 {
			t.Errorf("metadata = %v, want both", md)
		}
		run.FailRequest(1, gone)
		run.Progress(nil)
		if md := run.Metadata(); len(md.FailedRequests) != 2 || md.Done != 0 {
			t.Errorf("metadata = %v, want what was noted", md)
		}
		run.Progress(&testpb.BatchMetadata{FailedRequests: map[int32]*statuspb.Status{2: gone.Proto()}})
		return nil, nil
	})
	op, _ := doOnce(t, sys, createBooks, books(3))
	if md := failedOf(t, sys, op); op.State != longrun.Succeeded || len(md.FailedRequests) != 1 || md.FailedRequests[2] == nil {
		t.Errorf("operation = %v with %v, want what was said last", op.State, md)
	}
}

// BAT-02: what an earlier run has noted is tried again, so it has not failed; also where
// the later run notes nothing.
func TestFailRequest_LaterRun(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	longrun.Handle(sys.svc, createBooks, func(_ context.Context, req *testpb.BatchCreateBooksRequest, run *batchRun) (*testpb.BatchCreateBooksResponse, error) {
		switch failed := len(run.Metadata().FailedRequests); {
		case failed > 0:
			t.Errorf("attempt %d begins with %d that have failed, want none", run.Attempt(), failed)
		case run.Attempt() == 1:
			run.FailRequest(0, status.New(codes.NotFound, "none"))
			run.FailRequest(1, status.New(codes.NotFound, "none"))
			return nil, longrun.RetryAfter(0, nil)
		}
		return &testpb.BatchCreateBooksResponse{Books: []*testpb.Book{req.Requests[1].Book}}, nil
	})
	op, _ := doOnce(t, sys, createBooks, books(2))
	if md := failedOf(t, sys, op); len(md.FailedRequests) != 2 {
		t.Errorf("metadata between the runs = %v, want what the first has noted", md)
	}
	op = sys.claim(t, op.Claim.Session, 1)[0]
	task, err := sys.work.Task(op, longrun.TaskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	op = sys.finish(t, op, task.Run(t.Context()))
	if md := failedOf(t, sys, op); op.State != longrun.Succeeded || len(md.FailedRequests) != 0 {
		t.Errorf("operation = %v with %v, want a success of all", op.State, md)
	}
}

// BAT-02, BAT-03: of a large batch all entries are named, if not all with their reasons.
func TestFailRequest_Large(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	long := status.New(codes.AlreadyExists, strings.Repeat("x", 1000))
	longrun.Handle(sys.svc, createBooks, func(_ context.Context, req *testpb.BatchCreateBooksRequest, run *batchRun) (*testpb.BatchCreateBooksResponse, error) {
		for i := range req.Requests {
			if !run.FailRequest(i, long) {
				t.Errorf("FailRequest(%d) = false", i)
			}
		}
		return nil, nil
	})
	op, _ := doOnce(t, sys, createBooks, books(1000))
	md := failedOf(t, sys, op)
	if op.Error.GetCode() != int32(codes.Aborted) || len(md.FailedRequests) != 1000 {
		t.Fatalf("operation = %v %v with %d entries, want ABORTED with all", op.State, op.Error, len(md.FailedRequests))
	}
	if first, last := md.FailedRequests[0], md.FailedRequests[999]; !proto.Equal(first, long.Proto()) || last.Code != int32(codes.AlreadyExists) || last.Message != "" {
		t.Errorf("the first is %v, the last %v; want the first whole", first, last)
	}
}

// Parallel shards note what failed.
func TestFailRequest_Concurrent(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	longrun.Handle(sys.svc, createBooks, func(_ context.Context, req *testpb.BatchCreateBooksRequest, run *batchRun) (*testpb.BatchCreateBooksResponse, error) {
		var all sync.WaitGroup
		for i := range req.Requests {
			all.Go(func() { run.FailRequest(i, status.New(codes.NotFound, "none")) })
		}
		all.Wait()
		return nil, nil
	})
	if op, _ := doOnce(t, sys, createBooks, books(50)); op.Error.GetCode() != int32(codes.Aborted) {
		t.Errorf("operation = %v %v, want ABORTED", op.State, op.Error)
	}
}
