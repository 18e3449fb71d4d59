package mask_test

import (
	"errors"
	"fmt"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"

	"github.com/longrun-dev/longrun/internal/mask"
)

func ExampleParse() {
	m, err := mask.Parse("operations(name,metadata/progress), nextPageToken")
	fmt.Println(m, err)
	_, err = mask.Parse("operations(name")
	fmt.Println(err)
	// Output:
	// nextPageToken,operations.metadata.progress,operations.name <nil>
	// mask: byte 15: expected a comma or a closing parenthesis
}

func ExampleMask_Validate() {
	page := &longrunningpb.ListOperationsResponse{}
	for _, text := range []string{"operations.name", "operations.nmae", "operations.0.name"} {
		m, err := mask.Parse(text)
		if err != nil {
			fmt.Println(err)
			continue
		}
		err = m.Validate(page.ProtoReflect().Descriptor())
		fmt.Println(err)
		if e, ok := errors.AsType[*mask.Error](err); ok {
			fmt.Println(" ", e.Offset, e.Segment)
		}
	}
	// Output:
	// <nil>
	// mask: byte 11: no field "nmae" in google.longrunning.Operation
	//   11 nmae
	// mask: byte 11: an index, "0", into a repeated field
	//   11 0
}

func ExampleMask_Apply() {
	m, err := mask.Parse("name,done")
	if err != nil {
		fmt.Println(err)
		return
	}
	op := &longrunningpb.Operation{Name: "operations/a", Done: true, Result: &longrunningpb.Operation_Response{}}
	kept, err := m.Apply(op, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	got := kept.(*longrunningpb.Operation)
	fmt.Println(got.Name, got.Done, got.Result)
	// Output: operations/a true <nil>
}
