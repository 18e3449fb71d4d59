// Command translate is a whole API service with one slow method, Translate, which
// returns an operation at once and works on it afterwards, also through restarts
// of the program. It is the README's example.
//
//	$ go run ./translate
//	$ grpcurl -plaintext 127.0.0.1:9151 list
//
// Rules it keeps, as every such program must: handlers are registered before the
// runner runs, and the order at the end is runner, gRPC server, Service, store.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/grpcapi"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/sqlite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", "127.0.0.1:9151")
	if err != nil {
		log.Fatal(err)
	}
	if err := serve(ctx, listener, "translate.db"); err != nil {
		log.Fatal(err)
	}
}

// serve serves on listener, with the operations in file, until ctx ends; then it
// gives back what it is working on, for the next start to go on with.
func serve(ctx context.Context, listener net.Listener, file string) (err error) {
	defer listener.Close() // for the early returns: GracefulStop closes it too

	store, err := sqlite.Open(file, sqlite.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	svc, err := longrun.New(store, longrun.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, svc.Close()) }()
	longrun.Handle(svc, Translate, translate)

	server := grpc.NewServer(grpcapi.ServerOptions(svc, grpcapi.Options{})...)
	grpcapi.Register(server, svc, grpcapi.Options{})
	server.RegisterService(&translatorDesc, &translator{svc: svc})
	reflection.Register(server)

	r, err := runner.New(svc, runner.Options{})
	if err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(listener)
		cancel() // a server that cannot serve ends the program
	}()
	ran := r.Run(ctx) // works until ctx ends, then drains
	server.GracefulStop()
	if err := errors.Join(ran, <-served); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}
