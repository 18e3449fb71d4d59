package sqlite

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// A bare variable as a limit has the statement compiled anew each time it is bound.
func TestQueries_LimitsAreNoBareVariables(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	limit, bare, seen := regexp.MustCompile(`\bLIMIT \?[0-9]*`), regexp.MustCompile(`\bLIMIT \?[0-9]*(\s*$|[`+"`"+`);])`), 0
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		seen += len(limit.FindAll(body, -1))
		if q := bare.Find(body); q != nil {
			t.Errorf("%s has %q, want \"? + 0\"", file, q)
		}
	}
	if seen == 0 {
		t.Error("no limit was found")
	}
}
