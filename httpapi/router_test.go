package httpapi

import (
	"slices"
	"strings"
	"testing"
)

func route(t *testing.T, r *router, httpMethod, text string) {
	t.Helper()
	tm, err := parseTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	r.add(&binding{method: &method{fullName: text}, httpMethod: httpMethod, template: tm})
}

func targetOf(t *testing.T, raw string) target {
	t.Helper()
	raw, query, _ := strings.Cut(raw, "?")
	p, err := parsePath(raw)
	if err != nil {
		t.Fatal(err)
	}
	tg := target{whole: p, query: query}
	tg.before, tg.verb, tg.hasVerb = p.verb()
	return tg
}

// HTTP-02: of two templates that match, the one with more literal segments wins, and of
// as many the earlier. HTTP-06, HTTP-07: a verb is literal, and where nobody has it the
// colon is part of the name.
func TestRouter_Find(t *testing.T) {
	t.Parallel()
	r := &router{}
	for _, text := range []string{"/v1/{name=**}", "/v1/{name=operations}", "/v1/{name=operations/**}", "/v1/{name=**}/operations", "/v1/{name=projects/*/operations/*}"} {
		route(t, r, "GET", text)
	}
	route(t, r, "POST", "/v1/{name=operations/**}:cancel")
	route(t, r, anyMethod, "/any/{name}")
	for _, tt := range []struct{ method, path, want string }{
		{"GET", "/v1/operations", "/v1/{name=operations}"},
		{"GET", "/v1/operations/x", "/v1/{name=operations/**}"},
		{"GET", "/v1/p/operations", "/v1/{name=**}/operations"},
		{"GET", "/v1/projects/p/operations/x", "/v1/{name=projects/*/operations/*}"},
		{"GET", "/v1/projects/p", "/v1/{name=**}"},
		{"GET", "/v1/operations/x:cancel", "/v1/{name=operations/**}"},
		{"POST", "/v1/operations/x:cancel", "/v1/{name=operations/**}:cancel"},
		{"POST", "/v1/operations/x:Cancel", ""},
		{"POST", "/v1/operations/x", ""},
		{"REPORT", "/any/x", "/any/{name}"},
	} {
		got := ""
		if b, _ := r.find(tt.method, targetOf(t, tt.path)); b != nil {
			got = b.fullName
		}
		if got != tt.want {
			t.Errorf("%s %s = %q, want %q", tt.method, tt.path, got, tt.want)
		}
	}
}

// HTTP-14: what a path can be asked with.
func TestRouter_Allowed(t *testing.T) {
	t.Parallel()
	r := &router{}
	route(t, r, "GET", "/v1/{name=operations/**}")
	route(t, r, "DELETE", "/v1/{name=operations/**}")
	route(t, r, "POST", "/v1/{name=operations/**}:cancel")
	for path, want := range map[string]string{
		"/v1/operations/x":        "DELETE GET HEAD",
		"/v1/operations/x:cancel": "DELETE GET HEAD POST",
		"/v1/operations/x:Cancel": "",
		"/v2":                     "",
	} {
		if got := r.allowed(targetOf(t, path)); strings.Join(got, " ") != want || !slices.IsSorted(got) {
			t.Errorf("allowed(%s) = %v, want %q", path, got, want)
		}
	}
}

// A binding that needs a parameter is not there for a request without it.
func TestRouter_Needs(t *testing.T) {
	t.Parallel()
	r := &router{}
	route(t, r, "GET", "/")
	r.bindings["GET"][""][0].needs = "name"
	for path, want := range map[string]bool{"/": false, "/?name=x": true, "/?a=b&name=": true, "/?named=x": false, "/?x=name=": false} {
		if b, _ := r.find("GET", targetOf(t, path)); (b != nil) != want {
			t.Errorf("%s is found: %v, want %v", path, b != nil, want)
		}
	}
}
