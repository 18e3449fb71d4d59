package httpapi_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/longrun-dev/longrun/httpapi"
)

// register returns a handler of a library with other rules, which may be wrong.
func register(t *testing.T, rules map[string]string, config string) *httpapi.Handler {
	t.Helper()
	s := build(t, rules)
	o := httpapi.Options{Files: s.files, Types: dynamicpb.NewTypes(s.files), Log: slog.New(slog.DiscardHandler)}
	if config != "" {
		c, err := httpapi.ParseServiceConfig([]byte(config))
		if err != nil {
			t.Fatal(err)
		}
		o.Config = c
	}
	h, err := httpapi.New(o)
	if err != nil {
		t.Fatal(err)
	}
	h.RegisterService(s.desc(), &library{})
	return h
}

// Check says what is wrong with a rule, and where.
func TestCheck(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		`get: "v1/x"`:                          "begins with a slash",
		`get: "/v1/{bogus}"`:                   `there is no field "bogus"`,
		`get: "/v1/{name.x}"`:                  `"name" has no fields`,
		`get: "/v1/{tags}"`:                    "cannot be in a path",
		`get: "/v1/{shelf}"`:                   "cannot be in a path",
		`get: "/v1/{by_room}"`:                 "cannot be in a path",
		`post: "/v1/x" body: "bogus"`:          `body: library.v1.Book has no field "bogus"`,
		`post: "/v1/x" body: "shelf.name"`:     "has no field",
		`get: "/v1/x" response_body: "bogus"`:  `response_body: library.v1.Book has no field "bogus"`,
		`custom { kind: "get" path: "/v1/x" }`: "not an HTTP method",
		`custom { kind: "" path: "/v1/x" }`:    "not an HTTP method",
		`get: "/v1/x" additional_bindings {}`:  "a rule without a path",
		`get: "/v1/x" additional_bindings { get: "/v1/y" additional_bindings { get: "/v1/z" } }`: "has additional bindings",
	} {
		err := register(t, map[string]string{"GetBook": rule}, "").Check()
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "library.v1.Library.GetBook") {
			t.Errorf("%s: Check = %v, want the method and %q", rule, err, want)
		}
	}
}

// HTTP-03: a service configuration replaces the routes of the proto file, without a
// change of code. HTTP-16: a method without a route is not there over HTTP.
func TestConfig_Serves(t *testing.T) {
	t.Parallel()
	h := register(t, rules, `
http:
  rules:
  - selector: library.v1.Library.GetBook
    get: /v3/{name=projects/*/locations/*/books/*}
    additional_bindings:
    - get: /v3/admin/{name=books/**}
    - get: /v3/users/{person}/books/{name=*}
  - selector: library.v1.Library.UpdateBook
  - selector: other.v1.Other.Get
    get: /v1/others
`)
	if err := h.Check(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/v3/projects/p/locations/l/books/x": `{"name":"projects/p/locations/l/books/x"}`,
		"/v3/admin/books/x/y":                `{"name":"books/x/y"}`,
		"/v3/users/u/books/x":                `{"name":"x","person":"u"}`,
		"/v1/shelves/s/rows/1":               `{"shelf":{"name":"s","rowNumber":1}}`,
	} {
		expectJSON(t, path, ask(h, "GET "+path, ""), want)
	}
	unknown := want{404, "NOT_FOUND", httpapi.ReasonUnknownPath, ""}
	expect(t, "replaced", ask(h, "GET /v1/books/x", ""), unknown)
	expect(t, "taken away", ask(h, "PATCH /v1/books/x", ""), unknown)
	expect(t, "deeper", ask(h, "GET /v3/projects/p/locations/l/books/x/y", ""), unknown) // HTTP-08
	if got := fmt.Sprint(h.Unserved()); got != "[other.v1.Other.Get]" {
		t.Errorf("Unserved = %s, want the method of the other service", got)
	}
}

// A configuration that names what a service does not have is wrong, with its line.
func TestConfig_Check(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		"{selector: library.v1.Library.Gets, get: /v1/x}":                "line 3: http.rules[0]: library.v1.Library has no method \"Gets\"",
		"{selector: library.v1.Library.GetBook, get: '/v1/{bogus}'}":     "line 3: http.rules[0]: path \"/v1/{bogus}\": library.v1.Book: there is no field",
		"{selector: library.v1.Library.GetBook, post: /v1, body: bogus}": "line 3: http.rules[0]: body:",
	} {
		err := register(t, rules, "http:\n  rules:\n  - "+rule).Check()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Check = %v, want %q", rule, err, want)
		}
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	h := (&library{}).serve(t, httpapi.Options{})
	var got []string
	for _, r := range h.Routes() {
		got = append(got, fmt.Sprintf("%s %s %s %q %q %v", r.Method.Name(), r.HTTPMethod, r.Path, r.Body, r.ResponseBody, r.Query))
	}
	want := []string{
		`GetBook GET /v1/{name=books/*} "" "" true`, `GetBook REPORT /v1/{name=books/*} "" "" true`,
		`UpdateBook PATCH /v1/{name=books/*} "*" "" false`, `UpdateBook POST /v1/{name=books/*}:touch "" "" true`,
		`PutShelf PUT /v1/{name=books/*}/shelf "shelf" "shelf" true`, `PutTags PUT /v1/{name=books/*}/tags "tags" "tags" true`,
		`Find GET /v1/shelves/{shelf.name}/rows/{shelf.row_number} "" "" true`, `Find GET /v1/kinds/{kind}/{digest} "" "" true`,
		`Watch GET /v1/{name=books/*}:watch "" "" true`, `Upload POST /v1/books:upload "*" "" false`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("Routes =\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Registering is as with a grpc.Server: once, before serving, and the right type.
func TestRegister_Panics(t *testing.T) {
	t.Parallel()
	panics := func(what string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s did not panic", what)
			}
		}()
		f()
	}
	s := build(t, rules)
	h := register(t, rules, "")
	panics("a second time", func() { h.RegisterService(s.desc(), &library{}) })
	panics("another type", func() {
		h.RegisterService(&grpc.ServiceDesc{ServiceName: "a.B", HandlerType: (*fmt.Stringer)(nil)}, &library{})
	})
	ask(h, "GET /", "")
	panics("while serving", func() { h.RegisterService(&grpc.ServiceDesc{ServiceName: "a.B"}, nil) })

	h = register(t, rules, "")
	h.RegisterService(&grpc.ServiceDesc{ServiceName: "no.Such"}, nil)
	h.RegisterService(&grpc.ServiceDesc{ServiceName: "library.v1.Book"}, nil)
	if err := h.Check(); err == nil || !strings.Contains(err.Error(), "no.Such") || !strings.Contains(err.Error(), "library.v1.Book is not a service") {
		t.Errorf("Check = %v, want both that are no services", err)
	}
}
