package sqlwhere_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/filter"
	"github.com/longrun-dev/longrun/internal/sqlwhere"
)

// atoms are what random filters are made of: fields, their comparators, and the
// values that the rows of operation have, and others.
var atoms = []struct {
	paths, ops, values []string
}{
	{[]string{"done"}, []string{"=", "!=", ":"}, []string{"true", "false"}},
	{[]string{"done", "error", "response", "metadata", "name", "metadata.labels", "metadata.verb", "metadata.end_time", "metadata.state", "metadata.labels.env", "metadata.@type", "response.@type"}, []string{":"}, []string{"*"}},
	{[]string{"name"}, []string{"=", "!=", ":"}, []string{
		`"operations/019b0000-0000-0000-0000-000000000000"`, `"projects/p/operations/019b0000-0000-0000-0000-000000000005"`, `"a/operations/b/operations/019b0000-0000-0000-0000-000000000007"`,
		`"*/operations/019b0000-0000-0000-0000-000000000001"`, `"*019b0000-0000-0000-0000-000000000006"`, `"019b0000-0000-0000-0000-000000000006"`, `"*019B0000-0000-0000-0000-00000000000A"`,
		`"projects/*"`, `"*/locations/*"`, `"*5"`, `"operations/019b*"`, `"*"`, `"\*"`, `""`, `"é"`, `"*é*"`, "\"a\x00b\"", `"*000000000*"`,
	}},
	{[]string{"name", "metadata.method"}, []string{"<", "<=", ">", ">="}, []string{`"operations/019b"`, `"projects/p/*"`, `"a"`, `"resize-image"`, `""`}},
	{[]string{"metadata.method"}, []string{"=", "!=", ":"}, []string{"work", `"resize*"`, `"*Method"`, `"*"`, `"none"`}},
	{[]string{"error.code"}, []string{"=", "!=", "<", "<=", ">", ">=", ":"}, []string{"1", "9", "16", "0", "-1"}},
	{[]string{"error.message", "metadata.target", "metadata.verb", "metadata.status_message"}, []string{"=", "!=", ":"}, []string{"shelf", `"*hel*"`, "import", `""`, "copying", `"copy*"`}},
	{[]string{"error"}, []string{":"}, []string{"code", "message", "details"}},
	{[]string{"error.details.reason"}, []string{":"}, []string{"QUOTA", "x"}},
	{[]string{"response.run_duration"}, []string{"=", "!=", "<", ">"}, []string{"7s", "0s"}},
	{
		[]string{"metadata.create_time", "metadata.update_time", "metadata.start_time", "metadata.end_time", "metadata.expire_time"},
		[]string{"=", "!=", "<", "<=", ">", ">=", ":"},
		[]string{
			`"2026-01-01T12:00:00Z"`, `"2026-01-01T12:00:00.0015Z"`, `"2026-01-01T12:00:00.001500001Z"`, `"2026-01-01T12:00:00.003Z"`, `"2026-01-01T12:00:00.009999999Z"`,
			`"2026-01-01T17:00:00+05:00"`, `"0001-01-01T00:00:00Z"`, `"9999-12-31T23:59:59.999999999Z"`, `"2027-01-01T12:00:00Z"`, `"2026-01-02T00:00:00Z"`,
		},
	},
	{[]string{"metadata.state"}, []string{"=", "!=", ":"}, []string{"PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "STATE_UNSPECIFIED"}},
	{[]string{"metadata.labels"}, []string{":"}, []string{"env", "k1", "none"}},
	{[]string{"metadata.labels.env", "metadata.labels.k1", "metadata.labels.none"}, []string{"=", "!=", ":"}, []string{"prod", `"*prod*"`, "v", `""`, "lost"}},
	{[]string{"metadata.@type", "response.@type"}, []string{"=", "!=", ":"}, []string{
		"type.googleapis.com/longrun.v1.OperationMetadata", "example.com/longrun.v1.OperationMetadata", `"*longrun.v1*"`, `"*ErrorInfo"`, "type.googleapis.com/google.protobuf.Struct",
		"type.googleapis.com/longrun.v1.CommandResponse", "type.googleapis.com/no.Such", `"type.googleapis.com/*"`, `"*"`, `""`, `"*/google.rpc.*"`,
	}},
	{[]string{"metadata.reason", "metadata.seconds", "metadata.attempt", "metadata.progress.completed_units"}, []string{":"}, []string{"*"}},
}

func drawAtom(t *rapid.T) string {
	if rapid.IntRange(0, 19).Draw(t, "text") == 0 {
		return rapid.SampledFrom([]string{"shelf", "prod", "019b", "*"}).Draw(t, "word")
	}
	a := rapid.SampledFrom(atoms).Draw(t, "atom")
	return rapid.SampledFrom(a.paths).Draw(t, "path") + rapid.SampledFrom(a.ops).Draw(t, "op") + rapid.SampledFrom(a.values).Draw(t, "value")
}

// drawFilter draws a filter of some depth.
func drawFilter(t *rapid.T, depth int) string {
	negation := rapid.SampledFrom([]string{"", "", "", "NOT ", "-"}).Draw(t, "negation")
	if depth == 0 || rapid.IntRange(0, 2).Draw(t, "leaf") == 0 {
		return negation + drawAtom(t)
	}
	n := rapid.IntRange(1, 3).Draw(t, "parts")
	parts := make([]string, n)
	for i := range parts {
		parts[i] = drawFilter(t, depth-1)
	}
	return negation + "(" + strings.Join(parts, rapid.SampledFrom([]string{" AND ", " OR ", " "}).Draw(t, "word")) + ")"
}

// What a filter matches, its condition in SQL leaves, and so do the bounds beside
// it: of random filters, on rows of every kind. And it leaves not everything.
func TestBuild_Necessary(t *testing.T) {
	t.Parallel()
	for name, types := range map[string]filter.Types{"all-messages": nil, "our-messages": ours()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testNecessary(t, types)
		})
	}
}

