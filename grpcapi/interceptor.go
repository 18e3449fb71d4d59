package grpcapi

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/longrun-dev/longrun"
)

// ServerOptions returns what a grpc.Server should be made with: UnaryInterceptor,
// and UNIMPLEMENTED with an ErrorInfo for methods that the server does not have
// (GRPC-05). Interceptors of the author's own that are given before it run around
// it, those given after it run inside, where a panic of theirs is caught too.
func ServerOptions(svc *longrun.Service, o Options) []grpc.ServerOption {
	unknown := newFaults(svc, o.Log).inDomain(*off)
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(UnaryInterceptor(svc, o)),
		grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error { return unknown }),
	}
}

// UnaryInterceptor returns an interceptor for all unary methods of a server that
// starts operations of svc. It records the W3C trace context of a call, its
// metadata "traceparent", with the operations that the call starts
// ([longrun.WithTraceParent]), and lets no error out that is not a Status with
// an ErrorInfo (ERR-02): one without gets its code as the reason and svc's domain;
// an error without a code, and a panic, is INTERNAL with an id under which
// o.Log has the cause (ERR-07, ERR-15). Of o it uses Log alone.
func UnaryInterceptor(svc *longrun.Service, o Options) grpc.UnaryServerInterceptor {
	f := newFaults(svc, o.Log)
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (_ any, err error) {
		defer f.leave(info.FullMethod, &err)
		if v := metadata.ValueFromIncomingContext(ctx, "traceparent"); len(v) == 1 {
			ctx = longrun.WithTraceParent(ctx, v[0])
		}
		return handler(ctx, req)
	}
}
