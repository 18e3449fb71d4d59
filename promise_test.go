package longrun_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/testpb"
	"github.com/longrun-dev/longrun/longrunpb"
)

// The ways in which a process knows what a method promises: a response of Int64Value
// and metadata of BatchMetadata.
func promising(t *testing.T, log *slog.Logger) map[string]*system {
	t.Helper()
	m := longrun.Method[*wrapperspb.StringValue, *wrapperspb.Int64Value, *testpb.BatchMetadata]{Name: word}
	declared := newSystem(t, longrun.Options{Log: log})
	longrun.Declare(declared.svc, m)
	hooked := newSystem(t, longrun.Options{Log: log})
	longrun.Begin(hooked.svc, m, func(context.Context, *wrapperspb.StringValue, *longrun.Draft) error { return nil })
	return map[string]*system{
		"declared": declared,
		"hooked":   hooked,
		"promised": newSystem(t, longrun.Options{Log: log, Promised: func(method string) longrun.Promise {
			if method != word {
				t.Errorf("Promised is asked about %q", method)
			}
			return longrun.Promise{Response: "google.protobuf.Int64Value", Metadata: "longrun.test.v1.BatchMetadata"}
		}}),
	}
}

// OP-06: a response of another type ends the operation as INTERNAL with an id, and what
// it was is in the log and nowhere else.
func TestFinish_AnotherType(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	for name, sys := range promising(t, slog.New(slog.NewTextHandler(&log, nil))) {
		log.Reset()
		op := sys.running(t, longrun.StartOptions{})
		wrong := longrun.Result{Response: packed(t, wrapperspb.String("hunter2"))}
		done := sys.finish(t, op, wrong)
		if done.State != longrun.Failed || done.Error.Code != int32(codes.Internal) || reasonOf(done) != longrun.ReasonInternal || done.Response != nil {
			t.Fatalf("%s: operation = %v %v, want INTERNAL", name, done.State, done.Error)
		}
		id := done.Error.Message[strings.LastIndex(done.Error.Message, " ")+1:]
		for _, want := range []string{"id=" + id, "StringValue", "Int64Value", "operation=" + op.Name().String(), "method=" + word} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("%s: log = %s, want %q in it", name, &log, want)
			}
		}
		if strings.Contains(log.String(), "hunter2") {
			t.Errorf("%s: the payload is in the log", name)
		}
		if again := sys.finish(t, op, wrong); again.Revision != done.Revision {
			t.Errorf("%s: the same Finish again has changed the operation", name)
		}
		_, err := sys.work.Finish(t.Context(), op.Name(), op.Claim, longrun.Result{Response: packed(t, int64Value(1))})
		if !errors.Is(err, longrun.ErrClaimLost) {
			t.Errorf("%s: another Finish = %v, want claim lost", name, err)
		}
	}
}

// What is of the type ends the operation as ever, and nothing at all is an empty
// message of it (OP-03).
func TestFinish_AsPromised(t *testing.T) {
	t.Parallel()
	for name, sys := range promising(t, nil) {
		for _, response := range []*anypb.Any{packed(t, int64Value(7)), nil, {}} {
			done := sys.finish(t, sys.running(t, longrun.StartOptions{}), longrun.Result{Response: response})
			if done.State != longrun.Succeeded || !done.Response.MessageIs(&wrapperspb.Int64Value{}) {
				t.Errorf("%s: %v became %v %v %v", name, response, done.State, done.Response, done.Error)
			}
		}
		failed := sys.finish(t, sys.running(t, longrun.StartOptions{}), longrun.Result{Err: status.Error(codes.NotFound, "none")})
		if failed.Error.GetCode() != int32(codes.NotFound) {
			t.Errorf("%s: error = %v", name, failed.Error)
		}
	}
}

