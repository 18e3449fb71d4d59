package longrun_test

import (
	"context"
	"fmt"
	"log"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
)

// The hook of the moment of starting refuses, and says what is shown.
func ExampleBegin() {
	svc, end := newService()
	defer end()
	longrun.Begin(svc, Count, func(_ context.Context, req *wrapperspb.StringValue, d *longrun.Draft) error {
		if req.Value == "" {
			return status.Error(codes.InvalidArgument, "there is nothing to count")
		}
		d.Target, d.Verb = "texts/"+req.Value, "count"
		d.ConflictKey = d.Target
		return nil
	})
	ctx := context.Background()
	_, err := longrun.Start(ctx, svc, Count, wrapperspb.String(""), longrun.StartOptions{})
	fmt.Println(err)
	op, err := longrun.Start(ctx, svc, Count, wrapperspb.String("letters"), longrun.StartOptions{})
	if err != nil {
		log.Fatal(err)
	}
	md, err := Count.Metadata(op)
	fmt.Println(md.GetVerb(), md.GetTarget(), err)
	// Output:
	// rpc error: code = InvalidArgument desc = there is nothing to count
	// count texts/letters <nil>
}
