package runner_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/runner"
)

func ExampleRunner_Run() {
	count := longrun.Method[*wrapperspb.StringValue, *wrapperspb.Int64Value, *longrunpb.OperationMetadata]{Name: "count"}

	svc, err := longrun.New(inmem.New(), longrun.Options{})
	if err != nil {
		panic(err)
	}
	defer svc.Close()
	longrun.Handle(svc, count, func(_ context.Context, s *wrapperspb.StringValue, _ *longrun.Run[*longrunpb.OperationMetadata]) (*wrapperspb.Int64Value, error) {
		return wrapperspb.Int64(int64(len(s.Value))), nil
	})
	r, err := runner.New(svc, runner.Options{})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()

	op, err := longrun.Start(ctx, svc, count, wrapperspb.String("twelve bytes"), longrun.StartOptions{})
	if err != nil {
		panic(err)
	}
	n, err := longrun.Wait(ctx, svc, count, op.Name())
	fmt.Println(n.GetValue(), err)
	stop()
	fmt.Println("drained:", <-ended)
	// Output:
	// 12 <nil>
	// drained: <nil>
}

// A process that serves callers and leaves the work to others may still sweep.
func ExampleOptions_sweepsOnly() {
	svc, err := longrun.New(inmem.New(), longrun.Options{})
	if err != nil {
		panic(err)
	}
	defer svc.Close()
	r, err := runner.New(svc, runner.Options{Concurrency: -1})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer stop()
	fmt.Println(r.Run(ctx))
	// Output: <nil>
}

func ExampleNew_wrongOption() {
	svc, err := longrun.New(inmem.New(), longrun.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	_, err = runner.New(svc, runner.Options{SessionTTL: time.Second})
	fmt.Println(err)
	// Output: runner: SessionTTL is 1s, and must be from 5s to 10m0s
}

// A handler that is stopped says so by returning; whether its work goes on
// elsewhere depends on why it was stopped.
func ExampleRunner_Run_stopped() {
	handler := func(ctx context.Context) error {
		<-ctx.Done()
		if errors.Is(context.Cause(ctx), longrun.ErrDraining) {
			return longrun.RetryAfter(time.Minute, nil) // not at once, please
		}
		return ctx.Err()
	}
	ctx, stop := context.WithCancelCause(context.Background())
	stop(longrun.ErrDraining)
	fmt.Println(handler(ctx))
	// Output: retry after 1m0s
}
