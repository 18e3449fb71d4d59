package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/longrun-dev/longrun/longrunpb"
)

// newDocumented returns a Handler of all our services.
func newDocumented(t *testing.T, o Options) *Handler {
	t.Helper()
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	longrunningpb.RegisterOperationsServer(h, longrunningpb.UnimplementedOperationsServer{})
	longrunpb.RegisterDispatcherServer(h, longrunpb.UnimplementedDispatcherServer{})
	longrunpb.RegisterSimulatorServer(h, longrunpb.UnimplementedSimulatorServer{})
	if err := h.Check(); err != nil {
		t.Fatal(err)
	}
	return h
}

// openAPIOf returns the Handler's document.
func openAPIOf(t *testing.T, h *Handler) apiDocument {
	t.Helper()
	raw, err := h.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var d apiDocument
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		t.Fatal(err)
	}
	return d
}

// Every route is in the document.
func TestOpenAPI_HasEveryRoute(t *testing.T) {
	t.Parallel()
	h := newDocumented(t, Options{})
	d := openAPIOf(t, h)
	said := map[string]int{}
	for _, item := range d.Paths {
		for word, op := range item {
			said[strings.ToUpper(word)+" "+op.Summary]++
		}
	}
	for _, r := range h.Routes() {
		said[r.HTTPMethod+" "+string(r.Method.FullName())]--
	}
	for what, n := range said {
		if n != 0 {
			t.Errorf("%s: %d more paths than routes, want as many", what, n)
		}
	}
	if d.OpenAPI != "3.0.3" || d.Info.Title != DefaultDomain || d.Info.Version == "" {
		t.Errorf("the document is %q of %+v, want 3.0.3 of %s", d.OpenAPI, d.Info, DefaultDomain)
	}
}

// What the standard asks beyond the form: parameters that are those of the path and
// named once, ids that are unique, references that lead somewhere.
func TestOpenAPI_Consistent(t *testing.T) {
	t.Parallel()
	d := openAPIOf(t, newDocumented(t, Options{}))
	ids := map[string]string{}
	for path, item := range d.Paths {
		for word, op := range item {
			where := word + " " + path
			if other, ok := ids[op.OperationID]; ok {
				t.Errorf("%s has the id of %s", where, other)
			}
			ids[op.OperationID] = where
			checkParameters(t, d, where, path, op.Parameters)
			if op.RequestBody != nil {
				checkSchema(t, d, where, op.RequestBody.Content["application/json"].Schema)
			}
			checkSchema(t, d, where, op.Responses["200"].Content["application/json"].Schema)
			if _, ok := d.Components.Responses[strings.TrimPrefix(op.Responses["default"].Ref, "#/components/responses/")]; !ok {
				t.Errorf("%s has the response %q, which is not there", where, op.Responses["default"].Ref)
			}
		}
	}
	for name, s := range d.Components.Schemas {
		checkSchema(t, d, name, s)
	}
}

func checkParameters(t *testing.T, d apiDocument, where, path string, params []apiParameter) {
	t.Helper()
	var inPath, wanted []string
	seen := map[string]bool{}
	for _, p := range params {
		if p.Ref != "" {
			resolved, ok := d.Components.Parameters[strings.TrimPrefix(p.Ref, "#/components/parameters/")]
			if !ok {
				t.Errorf("%s refers to %s, which is not there", where, p.Ref)
			}
			p = resolved
		}
		if seen[p.In+p.Name] {
			t.Errorf("%s has the parameter %s twice", where, p.Name)
		}
		seen[p.In+p.Name] = true
		if p.In == "path" {
			inPath = append(inPath, p.Name)
			if !p.Required {
				t.Errorf("%s: %s is in the path and not required", where, p.Name)
			}
		}
		checkSchema(t, d, where, p.Schema)
	}
	for rest := path; strings.Contains(rest, "{"); {
		_, after, _ := strings.Cut(rest, "{")
		name, after, _ := strings.Cut(after, "}")
		wanted, rest = append(wanted, name), after
	}
	if !slices.Equal(inPath, wanted) {
		t.Errorf("%s has the parameters %q, want %q", where, inPath, wanted)
	}
}

func checkSchema(t *testing.T, d apiDocument, where string, s *apiSchema) {
	t.Helper()
	if s == nil {
		t.Errorf("%s has no schema where there must be one", where)
		return
	}
	if s.Ref != "" {
		if d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")] == nil {
			t.Errorf("%s refers to %s, which is not there", where, s.Ref)
		}
		if s.Type != "" || s.ReadOnly {
			t.Errorf("%s has something beside the reference to %s", where, s.Ref)
		}
	}
	for _, name := range s.Required {
		if s.Properties[name] == nil {
			t.Errorf("%s requires %s, which it does not have", where, name)
		}
	}
	if s.Type == "array" && s.Items == nil {
		t.Errorf("%s has an array of nothing", where)
	}
	for name, p := range s.Properties {
		checkSchema(t, d, where+"."+name, p)
	}
	for _, p := range append(s.AllOf, s.Items) {
		if p != nil {
			checkSchema(t, d, where, p)
		}
	}
}

