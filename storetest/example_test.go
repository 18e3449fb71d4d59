package storetest_test

import (
	"context"
	"fmt"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/storetest"
)

func ExampleFaulty() {
	ctx := context.Background()
	store := storetest.NewFaulty(inmem.New())
	defer store.Close()

	// The next Create happens, but nobody hears of it.
	store.Inject(storetest.Fault{On: storetest.OnCreate, Outcome: storetest.Committed})
	n := longrun.NewOperation{Operation: &longrun.Operation{ID: longrun.NewID(), Method: "resize-image"}}
	_, err := store.Create(ctx, n)
	fmt.Println(longrun.IsUnknown(err))

	// The same call again finds what it has stored.
	op, err := store.Create(ctx, n)
	fmt.Println(op.State, op.Revision, err)
	// Output:
	// true
	// PENDING 1 <nil>
}