func testNecessary(t *testing.T, types filter.Types) {
	var ops []*longrun.Operation
	for i := range 5 * len(metadatas) { // all pairs of state and metadata
		ops = append(ops, operation(i))
	}
	x := newTableWith(t, ops, types)
	left, matched := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		text := drawFilter(rt, 3)
		f, err := x.svc.Filter(text)
		if err != nil {
			rt.Fatalf("%s: %v", text, err)
		}
		w := sqlwhere.Build(f.Expr(), columns)
		found := x.found(t, w)
		for i, op := range ops {
			matches, err := f.Match(x.svc.Proto(op))
			if err != nil {
				rt.Fatal(err)
			}
			within := found[i] && w.MinCreate <= op.CreateTime.UnixMicro() && op.CreateTime.UnixMicro() <= w.MaxCreate &&
				(!w.Unfinished || !op.State.Done()) && (w.IDs == nil || slices.Contains(w.IDs, [16]byte(op.ID)))
			if matches && !within {
				rt.Fatalf("%s matches\n%v\nwhich %+v leaves out", text, x.svc.Proto(op), w)
			}
			if matches {
				matched++
			}
			if within {
				left++
			}
		}
	})
	if total := len(ops); left == 0 || matched == 0 || matched > left {
		t.Errorf("of %d rows again and again, %d were left and %d matched", total, left, matched)
	}
}

