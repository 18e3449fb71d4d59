package grpcapi_test

import (
	"os"
	"strings"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
)

// The examples of docs/filter.md, each asked of the base fixture. FLT-41, FLT-42,
// FLT-46, FLT-47: what must be documented is what is answered.
func TestFilter_Document(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../docs/filter.md")
	if err != nil {
		t.Fatal(err)
	}
	s := newSystem(t)
	f := s.fixtures(t, parent)
	examples := 0
	for line := range strings.Lines(string(document)) {
		filter, want, ok := strings.Cut(line, "-->")
		if !ok {
			continue
		}
		examples++
		filter, want = strings.TrimSpace(filter), strings.ReplaceAll(strings.TrimSpace(want), " ", "")
		if want == "error" {
			expect(t, s.listError(t, &longrunningpb.ListOperationsRequest{Name: parent, Filter: filter}), badFilter)
			continue
		}
		if got := f.letters(s.filter(t, parent, filter, 0)); got != strings.TrimPrefix(want, "-") {
			t.Errorf("%s = %q, want %q", filter, got, want)
		}
	}
	if examples < 60 {
		t.Errorf("%d examples, want 60 at least", examples)
	}
	for _, limit := range []string{"8192 bytes", "128 restrictions", "32 deep", "32 segments"} {
		if !strings.Contains(string(document), limit) {
			t.Errorf("the limit of %s is not documented", limit)
		}
	}
}
