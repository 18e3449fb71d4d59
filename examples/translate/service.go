package main

import (
	"context"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
)

// translator is the service. Its method starts the work and returns.
type translator struct{ svc *longrun.Service }

// Translate returns an operation as soon as it is on disk.
func (t *translator) Translate(ctx context.Context, req *wrapperspb.StringValue) (*longrunningpb.Operation, error) {
	op, err := longrun.Start(ctx, t.svc, Translate, req, longrun.StartOptions{Parent: "projects/demo"})
	return t.svc.Proto(op), err
}

type translatorServer interface {
	Translate(ctx context.Context, req *wrapperspb.StringValue) (*longrunningpb.Operation, error)
}

// translatorDesc is what protoc-gen-go-grpc writes for a service. It is written by
// hand here, so that the example needs no .proto file.
var translatorDesc = grpc.ServiceDesc{
	ServiceName: "translation.v1.Translator",
	HandlerType: (*translatorServer)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Translate",
		Handler: func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
			req := new(wrapperspb.StringValue)
			if err := decode(req); err != nil {
				return nil, err
			}
			call := func(ctx context.Context, req any) (any, error) {
				return srv.(translatorServer).Translate(ctx, req.(*wrapperspb.StringValue))
			}
			if intercept == nil {
				return call(ctx, req)
			}
			return intercept(ctx, req, &grpc.UnaryServerInfo{Server: srv, FullMethod: Translate.Name}, call)
		},
	}},
}
