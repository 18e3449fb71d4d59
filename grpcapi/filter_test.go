package grpcapi_test

import (
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

// filterTable is section 5 of the spec over the base fixture: a filter, and whom
// of S, E, C, R and U it finds.
var filterTable = []struct{ rule, filter, want string }{
	{"FLT-01", "", "SECRU"},
	{"FLT-01", " ", "SECRU"},
	{"FLT-02", "done=true AND error:* OR done=false", "EC"},
	{"FLT-03", "done=false OR done=true AND error:*", "EC"},
	{"FLT-04", "done=true error:* OR done=false", "EC"},
	{"FLT-05", "(done=true AND error:*) OR done=false", "ECRU"},
	{"FLT-06", "done=true and done=false", ""},
	{"FLT-07", "NOT done=true", "RU"},
	{"FLT-07", "-done=true", "RU"},
	{"FLT-08", "NOT done=true OR error:*", "ECRU"},
	{"FLT-08", "-(done=true OR error:*)", "RU"},
	{"FLT-11", "done = true", "SEC"},
	{"FLT-11", "done: true", "SEC"},
	{"FLT-14", `metadata.create_time > "2000-01-01T00:00:00Z"`, "SECRU"},
	{"FLT-14", `metadata.create_time > "9000-01-01T00:00:00Z"`, ""},
	{"FLT-15", "done:true", "SEC"},
	{"FLT-15", "done!=true", "RU"},
	{"FLT-17", "true", ""},
	{"FLT-18", "done", ""},
	{"FLT-19", "metadata.state = RUNNING", "RU"},
	{"FLT-19", "metadata.state != RUNNING", "SEC"},
	{"FLT-20", "error.code = 9", "E"},
	{"FLT-20", "error.code >= 9e0", "E"},
	{"FLT-20", "error.code < 9", "C"},
	{"FLT-23", `name > "projects/p1"`, "SECRU"},
	{"FLT-23", `name > "projects/p2"`, ""},
	{"FLT-24", `name = "projects/p1/*"`, "SECRU"},
	{"FLT-24", `name = "*locations*"`, "SECRU"},
	{"FLT-24", `name != "*locations*"`, ""},
	{"FLT-25", "error.details:*", "EC"},
	{"FLT-27", `metadata.labels.zzz = "1"`, ""},
	{"FLT-28", `metadata.@type = "type.googleapis.com/longrun.v1.OperationMetadata" AND metadata.state = FAILED`, "E"},
	{"FLT-29", `response.@type = "type.googleapis.com/longrun.v1.CommandResponse"`, "S"},
	{"FLT-29", "response.run_duration > 20s", ""},
	{"FLT-29", `error.message = "the shelf is full"`, "E"},
	{"FLT-30", "error.code != 9", "C"},
	{"FLT-31", "NOT error.code = 9", "SCRU"},
	{"FLT-32", "error.code = 9 OR done=false", "ERU"},
	{"FLT-33", `metadata.verb = ""`, "SECRU"},
	{"FLT-33", "done=false", "RU"},
	{"FLT-34", "error:*", "EC"},
	{"FLT-35", "response:*", "S"},
	{"FLT-35", "metadata:*", "SECRU"},
	{"FLT-36", "error.details.reason:OPERATION_CANCELLED", "C"},
	{"FLT-37", "metadata.requested_cancellation:*", "C"},
	{"FLT-38", `error.message:"*shelf*"`, "E"},
	{"FLT-38", "error.message:shelf", ""},
	{"FLT-40", `name:("*locations*" OR "*none*")`, "SECRU"},
	{"FLT-40", "metadata.state=(FAILED OR CANCELLED)", "EC"},
	{"FLT-41", "shelf", "E"},
	{"FLT-43", `metadata.labels.AND = "x"`, ""},
	{"FLT-50", "error.code = -30", ""},
	{"CAN-13", "error.code = 1", "C"},
	{"CAN-13", "metadata.state = CANCELLED", "C"},
}

// What a filter finds; the table names the rules. FLT-52: twice the same.
func TestFilter_Table(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	f := s.fixtures(t, parent)
	for _, tt := range filterTable {
		for _, size := range []int32{0, 1} {
			if got := f.letters(s.filter(t, parent, tt.filter, size)); got != tt.want {
				t.Errorf("%s: %s = %q with page_size %d, want %q", tt.rule, tt.filter, got, size, tt.want)
			}
		}
	}
}

// invalidFilters are what section 5 of the spec refuses.
var invalidFilters = []struct{ rule, filter string }{
	{"FLT-09", "NOT(done=true)"}, {"FLT-10", "NOT NOT done=true"}, {"FLT-10", "--done=true"}, {"FLT-10", "NOT -done=true"},
	{"FLT-12", "true = done"}, {"FLT-15", "done>false"},
	{"FLT-16", "done=TRUE"}, {"FLT-16", "done=1"}, {"FLT-16", "done=yes"},
	{"FLT-19", "metadata.state = running"}, {"FLT-19", "metadata.state = NOPE"}, {"FLT-19", "metadata.state = 1"},
	{"FLT-20", "error.code = nine"}, {"FLT-20", "error.code = 3000000000"}, {"FLT-21", `metadata.create_time = "2012-04-21"`},
	{"FLT-24", `name = "a*b"`}, {"FLT-25", `error.details.reason = "X"`}, {"FLT-26", `metadata.createTime > "2012-04-21T00:00:00Z"`},
	{"FLT-27", "nope = 1"}, {"FLT-28", "metadata.no_such = 1"}, {"FLT-39", `error.details.0.reason = "X"`}, {"FLT-39", `error.details[0].reason:X`},
	{"FLT-42", `regex(name, ".*")`}, {"FLT-43", "AND = 1"},
	{"FLT-44", "(done=true"}, {"FLT-44", "done=true)"}, {"FLT-44", "done="}, {"FLT-44", "= 1"}, {"FLT-44", "done=true AND"},
	{"FLT-44", "AND done=true"}, {"FLT-44", "done=true OR AND error:*"}, {"FLT-44", "()"}, {"FLT-44", `"abc`}, {"FLT-44", "done==true"},
	{"FLT-45", "done=maybe"}, {"FLT-48", `name = "\q"`},
	{"FLT-47", strings.Repeat("(", 33) + "a" + strings.Repeat(")", 33)}, {"FLT-47", strings.Repeat("a ", 129)},
	{"FLT-47", strings.Repeat(" ", 8193)}, {"FLT-47", strings.Repeat("(", 10_000)}, {"FLT-47", strings.Repeat("done=true OR ", 80_000) + "done=true"},
}

var badFilter = want{code: codes.InvalidArgument, reason: longrun.ReasonInvalidFilter, field: "filter"}

// FLT-44, FLT-45: what is no filter is INVALID_ARGUMENT, also where there is
// nothing to list. FLT-46: all of it, nothing is let pass. FLT-47: at once.
func TestFilter_Invalid(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, tt := range invalidFilters {
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
