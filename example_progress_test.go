package longrun_test

import (
	"context"
	"fmt"
	"log"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// count starts an operation of Count, works it, and shows what callers see.
func count(svc *longrun.Service, text string) *longrunpb.OperationMetadata {
	ctx := context.Background()
	op, err := longrun.Start(ctx, svc, Count, wrapperspb.String(text), longrun.StartOptions{Target: "texts/" + text})
	if err != nil {
		log.Fatal(err)
	}
	work(svc)
	if op, err = svc.Get(ctx, op.Name()); err != nil {
		log.Fatal(err)
	}
	md, err := Count.Metadata(op)
	if err != nil {
		log.Fatal(err)
	}
	return md
}

// Progress replaces the metadata, but for what the starter has set. It costs nothing
// to call it often: the latest is saved about once a second, and with the end.
func ExampleRun_Progress() {
	svc, end := newService()
	defer end()
	longrun.Handle(svc, Count, func(_ context.Context, req *wrapperspb.StringValue, run *longrun.Run[*longrunpb.OperationMetadata]) (*wrapperspb.Int64Value, error) {
		for i := range req.Value {
			run.Progress(&longrunpb.OperationMetadata{
				Progress: &longrunpb.Progress{CompletedUnits: int64(i + 1), TotalUnits: int64(len(req.Value)), Phase: "counting"},
			})
		}
		return wrapperspb.Int64(int64(len(req.Value))), nil
	})
	md := count(svc, "letters")
	fmt.Println(md.GetTarget(), md.GetProgress().GetCompletedUnits(), "of", md.GetProgress().GetTotalUnits(), md.GetProgress().GetPhase())
	// Output: texts/letters 7 of 7 counting
}

// Update changes the metadata in place, also from several goroutines.
func ExampleRun_Update() {
	svc, end := newService()
	defer end()
	longrun.Handle(svc, Count, func(_ context.Context, req *wrapperspb.StringValue, run *longrun.Run[*longrunpb.OperationMetadata]) (*wrapperspb.Int64Value, error) {
		run.Progress(&longrunpb.OperationMetadata{Progress: &longrunpb.Progress{TotalUnits: int64(len(req.Value))}})
		var shards sync.WaitGroup
		for range req.Value {
			shards.Go(func() {
				run.Update(func(m *longrunpb.OperationMetadata) { m.Progress.CompletedUnits++ })
			})
		}
		shards.Wait()
		return wrapperspb.Int64(int64(len(req.Value))), nil
	})
	md := count(svc, "letters")
	fmt.Println(md.GetProgress().GetCompletedUnits(), "of", md.GetProgress().GetTotalUnits())
	// Output: 7 of 7
}

// A warning is an error that does not end the operation.
func ExampleRun_Warn() {
	svc, end := newService()
	defer end()
	longrun.Handle(svc, Count, func(_ context.Context, req *wrapperspb.StringValue, run *longrun.Run[*longrunpb.OperationMetadata]) (*wrapperspb.Int64Value, error) {
		run.Warn(status.New(codes.DataLoss, "the last page is torn off"))
		return wrapperspb.Int64(int64(len(req.Value))), nil
	})
	fmt.Println(count(svc, "letters").GetWarnings()[0].GetMessage())
	// Output: the last page is torn off
}
