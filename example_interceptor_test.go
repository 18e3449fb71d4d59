package longrun_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// trace stands for what a tracing library does: it makes a span of each run, whose
// parent is the span of the call that started the operation.
func trace(ctx context.Context, req proto.Message, run longrun.AnyRun, next longrun.Handler) (proto.Message, error) {
	fmt.Printf("span %s of attempt %d, parent %s\n", run.Method(), run.Attempt(), longrun.TraceParentOf(ctx))
	defer fmt.Println("span ends")
	return next(ctx, req, run)
}

// who says for whom each run was, and what came of it.
func who(ctx context.Context, req proto.Message, run longrun.AnyRun, next longrun.Handler) (proto.Message, error) {
	resp, err := next(ctx, req, run)
	if err == nil {
		fmt.Printf("%s gets a %s\n", longrun.CallerOf(ctx), resp.ProtoReflect().Descriptor().FullName())
	}
	return resp, err
}

// Interceptors stand around the handlers of all methods, the first outermost. The
// caller and the trace context of the starting call are in ctx, whenever and wherever
// the run is; its deadline is not.
func ExampleInterceptor() {
	svc, end := newService(trace, who)
	defer end()
	longrun.Handle(svc, Count, func(_ context.Context, req *wrapperspb.StringValue, _ *longrun.Run[*longrunpb.OperationMetadata]) (*wrapperspb.Int64Value, error) {
		return wrapperspb.Int64(int64(len(req.Value))), nil
	})

	ctx := longrun.WithTraceParent(longrun.WithCaller(context.Background(), "alice"), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	if _, err := longrun.Start(ctx, svc, Count, wrapperspb.String("letters"), longrun.StartOptions{}); err != nil {
		log.Fatal(err)
	}
	work(svc)
	// Output:
	// span count-letters of attempt 1, parent 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
	// alice gets a google.protobuf.Int64Value
	// span ends
}

// A line for each run, here without the times and names that differ.
func ExampleLogRuns() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "operation" || a.Key == "duration" {
			return slog.Attr{}
		}
		return a
	}}))
	svc, end := newService(longrun.LogRuns(logger))
	defer end()
	longrun.Handle(svc, Count, func(_ context.Context, req *wrapperspb.StringValue, _ *longrun.Run[*longrunpb.OperationMetadata]) (*wrapperspb.Int64Value, error) {
		return wrapperspb.Int64(int64(len(req.Value))), nil
	})
	if _, err := longrun.Start(context.Background(), svc, Count, wrapperspb.String("letters"), longrun.StartOptions{}); err != nil {
		log.Fatal(err)
	}
	work(svc)
	// Output: level=INFO msg="run succeeded" method=count-letters attempt=1
}
