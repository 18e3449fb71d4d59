package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// OpenAPI returns an OpenAPI 3.0 document, in JSON, of the services that are
// registered: every route, with its parameters, its body and its reply, and the
// schema of every message that occurs in one. The same routes give the same bytes.
//
// A path of OpenAPI has no wildcards. A segment "*" is a parameter that is named after
// the segment before it, as in Google's own documents: projects/* is
// projects/{projectsId}. One "**" is a parameter too, whose value may have slashes;
// its description says so. Of two routes that look the same then, the first one stands
// there. HTTP methods that OpenAPI has no word for are left out,
// and methods that take a stream, which have no answer.
//
// The title is Options.Domain. A Handler serves the document itself, at
// /openapi.json, unless a route is there.
func (h *Handler) OpenAPI() ([]byte, error) {
	d := apiDocument{
		OpenAPI: "3.0.3",
		Info:    apiInfo{Title: h.domain, Version: "v1"},
		Paths:   map[string]map[string]*apiOperation{},
		Components: apiComponents{
			Schemas:    apiSchemas{errorSchema: newErrorSchema()},
			Parameters: systemParameters(),
			Responses:  map[string]apiResponse{"Error": {Description: "What went wrong.", Content: inJSONContent(refTo(errorSchema))}},
		},
	}
	b := apiBuilder{document: &d, ids: map[string]int{}, names: map[string]string{}}
	for _, r := range h.Routes() {
		if err := b.route(r); err != nil {
			return nil, fmt.Errorf("openapi: %s %s: %w", r.HTTPMethod, r.Path, err)
		}
	}
	return json.Marshal(d)
}

// apiMethods are the HTTP methods that OpenAPI has a word for.
var apiMethods = map[string]string{
	http.MethodGet: "get", http.MethodPut: "put", http.MethodPost: "post", http.MethodDelete: "delete",
	http.MethodOptions: "options", http.MethodHead: "head", http.MethodPatch: "patch", http.MethodTrace: "trace",
}

// An apiBuilder adds routes to a document.
type apiBuilder struct {
	document *apiDocument
	ids      map[string]int    // how often an operationId has been used
	names    map[string]string // paths without the names of their parameters, as they were first named
}

func (b *apiBuilder) route(r Route) error {
	word, ok := apiMethods[r.HTTPMethod]
	if !ok || r.Method.IsStreamingClient() {
		return nil
	}
	t, err := parseTemplate(r.Path)
	if err != nil {
		return err
	}
	path := newAPIPath(t, r.Method.Input(), b.document.Components.Schemas)
	text, known := b.names[path.shape]
	if !known {
		text = path.text
		b.names[path.shape] = text
	}
	item := b.document.Paths[text]
	if item == nil {
		item = map[string]*apiOperation{}
		b.document.Paths[text] = item
	}
	if item[word] == nil {
		item[word] = b.operation(r, t, path.namedAs(text))
	}
	return nil
}

// operation describes one route.
func (b *apiBuilder) operation(r Route, t *template, params []apiParameter) *apiOperation {
	schemas := b.document.Components.Schemas
	service := string(r.Method.Parent().FullName())
	op := &apiOperation{
		OperationID: b.id(string(r.Method.Parent().Name()) + "_" + string(r.Method.Name())),
		Tags:        []string{service},
		Summary:     string(r.Method.FullName()),
		Parameters:  params,
		Responses: map[string]apiResponse{
			"200":     {Description: "It went well.", Content: inJSONContent(reply(schemas, r))},
			"default": {Ref: "#/components/responses/Error"},
		},
	}
	bound := map[string]bool{}
	for _, v := range t.vars {
		bound[camelPath(v.field)] = true
	}
	switch r.Body {
	case "":
	case "*":
		op.RequestBody = &apiBody{Content: inJSONContent(schemas.without(r.Method.Input(), bound))}
	default:
		op.RequestBody = &apiBody{Content: inJSONContent(schemas.field(r.Method.Input().Fields().ByJSONName(r.Body)))}
		bound[r.Body] = true
	}
	if r.Query {
		op.Parameters = append(op.Parameters, queryParameters(schemas, r.Method.Input(), bound)...)
	}
	op.Parameters = append(op.Parameters, systemReferences...)
	return op
}

// reply is the schema of what a route answers.
func reply(schemas apiSchemas, r Route) *apiSchema {
	s := schemas.message(r.Method.Output())
	if fd := r.Method.Output().Fields().ByJSONName(r.ResponseBody); fd != nil {
		s = schemas.field(fd)
	}
	if r.Method.IsStreamingServer() {
		return &apiSchema{Type: "array", Items: s}
	}
	return s
}

// id returns an operationId that no other operation has.
func (b *apiBuilder) id(name string) string {
	if b.ids[name]++; b.ids[name] > 1 {
		return fmt.Sprintf("%s_%d", name, b.ids[name])
	}
	return name
}

// queryParameters are the fields of a request that neither the path nor the body
// has. Fields of messages in it are named by their path.
func queryParameters(schemas apiSchemas, md protoreflect.MessageDescriptor, bound map[string]bool) []apiParameter {
	var list []apiParameter
	var walk func(md protoreflect.MessageDescriptor, prefix string, above []protoreflect.FullName)
	walk = func(md protoreflect.MessageDescriptor, prefix string, above []protoreflect.FullName) {
		for i := range md.Fields().Len() {
			fd := md.Fields().Get(i)
			name := prefix + fd.JSONName()
			switch {
			case bound[name]:
			case hasTextForm(fd):
				list = append(list, apiParameter{Name: name, In: "query", Required: prefix == "" && isRequired(fd), Schema: schemas.field(fd)})
			case fd.Message() != nil && !fd.IsList() && !fd.IsMap() && isObject(fd.Message()) && !slices.Contains(above, fd.Message().FullName()):
				walk(fd.Message(), name+".", append(above[:len(above):len(above)], fd.Message().FullName()))
			}
		}
	}
	walk(md, "", []protoreflect.FullName{md.FullName()})
	return list
}

// systemParameters are those of section 9.4 that have a meaning here.
func systemParameters() map[string]apiParameter {
	return map[string]apiParameter{
		"alt": {Name: "$alt", In: "query", Description: "How the reply is written.",
			Schema: &apiSchema{Type: "string", Enum: []string{"json", "json;enum-encoding=int"}}},
		"fields": {Name: "$fields", In: "query", Description: "What is kept of the reply, such as operations(name,done),nextPageToken.",
			Schema: &apiSchema{Type: "string"}},
		"prettyPrint": {Name: "$prettyPrint", In: "query", Description: "Whether the reply is indented.",
			Schema: &apiSchema{Type: "string", Enum: []string{"true", "false", "1", "0"}}},
	}
}

var systemReferences = []apiParameter{
	{Ref: "#/components/parameters/alt"}, {Ref: "#/components/parameters/fields"}, {Ref: "#/components/parameters/prettyPrint"},
}

// openAPIPath is where a Handler serves its document.
const openAPIPath = "/openapi.json"

// isOpenAPI reports whether the request is for the document.
func isOpenAPI(r *http.Request) bool {
	return r.URL.Path == openAPIPath && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// serveOpenAPI answers with the document. It takes no parameters.
func (h *Handler) serveOpenAPI(w http.ResponseWriter, r *http.Request) {
	body, err := h.openAPI()
	if err != nil {
		h.refuse(w, r, "", err, false)
		return
	}
	write(w, r, http.StatusOK, body)
}
