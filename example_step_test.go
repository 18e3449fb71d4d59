package longrun_test

import (
	"context"
	"fmt"
	"log"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// What a step has done is not done again when the operation runs again.
func ExampleRun_Step() {
	svc, end := newService()
	defer end()
	longrun.Handle(svc, Count, func(ctx context.Context, req *wrapperspb.StringValue, run *longrun.Run[*longrunpb.OperationMetadata]) (*wrapperspb.Int64Value, error) {
		err := run.Step(ctx, "send", func(context.Context) error {
			fmt.Println("the mail is sent")
			return nil
		})
		if err == nil && run.Attempt() == 1 {
			err = longrun.RetryAfter(0, nil)
		}
		return wrapperspb.Int64(int64(len(req.Value))), err
	})
	if _, err := longrun.Start(context.Background(), svc, Count, wrapperspb.String("letters"), longrun.StartOptions{}); err != nil {
		log.Fatal(err)
	}
	work(svc)
	work(svc)
	// Output: the mail is sent
}

// Each shard is a step with a result. The run that comes after a failure counts what
// the first has left.
func ExampleStepResult() {
	svc, end := newService()
	defer end()
	shards := []string{"one", "three", "fourteen"}
	count := func(run longrun.AnyRun, shard string) (*wrapperspb.Int64Value, error) {
		if shard == "three" && run.Attempt() == 1 {
			return nil, status.Error(codes.NotFound, "the shard is not there yet")
		}
		fmt.Printf("attempt %d counts %q\n", run.Attempt(), shard)
		return wrapperspb.Int64(int64(len(shard))), nil
	}
	longrun.Handle(svc, Count, func(ctx context.Context, _ *wrapperspb.StringValue, run *longrun.Run[*longrunpb.OperationMetadata]) (*wrapperspb.Int64Value, error) {
		var sum int64
		for _, shard := range shards {
			n, err := longrun.StepResult(ctx, run, "count/"+shard, func(context.Context) (*wrapperspb.Int64Value, error) {
				return count(run, shard)
			})
			if err != nil {
				return nil, longrun.RetryAfter(0, err)
			}
			sum += n.Value
		}
		return wrapperspb.Int64(sum), nil
	})
	op, err := longrun.Start(context.Background(), svc, Count, wrapperspb.String("all"), longrun.StartOptions{})
	if err != nil {
		log.Fatal(err)
	}
	work(svc)
	work(svc)
	op, err = svc.Get(context.Background(), op.Name())
	if err != nil {
		log.Fatal(err)
	}
	letters, err := Count.Response(op)
	fmt.Println(letters.GetValue(), err)
	// Output:
	// attempt 1 counts "one"
	// attempt 2 counts "three"
	// attempt 2 counts "fourteen"
	// 16 <nil>
}
