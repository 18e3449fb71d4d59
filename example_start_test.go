package longrun_test

import (
	"context"
	"fmt"
	"log"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/testpb"
)

// A request is checked as if it were started, and nothing is stored: the operation
// that comes back is done and has no name.
func ExampleStart_validateOnly() {
	svc, end := newService()
	defer end()
	longrun.Begin(svc, Count, func(_ context.Context, _ *wrapperspb.StringValue, d *longrun.Draft) error {
		fmt.Println("the hook runs, validate only:", d.ValidateOnly())
		return nil
	})
	ctx := context.Background()
	op, err := longrun.Start(ctx, svc, Count, wrapperspb.String("letters"), longrun.StartOptions{ValidateOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	page, err := svc.List(ctx, longrun.ListRequest{})
	fmt.Printf("%v, name %q, stored: %d %v\n", op.State, op.Name(), len(page.Operations), err)
	// Output:
	// the hook runs, validate only: true
	// SUCCEEDED, name "", stored: 0 <nil>
}

// Operations with the same conflict key are done one after the other, or refused, as
// the method says.
func ExampleStart_conflictKey() {
	svc, end := newService()
	defer end()
	exclusive := Count
	exclusive.ConflictKey = func(req *wrapperspb.StringValue) string { return "texts/" + req.Value }
	exclusive.OnConflict = longrun.Reject
	for range 2 {
		_, err := longrun.Start(context.Background(), svc, exclusive, wrapperspb.String("letters"), longrun.StartOptions{})
		fmt.Println(longrun.CodeOf(err))
	}
	// Output:
	// OK
	// Aborted
}

// Fields that are required by google.api.field_behavior are checked in every start.
func ExampleStart_requiredFields() {
	svc, end := newService()
	defer end()
	req := &testpb.BatchCreateBooksRequest{Requests: []*testpb.CreateBookRequest{{Parent: "shelves/s", Book: &testpb.Book{}}}}
	_, err := longrun.Start(context.Background(), svc, BatchCreate, req, longrun.StartOptions{})
	fmt.Println(err)
	// Output: start: requests[0].book.title is required
}

// A node of the API whose runners are elsewhere declares the methods that it starts:
// it holds starts by name, and workers, to their types.
func ExampleDeclare() {
	svc, end := newService()
	defer end()
	declared := Count
	declared.Parent = func(req *wrapperspb.StringValue) string { return longrun.UnderParent(req.Value) }
	longrun.Declare(svc, declared)

	req, err := anypb.New(wrapperspb.String("projects/p/locations/l/texts/t"))
	if err != nil {
		log.Fatal(err)
	}
	op, err := svc.Start(context.Background(), longrun.StartRequest{Method: Count.Name, Request: req})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(op.Parent)
	// Output: projects/p/locations/l
}

// Operations live under the location, where there is one.
func ExampleUnderParent() {
	fmt.Println(longrun.UnderParent("projects/p/locations/l/glossaries/g"))
	fmt.Println(longrun.UnderParent("shelves/s"))
	fmt.Println(longrun.BesideResource("shelves/s/books/b"))
	// Output:
	// projects/p/locations/l
	// shelves/s
	// shelves/s
}
