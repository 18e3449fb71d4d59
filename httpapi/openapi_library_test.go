package httpapi_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/longrun-dev/longrun/httpapi"
)

// documented returns the value at a path of the library's document.
func documented(t *testing.T, path ...string) any {
	t.Helper()
	raw, err := (&library{}).serve(t, httpapi.Options{}).OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	for _, key := range path {
		object, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("there is nothing at %q of the document", path)
		}
		v = object[key]
	}
	return v
}

func expectDocumented(t *testing.T, want string, path ...string) {
	t.Helper()
	var wanted any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatalf("%s: %v", want, err)
	}
	if got := documented(t, path...); !reflect.DeepEqual(got, wanted) {
		t.Errorf("document at %q = %v, want %s", path, got, want)
	}
}

// Paths, with the names of their wildcards. HTTP methods without a word of OpenAPI's,
// methods without a rule and those that take a stream are not there.
func TestOpenAPI_LibraryPaths(t *testing.T) {
	t.Parallel()
	got := map[string][]string{}
	for path, item := range documented(t, "paths").(map[string]any) {
		got[path] = slices.Sorted(maps.Keys(item.(map[string]any)))
	}
	want := map[string][]string{
		"/v1/books/{booksId}":                             {"get", "patch"},
		"/v1/books/{booksId}:touch":                       {"post"},
		"/v1/books/{booksId}:watch":                       {"get"},
		"/v1/books/{booksId}/shelf":                       {"put"},
		"/v1/books/{booksId}/tags":                        {"put"},
		"/v1/shelves/{shelf.name}/rows/{shelf.rowNumber}": {"get"},
		"/v1/kinds/{kind}/{digest}":                       {"get"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("paths = %v, want %v", got, want)
	}
}

// A body and a reply that are fields, and a stream, which is an array.
func TestOpenAPI_LibraryBodies(t *testing.T) {
	t.Parallel()
	shelf := []string{"paths", "/v1/books/{booksId}/shelf", "put"}
	expectDocumented(t, `{"schema": {"$ref": "#/components/schemas/library.v1.Shelf"}}`, append(shelf, "requestBody", "content", "application/json")...)
	expectDocumented(t, `{"schema": {"$ref": "#/components/schemas/library.v1.Shelf"}}`, append(shelf, "responses", "200", "content", "application/json")...)
	expectDocumented(t, `{"type": "array", "items": {"type": "string"}}`,
		"paths", "/v1/books/{booksId}/tags", "put", "requestBody", "content", "application/json", "schema")
	expectDocumented(t, `{"type": "array", "items": {"$ref": "#/components/schemas/library.v1.Book"}}`,
		"paths", "/v1/books/{booksId}:watch", "get", "responses", "200", "content", "application/json", "schema")
	expectDocumented(t, `null`, "paths", "/v1/books/{booksId}:touch", "post", "requestBody")
}

// What JSON makes of each type. JSN-03, JSN-07, JSN-08, JSN-09.
func TestOpenAPI_LibrarySchemas(t *testing.T) {
	t.Parallel()
	for field, want := range map[string]string{
		"name": `{"type": "string"}`, "pageCount": `{"type": "string", "format": "int64"}`, "serial": `{"type": "string", "format": "uint64"}`,
		"kind": `{"$ref": "#/components/schemas/library.v1.Kind"}`, "tags": `{"type": "array", "items": {"type": "string"}}`,
		"createTime": `{"type": "string", "format": "date-time"}`, "digest": `{"type": "string", "format": "byte"}`,
		"weight": `{"type": "number", "format": "double"}`, "price": `{"type": "number", "format": "float"}`, "lent": `{"type": "boolean"}`,
		"shelf": `{"$ref": "#/components/schemas/library.v1.Shelf"}`, "copies": `{"type": "integer", "format": "int64"}`,
		"rare": `{"type": "boolean"}`, "mask": `{"type": "string"}`, "numbers": `{"type": "array", "items": {"type": "integer", "format": "int32"}}`,
	} {
		expectDocumented(t, want, "components", "schemas", "library.v1.Book", "properties", field)
	}
	expectDocumented(t, `"object"`, "components", "schemas", "library.v1.Book", "properties", "byRoom", "type")
	expectDocumented(t, `["@type"]`, "components", "schemas", "library.v1.Book", "properties", "byRoom", "additionalProperties", "required")
	expectDocumented(t, `{"type": "string", "enum": ["KIND_UNSPECIFIED", "NOVEL", "ATLAS"]}`, "components", "schemas", "library.v1.Kind")
}

// QRY-01: what neither the path nor the body has is in the query, fields of messages by
// their path; what has no text is not. A variable in the path has its field's type.
func TestOpenAPI_LibraryParameters(t *testing.T) {
	t.Parallel()
	names := func(path, word, in string) (names []string) {
		for _, p := range documented(t, "paths", path, word, "parameters").([]any) {
			if p := p.(map[string]any); p["in"] == in {
				names = append(names, p["name"].(string))
			}
		}
		return names
	}
	query := names("/v1/books/{booksId}/shelf", "put", "query")
	want := []string{"pageCount", "kind", "tags", "createTime", "digest", "weight", "loan", "lent", "person", "club", "copies", "rare", "mask", "numbers", "price", "serial", "key"}
	if !slices.Equal(query, want) {
		t.Errorf("query of PutShelf = %q, want %q", query, want)
	}
	if query := names("/v1/kinds/{kind}/{digest}", "get", "query"); !slices.Contains(query, "shelf.rowNumber") || slices.Contains(query, "kind") {
		t.Errorf("query of Find = %q, want shelf.rowNumber in it, and not kind", query)
	}
	if query := names("/v1/books/{booksId}", "patch", "query"); query != nil {
		t.Errorf("query of UpdateBook = %q, want none beside its body", query)
	}
	row := documented(t, "paths", "/v1/shelves/{shelf.name}/rows/{shelf.rowNumber}", "get", "parameters").([]any)[1].(map[string]any)
	if got := row["schema"].(map[string]any)["type"]; row["name"] != "shelf.rowNumber" || got != "integer" {
		t.Errorf("second parameter = %v, want shelf.rowNumber, an integer", row)
	}
}
