package longruntest_test

import (
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// translate is the method of an author's API: it translates a number of pages, a
// minute each.
var translate = longrun.Method[*wrapperspb.Int64Value, *wrapperspb.StringValue, *longrunpb.OperationMetadata]{Name: "translate"}

func translatePages(ctx context.Context, pages *wrapperspb.Int64Value, run *longrun.Run[*longrunpb.OperationMetadata]) (*wrapperspb.StringValue, error) {
	for page := range pages.Value {
		err := run.Step(ctx, fmt.Sprint("page-", page), func(ctx context.Context) error {
			select {
			case <-time.After(time.Minute):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return wrapperspb.String(fmt.Sprint(pages.Value, " pages in ", run.Attempt(), " runs")), nil
}

// simulation is an author's service whose method starts an operation.
type simulation struct {
	longrunpb.UnimplementedSimulatorServer
	svc *longrun.Service
}

func (s *simulation) Simulate(ctx context.Context, _ *longrunpb.SimulateRequest) (*longrunningpb.Operation, error) {
	op, err := longrun.Start(ctx, s.svc, translate, wrapperspb.Int64(3), longrun.StartOptions{})
	return s.svc.Proto(op), err
}

// register is what an author hands to longruntest.
func register(r grpc.ServiceRegistrar, svc *longrun.Service) {
	longrun.Handle(svc, translate, translatePages)
	longrunpb.RegisterSimulatorServer(r, &simulation{svc: svc})
}
