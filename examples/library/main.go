// Command library is a bookstore: an API with shelves, books and slow methods, in one
// program that serves it over gRPC and HTTP/JSON. README.md says how to run and call it.
//
// What to read, in this order: proto/ has the API, librarypb what is generated from it,
// library.go what joins the two. shelf.go has a resource that is there before its
// operation is done, import.go work that goes on where a crash has stopped it, batch.go
// batches of which a part may fail. book.go and page.go are the plain rest; serve.go is
// what every such program has.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		log.Fatal("library: ", err)
	}
}

// run is the program: it serves until ctx ends.
func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("library", flag.ExitOnError)
	addr := flags.String("addr", "127.0.0.1:9151", "serve gRPC on this `address`")
	web := flags.String("http", "127.0.0.1:8151", "serve HTTP/JSON on this `address`")
	var o options
	flags.StringVar(&o.store, "store", "library.db", "keep everything in this `file`")
	flags.StringVar(&o.bucket, "bucket", "bucket", "the `folder` that stands for a bucket")
	flags.DurationVar(&o.pace, "pace", 0, "how long to take over each piece of work, so that there is something to watch")
	_ = flags.Parse(args) // an error ends the program
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err := o.check(); err != nil {
		return err
	}
	grpcL, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	defer grpcL.Close() // again, unless the program ends before it serves
	httpL, err := net.Listen("tcp", *web)
	if err != nil {
		return err
	}
	defer httpL.Close()
	log.Printf("serving gRPC on %s, HTTP on %s", grpcL.Addr(), httpL.Addr())
	return serve(ctx, o, grpcL, httpL)
}

// check refuses a store that can be imported from: SQLite loses its locks when the process
// opens and closes the file by itself.
func (o options) check() error {
	bucket, err := filepath.Abs(o.bucket)
	if err != nil {
		return err
	}
	store, err := filepath.Abs(o.store)
	if err != nil {
		return err
	}
	inside, err := filepath.Rel(bucket, store)
	if err == nil && filepath.IsLocal(inside) {
		return fmt.Errorf("the store %q must not be in the bucket %q", o.store, o.bucket)
	}
	return nil
}
