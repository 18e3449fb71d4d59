package httpapi

import (
	"slices"
	"strings"
	"testing"
)

func TestParseTemplate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text     string
		literals int
		verb     string
		vars     []string
	}{
		{"/", 0, "", nil},
		{"/v1/operations", 2, "", nil},
		{"/v1/{name=operations/**}:cancel", 2, "cancel", []string{"name"}},
		{"/v1/{name=**/operations/*}", 2, "", []string{"name"}},
		{"/v1/{name=**}/operations", 2, "", []string{"name"}},
		{"/v1/admin/{name=projects/*/operations/*}", 4, "", []string{"name"}},
		{"/v1/{a}/{b.c_d=x/*}/*/{e}", 2, "", []string{"a", "b.c_d", "e"}},
		{"/v1/a%20b", 2, "", nil},
		{"/v1/operations:start", 2, "start", nil},
	} {
		got, err := parseTemplate(tt.text)
		if err != nil {
			t.Errorf("parseTemplate(%q): %v", tt.text, err)
			continue
		}
		var vars []string
		for _, v := range got.vars {
			vars = append(vars, v.field)
		}
		if got.literals != tt.literals || got.verb != tt.verb || !slices.Equal(vars, tt.vars) {
			t.Errorf("parseTemplate(%q) = %d literals, verb %q, variables %v; want %d, %q, %v",
				tt.text, got.literals, got.verb, vars, tt.literals, tt.verb, tt.vars)
		}
	}
}

func TestParseTemplate_Wrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                          "begins with a slash",
		"v1/x":                      "begins with a slash",
		"/v1/":                      "column 5: an empty segment",
		"/v1//x":                    "an empty segment",
		"/v1/**/x/**":               "column 10: a second **",
		"/v1/{name":                 "without an end",
		"/v1/{name=a/{b}}":          "empty segment",
		"/v1/{=a}":                  "not the path of a field",
		"/v1/{9a}":                  "not the path of a field",
		"/v1/{a..b}":                "not the path of a field",
		"/v1/{a}/{a}":               "bound twice",
		"/v1/{a=}":                  "an empty segment",
		"/v1/x:":                    "an empty segment",
		"/v1/x:a:b":                 "unexpected ':'",
		"/v1/x}":                    "unexpected '}'",
		"/v1/x*":                    "unexpected '*'",
		"/v1/***":                   "unexpected '*'",
		"/v1/x?y=z":                 "unexpected '?'",
		"/v1/a b":                   "characters that no path has",
		"/v1/%zz":                   "percent-encoding",
		"/v1/%00":                   "characters that no path has",
		"/v1/../x":                  "can never match",
		strings.Repeat("/x", 101):   "more than 100 segments",
		"/v1/{name=operations/**}x": "unexpected 'x'",
	} {
		if _, err := parseTemplate(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseTemplate(%q) = %v, want an error with %q", text, err, want)
		}
	}
	if _, err := parseTemplate(strings.Repeat("/x", maxSegments)); err != nil {
		t.Errorf("a template of %d segments: %v, want none", maxSegments, err)
	}
}

// What parses matches a path that is made of it, and binds what was put in.
func FuzzParseTemplate(f *testing.F) {
	for _, seed := range []string{"/", "/v1/{name=operations/**}:cancel", "/v1/{name=**/operations/*}", "/v1/{a}/{b.c=x/*}", "/a%2Fb/*:v"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tm, err := parseTemplate(text)
		if err != nil {
			return
		}
		var b strings.Builder
		for _, seg := range tm.segments {
			b.WriteByte('/')
			switch seg.kind {
			case literal:
				for _, c := range []byte(seg.text) {
					b.WriteString("%" + string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15]))
				}
			default:
				b.WriteString("s")
			}
		}
		if b.Len() == 0 {
			b.WriteByte('/')
		}
		p, err := parsePath(b.String())
		if err != nil {
			t.Fatalf("a path of %q: %v", text, err)
		}
		if !tm.matches(p) {
			t.Fatalf("%q does not match %q", text, b.String())
		}
		for _, v := range tm.vars {
			if value, err := tm.value(v, p); err != nil || value == "" {
				t.Fatalf("%q binds %q to %q, %v", text, v.field, value, err)
			}
		}
	})
}
