package httpapi_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/httpapi"
)

const notFound, badName = longrun.ReasonOperationNotFound, longrun.ReasonInvalidOperationName

// HTTP-01: the routes of the proto file; HTTP-05: and those below any parent.
func TestRoutes_Default(t *testing.T) {
	t.Parallel()
	for _, parent := range []string{"", parent, "users/u1"} {
		s := newSystem(t)
		f := s.fixtures(t, parent)
		path := "/v1/operations"
		if parent != "" {
			path = "/v1/" + parent + "/operations"
		}
		if got := names(s.list(t, path)); !slices.Contains(got, f.S) || len(got) != 4 {
			t.Errorf("GET %s = %v, want the four operations", path, got)
		}
		if op := s.op(t, "GET /v1/"+f.R, ""); op.GetName() != f.R || op.GetDone() {
			t.Errorf("GET = %v, want %s running", op, f.R)
		}
		expectJSON(t, "cancel", ask(s.web, "POST /v1/"+f.R+":cancel", ""), `{}`)
		if op := s.op(t, "POST /v1/"+f.S+":wait", ""); !op.GetDone() {
			t.Errorf("wait = %v, want it done", op)
		}
		expectJSON(t, "delete", ask(s.web, "DELETE /v1/"+f.S, ""), `{}`)
		expect(t, "deleted", ask(s.web, "GET /v1/"+f.S, ""), want{404, "NOT_FOUND", notFound, ""})
	}
}

// HTTP-02: GET /v1/operations is a list, although "**" may be nothing. LST-02, HTTP-04: a
// path below a parent lists that parent alone.
func TestRoutes_List(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	expectJSON(t, "empty", ask(s.web, "GET /v1/operations", ""), `{}`)
	top, user := s.run(t, "").Name().String(), s.run(t, "users/u1").Name().String()
	s.run(t, "users/u2")
	for path, want := range map[string]string{
		"/v1/operations": top, "/v1/users/u1/operations": user, "/v1/-/operations?pageSize=1": s.run(t, "x/y").Name().String(),
	} {
		if got := fmt.Sprint(names(s.list(t, path))); got != "["+want+"]" {
			t.Errorf("%s = %s, want %s", path, got, want)
		}
	}
}

// HTTP-03: service configurations with the shapes that Google's services have. HTTP-04: a
// list whose name is the parent, without its collection.
func TestRoutes_Configured(t *testing.T) {
	t.Parallel()
	for pattern, name := range map[string]string{
		"/v3/{name=projects/*/locations/*/operations/*}":             "projects/p/locations/l/operations/",
		"/v1/{name=projects/*/operations/*}":                         "projects/p/operations/",
		"/v1/{name=organizations/*/locations/*/operations/*}":        "organizations/o/locations/l/operations/",
		"/v1/{name=operations/**}":                                   "operations/",
		"/v1/{name=operations/*}":                                    "operations/",
		"/v1/{name=customers/*/operations/*}":                        "customers/c/operations/",
		"/v1/{name=folders/*/locations/*/operations/*}":              "folders/f/locations/l/operations/",
		"/v1/{name=users/*/operations/*}":                            "users/u/operations/",
		"/v1/admin/{name=projects/*/locations/*/operations/*}":       "projects/p/locations/l/operations/",
		"/v1beta/{name=projects/*/datasets/*/models/*/operations/*}": "projects/p/datasets/d/models/m/operations/",
	} {
		config := "http:\n  rules:\n"
		for _, m := range []string{"Get|get|", "Delete|delete|", "Cancel|post|:cancel", "Wait|post|:wait"} {
			p := strings.Split(m, "|")
			config += fmt.Sprintf("  - selector: google.longrunning.Operations.%sOperation\n    %s: '%s%s'\n", p[0], p[1], pattern, p[2])
			if p[2] != "" {
				config += "    body: '*'\n"
			}
		}
		// An earlier rule for a method, which does not count, and one for List.
		collection := pattern[:strings.LastIndex(pattern, "operations/")] + "operations}"
		if i := strings.LastIndex(pattern, "/operations/"); i >= 0 {
			collection = pattern[:i] + "}/operations"
		}
		config = strings.Replace(config, "  rules:\n", "  rules:\n  - {selector: google.longrunning.Operations.GetOperation, get: '/v9/{name=operations/*}'}\n"+
			"  - {selector: google.longrunning.Operations.ListOperations, get: '"+collection+"'}\n", 1)
		c, err := httpapi.ParseServiceConfig([]byte(config))
		if err != nil {
			t.Fatal(err)
		}
		s := newSystemWith(t, longrun.Options{}, httpapi.Options{Config: c})
		parent := strings.TrimSuffix(strings.TrimSuffix(name, "operations/"), "/")
		op := s.run(t, parent).Name().String()
		s.run(t, "other/parent")
		path := pattern[:strings.Index(pattern, "{")] + op
		if got := names(s.list(t, strings.TrimSuffix(path, op[strings.LastIndex(op, "/"):]))); len(got) != 1 || got[0] != op {
			t.Errorf("List of %s = %v, want %s alone", parent, got, op)
		}
		expect(t, "an earlier rule", ask(s.web, "GET /v9/"+op, ""), want{404, "NOT_FOUND", httpapi.ReasonUnknownPath, ""})
		if got := s.op(t, "GET "+path, ""); got.GetName() != op {
			t.Errorf("GET %s = %v, want %s", path, got, op)
		}
		expectJSON(t, "cancel", ask(s.web, "POST "+path+":cancel", "{}"), `{}`)
		s.op(t, "POST "+path+":wait", `{"timeout":"0s"}`)
		expectJSON(t, "delete", ask(s.web, "DELETE "+path, ""), `{}`)
		expect(t, "deeper", ask(s.web, "GET "+path+"/x/y/z", ""), map[bool]want{
			true: {400, invalid, badName, "name"}, false: {404, "NOT_FOUND", httpapi.ReasonUnknownPath, ""},
		}[strings.Contains(pattern, "**")])
	}
}

