package server

import (
	"context"
	"sync/atomic"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/tap"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// Limits on the gRPC calls of all connections together.
const (
	// maxCalls is how many calls may be under way. Each costs some 12 KB.
	maxCalls = 50_000
	// maxBeginning is how many of them may be others than those that carry on or end
	// what there is (carriesOn). It has room for all who may wait, for the end of an
	// operation or for work, and 5,000 more.
	maxBeginning = 35_000
	// receiveTimeout is how long a request may take to arrive when its call has begun.
	receiveTimeout = 30 * time.Second
	// overloadDelay is when a caller that was refused comes again.
	overloadDelay = time.Second
)

// carriesOn are the methods by which the operations that there are go on, are looked at
// and end. A flood of others does not take their places.
var carriesOn = map[string]bool{
	longrunningpb.Operations_GetOperation_FullMethodName:    true,
	longrunningpb.Operations_CancelOperation_FullMethodName: true,
	longrunningpb.Operations_DeleteOperation_FullMethodName: true,
	longrunpb.Dispatcher_BeatSession_FullMethodName:         true,
	longrunpb.Dispatcher_CloseSession_FullMethodName:        true,
	longrunpb.Dispatcher_ReportProgress_FullMethodName:      true,
	longrunpb.Dispatcher_FinishOperation_FullMethodName:     true,
	longrunpb.Dispatcher_ReleaseOperation_FullMethodName:    true,
	healthpb.Health_Check_FullMethodName:                    true,
}

// admission decides which gRPC calls may begin. It is asked before a call costs
// anything, and is told of every end by the call's context. It is safe for concurrent
// use.
type admission struct {
	domain                 string // of errors
	all, beginning         atomic.Int64
	maxCalls, maxBeginning int64
}

func newAdmission(svc *longrun.Service) *admission {
	return &admission{domain: svc.Domain(), maxCalls: maxCalls, maxBeginning: maxBeginning}
}

// options are for the server whose calls are admitted.
func (a *admission) options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.InTapHandle(a.tap), grpc.ChainUnaryInterceptor(a.unary), grpc.ChainStreamInterceptor(stream),
		grpc.ForceServerCodecV2(replyCodec{encoding.GetCodecV2("proto")}),
	}
}

// received is the key of the timer that ends a call whose request does not arrive.
type received struct{}

// tap lets a call begin, or refuses it. It runs on the goroutine that reads the
// connection.
func (a *admission) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	release, ok := a.enter(info.FullMethodName)
	if !ok {
		return ctx, a.overloaded("too many calls are under way").GRPCStatus().Err()
	}
	call, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(receiveTimeout, cancel)
	context.AfterFunc(ctx, func() {
		timer.Stop()
		release()
	})
	return context.WithValue(call, received{}, timer), nil
}

// enter takes a place for a call of method, and returns what gives it back.
func (a *admission) enter(method string) (release func(), ok bool) {
	if a.all.Add(1) > a.maxCalls {
		a.all.Add(-1)
		return nil, false
	}
	if carriesOn[method] {
		return func() { a.all.Add(-1) }, true
	}
	if a.beginning.Add(1) > a.maxBeginning {
		a.beginning.Add(-1)
		a.all.Add(-1)
		return nil, false
	}
	return func() {
		a.beginning.Add(-1)
		a.all.Add(-1)
	}, true
}

// unary notes that the request has arrived, and holds replies back from a client that
// does not read.
func (a *admission) unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	arrived(ctx)
	reply, err := handler(ctx, req)
	if err != nil {
		return nil, err
	}
	reply, ok := held(ctx, reply)
	if !ok {
		return nil, a.overloaded("replies are not read")
	}
	return reply, nil
}

// stream leaves streams, which have no one request, the time that they want.
func stream(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	arrived(s.Context())
	return handler(srv, s)
}

func arrived(ctx context.Context) {
	if timer, ok := ctx.Value(received{}).(*time.Timer); ok {
		timer.Stop()
	}
}

func (a *admission) overloaded(msg string) *longrun.Error {
	return &longrun.Error{Code: codes.Unavailable, Reason: longrun.ReasonOverloaded, Domain: a.domain, Delay: overloadDelay, Msg: msg}
}
