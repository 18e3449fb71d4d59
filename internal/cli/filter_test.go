package cli

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// FLT-44: the marks stand below the token.
func TestPointAt(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a AND ", 50)
	for _, tt := range []struct {
		filter         string
		column, length int
		want           string
	}{
		{"done = nine", 8, 4, "done = nine\n       ^^^^"},
		{"done=", 6, 0, "done=\n     ^"},
		{"é=nine\nx", 3, 4, "é=nine x\n  ^^^^"},
		{"a", 99, 99, "a\n ^"},
		{"", 1, 0, "\n^"},
		{long + "nine", 301, 4, "..." + long[270:] + "nine\n" + strings.Repeat(" ", 33) + "^^^^"},
		{"nine" + long, 1, 4, ("nine" + long)[:60] + "...\n^^^^"},
		{strings.Repeat("x", 200), 1, 200, strings.Repeat("x", 60) + "...\n" + strings.Repeat("^", 60)},
	} {
		if got := pointAt(tt.filter, tt.column, tt.length); got != tt.want {
			t.Errorf("pointAt(%q, %d, %d) =\n%s\nwant\n%s", tt.filter, tt.column, tt.length, got, tt.want)
		}
	}
}

func TestExplainFilter(t *testing.T) {
	t.Parallel()
	st, err := status.New(codes.InvalidArgument, "list: x").WithDetails(
		&errdetails.ErrorInfo{Reason: "INVALID_FILTER", Metadata: map[string]string{"column": "3", "token": "b"}},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "filter", Description: "filter, column 3: no"}}})
	if err != nil {
		t.Fatal(err)
	}
	p, ok := errors.AsType[*problem](explainFilter(st.Err(), "a=b"))
	if !ok || p.msg != "--filter, column 3: no" || p.hint != "a=b\n  ^" || p.exit != exitUsage {
		t.Errorf("explainFilter = %+v", p)
	}
	// Another server may not say where.
	p, ok = errors.AsType[*problem](explainFilter(fault(t, codes.InvalidArgument, "INVALID_FILTER", "bad"), "a=b"))
	if !ok || p.hint != "see: longrun list --help" {
		t.Errorf("explainFilter without a column = %+v", p)
	}
	if err := explainFilter(fault(t, codes.InvalidArgument, "INVALID_PAGE_TOKEN", "bad"), "a=b"); err != nil {
		t.Errorf("explainFilter of another error = %v, want nil", err)
	}
}

func FuzzPointAt(f *testing.F) {
	f.Add("done = nine", 8, 4)
	f.Fuzz(func(t *testing.T, filter string, column, length int) {
		if column < 1 || length < 0 {
			return
		}
		text, marks, ok := strings.Cut(pointAt(filter, column, length), "\n")
		if !ok || strings.Contains(marks, "\n") || len([]rune(marks)) > len([]rune(text))+1 || strings.Trim(marks, " ^") != "" || !strings.HasSuffix(marks, "^") {
			t.Errorf("pointAt(%q, %d, %d) =\n%s\n%s", filter, column, length, text, marks)
		}
	})
}

func TestShellQuoted(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"done=true": "done=true", "a b": "'a b'", `a="b"`: `'a="b"'`, "a>1 $x `y`": "'a>1 $x `y`'", "it's": "", `a\b`: "", "é": "", "a\nb": "", "": "''"} {
		if got := shellQuoted(s); got != want {
			t.Errorf("shellQuoted(%q) = %q, want %q", s, got, want)
		}
	}
}
