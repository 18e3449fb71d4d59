package grpcapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/grpcapi"
	"github.com/longrun-dev/longrun/longrunpb"
)

// statusError is the error of a done operation as an error.
func statusError(op *longrunningpb.Operation) error { return status.ErrorProto(op.GetError()) }

// simulateError calls the author's method, which must fail.
func (s *system) simulateError(t *testing.T) error {
	t.Helper()
	op, err := s.starter.Simulate(t.Context(), &longrunpb.SimulateRequest{Parent: parent})
	if err == nil {
		t.Fatalf("Simulate = %v, want an error", op)
	}
	return err
}

// fail makes the author's method fail with err.
func (s *system) fail(err error) {
	s.author.do = func(context.Context, *longrunpb.SimulateRequest) (*longrun.Operation, error) { return nil, err }
}

// ERR-01, ERR-02, ERR-07: whatever a method of the author's returns leaves the
// server as a Status with an ErrorInfo, and without what wraps it.
func TestError_OfOwnMethods(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, tt := range []struct {
		err error
		want
	}{
		{status.Error(codes.NotFound, "no such shelf"), want{codes.NotFound, "NOT_FOUND", ""}},
		{fmt.Errorf("handler at %w", status.Error(codes.DataLoss, "the book is gone")), want{codes.DataLoss, "DATA_LOSS", ""}},
		{&longrun.Error{Code: codes.Aborted, Reason: longrun.ReasonConcurrentOperation, Msg: "busy"}, want{codes.Aborted, longrun.ReasonConcurrentOperation, ""}},
		{errDetail, want{codes.Internal, longrun.ReasonInternal, ""}},
		{withCode(0), want{codes.Internal, longrun.ReasonInternal, ""}},
		{withCode(99), want{codes.Internal, longrun.ReasonInternal, ""}},
		{fmt.Errorf("reading: %w", context.DeadlineExceeded), want{codes.DeadlineExceeded, "DEADLINE_EXCEEDED", ""}},
		{context.Canceled, want{codes.Canceled, "CANCELLED", ""}},
	} {
		s.fail(tt.err)
		expect(t, s.simulateError(t), tt.want)
	}
}

// ERR-02, ERR-03, ERR-11: details that the author has set are kept, an ErrorInfo
// too. ERR-13: a DebugInfo is not.
func TestError_OwnDetails(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	st, err := status.New(codes.ResourceExhausted, "no more books today").WithDetails(
		&errdetails.DebugInfo{Detail: "goroutine 7"},
		&errdetails.ErrorInfo{Reason: "QUOTA_EXCEEDED", Domain: domain},
		&errdetails.QuotaFailure{},
	)
	if err != nil {
		t.Fatal(err)
	}
	s.fail(st.Err())
	got := s.simulateError(t)
	expect(t, got, want{code: codes.ResourceExhausted, reason: "QUOTA_EXCEEDED"})
	if n := len(status.Convert(got).Details()); n != 2 {
		t.Errorf("details = %v, want the ErrorInfo and the QuotaFailure", status.Convert(got).Details())
	}
	unmet := &errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{{Type: "SHELF", Subject: "shelves/7"}}}
	if st, err = status.New(codes.FailedPrecondition, "the shelf is full").WithDetails(unmet); err != nil {
		t.Fatal(err)
	}
	s.fail(st.Err())
	got = s.simulateError(t)
	expect(t, got, want{code: codes.FailedPrecondition, reason: "FAILED_PRECONDITION"})
	if kept, ok := status.Convert(got).Details()[0].(*errdetails.PreconditionFailure); !ok || !proto.Equal(kept, unmet) {
		t.Errorf("details = %v, want the PreconditionFailure", status.Convert(got).Details())
	}
}

