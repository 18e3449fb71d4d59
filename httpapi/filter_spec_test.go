package httpapi_test

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// The truth table of section 5 of the spec says over HTTP what it says over gRPC: what
// each filter finds, and which are refused. The table names the rules.
func TestFilter_Table(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	// U ignores its cancellation; while nobody cancels, it is as R.
	f := s.fixtures(t, parent)
	expectJSON(t, "delete", ask(s.web, "DELETE /v1/"+f.S, ""), `{}`) // the table's S has a CommandResponse
	f.S = s.finish(t, s.run(t, parent), longrun.Result{Response: pack(t, &longrunpb.CommandResponse{})})
	fixture := []string{f.S, f.E, f.C, f.R, s.run(t, parent).Name().String()}
	text, err := os.ReadFile("../filter/testdata/spec.txt")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		var rule, want string
		if n, _ := fmt.Sscan(line, &rule, &want); n != 2 || rule == "#" || line[0] == '#' {
			continue
		}
		rows++
		filter := strings.TrimSuffix(line[strings.IndexByte(line, '[')+1:], "]\n")
		path := "/v1/" + parent + "/operations?filter=" + url.QueryEscape(filter)
		if want == "refused" {
			expect(t, rule+" "+filter, ask(s.web, "GET "+path, ""), wantError(longrun.ReasonInvalidFilter, "filter"))
			continue
		}
		found, letters := names(s.list(t, path)), ""
		for i, name := range fixture {
			if slices.Contains(found, name) {
				letters += "SECRU"[i : i+1]
			}
		}
		if letters != strings.Trim(want, "-") {
			t.Errorf("%s: %s finds %q, want %q", rule, filter, letters, want)
		}
	}
	if rows < 80 {
		t.Errorf("the table has %d rows, want all of it", rows)
	}
}

func wantError(reason, field string) want { return want{400, invalid, reason, field} }
