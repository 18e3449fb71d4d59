package client

import (
	"reflect"
	"strconv"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// result is how a done operation has ended.
func (o *Operation[Resp, Meta]) result() (Resp, error) {
	op := o.remote.latest()
	if r, ok := op.GetResult().(*longrunningpb.Operation_Response); ok {
		return unpack[Resp](r.Response, "response", o.remote.name)
	}
	var none Resp
	return none, failure(op, o.remote.name)
}

// failure is the error of a done operation without a response, never nil: done
// without a result, and an error that says OK, are no success (OP-03, OP-08).
func failure(op *longrunningpb.Operation, name string) error {
	r, ok := op.GetResult().(*longrunningpb.Operation_Error)
	if !ok {
		return status.Errorf(codes.Internal, "operation %q is done but has no result", name)
	}
	if code := r.Error.GetCode(); code != int32(codes.OK) {
		return status.ErrorProto(r.Error)
	}
	amiss := status.Newf(codes.Internal, "operation %q has failed with the code OK: %q", name, r.Error.GetMessage())
	return status.ErrorProto(&statuspb.Status{Code: int32(amiss.Code()), Message: amiss.Message(), Details: r.Error.GetDetails()})
}

// unpack takes a T out of a, which the server promised it to be (OP-06). what says
// which part of the operation a is.
func unpack[T proto.Message](a *anypb.Any, what, name string) (T, error) {
	var none T
	if proto.Message(none) == nil {
		return unpackLinked[T](a, what, name)
	}
	m := none.ProtoReflect().New().Interface()
	if _, promisesNone := m.(*anypb.Any); promisesNone {
		m = proto.Clone(present(a))
	} else if want := m.ProtoReflect().Descriptor().FullName(); a.MessageName() != want {
		return none, status.Errorf(codes.Internal, "operation %q: %s is %s, want %q", name, what, describe(a), want)
	} else if err := a.UnmarshalTo(m); err != nil {
		return none, status.Errorf(codes.Internal, "operation %q: %s is not a valid %q: %v", name, what, want, err)
	}
	return m.(T), nil
}

// unpackLinked takes out what a holds, by the types that are linked in.
func unpackLinked[T proto.Message](a *anypb.Any, what, name string) (T, error) {
	var none T
	m, err := present(a).UnmarshalNew()
	if err != nil {
		return none, status.Errorf(codes.Internal, "operation %q: %s is %s: %v", name, what, describe(a), err)
	}
	typed, ok := m.(T)
	if !ok {
		return none, status.Errorf(codes.Internal, "operation %q: %s is %s, want %v", name, what, describe(a), reflect.TypeFor[T]())
	}
	return typed, nil
}

func present(a *anypb.Any) *anypb.Any {
	if a == nil {
		return &anypb.Any{}
	}
	return a
}

// describe says which type a claims to hold.
func describe(a *anypb.Any) string {
	if a.GetTypeUrl() == "" {
		return "of no type"
	}
	return "of type " + strconv.Quote(a.GetTypeUrl())
}
