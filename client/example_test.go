package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"slices"
	"testing"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun/client"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/longruntest"
	"github.com/longrun-dev/longrun/simulator"
)

// binding is what the examples start: printing a book takes some milliseconds and
// gives its title.
type binding = client.Operation[*wrapperspb.StringValue, *longrunpb.OperationMetadata]

// bind stands for a generated handle: it calls the starting method, and makes a
// handle of what that returns.
func bind(ctx context.Context, conn *grpc.ClientConn, takes time.Duration) (*binding, error) {
	title, err := anypb.New(wrapperspb.String("Persuasion"))
	if err != nil {
		return nil, err
	}
	op, err := longrunpb.NewSimulatorClient(conn).Simulate(ctx, &longrunpb.SimulateRequest{
		RunDuration: durationpb.New(takes), Outcome: &longrunpb.SimulateRequest_Response{Response: title},
	})
	if err != nil {
		return nil, err
	}
	return client.New[*wrapperspb.StringValue, *longrunpb.OperationMetadata](conn, op), nil
}

func Example() {
	conn, stop := exampleConn()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	op, err := bind(ctx, conn, 10*time.Millisecond)
	if err != nil {
		log.Fatal(err)
	}
	book, err := op.Wait(ctx)
	fmt.Println(book.GetValue(), err, op.Done())
	// Output: Persuasion <nil> true
}

// Another process goes on with nothing but the name.
func ExampleResume() {
	conn, stop := exampleConn()
	defer stop()
	ctx := context.Background()

	started, err := bind(ctx, conn, 10*time.Millisecond)
	if err != nil {
		log.Fatal(err)
	}
	name := started.Name() // to be stored

	op := client.Resume[*wrapperspb.StringValue, *longrunpb.OperationMetadata](conn, name)
	fmt.Println("done:", op.Done()) // it has not asked yet
	book, err := op.Wait(ctx)
	fmt.Println(book.GetValue(), err)
	// Output:
	// done: false
	// Persuasion <nil>
}

// New makes a handle of what a method returns that nobody has generated code for.
// google.protobuf.Any takes results as they come.
func ExampleNew() {
	conn, stop := exampleConn()
	defer stop()
	ctx := context.Background()

	raw, err := longrunpb.NewSimulatorClient(conn).Simulate(ctx, &longrunpb.SimulateRequest{})
	if err != nil {
		log.Fatal(err)
	}
	op := client.New[*anypb.Any, *anypb.Any](conn, raw)
	response, err := op.Wait(ctx)
	fmt.Println(response.MessageName(), err)
	// Output: google.protobuf.Empty <nil>
}

// Whoever shows progress polls, at a pace of its own.
func ExampleOperation_Poll() {
	conn, stop := exampleConn()
	defer stop()
	ctx := context.Background()

	op, err := bind(ctx, conn, 20*time.Millisecond)
	if err != nil {
		log.Fatal(err)
	}
	for {
		book, err := op.Poll(ctx)
		if err != nil {
			log.Fatal(err)
		}
		if op.Done() {
			fmt.Println(book.GetValue())
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	// Output: Persuasion
}

func ExampleOperation_Metadata() {
	conn, stop := exampleConn()
	defer stop()
	ctx := context.Background()

	op, err := bind(ctx, conn, 0)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := op.Wait(ctx); err != nil {
		log.Fatal(err)
	}
	md, err := op.Metadata()
	fmt.Println(md.GetState(), md.GetAttempt(), err)
	// Output: SUCCEEDED 1 <nil>
}

// The error of an operation that failed is its own Status. Done tells it from the
// error of a call.
func ExampleOperation_Wait() {
	conn, stop := exampleConn()
	defer stop()
	ctx := context.Background()

	raw, err := longrunpb.NewSimulatorClient(conn).Simulate(ctx, &longrunpb.SimulateRequest{
		Outcome: &longrunpb.SimulateRequest_Error{Error: &statuspb.Status{Code: int32(codes.FailedPrecondition), Message: "the press is broken"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	op := client.New[*anypb.Any, *anypb.Any](conn, raw)
	_, err = op.Wait(ctx)
	switch {
	case err == nil:
		fmt.Println("printed")
	case op.Done():
		fmt.Println("failed:", status.Code(err), status.Convert(err).Message())
	default:
		fmt.Println("nobody knows:", err)
	}
	// Output: failed: FailedPrecondition the press is broken
}

// To stop waiting is not to stop the work.
func ExampleOperation_Cancel() {
	conn, stop := exampleConn()
	defer stop()
	ctx := context.Background()

	op, err := bind(ctx, conn, time.Hour)
	if err != nil {
		log.Fatal(err)
	}
	patience, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	_, err = op.Wait(patience)
	fmt.Println(errors.Is(err, context.DeadlineExceeded), "done:", op.Done())

	if err := op.Cancel(ctx); err != nil {
		log.Fatal(err)
	}
	_, err = op.Wait(ctx)
	fmt.Println(status.Code(err), "done:", op.Done())
	// Output:
	// true done: false
	// Canceled done: true
}

func ExampleOperation_Delete() {
	conn, stop := exampleConn()
	defer stop()
	ctx := context.Background()

	op, err := bind(ctx, conn, 0)
	if err != nil {
		log.Fatal(err)
	}
	book, err := op.Wait(ctx)
	fmt.Println(book.GetValue(), err)
	fmt.Println(op.Delete(ctx)) // the result is here; the record may go
	_, err = client.Resume[*wrapperspb.StringValue, *longrunpb.OperationMetadata](conn, op.Name()).Poll(ctx)
	fmt.Println(status.Code(err))
	// Output:
	// Persuasion <nil>
	// <nil>
	// NotFound
}

// exampleConn returns a connection to a running server in memory.
func exampleConn() (conn *grpc.ClientConn, stop func()) {
	t := &exampleT{}
	sys := longruntest.New(t, longruntest.Options{Register: simulator.Register})
	return sys.Conn(), t.end
}

// exampleT is as much of a testing.T as an example needs.
type exampleT struct {
	testing.TB
	cleanups []func()
}

func (t *exampleT) Helper()                    {}
func (t *exampleT) Context() context.Context   { return context.Background() }
func (t *exampleT) Output() io.Writer          { return io.Discard }
func (t *exampleT) Cleanup(f func())           { t.cleanups = append(t.cleanups, f) }
func (t *exampleT) Error(args ...any)          { panic(fmt.Sprint(args...)) }
func (t *exampleT) Fatalf(f string, as ...any) { panic(fmt.Sprintf(f, as...)) }

func (t *exampleT) end() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
}