// MIX-02: a configuration that lists the interface binds a subset of it; the rest is not
// there. MIX-06: several services are served by one handler. HTTP-16: what is bound and
// not implemented is 501.
func TestRoutes_Subset(t *testing.T) {
	t.Parallel()
	config := func(text string) *httpapi.ServiceConfig {
		c, err := httpapi.ParseServiceConfig([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const get = "http:\n  rules:\n  - {selector: google.longrunning.Operations.GetOperation, get: '/v1/{name=operations/**}'}\n"
	s := newSystemWith(t, longrun.Options{}, httpapi.Options{Config: config("apis: [{name: google.longrunning.Operations}]\n" + get)})
	op := s.run(t, "").Name().String()
	s.op(t, "GET /v1/"+op, "")
	for _, line := range []string{"GET /v1/x/operations", "POST /v1/" + op + ":cancel", "POST /v1/" + op + ":wait", "GET /?name=" + op} {
		expect(t, line, ask(s.web, line, ""), want{404, "NOT_FOUND", httpapi.ReasonUnknownPath, ""})
	}
	expect(t, "delete", ask(s.web, "DELETE /v1/"+op, ""), want{405, "UNIMPLEMENTED", httpapi.ReasonHTTPMethod, ""})
	s.op(t, "POST /v1/operations:simulate", "{}")

	bare := newSystemWith(t, longrun.Options{}, httpapi.Options{Config: config(get)})
	op = bare.run(t, "").Name().String()
	expectJSON(t, "delete", ask(bare.web, "DELETE /v1/"+op, ""), `{}`)

	off := newSystemWith(t, longrun.Options{Authorize: func(_ context.Context, v longrun.Verb, _ string) error {
		return status.Error(codes.Unimplemented, "not here")
	}}, httpapi.Options{})
	expect(t, "unimplemented", ask(off.web, "GET /v1/operations", ""), want{501, "UNIMPLEMENTED", "UNIMPLEMENTED", ""})
}

// HTTP-06: a verb is what follows the last colon, to the letter. HTTP-07: GET of it is a
// Get of a name that cannot be, and cancels nothing. HTTP-17: nor does an override.
func TestRoutes_Verbs(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.run(t, "").Name().String()
	unknown := want{404, "NOT_FOUND", httpapi.ReasonUnknownPath, ""}
	for _, verb := range []string{"Cancel", "cancel2", "", "cance%6c"} {
		expect(t, verb, ask(s.web, "POST /v1/"+r+":"+verb, ""), unknown)
	}
	expect(t, "colon", ask(s.web, "GET /v1/"+r+":", ""), want{400, invalid, badName, "name"})
	expect(t, "GET", ask(s.web, "GET /v1/"+r+":cancel", ""), want{400, invalid, badName, "name"})
	wrong := want{405, "UNIMPLEMENTED", httpapi.ReasonHTTPMethod, ""}
	expect(t, "PUT", ask(s.web, "PUT /v1/"+r+":cancel", ""), wrong)
	expect(t, "override", ask(s.web, "POST /v1/"+r, "", "X-HTTP-Method-Override: DELETE"), wrong)
	expect(t, "$httpMethod", ask(s.web, "POST /v1/"+r+"?$httpMethod=DELETE", ""), wrong)
	if op := s.op(t, "GET /v1/"+r, ""); op.GetDone() || strings.Contains(op.String(), "requested_cancellation:true") {
		t.Errorf("operation = %v, want it untouched", op)
	}
}

// HTTP-09: %2F is no slash in a name; other octets are what they stand for. HTTP-10: a
// malformed one is 400. HTTP-11, HTTP-12: nothing is normalised or redirected. NM-12.
func TestRoutes_Paths(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	id := strings.TrimPrefix(s.run(t, "").Name().String(), "operations/")
	s.op(t, fmt.Sprintf("GET /v1/operations/%%%x%s", id[0], id[1:]), "")
	s.op(t, "GET /v1/%6Fperations/"+id, "")
	name, path := want{400, invalid, badName, "name"}, want{400, invalid, httpapi.ReasonInvalidPath, ""}
	for raw, want := range map[string]want{
		"/v1/projects%2Fp%2Foperations%2F" + id:  {404, "NOT_FOUND", httpapi.ReasonUnknownPath, ""},
		"/v1/operations%2F" + id:                 {404, "NOT_FOUND", httpapi.ReasonUnknownPath, ""},
		"/v1/operations/a%2Fb":                   name,
		"/v1/operations/a/b":                     name,
		"/v1/operations/%zz":                     path,
		"/v1/operations/%00":                     path,
		"/v1/operations/../operations/" + id:     path,
		"/v1/operations/%2e%2e/operations/" + id: path,
		"//v1/operations/" + id:                  path,
		"/v1/operations/":                        path,
		"/v1/operations/x/":                      path,
		"/v1//operations/" + id:                  path,
		"/v1":                                    {404, "NOT_FOUND", httpapi.ReasonUnknownPath, ""},
		"/V1/operations":                         {404, "NOT_FOUND", httpapi.ReasonUnknownPath, ""},
	} {
		w := ask(s.web, "GET "+raw, "")
		expect(t, raw, w, want)
		if w.Header().Get("Location") != "" {
			t.Errorf("%s redirects to %q", raw, w.Header().Get("Location"))
		}
	}
}

// HTTP-13: an unknown path is 404 in the envelope. HTTP-14: another HTTP method is 405, with
// Allow. OP-20: nothing creates an operation. HTTP-15: HEAD is GET without a body, OPTIONS
// says what there is. GET-12: nothing is stored by caches.
func TestRoutes_Methods(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.run(t, "").Name().String()
	for _, path := range []string{"/v1/nope", "/nope", "/v2/operations", "/v1/operations/x:start"} {
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			if strings.HasSuffix(path, ":start") && method == "GET" {
				continue
			}
			expect(t, method+path, ask(s.web, method+" "+path, ""), want{404, "NOT_FOUND", httpapi.ReasonUnknownPath, ""})
		}
	}
	for path, allow := range map[string]string{
		"/v1/operations": "DELETE, GET, HEAD, OPTIONS", "/v1/" + r: "DELETE, GET, HEAD, OPTIONS", "/v1/operations:start": "POST, OPTIONS", "/v1/sessions:open": "POST, OPTIONS",
	} {
		w := ask(s.web, "PATCH "+path, "{}")
		expect(t, path, w, want{405, "UNIMPLEMENTED", httpapi.ReasonHTTPMethod, ""})
		o := ask(s.web, "OPTIONS "+path, "")
		if got := w.Header().Get("Allow"); got != allow || o.Header().Get("Allow") != allow || o.Code != 204 || o.Body.Len() > 0 {
			t.Errorf("%s: Allow = %q and %q with %d, want %q and 204", path, got, o.Header().Get("Allow"), o.Code, allow)
		}
	}
	expect(t, "create", ask(s.web, "POST /v1/operations", "{}"), want{405, "UNIMPLEMENTED", httpapi.ReasonHTTPMethod, ""})
	get, head := ask(s.web, "GET /v1/"+r, ""), ask(s.web, "HEAD /v1/"+r, "")
	for _, name := range []string{"Content-Type", "Cache-Control", "Retry-After", "Content-Length"} {
		if a, b := get.Header().Get(name), head.Header().Get(name); a != b || a == "" {
			t.Errorf("%s = %q, of HEAD %q; want the same", name, a, b)
		}
	}
	if head.Code != 200 || head.Body.Len() != 0 || get.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("HEAD = %d with %d bytes, want 200 without", head.Code, head.Body.Len())
	}
	if w := ask(s.web, "HEAD /v1/operations/none", ""); w.Code != 404 || w.Body.Len() != 0 {
		t.Errorf("HEAD of none = %d with %d bytes, want 404 without", w.Code, w.Body.Len())
	}
}
