package cli

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"google.golang.org/grpc/codes"
)

func TestParseLine(t *testing.T) {
	t.Parallel()
	l, err := parseLine([]byte(`{"progress": {"completedUnits": 3, "total_units": "10", "phase": "copying", "estimatedEndTime": "2026-01-02T03:04:05Z"}, "statusMessage": "x"}`))
	if p := l.progress; err != nil || p.GetCompletedUnits() != 3 || p.GetTotalUnits() != 10 || p.GetPhase() != "copying" ||
		p.GetEstimatedEndTime().GetSeconds() == 0 || *l.message != "x" || l.fail != nil || l.delay != nil {
		t.Errorf("progress = %+v, %v", l, err)
	}
	l, err = parseLine([]byte(`{"error": {"code": 5, "message": "gone", "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "X"}]}, "retryDelay": "5s"}`))
	if err != nil || codes.Code(l.fail.GetCode()) != codes.NotFound || l.fail.GetMessage() != "gone" || len(l.fail.GetDetails()) != 1 ||
		l.delay.AsDuration() != 5*time.Second || l.progress != nil || l.message != nil {
		t.Errorf("error = %+v, %v", l, err)
	}
	if l, err := parseLine([]byte(`{"progress": null, "error": null, "retryDelay": null, "statusMessage": null, "other": null}`)); l != (line{}) || err != nil {
		t.Errorf("nulls = %+v, %v; want nothing", l, err)
	}
}

// A report that cannot be read is dropped; any other line may have meant to say how
// the run ends.
func TestParseLine_Bad(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxTextBytes)
	for _, tt := range []struct {
		line    string
		dropped bool
	}{
		{`{"progress": 5}`, true},
		{`{"progress": {"completedUnits": -1}}`, true},
		{`{"progress": {"totalUnits": -1}}`, true},
		{`{"progress": {"completedUnits": 1.5}}`, true},
		{`{"progress": {"units": 1}}`, true},
		{`{"progress": {"phase": "` + long + `x"}}`, true},
		{`{"statusMessage": "` + long + `x"}`, true},
		{`{"statusMessage": 5}`, true},
		{`{"steps": 5}`, true},
		{`{"error": {"code": 0}}`, false},
		{`{"error": {"code": 17}}`, false},
		{`{"error": {"code": "NOT_FOUND"}}`, false},
		{`{"error": {"code": 3, "status": "x"}}`, false},
		{`{"error": "x"}`, false},
		{`{"error": {"code": 2, "message": "` + strings.Repeat("x", maxErrorBytes) + `"}}`, false},
		{`{"retryDelay": "5"}`, false},
		{`{"retryDelay": 5}`, false},
		{`{"retryDelay": "-1s"}`, false},
		{`{"retryDelay": "2592001s"}`, false},
		{`{"error": {"code": 5}, "retryDelay": "soon"}`, false},
		{`null`, false}, {`5`, false}, {`[]`, false}, {`hello`, false}, {`{"progress": `, false}, {"\x00", false},
	} {
		_, err := parseLine([]byte(tt.line))
		_, dropped := errors.AsType[*badReport](err)
		if err == nil || dropped != tt.dropped {
			t.Errorf("%.60s: %v, dropped = %v; want %v", tt.line, err, dropped, tt.dropped)
		}
	}
	for _, ok := range []string{`{"statusMessage": "` + long + `"}`, `{"retryDelay": "0s"}`, `{"retryDelay": "2592000s"}`, `{"error": {"code": 16}}`} {
		if _, err := parseLine([]byte(ok)); err != nil {
			t.Errorf("%.60s: %v, want what it says", ok, err)
		}
	}
	// What can be read of a line is heard, though it has more.
	if l, err := parseLine([]byte(`{"retryDelay": "5s", "steps": 5}`)); err == nil || l.delay == nil {
		t.Errorf("a line with an unknown key = %+v, %v; want its delay", l, err)
	}
}

func TestReadLines(t *testing.T) {
	t.Parallel()
	limit := func(n int) string { // a line of n bytes, with its end
		return `{"statusMessage": "` + strings.Repeat("x", n-len(`{"statusMessage": ""}`)-1) + "\"}\n"
	}
	for _, tt := range []struct {
		name, in string
		good     int
		last     string // error of the last line
	}{
		{"none", "", 0, ""},
		{"blank lines", "\n  \n\n", 0, ""},
		{"two", "{}\r\n{}\n", 2, ""},
		{"no end of line", "{}\n{}", 2, ""},
		{"cut off", "{}\n{\"pro", 1, "not a JSON object"},
		{"garbage", "{}\n\x00\x01", 1, "not a JSON object"},
		{"as long as may be", limit(maxLineBytes), 0, "statusMessage is not"},
		{"too long", "{}\n" + limit(maxLineBytes+1) + "{}\n", 1, "longer than 262144 bytes"},
		{"very long", strings.Repeat("x", 5*maxLineBytes), 0, "longer than"},
	} {
		good, last := 0, ""
		readLines(strings.NewReader(tt.in), func(_ line, err error) {
			if err == nil {
				good++
			} else {
				last = err.Error()
			}
		})
		if good != tt.good || !strings.Contains(last, tt.last) || (last == "") != (tt.last == "") {
			t.Errorf("%s: %d good lines and %q, want %d and %q", tt.name, good, last, tt.good, tt.last)
		}
	}
}

// Whatever comes on descriptor 3 is understood within its limits, or is an error.
func FuzzParseLine(f *testing.F) {
	for _, s := range []string{`{"progress": {"completedUnits": 3}}`, `{"error": {"code": 5, "message": "x"}}`, `{"retryDelay": "5s"}`, `{"statusMessage": "x"}`, `{`, `null`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := parseLine(raw)
		if _, dropped := errors.AsType[*badReport](err); err != nil && !dropped && l != (line{}) {
			t.Errorf("%q says %+v and is an error: %v", raw, l, err)
		}
		if l.fail != nil && (l.fail.GetCode() < 1 || l.fail.GetCode() > 16 || proto.Size(l.fail) > maxErrorBytes) {
			t.Errorf("%q has the error %v", raw, l.fail)
		}
		if l.delay != nil && (l.delay.AsDuration() < 0 || l.delay.AsDuration() > maxRetryDelay) {
			t.Errorf("%q has the delay %v", raw, l.delay)
		}
		if p := l.progress; p != nil && (p.GetCompletedUnits() < 0 || p.GetTotalUnits() < 0) {
			t.Errorf("%q has the progress %v", raw, fmt.Sprint(p))
		}
	})
}
