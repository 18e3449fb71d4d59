package dispatch_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/dispatch"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/longrunpb"
)

// A worker opens a session, acquires an operation, and finishes it. The same
// calls are there for every language that has gRPC or HTTP.
func ExampleRegister() {
	svc, err := longrun.New(inmem.New(), longrun.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer svc.Close()
	server := grpc.NewServer()
	dispatch.Register(server, svc, dispatch.Options{})
	client, stop := dial(server)
	defer stop()
	ctx := context.Background()

	// A service starts an operation.
	op, err := client.StartOperation(ctx, &longrunpb.StartOperationRequest{
		Method: "resize-image", Request: pack(wrapperspb.String("cat.png")),
	})
	if err != nil {
		log.Fatal(err)
	}

	// A worker does it.
	session, err := client.OpenSession(ctx, &longrunpb.OpenSessionRequest{Worker: "host/1"})
	if err != nil {
		log.Fatal(err)
	}
	work, err := client.AcquireOperations(ctx, &longrunpb.AcquireOperationsRequest{
		Session: session.GetSession(), Methods: []string{"resize-image"}, Call: 1,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, w := range work.GetOperations() {
		fmt.Println("attempt", w.GetAttempt(), "of", w.GetMethod())
		_, err := client.FinishOperation(ctx, &longrunpb.FinishOperationRequest{
			Session: session.GetSession(), Name: w.GetOperation(), Attempt: w.GetAttempt(),
			Result: &longrunpb.FinishOperationRequest_Response{Response: pack(wrapperspb.String("cat-small.png"))},
		})
		if err != nil {
			log.Fatal(err)
		}
	}

	name, err := longrun.ParseName(op.GetName())
	if err != nil {
		log.Fatal(err)
	}
	done, err := svc.Get(ctx, name)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(done.State)
	// Output:
	// attempt 1 of resize-image
	// SUCCEEDED
}

// dial serves server in memory and returns a client of it.
func dial(server *grpc.Server) (client longrunpb.DispatcherClient, stop func()) {
	listener := bufconn.Listen(1 << 16)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		log.Fatal(err)
	}
	return longrunpb.NewDispatcherClient(conn), func() {
		conn.Close()
		server.Stop()
		if err := <-served; err != nil {
			log.Print(err)
		}
	}
}
