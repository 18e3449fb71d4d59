package longruntest_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/longruntest"
)

// In a test, t is its *testing.T; here it stands for one.
func Example() {
	t := &exampleT{}
	defer t.end()

	count := longrun.Method[*wrapperspb.StringValue, *wrapperspb.Int64Value, *longrunpb.OperationMetadata]{Name: "count"}
	sys := longruntest.New(t, longruntest.Options{Register: func(_ grpc.ServiceRegistrar, svc *longrun.Service) {
		longrun.Handle(svc, count, func(_ context.Context, s *wrapperspb.StringValue, _ *longrun.Run[*longrunpb.OperationMetadata]) (*wrapperspb.Int64Value, error) {
			return wrapperspb.Int64(int64(len(s.Value))), nil
		})
	}})

	op := longruntest.Start(t, sys, count, wrapperspb.String("twelve bytes"))
	n, err := count.Response(sys.Done(t, op))
	fmt.Println(n.GetValue(), err)
	// Output: 12 <nil>
}

func ExampleSystem_Session() {
	t := &exampleT{}
	defer t.end()

	sys := longruntest.New(t, longruntest.Options{})
	sys.Start(t, "resize-image")
	worker := sys.Session(t, "worker-1")
	for _, op := range worker.Claim(t, 1) {
		done, err := worker.Finish(t, op, longrun.Result{})
		fmt.Println("attempt", op.Claim.Attempt, done.State, err)
	}
	// Output: attempt 1 SUCCEEDED <nil>
}

func ExampleSystem_Crash() {
	t := &exampleT{}
	defer t.end()

	sys := longruntest.New(t, longruntest.Options{})
	op := sys.Start(t, "resize-image")
	sys.Crash(t)
	fmt.Println(sys.Get(t, op).State)
	// Output: PENDING
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