// Each field that issue 4 names narrows: exactly where the columns say all, and
// to something less than everything where they do not.
func TestBuild_Narrows(t *testing.T) {
	t.Parallel()
	var ops []*longrun.Operation
	for i := range 165 {
		ops = append(ops, operation(i))
	}
	x := newTable(t, ops)
	for _, tt := range []struct {
		filter string
		exact  bool
	}{
		{"done=true", true}, {"done=false", true}, {"NOT done=true", true}, {"-(done=true OR error:*)", true}, {"error:*", true}, {"NOT response:*", true},
		{`name = "operations/019b0000-0000-0000-0000-000000000000"`, true}, {`name = "projects/*"`, true}, {`NOT name = "projects/*"`, true},
		{`name = "projects/*" OR done=true`, true}, {`NOT (name = "projects/*" AND done=true)`, true},
		{"error.code = 9", false}, {"response.run_duration > 1s", false}, {"error.code=9 AND shelf", false},
		{`metadata.create_time > "2026-01-01T12:00:00.02Z"`, false}, {`metadata.expire_time > "2026-01-02T00:00:00Z"`, false},
		{`metadata.end_time < "2026-01-01T12:00:00.02Z"`, false}, {`metadata.start_time < "2026-01-01T12:00:00.02Z"`, false},
		{"metadata.method = work", false}, {"metadata.labels.env = prod", false}, {"metadata.labels:k1", false}, {"metadata.state = RUNNING", false},
		{"metadata.@type = type.googleapis.com/google.rpc.ErrorInfo", false}, {"response.@type = type.googleapis.com/longrun.v1.CommandResponse", false},
		{"metadata.verb = import", false}, {"done=true AND metadata.attempt = 5", false},
	} {
		f, err := x.svc.Filter(tt.filter)
		if err != nil {
			t.Fatal(err)
		}
		left, matched := 0, 0
		for i, found := range x.found(t, sqlwhere.Build(f.Expr(), columns)) {
			if ok, err := f.Match(x.svc.Proto(ops[i])); err != nil {
				t.Fatal(err)
			} else if ok {
				matched++
			}
			if found {
				left++
			}
		}
		if left >= len(ops) || tt.exact && left != matched {
			t.Errorf("%s leaves %d of %d rows, and %d match; want exact = %v", tt.filter, left, len(ops), matched, tt.exact)
		}
	}
}

// Bounds are what a store finds rows by without looking at others.
func TestBuild_Bounds(t *testing.T) {
	t.Parallel()
	x := newTableWith(t, nil, ours())
	build := func(filter string) sqlwhere.Where {
		f, err := x.svc.Filter(filter)
		if err != nil {
			t.Fatal(err)
		}
		return sqlwhere.Build(f.Expr(), columns)
	}
	a, b := longrun.ID{15: 1}, longrun.ID{15: 2}
	for filter, want := range map[string][]longrun.ID{
		`name="operations/` + a.String() + `"`:                                      {a},
		`name="x/operations/` + a.String() + `" AND shelf`:                          {a},
		`name:("*` + a.String() + `" OR "operations/` + b.String() + `")`:           {a, b},
		`name="operations/` + a.String() + `" name="operations/` + b.String() + `"`: {},
		`name="operations/` + a.String() + `" OR done=true`:                         nil,
		`NOT name="operations/` + a.String() + `"`:                                  nil,
		`name!="operations/` + a.String() + `"`:                                     nil,
		`name="*` + a.String() + `*"`:                                               nil,
	} {
		got := build(filter).IDs
		if (got == nil) != (want == nil) || len(got) != len(want) {
			t.Errorf("%s: IDs = %v, want %v", filter, got, want)
		}
		for _, id := range want {
			if !slices.Contains(got, [16]byte(id)) {
				t.Errorf("%s: IDs = %v, want %v in it", filter, got, id)
			}
		}
	}
	for filter, want := range map[string]bool{
		"done=false": true, "NOT done=true": true, "-done:*": true, "done=false AND shelf": true, "shelf": false, "": false,
		"metadata.state=RUNNING": true, "metadata.state!=FAILED": false, "done=false OR error:*": false, "NOT (done=true OR error:*)": true, "done!=true": true, "done=false OR NOT done=true": true, "error.code=1": false,
	} {
		if got := build(filter).Unfinished; got != want {
			t.Errorf("%s: Unfinished = %v, want %v", filter, got, want)
		}
	}
	const second = `"2026-01-01T12:00:00Z"`
	at := noon.UnixMicro()
	for filter, want := range map[string][2]int64{
		"metadata.create_time >= " + second: {at, math.MaxInt64}, "metadata.create_time > " + second: {at + 1, math.MaxInt64},
		"metadata.create_time <= " + second: {math.MinInt64, at}, "metadata.create_time < " + second: {math.MinInt64, at - 1},
		"metadata.create_time = " + second: {at, at}, "metadata.create_time != " + second: {math.MinInt64, math.MaxInt64},
		"metadata.end_time < " + second: {math.MinInt64, at - 1}, "metadata.end_time > " + second: {math.MinInt64, math.MaxInt64},
		`metadata.start_time = ` + second:                                            {math.MinInt64, at},
		"metadata.expire_time <= " + second:                                          {math.MinInt64, math.MaxInt64},
		`metadata.create_time > "2026-01-01T12:00:00.0000005Z"`:                      {at + 1, math.MaxInt64},
		`metadata.create_time < "2026-01-01T12:00:00.0000005Z"`:                      {math.MinInt64, at},
		"metadata.create_time >= " + second + " OR metadata.create_time < " + second: {math.MinInt64, math.MaxInt64},
		"NOT metadata.create_time >= " + second:                                      {math.MinInt64, math.MaxInt64},
	} {
		if w := build(filter); w.MinCreate != want[0] || w.MaxCreate != want[1] {
			t.Errorf("%s: from %d to %d, want %v", filter, w.MinCreate-at, w.MaxCreate-at, want)
		}
	}
	all := sqlwhere.All()
	if w := build(`shelf OR NOT metadata.verb = x`); w.SQL != all.SQL || w.MinCreate != all.MinCreate || w.MaxCreate != all.MaxCreate || w.Args != nil {
		t.Errorf("of what SQL cannot say: %+v, want All", w)
	}
}

