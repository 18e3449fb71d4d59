package grpcapi_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/longrun-dev/longrun"
)

// callersByMetadata takes the caller from the metadata of the call, as an
// interceptor that authenticates would.
func callersByMetadata() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(
		func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if v := metadata.ValueFromIncomingContext(ctx, "caller"); len(v) > 0 {
				ctx = longrun.WithCaller(ctx, v[0])
			}
			return handler(ctx, req)
		},
	)}
}

// as returns a context whose calls are made by caller.
func as(t *testing.T, caller string) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), "caller", caller)
}

var errRefused = errors.New("refused by rule 7 of table acl")

func onlyAlice(ctx context.Context, _ longrun.Verb, _ string) error {
	if longrun.CallerOf(ctx) != "alice" {
		return errRefused
	}
	return nil
}

func deny(caller string) func(context.Context, longrun.Verb, string) error {
	return func(ctx context.Context, _ longrun.Verb, _ string) error {
		if longrun.CallerOf(ctx) == caller {
			return errRefused
		}
		return nil
	}
}

func denyVerb(verb longrun.Verb) func(context.Context, longrun.Verb, string) error {
	return func(_ context.Context, v longrun.Verb, _ string) error {
		if v == verb {
			return errRefused
		}
		return nil
	}
}

// AUT-02: who may is asked before what is valid and what exists. AUT-03: the
// answer is the same whether or not the operation exists. AUT-04: it says what
// was refused on which resource, and that this might not exist. AUT-05: with the
// permission a missing one is NOT_FOUND.
func TestAccess_Denied(t *testing.T) {
	t.Parallel()
	s := newSystemWith(t, settings{Options: longrun.Options{Authorize: deny("bob")}, server: callersByMetadata()})
	there, missing := s.start(t, parent), parent+"/operations/"+longrun.NewID().String()
	bob := as(t, "bob")
	for verb, call := range map[longrun.Verb]func(ctx context.Context, name string) error{
		longrun.VerbGet: func(ctx context.Context, name string) error {
			_, err := s.ops.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: name})
			return err
		},
		longrun.VerbCancel: func(ctx context.Context, name string) error { return s.cancelError(t, ctx, name) },
		longrun.VerbDelete: func(ctx context.Context, name string) error {
			_, err := s.ops.DeleteOperation(ctx, &longrunningpb.DeleteOperationRequest{Name: name})
			return err
		},
		longrun.VerbWait: func(ctx context.Context, name string) error { _, err := s.wait(ctx, name, 0); return err },
	} {
		errThere, errMissing := call(bob, there), call(bob, missing)
		expectNamed(t, errThere, denied, there)
		expectNamed(t, errMissing, denied, missing)
		if got := status.Convert(errMissing).Message(); !strings.Contains(got, missing) || !strings.Contains(got, "not exist") || !strings.Contains(got, string(verb)) {
			t.Errorf("message = %q, want %s and the name in it, and that it might not exist", got, verb)
		}
		if a, b := shape(t, errThere, there), shape(t, errMissing, missing); a != b {
			t.Errorf("refusals differ: %q and %q", a, b)
		}
		expectNamed(t, call(as(t, "alice"), missing), notFound, missing)
	}
	if got := s.get(t, there); got.GetDone() || metadataOf(t, got).GetRequestedCancellation() {
		t.Errorf("Get = %v, want it untouched", got)
	}
}

// shape is an error without the name that it is about.
func shape(t *testing.T, err error, name string) string {
	t.Helper()
	st := status.Convert(err).Proto()
	b, marshalErr := proto.MarshalOptions{Deterministic: true}.Marshal(st)
	if marshalErr != nil {
		t.Fatal(marshalErr)
	}
	return strings.ReplaceAll(st.Message+string(b), name, strings.Repeat("?", 80))
}

// AUT-03: a Status of the author's policy is kept as it is, UNAUTHENTICATED too
// (AUT-01), without what wraps it. AUT-10: so a policy can hide all from a whole class of
// callers by NOT_FOUND.
func TestAccess_OwnStatus(t *testing.T) {
	t.Parallel()
	for code, reason := range map[codes.Code]string{codes.Unauthenticated: "UNAUTHENTICATED", codes.NotFound: "NOT_FOUND"} {
		s := newSystemWith(t, settings{Options: longrun.Options{Authorize: func(context.Context, longrun.Verb, string) error {
			return errors.Join(errDetail, status.Error(code, "who is calling?"))
		}}})
		for _, err := range []error{s.getError(t, "operations/x"), s.listError(t, &longrunningpb.ListOperationsRequest{})} {
			st := status.Convert(err)
			if got := errorInfoOf(st).GetReason(); st.Code() != code || got != reason || st.Message() != "who is calling?" {
				t.Errorf("refusal = %v with reason %q, want the policy's with %s", err, got, reason)
			}
		}
	}
}
