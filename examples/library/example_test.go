package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/longrun-dev/longrun/examples/library/librarypb"
)

// A caller in Go: each call returns a handle of the operation with its own types, and
// another process gets one by the operation's name.
func Example() {
	ctx := context.Background()
	conn, stop := serving(ctx)
	defer stop()
	lib := pb.NewLibraryServiceOperations(conn)

	creating, err := lib.CreateShelf(ctx, &pb.CreateShelfRequest{ShelfId: "novels", Shelf: &pb.Shelf{Theme: "Novels"}})
	if err != nil {
		log.Fatal(err)
	}
	shelf, err := creating.Wait(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(shelf.GetName(), "is", shelf.GetState())

	adding, err := lib.BatchCreateBooks(ctx, &pb.BatchCreateBooksRequest{
		Parent: shelf.GetName(), ReturnPartialSuccess: true,
		Requests: []*pb.CreateBookRequest{
			{BookId: "emma", Book: &pb.Book{Title: "Emma"}},
			{BookId: "emma", Book: &pb.Book{Title: "Emma, again"}},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	adding = lib.BatchCreateBooksOperation(adding.Name())
	added, err := adding.Wait(ctx)
	if err != nil {
		log.Fatal(err)
	}
	progress, err := adding.Metadata()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(added.GetBooks()), "added;", progress.GetFailedRequests()[1].GetMessage())

	// Output:
	// shelves/novels is ACTIVE
	// 1 added; there is a book "shelves/novels/books/emma" already
}

// serving serves a library from a folder of its own, and returns a connection to it and a
// function that ends it all.
func serving(ctx context.Context) (conn *grpc.ClientConn, stop func()) {
	folder, err := os.MkdirTemp("", "library")
	if err != nil {
		log.Fatal(err)
	}
	var listeners [2]net.Listener
	for i := range listeners {
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			log.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(folder, "bucket"), 0o777); err != nil {
		log.Fatal(err)
	}
	o := options{store: filepath.Join(folder, "library.db"), bucket: filepath.Join(folder, "bucket")}
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- serve(ctx, o, listeners[0], listeners[1]) }()
	conn, err = grpc.NewClient(listeners[0].Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	return conn, func() {
		conn.Close()
		cancel()
		if err := <-served; err != nil {
			log.Fatal(err)
		}
		os.RemoveAll(folder)
	}
}
