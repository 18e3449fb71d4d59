package clienttest

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/longrunning"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// expect checks an error as Google's client shows it (ERR-02, ERR-23).
func expect(t *testing.T, err error, code codes.Code, reason string) *apierror.APIError {
	t.Helper()
	e, ok := apierror.FromError(err)
	if !ok {
		t.Fatalf("error = %v, want an APIError", err)
	}
	if got := e.GRPCStatus().Code(); got != code {
		t.Errorf("code = %v, want %v: %v", got, code, e)
	}
	if e.Reason() != reason || e.Domain() != domain {
		t.Errorf("reason = %q of %q, want %q of %q", e.Reason(), e.Domain(), reason, domain)
	}
	return e
}

// OP-03, OP-17: Wait polls until the operation is done and unpacks its response.
// OP-15: with metadata.
func TestOperation_Wait(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	op := s.follow(t, s.dial(t), "succeed")
	var resp longrunpb.CommandResponse
	if err := op.Wait(bounded(t), &resp); err != nil {
		t.Fatal(err)
	}
	if got, want := string(resp.GetOutputTail()), "done by succeed"; got != want || !op.Done() {
		t.Errorf("response = %q, done = %v; want %q, true", got, op.Done(), want)
	}
	var m longrunpb.OperationMetadata
	if err := op.Metadata(&m); err != nil {
		t.Fatal(err)
	}
	if m.GetStatusMessage() != "at work" || m.GetEndTime() == nil || m.GetState() != longrunpb.OperationMetadata_SUCCEEDED {
		t.Errorf("metadata = %v, want it of the end", &m)
	}
}

// GET-01, OP-02: Poll of a running operation is no error and not done.
func TestOperation_Poll(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	op := s.follow(t, s.dial(t), "wait")
	ctx := bounded(t)
	var resp longrunpb.CommandResponse
	for range 3 {
		if err := op.Poll(ctx, &resp); err != nil || op.Done() {
			t.Fatalf("Poll = %v, done = %v; want nil, false", err, op.Done())
		}
	}
	s.open()
	if err := op.Wait(ctx, &resp); err != nil || string(resp.GetOutputTail()) != "done by wait" {
		t.Errorf("Wait = %v, %q; want the response", err, resp.GetOutputTail())
	}
}

// OP-11: the operation's error is whole: code, message, reason, metadata and every
// detail.
func TestOperation_Error(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	op := s.follow(t, s.dial(t), "fail")
	e := expect(t, op.Wait(bounded(t), nil), codes.FailedPrecondition, "SHELF_FULL")
	if got := e.Metadata()["shelf"]; got != "7" {
		t.Errorf(`metadata["shelf"] = %q, want "7"`, got)
	}
	if v := e.Details().PreconditionFailure.GetViolations(); len(v) != 1 || v[0].GetSubject() != "shelves/7" {
		t.Errorf("precondition violations = %v, want shelves/7", v)
	}
	if got := e.GRPCStatus().Message(); got != "the shelf is full" {
		t.Errorf("message = %q, want the handler's", got)
	}
}

// CAN-01, CAN-03: Cancel, and Wait shows code 1.
func TestOperation_Cancel(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	op := s.follow(t, s.dial(t), "wait")
	ctx := bounded(t)
	for range 2 {
		if err := op.Cancel(ctx); err != nil {
			t.Fatalf("Cancel: %v", err)
		}
	}
	expect(t, op.Wait(ctx, nil), codes.Canceled, longrun.ReasonOperationCancelled)
	if err := op.Cancel(ctx); err != nil { // CAN-06
		t.Errorf("Cancel of a done operation: %v", err)
	}
}

// DEL-01, DEL-04: Delete, and the next call is NOT_FOUND with its reason.
func TestOperation_Delete(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	op := s.follow(t, s.dial(t), "wait")
	ctx := bounded(t)
	if err := op.Delete(ctx); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	expect(t, op.Poll(ctx, nil), codes.NotFound, longrun.ReasonOperationNotFound)
	expect(t, op.Delete(ctx), codes.NotFound, longrun.ReasonOperationNotFound)
}

// NM-09, ERR-09: Get of an unknown name is NOT_FOUND with its reason and the name.
func TestClient_Unknown(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	client := s.dial(t)
	name := longrun.Name{Parent: parent, ID: longrun.NewID()}.String()
	_, err := client.GetOperation(bounded(t), &longrunningpb.GetOperationRequest{Name: name})
	e := expect(t, err, codes.NotFound, longrun.ReasonOperationNotFound)
	if got := e.Details().ResourceInfo.GetResourceName(); got != name {
		t.Errorf("resource name = %q, want %q", got, name)
	}
	_, err = client.GetOperation(bounded(t), &longrunningpb.GetOperationRequest{Name: "nothing"})
	e = expect(t, err, codes.InvalidArgument, longrun.ReasonInvalidOperationName)
	if v := e.Details().BadRequest.GetFieldViolations(); len(v) != 1 || v[0].GetField() != "name" {
		t.Errorf("violations = %v, want name", v)
	}
}

