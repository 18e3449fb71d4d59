package longrun_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/longrunpb"
)

// word is a method without types, for work that is done by hand.
const word = "resize-image"

// resize is a method with types.
var resize = longrun.Method[*wrapperspb.StringValue, *wrapperspb.Int64Value, *longrunpb.OperationMetadata]{Name: word}

// A system is a Service on a store in memory whose answers can be spoiled.
type system struct {
	store *spoiled
	svc   *longrun.Service
	work  *longrun.Work
}

func newSystem(t *testing.T, o longrun.Options) *system {
	t.Helper()
	store := &spoiled{Store: inmem.New()}
	t.Cleanup(func() { store.Close() })
	return newSystemOn(t, store, o)
}

// newSystemOn is one more process on a store.
func newSystemOn(t *testing.T, store *spoiled, o longrun.Options) *system {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	svc, err := longrun.New(store, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { svc.Close() })
	return &system{store: store, svc: svc, work: svc.Work()}
}

// start starts an operation of word.
func (s *system) start(t *testing.T, o longrun.StartOptions) *longrun.Operation {
	t.Helper()
	op, err := s.svc.Start(t.Context(), longrun.StartRequest{StartOptions: o, Method: word})
	if err != nil {
		t.Fatal(err)
	}
	return op
}

func (s *system) session(t *testing.T, o longrun.SessionOptions) longrun.SessionID {
	t.Helper()
	id, err := s.work.OpenSession(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// claim claims up to n operations of word.
func (s *system) claim(t *testing.T, session longrun.SessionID, n int) []*longrun.Operation {
	t.Helper()
	c, err := s.work.Claim(t.Context(), longrun.ClaimRequest{Session: session, Want: []longrun.Want{{Method: word, N: n}}})
	if err != nil {
		t.Fatal(err)
	}
	return c.Operations
}

// running starts an operation of word and claims it for a new session.
func (s *system) running(t *testing.T, o longrun.StartOptions) *longrun.Operation {
	t.Helper()
	op := s.start(t, o)
	for _, c := range s.claim(t, s.session(t, longrun.SessionOptions{}), 100) {
		if c.ID == op.ID {
			return c
		}
	}
	t.Fatal("the operation that was started is not claimed")
	return nil
}

func (s *system) finish(t *testing.T, op *longrun.Operation, r longrun.Result) *longrun.Operation {
	t.Helper()
	done, err := s.work.Finish(t.Context(), op.Name(), op.Claim, r)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func (s *system) get(t *testing.T, n longrun.Name) *longrun.Operation {
	t.Helper()
	op, err := s.svc.Get(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// stored returns the record, hidden or not; nil where there is none.
func (s *system) stored(t *testing.T, id longrun.ID) *longrun.Operation {
	t.Helper()
	ops, err := s.store.Store.Get(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return ops[0]
}

func (s *system) list(t *testing.T, r longrun.ListRequest) longrun.ListPage {
	t.Helper()
	page, err := s.svc.List(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// metadata returns what callers see of op's metadata.
func (s *system) metadata(t *testing.T, op *longrun.Operation) *longrunpb.OperationMetadata {
	t.Helper()
	m := &longrunpb.OperationMetadata{}
	if err := s.svc.Proto(op).Metadata.UnmarshalTo(m); err != nil {
		t.Fatal(err)
	}
	return m
}

// asError returns the *Error in err's tree, and fails without.
func asError(t *testing.T, err error) *longrun.Error {
	t.Helper()
	e, ok := errors.AsType[*longrun.Error](err)
	if !ok {
		t.Fatalf("error = %v (%T), want an *Error", err, err)
	}
	return e
}

// wantError checks the code and the reason that a caller sees.
func wantError(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	st, _ := status.FromError(err)
	if err == nil || st.Code() != code {
		t.Errorf("error = %v, want code %v", err, code)
		return
	}
	if got := infoOf(st).GetReason(); got != reason {
		t.Errorf("error = %v with reason %q, want %q", err, got, reason)
	}
}

func infoOf(st *status.Status) *errdetails.ErrorInfo { return detail[*errdetails.ErrorInfo](st) }

// detail returns the detail of type T, nil where there is none.
func detail[T any](st *status.Status) (d T) {
	for _, x := range st.Details() {
		if v, ok := x.(T); ok {
			return v
		}
	}
	return d
}

// fieldOf returns the field that an input error names.
func fieldOf(err error) string {
	st, _ := status.FromError(err)
	v := detail[*errdetails.BadRequest](st).GetFieldViolations()
	if len(v) == 0 {
		return ""
	}
	return v[0].Field
}

// reasonOf returns the reason of the ErrorInfo of an operation's error.
func reasonOf(op *longrun.Operation) string { return infoOf(status.FromProto(op.Error)).GetReason() }

func packed(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func int64Value(v int64) *wrapperspb.Int64Value { return wrapperspb.Int64(v) }

func protoSize(m proto.Message) int { return proto.Size(m) }
