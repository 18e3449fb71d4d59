package simulator_test

import (
	"context"
	"fmt"
	"log"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/simulator"
)

// A client asks for an operation that fails, and sees it fail.
func ExampleRegister() {
	svc, err := longrun.New(inmem.New(), longrun.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer svc.Close()
	server := grpc.NewServer()
	simulator.Register(server, svc)
	r, err := runner.New(svc, runner.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()

	client, stop := dial(server)
	defer stop()
	op, err := client.Simulate(ctx, &longrunpb.SimulateRequest{
		ProgressSteps: 3,
		Outcome: &longrunpb.SimulateRequest_Error{Error: &statuspb.Status{
			Code: int32(codes.FailedPrecondition), Message: "the disk is in use",
		}},
	})
	if err != nil {
		log.Fatal(err)
	}

	name, err := longrun.ParseName(op.GetName())
	if err != nil {
		log.Fatal(err)
	}
	done, err := svc.Wait(ctx, name, time.Minute)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(done.State, done.Error.GetMessage())

	cancel()
	if err := <-ended; err != nil {
		log.Fatal(err)
	}
	// Output: FAILED the disk is in use
}