// PAG-05, PAG-06: the iterator walks three pages and stops.
func TestClient_ListPages(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var pages atomic.Int32
	client := s.dial(t, grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		pages.Add(1)
		return invoke(ctx, method, req, reply, conn, opts...)
	}))
	var started []string
	for range 7 {
		started = append(started, s.begin(t, "wait").Name().String())
	}
	slices.Reverse(started)
	var listed []string
	it := client.ListOperations(bounded(t), &longrunningpb.ListOperationsRequest{Name: parent, PageSize: 3})
	for {
		op, err := it.Next()
		if err == iterator.Done {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, op.GetName())
	}
	if !slices.Equal(listed, started) || pages.Load() != 3 {
		t.Errorf("listed %d operations in %d pages, want %d in 3, newest first", len(listed), pages.Load(), len(started))
	}
}

// PAG-03: a bad page size shows its field through the client.
func TestClient_ListError(t *testing.T) {
	t.Parallel()
	client := newServer(t).dial(t)
	_, err := client.ListOperations(bounded(t), &longrunningpb.ListOperationsRequest{PageSize: -1}).Next()
	e := expect(t, err, codes.InvalidArgument, longrun.ReasonInvalidPageSize)
	if v := e.Details().BadRequest.GetFieldViolations(); len(v) != 1 || v[0].GetField() != "page_size" {
		t.Errorf("violations = %v, want page_size", v)
	}
}

// WAI-01, WAI-03, WAI-05: WaitOperation returns when the timeout or nearly the
// deadline is over, and when the operation is done.
func TestClient_WaitOperation(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	client, ctx := s.dial(t), bounded(t)
	name := s.begin(t, "wait").Name().String()
	op, err := client.WaitOperation(ctx, &longrunningpb.WaitOperationRequest{Name: name, Timeout: durationpb.New(50 * time.Millisecond)})
	if err != nil || op.GetDone() {
		t.Errorf("WaitOperation with a timeout = %v, %v; want it running", op, err)
	}
	for left := 2 * time.Second; ; left *= 2 { // the answer may be late on a busy machine
		short, cancel := context.WithTimeout(ctx, left)
		op, err = client.WaitOperation(short, &longrunningpb.WaitOperationRequest{Name: name})
		cancel()
		if err == nil || left > 20*time.Second {
			break
		}
	}
	if err != nil || op.GetDone() {
		t.Errorf("WaitOperation with a deadline = %v, %v; want it running", op, err)
	}
	done := make(chan error, 1)
	go func() {
		op, err := client.WaitOperation(ctx, &longrunningpb.WaitOperationRequest{Name: name})
		if err == nil && !op.GetDone() {
			err = status.Error(codes.Unknown, "not done")
		}
		done <- err
	}()
	s.open()
	if err := <-done; err != nil {
		t.Errorf("WaitOperation: %v", err)
	}
}

// POL-04, CON-02, OP-16: a server that dies while a client waits, and comes back
// on the same address, costs the client some UNAVAILABLE, which it tries again,
// and nothing else. CON-04: the work is done.
func TestOperation_ServerRestarts(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	polled, refused := make(chan struct{}, 100), make(chan struct{}, 100)
	client := s.dial(t, grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		err := invoke(ctx, method, req, reply, conn, opts...)
		switch status.Code(err) {
		case codes.OK:
			polled <- struct{}{}
		case codes.Unavailable:
			refused <- struct{}{}
		}
		return err
	}))
	finished := s.follow(t, client, "succeed")
	if err := finished.Wait(bounded(t), nil); err != nil {
		t.Fatal(err)
	}
	waiting := s.follow(t, client, "wait")
	type result struct {
		resp longrunpb.CommandResponse
		err  error
	}
	ended := make(chan *result, 1)
	ctx := bounded(t)
	for len(polled) > 0 {
		<-polled
	}
	go func() {
		r := &result{}
		r.err = waiting.WaitWithInterval(ctx, &r.resp, time.Second)
		ended <- r
	}()
	<-polled
	s.stop()
	<-refused
	s.start(t)
	s.open()
	if r := <-ended; r.err != nil || string(r.resp.GetOutputTail()) != "done by wait" {
		t.Errorf("Wait over a restart = %v, %q; want the response", r.err, r.resp.GetOutputTail())
	}
	again := longrunning.InternalNewOperation(client, &longrunningpb.Operation{Name: finished.Name()})
	if err := again.Poll(ctx, nil); err != nil || !again.Done() {
		t.Errorf("Poll of what was done before = %v, done = %v; want nil, true", err, again.Done())
	}
}
