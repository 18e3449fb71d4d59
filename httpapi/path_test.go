package httpapi

import (
	"strings"
	"testing"
)

// match returns what a template binds of a path, and whether it matches.
func match(t *testing.T, text, raw string) (values []string, ok bool) {
	t.Helper()
	tm, err := parseTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	p, err := parsePath(raw)
	if err != nil {
		t.Fatalf("parsePath(%q): %v", raw, err)
	}
	if before, verb, found := p.verb(); found && verb == tm.verb {
		p = before
	} else if tm.verb != "" {
		return nil, false
	}
	if !tm.matches(p) {
		return nil, false
	}
	for _, v := range tm.vars {
		value, err := tm.value(v, p)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
	}
	return values, true
}

// HTTP-08: "*" is exactly one segment that is not empty, "**" any number, and one
// "**" may be anywhere. HTTP-04: a variable binds what is in its braces. HTTP-09: one
// that is a single segment is decoded completely, any other keeps %2F.
func TestTemplate_Match(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ template, path, want string }{
		{"/v1/{name=operations/*}", "/v1/operations/x", "operations/x"},
		{"/v1/{name=operations/*}", "/v1/operations/x/y", "-"},
		{"/v1/{name=operations/*}", "/v1/operations", "-"},
		{"/v1/{name=operations/**}", "/v1/operations/x/y", "operations/x/y"},
		{"/v1/{name=operations/**}", "/v1/operations", "operations"},
		{"/v1/{name=users/*}/operations", "/v1/users/u1/operations", "users/u1"},
		{"/v1/{name=**}/operations", "/v1/a/b/operations", "a/b"},
		{"/v1/{name=**}/operations", "/v1/operations", ""},
		{"/v1/{name=**}/operations", "/v1/a/b", "-"},
		{"/v1/{name=**/operations/*}", "/v1/a/b/operations/x", "a/b/operations/x"},
		{"/v1/{name=**/operations/*}", "/v1/operations/x", "operations/x"},
		{"/v1/{a=**}/x/{b}", "/v1/p/q/x/y", "p/q|y"},
		{"/v1/{a}/{b=x/**}", "/v1/p/x", "p|x"},
		{"/v1/{name}", "/v1/a%2Fb", "a/b"},
		{"/v1/{name=operations/**}", "/v1/operations/a%2Fb", "operations/a%2Fb"},
		{"/v1/{name=operations/**}", "/v1/operations/a%2fb%20c", "operations/a%2fb c"},
		{"/v1/{name=**}", "/v1/a%2Fb", "a%2Fb"},
		{"/v1/{name=operations/*}", "/v1/operations/%61bc", "operations/abc"},
		{"/v1/{name=operations/*}", "/v1/%6fperations/x", "operations/x"},
		{"/v1/{name=operations/*}", "/v1/operations+/x", "-"},
		{"/v1/{name=operations/*}:cancel", "/v1/operations/x:cancel", "operations/x"},
		{"/v1/{name=operations/*}:cancel", "/v1/operations/x:y:cancel", "operations/x:y"},
		{"/v1/{name=operations/*}:cancel", "/v1/operations/x:Cancel", "-"},
		{"/v1/{name=operations/*}:cancel", "/v1/operations/x%3Acancel", "-"},
		{"/v1/{name=operations/*}:cancel", "/v1/operations/:cancel", "-"},
		{"/v1/{name=operations/**}:cancel", "/v1/operations/:cancel", "-"},
		{"/v1/{name=operations/**}:cancel", "/v1/operations:cancel", "operations"},
		{"/v1/operations:start", "/v1/operations:start", ""},
		{"/", "/", ""},
		{"/{name=**}", "/", ""},
		{"/", "/x", "-"},
		{"/v1/a%20b", "/v1/a%20b", ""},
	} {
		values, ok := match(t, tt.template, tt.path)
		got := strings.Join(values, "|")
		if !ok {
			got = "-"
		}
		if got != tt.want {
			t.Errorf("%s of %s = %q, want %q", tt.template, tt.path, got, tt.want)
		}
	}
}

// HTTP-10, HTTP-11, HTTP-12: what is malformed is refused, and not made into the path
// of something else.
func TestParsePath_Wrong(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"", "v1", "*", "//v1/operations/x", "/v1//operations", "/v1/operations/", "/v1/./x", "/v1/../x", "/v1/%2e%2E/x", "/v1/%2e",
		"/v1/%zz", "/v1/%", "/v1/%4", "/v1/%00", "/v1/a%0Ab", "/v1/%ff", "/v1/%7f", "/v1/%c2%80", strings.Repeat("/x", maxSegments+1),
	} {
		if p, err := parsePath(raw); err == nil {
			t.Errorf("parsePath(%q) = %v, want an error", raw, p)
		}
	}
	if _, err := parsePath(strings.Repeat("/x", maxSegments)); err != nil {
		t.Errorf("a path of %d segments: %v, want none", maxSegments, err)
	}
}

// A path is matched without a panic whatever it is, and what "*" binds is one segment.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/", "/v1/operations/x:cancel", "/v1/a%2Fb", "/v1/%zz", "/:", "/v1/a/b/operations"} {
		f.Add(seed)
	}
	var templates []*template
	for _, text := range []string{"/v1/{name=operations/**}", "/v1/{name=**/operations/*}", "/{a}/{b}", "/{a=**}/x/{b=*}"} {
		tm, err := parseTemplate(text)
		if err != nil {
			f.Fatal(err)
		}
		templates = append(templates, tm)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := parsePath(raw)
		if err != nil {
			return
		}
		paths := []path{p}
		if before, _, ok := p.verb(); ok {
			paths = append(paths, before)
		}
		for _, p := range paths {
			for _, tm := range templates {
				if !tm.matches(p) {
					continue
				}
				for _, v := range tm.vars {
					value, err := tm.value(v, p)
					if err != nil {
						t.Fatalf("value of %q: %v", raw, err)
					}
					if strings.Contains(value, "//") && !strings.Contains(raw, "%") {
						t.Fatalf("%q bound %q", raw, value)
					}
				}
			}
		}
	})
}
