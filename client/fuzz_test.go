package client_test

import (
	"context"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun/client"
)

// Whatever a server answers, the client neither panics nor takes for a success what
// is not one.
func FuzzAnswer(f *testing.F) {
	done := succeeded(f, wrapperspb.String("a book"))
	done.Metadata = packed(f, wrapperspb.Int64(7))
	for _, op := range []*longrunningpb.Operation{
		{}, running(f, 1), done, succeeded(f, wrapperspb.Int64(1)), failed(status.New(codes.Aborted, "no")), failed(status.New(codes.OK, "")),
		{Done: true}, {Done: true, Result: &longrunningpb.Operation_Response{Response: &anypb.Any{TypeUrl: "/", Value: []byte{1}}}},
		succeeded(f, packed(f, wrapperspb.String("an Any in an Any"))),
	} {
		b, err := proto.Marshal(op)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		raw := &longrunningpb.Operation{}
		if proto.Unmarshal(b, raw) != nil {
			return
		}
		checkAnswer(t, raw, client.New[*wrapperspb.StringValue, *wrapperspb.Int64Value](nil, raw), "google.protobuf.StringValue", "google.protobuf.Int64Value")
		checkAnswer(t, raw, client.New[*anypb.Any, *anypb.Any](nil, raw), "", "")
		checkAnswer(t, raw, client.New[proto.Message, proto.Message](nil, raw), "", "")
	})
}

// checkAnswer checks what a handle makes of raw. A type is the one that a success
// must have; "" is any.
func checkAnswer[Resp, Meta proto.Message](t *testing.T, raw *longrunningpb.Operation, op *client.Operation[Resp, Meta], response, metadata string) {
	t.Helper()
	md, err := op.Metadata()
	if err == nil && (!md.ProtoReflect().IsValid() || metadata != "" && string(raw.GetMetadata().MessageName()) != metadata) {
		t.Errorf("Metadata = %v of %v", md, raw)
	}
	if !raw.GetDone() {
		return
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := op.Wait(ended)
	if err != nil {
		if status.Code(err) == codes.OK {
			t.Errorf("error = %v has the code OK", err)
		}
		return
	}
	packed, ok := raw.GetResult().(*longrunningpb.Operation_Response)
	if !ok || !got.ProtoReflect().IsValid() || response != "" && string(packed.Response.MessageName()) != response {
		t.Errorf("Wait = %v of %v", got, raw)
	}
}
