package longrun_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/longrunpb"
)

// Count is a method whose operations count the letters of their request.
var Count = longrun.Method[*wrapperspb.StringValue, *wrapperspb.Int64Value, *longrunpb.OperationMetadata]{Name: "count-letters"}

// newService is a Service on a store in memory. Close both when done.
func newService(interceptors ...longrun.Interceptor) (*longrun.Service, func()) {
	store := inmem.New()
	svc, err := longrun.New(store, longrun.Options{Interceptors: interceptors})
	if err != nil {
		log.Fatal(err)
	}
	return svc, func() { _ = svc.Close(); _ = store.Close() }
}

// work does what package runner does, once and no more.
func work(svc *longrun.Service) {
	ctx, w := context.Background(), svc.Work()
	session, err := w.OpenSession(ctx, longrun.SessionOptions{Worker: "example"})
	if err != nil {
		log.Fatal(err)
	}
	claimed, err := w.Claim(ctx, longrun.ClaimRequest{Session: session, Want: []longrun.Want{{Method: Count.Name, N: 1}}})
	if err != nil {
		log.Fatal(err)
	}
	for _, op := range claimed.Operations {
		task, err := w.Task(op, longrun.TaskOptions{})
		if err != nil {
			log.Fatal(err)
		}
		if _, err := w.Finish(ctx, op.Name(), op.Claim, task.Run(ctx)); err != nil {
			log.Fatal(err)
		}
	}
}

func ExampleStart() {
	svc, end := newService()
	defer end()
	ctx := context.Background()
	start := func() *longrun.Operation {
		op, err := longrun.Start(ctx, svc, Count, wrapperspb.String("letters"), longrun.StartOptions{
			Parent:    "projects/p",
			RequestID: "7c9e6679-7425-40de-944b-e07fc1f90ae7",
		})
		if err != nil {
			log.Fatal(err)
		}
		return op
	}
	first, again := start(), start()
	fmt.Println(first.State, first.Parent)
	fmt.Println("the same operation:", first.Name() == again.Name())
	// Output:
	// PENDING projects/p
	// the same operation: true
}

func ExampleHandle() {
	svc, end := newService()
	defer end()
	longrun.Handle(svc, Count, func(_ context.Context, req *wrapperspb.StringValue, run *longrun.Run[*longrunpb.OperationMetadata]) (*wrapperspb.Int64Value, error) {
		run.Update(func(m *longrunpb.OperationMetadata) { m.StatusMessage = "counting" })
		if req.Value == "" {
			return nil, status.Error(codes.InvalidArgument, "there is nothing to count")
		}
		return wrapperspb.Int64(int64(len(req.Value))), nil
	})
	op, err := longrun.Start(context.Background(), svc, Count, wrapperspb.String("letters"), longrun.StartOptions{})
	if err != nil {
		log.Fatal(err)
	}
	work(svc)
	op, err = svc.Get(context.Background(), op.Name())
	if err != nil {
		log.Fatal(err)
	}
	letters, err := Count.Response(op)
	fmt.Println(op.State, letters.GetValue(), err)
	// Output: SUCCEEDED 7 <nil>
}

func ExampleWait() {
	svc, end := newService()
	defer end()
	longrun.Handle(svc, Count, func(context.Context, *wrapperspb.StringValue, *longrun.Run[*longrunpb.OperationMetadata]) (*wrapperspb.Int64Value, error) {
		return nil, status.Error(codes.FailedPrecondition, "nobody can count today")
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	op, err := longrun.Start(ctx, svc, Count, wrapperspb.String("letters"), longrun.StartOptions{})
	if err != nil {
		log.Fatal(err)
	}
	worked := make(chan struct{})
	go func() { defer close(worked); work(svc) }()
	_, err = longrun.Wait(ctx, svc, Count, op.Name())
	fmt.Println(err)
	<-worked
	// Output: rpc error: code = FailedPrecondition desc = nobody can count today
}

func ExampleRetryAfter() {
	svc, end := newService()
	defer end()
	longrun.Handle(svc, Count, func(_ context.Context, _ *wrapperspb.StringValue, run *longrun.Run[*longrunpb.OperationMetadata]) (*wrapperspb.Int64Value, error) {
		fmt.Println("attempt", run.Attempt())
		if run.Attempt() == 1 {
			return nil, longrun.RetryAfter(0, nil) // not a failure
		}
		return wrapperspb.Int64(7), nil
	})
	op, err := longrun.Start(context.Background(), svc, Count, wrapperspb.String("letters"), longrun.StartOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		work(svc)
		op, err = svc.Get(context.Background(), op.Name())
		fmt.Println(op.State, op.Failures, err)
	}
	// Output:
	// attempt 1
	// PENDING 0 <nil>
	// attempt 2
	// SUCCEEDED 0 <nil>
}

func ExampleParseName() {
	name, err := longrun.ParseName("projects/p/operations/0192f0c1-2d3e-7f40-8a5b-6c7d8e9fa0b1")
	fmt.Println(name.Parent, name.ID, err)
	_, err = longrun.ParseName("projects/p")
	fmt.Println(err)
	// Output:
	// projects/p 0192f0c1-2d3e-7f40-8a5b-6c7d8e9fa0b1 <nil>
	// name must end in operations/ID
}
