package filter_test

import (
	"errors"
	"fmt"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"

	"github.com/longrun-dev/longrun/filter"
)

// schema is what filters over operations are checked against.
var schema, errSchema = filter.NewSchema((&longrunningpb.Operation{}).ProtoReflect().Descriptor(), filter.Options{Text: []string{"name", "error.message"}})

func Example() {
	if errSchema != nil {
		fmt.Println(errSchema)
		return
	}
	f, err := schema.Compile("done = true AND error.code = (5 OR 9)")
	if err != nil {
		fmt.Println(err)
		return
	}
	failed := &longrunningpb.Operation{Name: "operations/a", Done: true, Result: &longrunningpb.Operation_Error{Error: &statuspb.Status{Code: 9}}}
	running := &longrunningpb.Operation{Name: "operations/b"}
	for _, op := range []*longrunningpb.Operation{failed, running} {
		ok, err := f.Match(op)
		fmt.Println(op.Name, ok, err)
	}
	// Output:
	// operations/a true <nil>
	// operations/b false <nil>
}

func ExampleError() {
	_, err := schema.Compile(`done = true AND error.code = "nine"`)
	fmt.Println(err)
	if wrong, ok := errors.AsType[*filter.Error](err); ok {
		fmt.Println(wrong.Column, wrong.Token, wrong.Path)
	}
	// Output:
	// column 30: "error.code" is a number, and "nine" is not
	// 30 nine error.code
}

func ExampleFilter_Expr() {
	f, err := schema.Compile(`name = "projects/p/*" done:true`)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, part := range f.Expr().(filter.All) {
		r := part.(*filter.Restriction)
		text, before, after := r.Value.Text()
		fmt.Println(r.Path, r.Op, text, before, after)
	}
	// Output:
	// [name] = projects/p/ false true
	// [done] : true false false
}