// ERR-04: the same error has the same reason and domain; different ones differ.
// ERR-25: the reasons that the spec suggests.
func TestError_ReasonsAreStable(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for reason, call := range map[string]func() error{
		"INVALID_OPERATION_NAME": func() error { return s.getError(t, "") },
		"OPERATION_NOT_FOUND":    func() error { return s.getError(t, "operations/none") },
		"INVALID_PAGE_SIZE":      func() error { return s.listError(t, &longrunningpb.ListOperationsRequest{PageSize: -1}) },
		"INVALID_PAGE_TOKEN":     func() error { return s.listError(t, &longrunningpb.ListOperationsRequest{PageToken: "x"}) },
		"INVALID_FILTER":         func() error { return s.listError(t, &longrunningpb.ListOperationsRequest{Filter: "("}) },
		"METHOD_NOT_SUPPORTED": func() error {
			return s.conn.Invoke(t.Context(), "/example.Nothing/At", &emptypb.Empty{}, &emptypb.Empty{})
		},
		"INVALID_TIMEOUT": func() error { return s.waitFor(t, "operations/none", &durationpb.Duration{Seconds: -1}) },
		"PARTIAL_SUCCESS_UNSUPPORTED": func() error {
			return s.listError(t, &longrunningpb.ListOperationsRequest{ReturnPartialSuccess: true})
		},
	} {
		for range 2 {
			if info := errorInfoOf(status.Convert(call())); info.GetReason() != reason || info.GetDomain() != domain {
				t.Errorf("ErrorInfo = %v, want reason %s of %s", info, reason, domain)
			}
		}
	}
}

// ERR-09: NOT_FOUND names the operation as it was asked for, in a ResourceInfo.
func TestError_ResourceInfo(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, name := range []string{parent + "/operations/" + longrun.NewID().String(), "operations/none"} {
		expectNamed(t, s.getError(t, name), notFound, name)
		_, err := s.wait(t.Context(), name, time.Minute)
		expectNamed(t, err, notFound, name)
	}
}

// ERR-10, POL-05: UNAVAILABLE says when to try again.
func TestError_RetryInfo(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	broken := newSystemOn(t, unavailableStore{s.store}, settings{})
	err := broken.getError(t, "operations/"+longrun.NewID().String())
	expect(t, err, want{code: codes.Unavailable, reason: longrun.ReasonOverloaded})
	for _, d := range status.Convert(err).Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok && r.GetRetryDelay().AsDuration() == 2*time.Second {
			return
		}
	}
	t.Errorf("details = %v, want RetryInfo of 2s", status.Convert(err).Details())
}

// unavailableStore is a store that cannot be read now.
type unavailableStore struct{ longrun.Store }

func (unavailableStore) Get(context.Context, ...longrun.ID) ([]*longrun.Operation, error) {
	return nil, &longrun.Error{Code: codes.Unavailable, Reason: longrun.ReasonOverloaded, Delay: 2 * time.Second, Msg: "too much to do", Err: errDetail}
}

// ERR-07: an error of the store tells a caller nothing but an id; ERR-06: which
// metadata has as well; the log has the cause under it.
func TestError_Internal(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	s := newSystem(t)
	broken := newSystemOn(t, brokenStore{s.store}, settings{Options: longrun.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}})
	err := broken.getError(t, "operations/"+longrun.NewID().String())
	expect(t, err, want{code: codes.Internal, reason: longrun.ReasonInternal})
	id := status.Convert(err).Message()[strings.LastIndexByte(status.Convert(err).Message(), ' ')+1:]
	if got := errorInfoOf(status.Convert(err)).GetMetadata()["id"]; got != id {
		t.Errorf(`metadata["id"] = %q, want %q as in the message`, got, id)
	}
	if !strings.Contains(log.String(), id) || !strings.Contains(log.String(), "password") {
		t.Errorf("log = %q, want the cause under the id %q", log.String(), id)
	}
}

// brokenStore is a store that fails in a way nobody has thought of.
type brokenStore struct{ longrun.Store }

func (brokenStore) Get(context.Context, ...longrun.ID) ([]*longrun.Operation, error) {
	return nil, errDetail
}

// ERR-12: no LocalizedMessage unless whole; we set none, whatever the client
// speaks.
func TestError_NoLocalizedMessage(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "accept-language", "ja")
	for _, name := range []string{"operations/none", ""} {
		_, err := s.ops.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: name})
		if err == nil {
			t.Fatalf("Get(%q) = nil, want an error", name)
		}
		for _, d := range status.Convert(err).Details() {
			if m, ok := d.(*errdetails.LocalizedMessage); ok {
				t.Errorf("detail = %v, want none", m)
			}
		}
	}
}

