package grpcapi_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/grpcapi"
	"github.com/longrun-dev/longrun/inmem"
)

// serve runs a server on a free port and returns a client, and a function that
// ends both.
func serve(server *grpc.Server) (longrunningpb.OperationsClient, func()) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	return longrunningpb.NewOperationsClient(conn), func() {
		conn.Close()
		server.GracefulStop()
		if err := <-served; err != nil {
			log.Fatal(err)
		}
	}
}

func ExampleRegister() {
	ctx := context.Background()
	svc, err := longrun.New(inmem.New(), longrun.Options{})
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpcapi.ServerOptions(svc, grpcapi.Options{})...)
	grpcapi.Register(server, svc, grpcapi.Options{})
	client, stop := serve(server)
	defer stop()

	started, err := svc.Start(ctx, longrun.StartRequest{Method: "resize-image"})
	if err != nil {
		log.Fatal(err)
	}
	name := started.Name().String()
	if _, err := client.CancelOperation(ctx, &longrunningpb.CancelOperationRequest{Name: name}); err != nil {
		log.Fatal(err)
	}
	op, err := client.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: name})
	fmt.Println(op.GetDone(), codes.Code(op.GetError().GetCode()), err)
	// Output: true Canceled <nil>
}

func ExampleServerOptions() {
	svc, err := longrun.New(inmem.New(), longrun.Options{})
	if err != nil {
		log.Fatal(err)
	}
	// Operations is not registered: the method is unknown to this server.
	client, stop := serve(grpc.NewServer(grpcapi.ServerOptions(svc, grpcapi.Options{})...))
	defer stop()

	_, err = client.GetOperation(context.Background(), &longrunningpb.GetOperationRequest{Name: "operations/x"})
	fmt.Println(status.Code(err), errorInfoOf(status.Convert(err)).GetReason())
	// Output: Unimplemented METHOD_NOT_SUPPORTED
}

func ExampleUnaryInterceptor() {
	svc, err := longrun.New(inmem.New(), longrun.Options{Domain: "library.example.com"})
	if err != nil {
		log.Fatal(err)
	}
	intercept := grpcapi.UnaryInterceptor(svc, grpcapi.Options{})

	// As grpc-go calls it around a method that says no more than a code.
	_, err = intercept(context.Background(), nil, &grpc.UnaryServerInfo{FullMethod: "/example.Library/Find"},
		func(context.Context, any) (any, error) { return nil, status.Error(codes.NotFound, "no such shelf") })
	info := errorInfoOf(status.Convert(err))
	fmt.Println(err)
	fmt.Println(info.GetReason(), info.GetDomain())
	// Output:
	// rpc error: code = NotFound desc = no such shelf
	// NOT_FOUND library.example.com
}