func TestOpenAPI_Operations(t *testing.T) {
	t.Parallel()
	d := openAPIOf(t, newDocumented(t, Options{}))
	list := d.Paths["/v1/{name}/operations"]["get"]
	var query []string
	for _, p := range list.Parameters {
		if p.In == "query" {
			query = append(query, p.Name+" "+p.Schema.Type)
		}
	}
	if want := []string{"filter string", "pageSize integer", "pageToken string", "returnPartialSuccess boolean"}; !slices.Equal(query, want) {
		t.Errorf("query of List = %q, want %q", query, want)
	}
	if got, want := list.Responses["200"].Content["application/json"].Schema.Ref, "#/components/schemas/google.longrunning.ListOperationsResponse"; got != want {
		t.Errorf("reply of List = %s, want %s", got, want)
	}
	op := d.Components.Schemas["google.longrunning.Operation"]
	if got := op.Properties["metadata"]; got.Type != "object" || got.Properties["@type"] == nil || !slices.Equal(got.Required, []string{"@type"}) {
		t.Errorf("metadata = %+v, want an Any", got) // JSN-03
	}
	get := d.Paths["/v1/operations/{operationsPath}"]["get"]
	if get.RequestBody != nil || get.Parameters[0].Description == "" {
		t.Errorf("Get = %+v, want no body and a path that says what it takes", get)
	}
	// WAI-19: the timeout is in the body or in the query.
	wait := d.Paths["/v1/{namePath}/operations/{operationsId}:wait"]["post"]
	if wait.RequestBody == nil || !slices.ContainsFunc(wait.Parameters, func(p apiParameter) bool { return p.Name == "timeout" && p.In == "query" }) {
		t.Errorf("Wait = %+v, want a body and the parameter timeout", wait)
	}
}

// What the path has, a body need not repeat, and may (QRY-11).
func TestOpenAPI_BodyOfBoundFields(t *testing.T) {
	t.Parallel()
	d := openAPIOf(t, newDocumented(t, Options{}))
	s := d.Paths["/v1/operations/{operationsId}:finish"]["post"].RequestBody.Content["application/json"].Schema
	if slices.Contains(s.Required, "name") || s.Properties["name"] == nil || !slices.Contains(s.Required, "session") {
		t.Errorf("body = %+v, want name in it and not required", s)
	}
	if whole := d.Components.Schemas["longrun.v1.FinishOperationRequest"]; whole != nil && !slices.Contains(whole.Required, "name") {
		t.Errorf("required of the message = %q, want name", whole.Required)
	}
}

func TestOpenAPI_Deterministic(t *testing.T) {
	t.Parallel()
	one, err := newDocumented(t, Options{}).OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	two, err := newDocumented(t, Options{}).OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, two) {
		t.Error("two documents of the same routes differ")
	}
}

// HTTP-03: routes of a service configuration are in the document, and those that it
// has taken away are not.
func TestOpenAPI_ServiceConfig(t *testing.T) {
	t.Parallel()
	config, err := ParseServiceConfig([]byte(`
http:
  rules:
  - selector: google.longrunning.Operations.GetOperation
    get: /v3/{name=projects/*/locations/*/operations/*}
  - selector: google.longrunning.Operations.ListOperations
`))
	if err != nil {
		t.Fatal(err)
	}
	d := openAPIOf(t, newDocumented(t, Options{Config: config}))
	if d.Paths["/v3/projects/{projectsId}/locations/{locationsId}/operations/{operationsId}"]["get"] == nil {
		t.Errorf("paths = %v, want the configured one", d.Paths)
	}
	if d.Paths["/v1/{name}/operations"]["get"] != nil || d.Paths["/v1/operations/{operationsPath}"]["get"] != nil {
		t.Error("paths has a route that the configuration has replaced")
	}
}