// ERR-14: grpc-status-details-bin decodes to a Status whose code and message are
// those of the trailers.
func TestError_Trailers(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	var trailer header
	_, err := s.ops.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: "operations/none"}, grpc.Trailer(&trailer))
	expect(t, err, notFound)
	bin := trailer.Get("grpc-status-details-bin")
	if len(bin) != 1 {
		t.Fatalf("grpc-status-details-bin = %q, want one value", bin)
	}
	st := &statuspb.Status{}
	if err := proto.Unmarshal([]byte(bin[0]), st); err != nil {
		t.Fatal(err)
	}
	if got := status.Convert(err); codes.Code(st.Code) != got.Code() || st.Message != got.Message() {
		t.Errorf("details say %v %q, trailers %v %q", codes.Code(st.Code), st.Message, got.Code(), got.Message())
	}
}

// ERR-15: a panic is INTERNAL with an ErrorInfo and an id, under which the log has
// the cause; the connection survives. In the author's methods and in ours.
func TestError_Panic(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	inner := newSystem(t)
	s := newSystemOn(t, panickingStore{inner.store}, settings{Options: longrun.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}})
	s.author.do = func(context.Context, *longrunpb.SimulateRequest) (*longrun.Operation, error) {
		panic("shelf 7 has fallen over")
	}
	name := "operations/" + longrun.NewID().String()
	_, listed := s.ops.ListOperations(t.Context(), &longrunningpb.ListOperationsRequest{})
	_, waited := s.wait(t.Context(), name, 0)
	for _, err := range []error{s.simulateError(t), s.getError(t, name), s.cancelError(t, t.Context(), name), s.deleteError(t, name), listed, waited} {
		expect(t, err, want{code: codes.Internal, reason: longrun.ReasonInternal})
		id := errorInfoOf(status.Convert(err)).GetMetadata()["id"]
		if id == "" || !strings.Contains(status.Convert(err).Message(), id) || !strings.Contains(log.String(), id) {
			t.Errorf("id = %q, want it in the message %q and in the log", id, status.Convert(err).Message())
		}
	}
	if !strings.Contains(log.String(), "shelf 7 has fallen over") || !strings.Contains(log.String(), "error_test.go") {
		t.Errorf("log = %q, want the panics and their stacks", log.String())
	}
	expect(t, s.getError(t, "operations/none"), notFound) // the store is not asked
}

// ERR-15, ERR-02: our methods need no interceptor for that.
func TestError_WithoutInterceptor(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.server = grpc.NewServer(grpc.WaitForHandlers(true))
	svc, err := longrun.New(panickingStore{s.store}, longrun.Options{Domain: domain})
	if err != nil {
		t.Fatal(err)
	}
	grpcapi.Register(s.server, svc, grpcapi.Options{Log: slog.New(slog.DiscardHandler)})
	s.connect(t, nil)
	for range 2 {
		expect(t, s.getError(t, "operations/"+longrun.NewID().String()), want{code: codes.Internal, reason: longrun.ReasonInternal})
		expect(t, s.getError(t, "operations/none"), notFound)
		expect(t, s.getError(t, ""), badName)
	}
}

// panickingStore is a store with a bug.
type panickingStore struct{ longrun.Store }

func (panickingStore) Get(context.Context, ...longrun.ID) ([]*longrun.Operation, error) {
	panic(errors.New("index out of range"))
}

func (panickingStore) List(context.Context, longrun.Query) (longrun.Page, error) { panic("list") }

func (panickingStore) Update(context.Context, longrun.Change) (*longrun.Operation, error) {
	panic("update")
}

// ERR-16: what failed of a bulk operation goes to metadata, as Status values.
func TestError_PartialFailure(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.run(t, parent)
	m := &longrunpb.OperationMetadata{Warnings: []*statuspb.Status{status.Convert(failure).Proto()}}
	r.finish(t, longrun.Result{Metadata: pack(t, m)})
	op := s.get(t, r.name)
	if op.GetResponse() == nil || len(metadataOf(t, op).GetWarnings()) != 1 {
		t.Errorf("Get = %v, want a response and one warning", op)
	}
}

// lockedBuffer collects a log.
type lockedBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
