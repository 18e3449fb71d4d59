package grpcapi_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// filter returns the names that a filter finds under parent, of all pages.
func (s *system) filter(t *testing.T, parent, filter string, size int32) (names []string) {
	t.Helper()
	r := &longrunningpb.ListOperationsRequest{Name: parent, Filter: filter, PageSize: size}
	for {
		page, err := s.ops.ListOperations(t.Context(), r)
		if err != nil {
			t.Fatalf("ListOperations with filter %q: %v", filter, err)
		}
		names = append(names, namesOf(page)...)
		if r.PageToken = page.GetNextPageToken(); r.PageToken == "" {
			return names
		}
	}
}

// letters are the letters by which the spec calls the operations of names.
func (f fixtures) letters(names []string) string {
	var b strings.Builder
	for i, name := range []string{f.S, f.E, f.C, f.R, f.U} {
		if slices.Contains(names, name) {
			b.WriteByte("SECRU"[i])
		}
	}
	return b.String()
}

// filterRow is a row of the truth table of section 5 of the spec.
type filterRow struct{ rule, want, filter string }

// filterTable reads the table: whom filters find, and those that are refused.
func filterTable(t *testing.T) (found, refused []filterRow) {
	t.Helper()
	text, err := os.ReadFile("../filter/testdata/spec.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSuffix(line, "\n"); line == "" || line[0] == '#' {
			continue
		}
		var row filterRow
		if n, err := fmt.Sscan(line, &row.rule, &row.want); n != 2 {
			t.Fatalf("%q: %v", line, err)
		}
		row.filter = strings.TrimSuffix(line[strings.IndexByte(line, '[')+1:], "]")
		if row.want == "refused" {
			refused = append(refused, row)
		} else {
			row.want = strings.Trim(row.want, "-")
			found = append(found, row)
		}
	}
	if len(found) < 50 || len(refused) < 30 {
		t.Fatalf("%d filters find somebody and %d are refused, want the whole table", len(found), len(refused))
	}
	return found, refused
}

// What a filter finds; the table names the rules. FLT-52: twice the same.
func TestFilter_Table(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	f := s.fixtures(t, parent)
	found, _ := filterTable(t)
	for _, tt := range found {
		for _, size := range []int32{0, 1} {
			if got := f.letters(s.filter(t, parent, tt.filter, size)); got != tt.want {
				t.Errorf("%s: %s = %q with page_size %d, want %q", tt.rule, tt.filter, got, size, tt.want)
			}
		}
	}
}

// hugeFilters are past the limits.
var hugeFilters = []filterRow{
	{rule: "FLT-47", filter: strings.Repeat("(", 33) + "a" + strings.Repeat(")", 33)}, {rule: "FLT-47", filter: strings.Repeat("a ", 129)},
	{rule: "FLT-47", filter: strings.Repeat(" ", 8193)}, {rule: "FLT-47", filter: strings.Repeat("(", 10_000)},
	{rule: "FLT-47", filter: strings.Repeat("done=true OR ", 80_000) + "done=true"},
}

var badFilter = want{code: codes.InvalidArgument, reason: longrun.ReasonInvalidFilter, field: "filter"}

// FLT-44, FLT-45: what is no filter is INVALID_ARGUMENT, also where there is
// nothing to list. FLT-46: all of it, nothing is let pass. FLT-47: at once.
func TestFilter_Invalid(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	_, refused := filterTable(t)
	for _, tt := range append(refused, hugeFilters...) {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			err := s.listError(t, &longrunningpb.ListOperationsRequest{Name: parent, Filter: tt.filter})
			expect(t, err, badFilter)
		})
	}
}

// FLT-44: the error says where, and ERR-06: for programs too.
func TestFilter_ErrorPosition(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	err := s.listError(t, &longrunningpb.ListOperationsRequest{Name: parent, Filter: "done=true AND error.code = nine"})
	expect(t, err, badFilter)
	info := errorInfoOf(status.Convert(err)).GetMetadata()
	for key, want := range map[string]string{"column": "28", "token": "nine", "path": "error.code"} {
		if info[key] != want {
			t.Errorf("metadata[%q] = %q, want %q", key, info[key], want)
		}
	}
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok && !strings.Contains(bad.FieldViolations[0].Description, "column 28") {
			t.Errorf("description = %q, want the column in it", bad.FieldViolations[0].Description)
		}
	}
}