// OP-06 of metadata: it has the method's type from the first on, and nobody can make
// it another one.
func TestMetadata_AsPromised(t *testing.T) {
	t.Parallel()
	wrong := packed(t, &longrunpb.OperationMetadata{StatusMessage: "x"})
	right := packed(t, &testpb.BatchMetadata{Done: 3})
	refused := func(name, what string, err error, field string) {
		t.Helper()
		if wantError(t, err, codes.InvalidArgument, longrun.ReasonInvalidField); fieldOf(err) != field {
			t.Errorf("%s: %s: field = %q, want %q", name, what, fieldOf(err), field)
		}
	}
	for name, sys := range promising(t, nil) {
		op := sys.running(t, longrun.StartOptions{Target: "shelves/s"})
		if md := failedOf(t, sys, op); md.Target != "shelves/s" {
			t.Errorf("%s: first metadata = %v, want the method's type with what the starter has said", name, md)
		}
		if md := failedOf(t, sys, sys.start(t, longrun.StartOptions{})); !proto.Equal(md, &testpb.BatchMetadata{}) {
			t.Errorf("%s: first metadata = %v, want an empty one", name, md)
		}
		ctx := t.Context()
		_, err := sys.svc.Start(ctx, longrun.StartRequest{Method: word, StartOptions: longrun.StartOptions{Metadata: wrong}})
		refused(name, "Start", err, "metadata")
		refused(name, "Report", sys.work.Report(ctx, op.Name(), op.Claim, longrun.Report{Metadata: wrong}), "metadata")
		refused(name, "Report", sys.work.Report(ctx, op.Name(), op.Claim, longrun.Report{Progress: &longrunpb.Progress{CompletedUnits: 1}}), "progress")
		_, err = sys.work.Finish(ctx, op.Name(), op.Claim, longrun.Result{Metadata: wrong})
		refused(name, "Finish", err, "metadata")
		_, err = sys.work.Release(ctx, op.Name(), op.Claim, longrun.Release{Metadata: wrong})
		refused(name, "Release", err, "metadata")
		if err := sys.work.Report(ctx, op.Name(), op.Claim, longrun.Report{Metadata: right}); err != nil {
			t.Errorf("%s: Report = %v", name, err)
		}
		done := sys.finish(t, op, longrun.Result{Metadata: right})
		if md := failedOf(t, sys, done); md.Done != 3 || md.Target != "shelves/s" {
			t.Errorf("%s: metadata = %v, want what was written and what is the starter's", name, md)
		}
	}
}

// A method that is known here is held to what it says itself; Any promises nothing.
func TestPromise_Any(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{Promised: func(string) longrun.Promise {
		return longrun.Promise{Response: "google.protobuf.Any", Metadata: "google.protobuf.Any"}
	}})
	anything := longrun.Result{Response: packed(t, &emptypb.Empty{}), Metadata: packed(t, int64Value(1))}
	if done := sys.finish(t, sys.running(t, longrun.StartOptions{}), anything); done.State != longrun.Succeeded {
		t.Errorf("operation = %v %v", done.State, done.Error)
	}
	known := newSystem(t, longrun.Options{Promised: func(string) longrun.Promise { return longrun.Promise{Response: "acme.v1.Unlike"} }})
	longrun.Declare(known.svc, resize)
	if done := known.finish(t, known.running(t, longrun.StartOptions{}), longrun.Result{Response: packed(t, int64Value(1))}); done.State != longrun.Succeeded {
		t.Errorf("operation = %v %v", done.State, done.Error)
	}
}

// A validate_only start answers with an empty message of the promised type (VAL-03).
func TestPromise_ValidateOnly(t *testing.T) {
	t.Parallel()
	for name, sys := range promising(t, nil) {
		op := sys.start(t, longrun.StartOptions{ValidateOnly: true})
		if op.State != longrun.Succeeded || !op.Response.MessageIs(&wrapperspb.Int64Value{}) {
			t.Errorf("%s: operation = %v %v", name, op.State, op.Response)
		}
	}
}

// A typed start of a method that nobody has registered knows its types too.
func TestStart_FirstMetadata(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	op, err := longrun.Start(t.Context(), sys.svc, createBooks, books(1), longrun.StartOptions{Target: "shelves/s"})
	if err != nil {
		t.Fatal(err)
	}
	if md := failedOf(t, sys, op); md.Target != "shelves/s" {
		t.Errorf("metadata = %v", md)
	}
	_, err = longrun.Start(t.Context(), sys.svc, createBooks, books(1), longrun.StartOptions{Metadata: &longrunpb.OperationMetadata{}})
	if wantError(t, err, codes.InvalidArgument, longrun.ReasonInvalidField); fieldOf(err) != "metadata" {
		t.Errorf("field = %q, want metadata", fieldOf(err))
	}
}
