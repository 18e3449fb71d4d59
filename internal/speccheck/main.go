// Command speccheck prints every rule of docs/spec.md with the tests that name
// it, and for a rule that no test names, the reason that docs/spec-later.txt
// gives. "make spec" runs it:
//
//	$ go run ./internal/speccheck
//	## 18. Consistency, concurrency, durability: 6 of 7 rules have a test
//	CON-06   SHOULD   grpcapi.TestOperation_Progress
//	CON-07   SHOULD   later: several nodes on one PostgreSQL
//
// A test names a rule by its id, spelled as in the spec, in a comment or a
// string: "PAG-11", or "WAI-01 to WAI-05", or "WAI-01..05". Looked at are all
// files *_test.go, the Go files of storetest, and scripts below testdata.
//
// It ends with status 1 when a rule has neither a test nor a reason, or both, or when
// a test or a reason names a rule that the spec does not have.
package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
)

const (
	specFile  = "docs/spec.md"
	laterFile = "docs/spec-later.txt"
)

func main() {
	if len(os.Args) > 2 {
		fmt.Fprintln(os.Stderr, "usage: speccheck [ROOT]")
		os.Exit(2)
	}
	root := "."
	if len(os.Args) == 2 {
		root = os.Args[1]
	}
	ok, err := check(os.DirFS(root), os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "speccheck:", err)
		os.Exit(1)
	}
	if !ok {
		os.Exit(1)
	}
}

// check prints the report on the tree and says whether nothing is amiss.
func check(tree fs.FS, w io.Writer) (bool, error) {
	text, err := fs.ReadFile(tree, specFile)
	if err != nil {
		return false, err
	}
	spec, err := parseSpec(string(text))
	if err != nil {
		return false, fmt.Errorf("%s: %w", specFile, err)
	}
	text, err = fs.ReadFile(tree, laterFile)
	if err != nil {
		return false, err
	}
	later, err := parseLater(spec, string(text))
	if err != nil {
		return false, fmt.Errorf("%s: %w", laterFile, err)
	}
	tests, err := scan(spec, tree)
	if err != nil {
		return false, err
	}
	r := report{spec: spec, later: later, tests: tests}
	return r.print(w)
}
