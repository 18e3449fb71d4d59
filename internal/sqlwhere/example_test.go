package sqlwhere_test

import (
	"fmt"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"

	"github.com/longrun-dev/longrun/filter"
	"github.com/longrun-dev/longrun/internal/sqlwhere"
)

func Example() {
	schema, err := filter.NewSchema((&longrunningpb.Operation{}).ProtoReflect().Descriptor(), filter.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := schema.Compile(`done=true AND NOT name="operations/*" AND error.message=x`)
	if err != nil {
		fmt.Println(err)
		return
	}
	w := sqlwhere.Build(f.Expr(), sqlwhere.Columns{State: "state", Name: "name"})
	fmt.Println(w.SQL)
	fmt.Println(w.Args)
	// Output:
	// (state IN (?, ?, ?)) AND (NOT (substr(name, 1, length(?)) = ?)) AND (state IN (?, ?))
	// [3 4 5 operations/ operations/ 4 5]
}
