package filter

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// write spells syntax with every parenthesis.
func write(n node) string {
	switch n := n.(type) {
	case nil:
		return ""
	case and:
		return writeAll(n, " AND ")
	case or:
		return writeAll(n, " OR ")
	case not:
		if n.minus {
			return "-" + write(n.arg)
		}
		return "NOT " + write(n.arg)
	case *call:
		var args []string
		for _, a := range n.args {
			args = append(args, writeArgument(a))
		}
		return n.name + "(" + strings.Join(args, ",") + ")"
	}
	r := n.(*restriction)
	if r.op == 0 {
		return writeMember(r.left)
	}
	return writeMember(r.left) + " " + r.op.String() + " " + writeArgument(r.right)
}

func writeAll(nodes []node, word string) string {
	var parts []string
	for _, n := range nodes {
		parts = append(parts, write(n))
	}
	return "(" + strings.Join(parts, word) + ")"
}

func writeArgument(a argument) string {
	switch {
	case a.call != nil:
		return write(a.call)
	case a.group != nil:
		if s := write(a.group); strings.HasPrefix(s, "(") {
			return s
		}
		return "(" + write(a.group) + ")"
	}
	return writeMember(a.value)
}

func writeMember(m member) string {
	var parts []string
	for _, s := range m {
		text := s.text
		if s.quoted {
			var b strings.Builder
			stars := s.stars
			for i := range len(text) {
				switch c := text[i]; {
				case c == '*' && len(stars) > 0 && stars[0] == i:
					b.WriteByte(c)
					stars = stars[1:]
				case c == '*' || c == '"' || c == '\\':
					b.WriteString(`\` + string(c))
				default:
					b.WriteByte(c)
				}
			}
			text = `"` + b.String() + `"`
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ".")
}

// The parse vectors of section 5.3, and the rules of grammar beside them.
func TestParse_Vectors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ filter, want string }{
		{"", ""},
		{" \t\r\n", ""},
		{"a AND b OR c", "(a AND (b OR c))"}, // FLT-02
		{"a OR b AND c OR d", "((a OR b) AND (c OR d))"},         // FLT-03
		{"a b c", "(a AND b AND c)"},                             // FLT-04
		{"a b OR c d", "(a AND (b OR c) AND d)"},                 // FLT-04
		{"a b AND c OR d e", "((a AND b) AND ((c OR d) AND e))"}, // FLT-04
		{"-a OR b", "(-a OR b)"},                                 // FLT-08
		{"NOT (a OR b) c", "(NOT (a OR b) AND c)"},               // FLT-08
		{"a.b.c = 1", "a.b.c = 1"},                               //
		{"a=b.c", "a = b.c"},                                     // FLT-12
		{"x<=1", "x <= 1"},                                       //
		{"x<1 y>1 z>=1 v!=1 w:1", "(x < 1 AND y > 1 AND z >= 1 AND v != 1 AND w : 1)"},
		{" ( a ) ", "a"},                                       // FLT-05
		{"((a OR b))", "(a OR b)"},                             // FLT-05
		{"a and b or not", "(a AND and AND b AND or AND not)"}, // FLT-06
		{"a\tAND\r\nb", "(a AND b)"},                           // FLT-11
		{"a =1 b= 1 c : 1", "(a = 1 AND b = 1 AND c : 1)"},     // FLT-11
		{"a = -30", "a = -30"},                                 // FLT-50
		{"a=-30", "a = -30"},                                   // FLT-50
		{"-30", "-30"},                                         // a negation of 30
		{"us-east1", "us-east1"},                               //
		{"a=1.5e-3", "a = 1.5e-3"},                             //
		{"metadata.@type=type.googleapis.com/x.Y", "metadata.@type = type.googleapis.com/x.Y"},
		{`a = "b c"`, `a = "b c"`},               // FLT-48
		{`a = 'it"s'`, `a = "it\"s"`},            // FLT-48
		{`a = "\"\'\\\*"`, `a = "\"'\\\*"`},      // FLT-48
		{`a = "Ünïcode"`, `a = "Ünïcode"`},       // FLT-48
		{`"AND"`, `"AND"`},                       //
		{"a.AND.OR.NOT = 1", "a.AND.OR.NOT = 1"}, // FLT-43
		{"a:(b OR c)", "a : (b OR c)"},           // FLT-40
		{"a = (b)", "a = (b)"},                   // FLT-40
		{"f(a, \"b\")", `f(a,"b")`},              // FLT-42
		{"x.f()", "x.f()"},                       // FLT-42
		{"a=f(b)", "a = f(b)"},                   // FLT-42
		{"-(a b)", "-(a AND b)"},                 //
	} {
		n, err := parse(tt.filter)
		if err != nil {
			t.Errorf("parse(%q): %v", tt.filter, err)
			continue
		}
		if got := write(n); got != tt.want {
			t.Errorf("parse(%q) = %s, want %s", tt.filter, got, tt.want)
		}
	}
}

// FLT-44: what is no filter, where that shows, and what stands there.
func TestParse_Errors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		filter string
		column int
		token  string
	}{
		{"a = 1 OR", 7, "OR"}, {"a OR ", 3, "OR"}, {"(a OR )", 4, "OR"}, {"OR a", 1, "OR"}, {"a AND", 3, "AND"}, {"AND a", 1, "AND"},
		{"a OR AND b", 6, "AND"}, {"a AND OR b", 7, "OR"}, {"a AND AND b", 7, "AND"}, {"()", 2, ")"}, {"( )", 3, ")"},
		{"(a", 3, ""}, {"a)", 2, ")"}, {`"a`, 1, `"a`}, {"'a\"", 1, "'a\""}, {"a ==1", 4, "="}, {"a = = 1", 5, "="},
		{"x < =1", 5, "="}, {"a,b", 2, ","}, {"a = ", 5, ""}, {"= 1", 1, "="}, {"a : : b", 5, ":"}, {"a!b", 2, "!"},
		{"NOT", 1, "NOT"}, {"NOT ", 5, ""}, {"-", 2, ""}, {"- a", 2, " "}, {"--a", 2, "-a"}, {"NOT -a", 5, "-a"}, {"NOT NOT a", 5, "NOT"}, // FLT-10
		{"-NOT a", 2, "NOT"}, {"NOT(a)", 1, "NOT"}, {"a AND(b)", 3, "AND"}, // FLT-09, FLT-11
		{"AND = 1", 1, "AND"}, {"AND.x = 1", 1, "AND"}, {"a = AND", 5, "AND"}, // FLT-43
		{"a.", 3, ""}, {".a", 1, "."}, {"a..b", 3, "."}, {"a . b", 3, "."}, {`"a"b`, 4, "b"}, {"(a)(b)", 4, "("}, {"a(b", 4, ""}, {"f(a b)", 5, "b"}, {"f(,)", 3, ","},
		{`"a\q"`, 3, `\q`}, {`"a\`, 3, `\`}, {"\x01", 1, "\x01"}, {"été = = 1", 7, "="},
		{"a=2012-04-21T11:30:00Z", 16, ":"},          // FLT-21: to be quoted
		{"\xff", 1, ""}, {"a = \"\xc3\x28\"", 6, ""}, // FLT-48
	} {
		_, err := parse(tt.filter)
		e, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("parse(%q) = %v, want an *Error", tt.filter, err)
			continue
		}
		if e.Column != tt.column || e.Token != tt.token {
			t.Errorf("parse(%q): %v at column %d, %q; want column %d, %q", tt.filter, e, e.Column, e.Token, tt.column, tt.token)
		}
	}
}

func nested(depth int) string { return strings.Repeat("(", depth) + "a" + strings.Repeat(")", depth) }

// FLT-47: each limit, at it and one past it.
func TestParse_Limits(t *testing.T) {
	t.Parallel()
	path := func(n int) string { return strings.Repeat("a.", n-1) + "a" }
	for _, tt := range []struct {
		what     string
		at, past string
	}{
		{"bytes", "a" + strings.Repeat(" ", MaxBytes-1), "a" + strings.Repeat(" ", MaxBytes)},
		{"blank bytes", strings.Repeat(" ", MaxBytes), strings.Repeat(" ", MaxBytes+1)},
		{"terms", strings.Repeat("a ", MaxTerms), strings.Repeat("a ", MaxTerms+1)},
		{"terms of OR", "a" + strings.Repeat(" OR a", MaxTerms-1), "a" + strings.Repeat(" OR a", MaxTerms)},
		{"terms of arguments", "a=(a" + strings.Repeat(" a", MaxTerms-2) + ")", "a=(a" + strings.Repeat(" a", MaxTerms-1) + ")"},
		{"depth", nested(MaxDepth), nested(MaxDepth + 1)},
		{"depth of arguments", "a=" + nested(MaxDepth), "a=" + nested(MaxDepth+1)},
		{"depth of calls", strings.Repeat("f(", MaxDepth) + strings.Repeat(")", MaxDepth), strings.Repeat("f(", MaxDepth+1) + strings.Repeat(")", MaxDepth+1)},
		{"path", path(MaxDepth) + "=1", path(MaxDepth+1) + "=1"},
	} {
		if _, err := parse(tt.at); err != nil {
			t.Errorf("%s at the limit: %v", tt.what, err)
		}
		if _, err := parse(tt.past); err == nil {
			t.Errorf("%s past the limit: no error", tt.what)
		}
	}
}

// FLT-47: what is far beyond a limit costs nothing.
func TestParse_HostileIsQuick(t *testing.T) {
	t.Parallel()
	for name, filter := range map[string]string{
		"1 MB":               strings.Repeat("done=true OR ", 80_000),
		"1 MB of one string": `"` + strings.Repeat("a", 1<<20) + `"`,
		"10,000 parentheses": strings.Repeat("(", 10_000),
		"8 KiB of them":      strings.Repeat("(", MaxBytes),
		"8 KiB of minus":     strings.Repeat("-", MaxBytes),
		"8 KiB of dots":      strings.Repeat("a.", MaxBytes/2),
		"8 KiB of commas":    "f(" + strings.Repeat("a,", MaxBytes/2-2),
	} {
		const limit = 10 * time.Millisecond
		var err error
		if took := fastest(limit, func() { _, err = parse(filter) }); err == nil || took > limit {
			t.Errorf("%s: error %v after %v, want one within %v", name, err, took, limit)
		}
	}
}

// fastest runs f until it has taken no longer than the limit, for a minute at most, and
// returns the least that it has taken: on a machine that has other work most runs say
// nothing of f.
func fastest(limit time.Duration, f func()) time.Duration {
	took := time.Duration(math.MaxInt64)
	for end := time.Now().Add(time.Minute); took > limit && time.Now().Before(end); {
		begin := time.Now()
		f()
		took = min(took, time.Since(begin))
	}
	return took
}

// FuzzParse: nothing makes the parser fail otherwise than with an *Error within
// the text, and what it reads is what it read when it is spelled out.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "a AND b OR c", `name = "a\*b*"`, "NOT (a OR -b) c", "f(a, b.c)", "a:(b OR 'c')", "a=-1.5e3", "--a", `"`, "a.AND = 1", "(((", "\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := parse(text)
		if err != nil {
			checkError(t, text, err)
			return
		}
		spelled := write(n)
		if len(spelled) > MaxBytes || strings.Count(spelled, "(") > MaxDepth {
			return // the parentheses may be too many
		}
		again, err := parse(spelled)
		if err != nil || write(again) != spelled {
			t.Errorf("parse(%q) is %q, and that is %q, %v", text, spelled, write(again), err)
		}
	})
}

// checkError checks the form of every error about a filter.
func checkError(t *testing.T, text string, err error) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("error of %q = %v (%T), want an *Error", text, err, err)
	}
	if e.Column < 1 || e.Column > utf8.RuneCountInString(text)+1 || e.Msg == "" || len(e.Token) > maxToken+3 || len(e.Path) > maxToken+3 {
		t.Errorf("error of %q = %+v, want a column within the text, and short texts", text, e)
	}
	if want := fmt.Sprintf("column %d: %s", e.Column, e.Msg); e.Error() != want {
		t.Errorf("Error() = %q, want %q", e.Error(), want)
	}
}