// Nothing that a caller has written gets into the SQL text.
func TestBuild_BindsEverything(t *testing.T) {
	t.Parallel()
	x := newTable(t, []*longrun.Operation{operation(1)})
	const evil = `'); DROP TABLE operation; --`
	for _, filter := range []string{
		`name = "` + evil + `"`, `name = "*` + evil + `"`, `name < "` + evil + `"`, `metadata.labels."` + evil + `" = "` + evil + `"`, `metadata.labels:"` + evil + `"`,
		`metadata.method = "` + evil + `"`, `metadata.verb = "` + evil + `"`, `metadata.@type = "` + evil + `"`, `response.@type = "` + evil + `"`,
	} {
		f, err := x.svc.Filter(filter)
		if err != nil {
			t.Fatal(err)
		}
		w := sqlwhere.Build(f.Expr(), columns)
		if strings.Contains(w.SQL, "DROP") {
			t.Errorf("%s: SQL = %s", filter, w.SQL)
		}
		if found := x.found(t, w); len(found) != 1 {
			t.Errorf("%s: the table has %d rows, want 1", filter, len(found))
		}
	}
}

// The largest filter is a condition that SQLite still takes, at once.
func TestBuild_Largest(t *testing.T) {
	t.Parallel()
	x := newTable(t, []*longrun.Operation{operation(1)})
	for _, part := range []string{`name="*a*"`, "NOT metadata.labels.e:x", "error.code=9", "-done=true", "metadata.verb:import"} {
		for _, word := range []string{" AND ", " OR "} {
			f, err := x.svc.Filter(part + strings.Repeat(word+part, 127))
			if err != nil {
				t.Fatal(err)
			}
			took, size := time.Duration(math.MaxInt64), 0
			for end := time.Now().Add(time.Minute); took > 2*time.Second && time.Now().Before(end); { // the machine may have other work
				begin := time.Now()
				w := sqlwhere.Build(f.Expr(), columns)
				x.found(t, w)
				took, size = time.Since(begin), len(w.SQL)
			}
			if took > 2*time.Second || size > 256<<10 {
				t.Errorf("%d times %s: %d bytes of SQL in %v", 128, part, size, took)
			}
		}
	}
}
