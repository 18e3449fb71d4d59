package clienttest

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	autogen "cloud.google.com/go/longrunning/autogen"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/grpcapi"
	"github.com/longrun-dev/longrun/httpapi"
	"github.com/longrun-dev/longrun/longrunpb"
)

// rest makes Google's client of the server over HTTP/JSON, and counts its requests.
func (s *server) rest(t *testing.T) (*autogen.OperationsClient, *atomic.Int32) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	web, err := httpapi.New(httpapi.Options{
		Interceptors: []grpc.UnaryServerInterceptor{grpcapi.UnaryInterceptor(s.svc, grpcapi.Options{Log: log})}, Domain: domain, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	grpcapi.Register(web, s.svc, grpcapi.Options{Log: log})
	if err := web.Check(); err != nil {
		t.Fatal(err)
	}
	requests := new(atomic.Int32)
	face := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		web.ServeHTTP(w, r)
	}))
	t.Cleanup(face.Close)
	client, err := autogen.NewOperationsRESTClient(t.Context(), option.WithEndpoint(face.URL), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client, requests
}

// OP-03, OP-13: Poll to success over REST unpacks the response and the metadata. HTTP-05:
// of an operation below a parent.
func TestREST_PollToSuccess(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	client, _ := s.rest(t)
	op, ctx := s.follow(t, client, "wait"), bounded(t)
	var resp longrunpb.CommandResponse
	if err := op.Poll(ctx, &resp); err != nil || op.Done() {
		t.Fatalf("Poll = %v, done = %v; want nil, false", err, op.Done())
	}
	s.open()
	if err := op.WaitWithInterval(ctx, &resp, 50*time.Millisecond); err != nil || string(resp.GetOutputTail()) != "done by wait" {
		t.Errorf("Wait = %v, %q; want the response", err, resp.GetOutputTail())
	}
	var m longrunpb.OperationMetadata
	if err := op.Metadata(&m); err != nil || m.GetState() != longrunpb.OperationMetadata_SUCCEEDED {
		t.Errorf("metadata = %v, %v; want it of the end", &m, err)
	}
}

// OP-11, OP-12: Poll to an error over REST: its code, reason and every detail.
func TestREST_PollToError(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	client, _ := s.rest(t)
	op := s.follow(t, client, "fail")
	e := expect(t, op.WaitWithInterval(bounded(t), nil, 50*time.Millisecond), codes.FailedPrecondition, "SHELF_FULL")
	if v := e.Details().PreconditionFailure.GetViolations(); len(v) != 1 || v[0].GetSubject() != "shelves/7" {
		t.Errorf("precondition violations = %v, want shelves/7", v)
	}
}

// HTTP-01, CAN-16, DEL-10, DEL-11: Get, Cancel and Delete, with the bodies and headers that
// Go's client sends.
func TestREST_CancelAndDelete(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	client, _ := s.rest(t)
	op, ctx := s.follow(t, client, "wait"), bounded(t)
	got, err := client.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: op.Name()})
	if err != nil || got.GetName() != op.Name() {
		t.Errorf("GetOperation = %v, %v; want %s", got, err, op.Name())
	}
	for range 2 {
		if err := op.Cancel(ctx); err != nil {
			t.Fatalf("Cancel: %v", err)
		}
	}
	expect(t, op.WaitWithInterval(ctx, nil, 50*time.Millisecond), codes.Canceled, longrun.ReasonOperationCancelled)
	if err := op.Delete(ctx); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	// ERR-23: the envelope's details reach the caller.
	e := expectHTTP(t, op.Delete(ctx), 404, longrun.ReasonOperationNotFound)
	if got := e.Details().ResourceInfo.GetResourceName(); got != op.Name() {
		t.Errorf("resource name = %q, want %q", got, op.Name())
	}
}

// PAG-05, PAG-06: the iterator walks three pages, of the top and of a collection below a
// parent.
func TestREST_ListPages(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	client, requests := s.rest(t)
	var started []string
	for range 7 {
		started = append(started, s.begin(t, "wait").Name().String())
	}
	slices.Reverse(started)
	var listed []string
	it := client.ListOperations(bounded(t), &longrunningpb.ListOperationsRequest{Name: parent + "/operations", PageSize: 3})
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
	if !slices.Equal(listed, started) || requests.Load() != 3 {
		t.Errorf("listed %d operations in %d pages, want %d in 3, newest first", len(listed), requests.Load(), len(started))
	}
	if op, err := client.ListOperations(bounded(t), &longrunningpb.ListOperationsRequest{Name: "operations"}).Next(); err != iterator.Done {
		t.Errorf("operations of the top = %v, %v; want none", op, err)
	}
	e := expectHTTP(t, func() error {
		_, err := client.ListOperations(bounded(t), &longrunningpb.ListOperationsRequest{Name: "operations", PageSize: -1}).Next()
		return err
	}(), 400, longrun.ReasonInvalidPageSize)
	if v := e.Details().BadRequest.GetFieldViolations(); len(v) != 1 || v[0].GetField() != "pageSize" { // ERR-08
		t.Errorf("violations = %v, want pageSize", v)
	}
}

// WAI-20: the client knows no path for WaitOperation, and it works all the same.
func TestREST_Wait(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	client, _ := s.rest(t)
	name, ctx := s.begin(t, "wait").Name().String(), bounded(t)
	op, err := client.WaitOperation(ctx, &longrunningpb.WaitOperationRequest{Name: name, Timeout: durationpb.New(50 * time.Millisecond)})
	if err != nil || op.GetDone() {
		t.Errorf("WaitOperation with a timeout = %v, %v; want it running", op, err)
	}
	s.open()
	if op, err = client.WaitOperation(ctx, &longrunningpb.WaitOperationRequest{Name: name}); err != nil || !op.GetDone() {
		t.Errorf("WaitOperation = %v, %v; want it done", op, err)
	}
}

// expectHTTP checks an error of the envelope as Google's client shows it: by the HTTP
// status, and by the reason, which it has only if it could read all details.
func expectHTTP(t *testing.T, err error, status int, reason string) *apierror.APIError {
	t.Helper()
	e, ok := errors.AsType[*apierror.APIError](err)
	if !ok {
		t.Fatalf("error = %v, want an APIError", err)
	}
	if e.HTTPCode() != status || e.Reason() != reason || e.Domain() != domain {
		t.Errorf("error = %d %q of %q, want %d %q of %q: %v", e.HTTPCode(), e.Reason(), e.Domain(), status, reason, domain, e)
	}
	return e
}
