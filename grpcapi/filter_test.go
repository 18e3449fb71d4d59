package grpcapi_test

import (
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

// A filterCase is a line of testdata/filter.txt.
type filterCase struct{ rule, want, filter string }

// filterCases are the lines of testdata/filter.txt whose filters are valid, and those
// whose filters are not.
func filterCases(t *testing.T) (valid, invalid []filterCase) {
	t.Helper()
	table, err := os.ReadFile("testdata/filter.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		words := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		if len(words) != 3 {
			t.Fatalf("testdata/filter.txt: %q is no rule, result and filter", line)
		}
		if c := (filterCase{words[0], words[1], words[2]}); c.want == "error" {
			invalid = append(invalid, c)
		} else {
			valid = append(valid, c)
		}
	}
	if len(valid) < 50 || len(invalid) < 30 {
		t.Fatalf("testdata/filter.txt: %d valid and %d invalid filters, want 50 and 30 at least", len(valid), len(invalid))
	}
	return valid, invalid
}

// What a filter finds; the table names the rules. FLT-52: twice the same.
func TestFilter_Table(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	f := s.fixtures(t, parent)
	valid, _ := filterCases(t)
	for _, tt := range valid {
		for _, size := range []int32{0, 1} {
			if got := f.letters(s.filter(t, parent, tt.filter, size)); got != strings.TrimPrefix(tt.want, "-") {
				t.Errorf("%s: %s = %q with page_size %d, want %q", tt.rule, tt.filter, got, size, tt.want)
			}
		}
	}
}

// longFilters are what is refused for its length. FLT-47.
var longFilters = []string{
	strings.Repeat("(", 33) + "a" + strings.Repeat(")", 33), strings.Repeat("a ", 129),
	strings.Repeat(" ", 8193), strings.Repeat("(", 10_000), strings.Repeat("done=true OR ", 80_000) + "done=true",
}

var badFilter = want{code: codes.InvalidArgument, reason: longrun.ReasonInvalidFilter, field: "filter"}

// FLT-44, FLT-45: what is no filter is INVALID_ARGUMENT, also where there is
// nothing to list. FLT-46: all of it, nothing is let pass. FLT-47: at once.
func TestFilter_Invalid(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	_, invalid := filterCases(t)
	for _, long := range longFilters {
		invalid = append(invalid, filterCase{rule: "FLT-47", filter: long})
	}
	for _, tt := range invalid {
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