func TestNewAPIPath(t *testing.T) {
	t.Parallel()
	input := (&longrunpb.StartOperationRequest{}).ProtoReflect().Descriptor()
	for template, want := range map[string]string{
		"/":                           "/",
		"/v1/things":                  "/v1/things",
		"/v1/things:go":               "/v1/things:go",
		"/v1/{parent}":                "/v1/{parent}",
		"/v1/{parent=*}":              "/v1/{parent}",
		"/v1/{request_id}/x":          "/v1/{requestId}/x",
		"/v1/{parent=**}":             "/v1/{parent}",
		"/v1/{parent=**}/x:go":        "/v1/{parent}/x:go",
		"/v1/{parent=things}":         "/v1/things",
		"/v1/{parent=things/*}":       "/v1/things/{thingsId}",
		"/v1/{parent=things/**}:go":   "/v1/things/{thingsPath}:go",
		"/v1/{parent=**/things/*}":    "/v1/{parentPath}/things/{thingsId}",
		"/v1/{parent=*/*}":            "/v1/{parentId}/{parentId2}",
		"/v1/{parent=a/*/a/*}":        "/v1/a/{aId}/a/{aId2}",
		"/*":                          "/{segmentId}",
		"/a-b/*/x":                    "/a-b/{a_bId}/x",
		"/my_things/*":                "/my_things/{myThingsId}",
		"/v1/{parent=a/*}/{method=*}": "/v1/a/{aId}/{method}",
	} {
		parsed, err := parseTemplate(template)
		if err != nil {
			t.Fatal(err)
		}
		if got := newAPIPath(parsed, input, apiSchemas{}).text; got != want {
			t.Errorf("path of %s = %s, want %s", template, got, want)
		}
	}
}

// A path of the same shape keeps the names that it was given first.
func TestOpenAPI_SameShape(t *testing.T) {
	t.Parallel()
	config, err := ParseServiceConfig([]byte(`
http:
  rules:
  - selector: google.longrunning.Operations.GetOperation
    get: /v1/{name=**}
  - selector: longrun.v1.Simulator.Simulate
    post: /v1/{parent=**}
  - selector: longrun.v1.Dispatcher.StartOperation
    post: /v1/{parent=*}
`))
	if err != nil {
		t.Fatal(err)
	}
	d := openAPIOf(t, newDocumented(t, Options{Config: config}))
	item := d.Paths["/v1/{name}"]
	if item["get"] == nil || item["post"] == nil || d.Paths["/v1/{parent}"] != nil {
		t.Fatalf("paths = %v, want one for both", d.Paths)
	}
	if got := item["post"]; got.Parameters[0].Name != "name" || got.Summary != "longrun.v1.Dispatcher.StartOperation" {
		t.Errorf("post = %+v, want the first one of its parameter name", got)
	}
}

func ask(h http.Handler, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, target, nil)
	r.Host = "127.0.0.1:8151"
	h.ServeHTTP(w, r)
	return w
}

func TestOpenAPI_Served(t *testing.T) {
	t.Parallel()
	h := newDocumented(t, Options{})
	want, err := h.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	got := ask(h, "GET", "/openapi.json")
	if got.Code != 200 || !bytes.Equal(got.Body.Bytes(), want) || !strings.HasPrefix(got.Header().Get("Content-Type"), "application/json") {
		t.Errorf("GET = %d, %d bytes of %s; want 200 and %d of JSON", got.Code, got.Body.Len(), got.Header().Get("Content-Type"), len(want))
	}
	// HTTP-15: HEAD is GET without the body.
	if head := ask(h, "HEAD", "/openapi.json"); head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("Content-Length") != fmt.Sprint(len(want)) {
		t.Errorf("HEAD = %d with %d bytes and %v, want 200 and none", head.Code, head.Body.Len(), head.Header())
	}
	if got := ask(h, "POST", "/openapi.json"); got.Code != 404 {
		t.Errorf("POST = %d, want 404", got.Code)
	}
	r := httptest.NewRequest("GET", "/openapi.json", nil)
	r.Host = "evil.example.com"
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 403 {
		t.Errorf("GET with a foreign Host = %d, want 403", w.Code)
	}
}

// The kinds of fields that our own messages do not have.
func TestAPISchemas_Kinds(t *testing.T) {
	t.Parallel()
	for kind := protoreflect.BoolKind; kind <= protoreflect.Sint64Kind; kind++ {
		if kind == protoreflect.GroupKind || kind == protoreflect.MessageKind || kind == protoreflect.EnumKind {
			continue
		}
		if !kind.IsValid() {
			t.Errorf("kind %d is none", kind)
		} else if scalars[kind] == nil {
			t.Errorf("%v has no schema", kind)
		}
	}
	for name, typ := range map[protoreflect.Kind]string{
		protoreflect.Int64Kind: "string", protoreflect.Uint64Kind: "string", protoreflect.Fixed64Kind: "string", // JSN-07
		protoreflect.Int32Kind: "integer", protoreflect.BytesKind: "string", protoreflect.DoubleKind: "number",
	} {
		if got := scalars[name]().Type; got != typ {
			t.Errorf("type of %v = %s, want %s", name, got, typ)
		}
	}
}