// FLT-21, FLT-48, FLT-36: what the fixture does not have.
func TestFilter_Values(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.runRequest(t, longrun.StartRequest{
		Method: method, Request: pack(t, &longrunpb.SimulateRequest{}),
		StartOptions: longrun.StartOptions{Parent: parent, Target: `it"s`, Verb: "create", Labels: map[string]string{"env": "prod"}},
	})
	r.report(t, &longrunpb.OperationMetadata{Progress: &longrunpb.Progress{CompletedUnits: 9007199254740993, TotalUnits: 9007199254740995}})
	created := s.get(t, r.name)
	at := metadataOf(t, created).GetCreateTime().AsTime()
	for filter, want := range map[string]bool{
		`metadata.target = 'it"s'`:                                   true,
		`metadata.target = "it\"s"`:                                  true,
		`metadata.labels:env`:                                        true,
		`metadata.labels:none`:                                       false,
		`metadata.labels.env:*`:                                      true,
		`metadata.labels.env:prod`:                                   true,
		`metadata.labels.env:test`:                                   false,
		`metadata.verb:create`:                                       true,
		`metadata.verb:creat`:                                        false,
		`metadata.verb:"*reat*"`:                                     true,
		`metadata.progress.completed_units = 9007199254740993`:       true,
		`metadata.progress.completed_units = 9007199254740992`:       false,
		`metadata.method = "` + method + `"`:                         true,
		`metadata.create_time = "` + stampOf(at, 0) + `"`:            true,
		`metadata.create_time = "` + stampOf(at, -4*time.Hour) + `"`: true,
		`metadata.end_time != "2012-04-21T15:30:00Z"`:                false, // FLT-30: not set
		`metadata.start_time >= "` + stampOf(at, 0) + `"`:            true,
		"prod":   true, // FLT-41: a string of the metadata
		"absent": false,
	} {
		if got := len(s.filter(t, parent, filter, 0)) == 1; got != want {
			t.Errorf("%s = %v, want %v", filter, got, want)
		}
	}
}

func stampOf(t time.Time, offset time.Duration) string {
	return t.In(time.FixedZone("", int(offset.Seconds()))).Format(time.RFC3339Nano)
}

// FLT-49: filtering comes before paging: all that match are found, however few
// they are on a page. PAG-05: and then there is no token.
func TestFilter_Pages(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	var want []string
	for i := range 1000 {
		if i%100 != 50 {
			s.start(t, parent)
			continue
		}
		r := s.run(t, parent)
		r.finish(t, longrun.Result{Err: failure})
		want = append(want, r.name)
	}
	slices.Reverse(want)
	for _, size := range []int32{1, 3, 5, 10, 11, 0} {
		if got := s.filter(t, parent, "error.code=9", size); !slices.Equal(got, want) {
			t.Errorf("page_size %d: %d operations, want the %d that match, newest first", size, len(got), len(want))
		}
	}
}

// PAG-09, PAG-10: a token belongs to its filter, as it was spelled.
func TestFilter_Token(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.fixtures(t, parent)
	page, err := s.ops.ListOperations(t.Context(), &longrunningpb.ListOperationsRequest{Name: parent, Filter: "done=true", PageSize: 1})
	if err != nil || page.GetNextPageToken() == "" {
		t.Fatalf("ListOperations = %v, %v; want a token", page, err)
	}
	for _, filter := range []string{"", "done=false", "done = true"} {
		err := s.listError(t, &longrunningpb.ListOperationsRequest{Name: parent, Filter: filter, PageToken: page.GetNextPageToken()})
		expect(t, err, want{code: codes.InvalidArgument, reason: longrun.ReasonPageTokenMismatch, field: "page_token"})
	}
}

// PS-01, PS-02: a filter changes nothing about partial success, and is checked
// first.
func TestFilter_PartialSuccess(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.fixtures(t, parent)
	expect(t, s.listError(t, &longrunningpb.ListOperationsRequest{Name: parent, Filter: "done=true", ReturnPartialSuccess: true}), partialSuccess)
	expect(t, s.listError(t, &longrunningpb.ListOperationsRequest{Name: parent, Filter: "done=maybe", ReturnPartialSuccess: true}), badFilter)
}
