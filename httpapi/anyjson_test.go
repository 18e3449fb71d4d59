package httpapi

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/longrun-dev/longrun/longrunpb"
)

// What is inserted stands around the objects that lack a type, and nothing else moves:
// text that is wrong stays wrong in the same way.
func TestTypeStructs(t *testing.T) {
	t.Parallel()
	md := (&longrunpb.StartOperationRequest{}).ProtoReflect().Descriptor()
	for body, want := range map[string]string{
		`{"request":{"a":1}}`:                        `{"request":` + structBegin + `{"a":1}` + structEnd + `}`,
		`{ "request" : {"a":{"b":[]}} , "method":7}`: `{ "request" : ` + structBegin + `{"a":{"b":[]}}` + structEnd + ` , "method":7}`,
		`{"request":{"a":1},"metadata":{"b":2}}`:     `{"request":` + structBegin + `{"a":1}` + structEnd + `,"metadata":` + structBegin + `{"b":2}` + structEnd + `}`,
		`{"request":{}}`:                             "",
		`{"request":{"a":1,"@type":"x/y"}}`:          "",
		`{"request":{"@type":7}}`:                    "",
		`{"labels":{"request":"x"}}`:                 "",
		`{"bogus":{"request":{"a":1}}}`:              "",
		`{"request":[1]}`:                            "",
		`{"request":{"a":1}`:                         "",
		`{"request":{"a"}}`:                          "",
		`[`:                                          "",
		``:                                           "",
	} {
		got, changed := typeStructs([]byte(body), md, protoregistry.GlobalTypes)
		if changed != (want != "") || changed && string(got) != want || !changed && string(got) != body {
			t.Errorf("typeStructs(%s) = %s, %v; want %q", body, got, changed, want)
		}
	}
}

// Whatever the text is, what comes out of it is JSON where it was, and has no object of
// an Any without a type.
func FuzzTypeStructs(f *testing.F) {
	for _, seed := range []string{`{"request":{"a":1}}`, `{"request":{"@type":"type.googleapis.com/longrun.v1.StartOperationRequest","metadata":{"x":{}}}}`, `{"request":[{}]}`} {
		f.Add(seed)
	}
	md := (&longrunpb.StartOperationRequest{}).ProtoReflect().Descriptor()
	f.Fuzz(func(t *testing.T, body string) {
		if checkJSON([]byte(body)) != nil {
			return
		}
		got, changed := typeStructs([]byte(body), md, protoregistry.GlobalTypes)
		if json.Valid([]byte(body)) && !json.Valid(got) {
			t.Fatalf("%q became %q", body, got)
		}
		if again, more := typeStructs(got, md, protoregistry.GlobalTypes); changed && more {
			t.Fatalf("%q became %q and then %q", body, got, again)
		}
	})
}

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"":                                   true,
		`{"a":"\\"}`:                         true,
		`"` + strings.Repeat("[", 200) + `"`: true,
		`"\"` + strings.Repeat("[", 200):     true, // the text has not ended
		`"\\"` + strings.Repeat("[", 200):    false,
		strings.Repeat("[", MaxDepth):        true,
		strings.Repeat("[", MaxDepth+1):      false,
		strings.Repeat("[{}]", 200):          true,
		"\xff":                               false,
	} {
		if err := checkJSON([]byte(text)); (err == nil) != ok {
			t.Errorf("checkJSON(%.20q...) = %v, want an error: %v", text, err, !ok)
		}
	}
}

// ERR-08: names of fields in JSON; what is in brackets is a key or an index.
func TestCamelPath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"": "", "name": "name", "page_size": "pageSize", "a_b.c_d": "aB.cD", "held[0].run_name": "held[0].runName",
		`labels["a_b"].c_d`: `labels["a_b"].cD`, "x_1_y": "x1Y", "alreadyCamel": "alreadyCamel", "a__b": "aB",
	} {
		if got := camelPath(path); got != want {
			t.Errorf("camelPath(%q) = %q, want %q", path, got, want)
		}
	}
}

// Where each value of a configuration stands in the YAML, it stands in the JSON.
func TestYAMLToJSON_Lines(t *testing.T) {
	t.Parallel()
	doc, err := yamlToJSON([]byte("# one\nname: a\n\ntitle: |-\n  two\n  lines\nhttp:\n  rules:\n\n  - selector: x\n    get: /y\n  - selector: z\nquota: {limits: [1, 2.5, true, ~]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(doc.json), "\n")
	for line, want := range map[int]string{2: `"name":"a"`, 4: `"title":"two\nlines"`, 8: `"rules":`, 10: `"selector":"x"`, 11: `"get":"/y"`, 12: `"selector":"z"`, 13: `[1,2.5,true,null]`} {
		if line > len(lines) || !strings.Contains(lines[line-1], want) {
			t.Errorf("line %d of\n%s\nlacks %s", line, doc.json, want)
		}
	}
	if !json.Valid(doc.json) || len(doc.rules) != 2 || doc.rules[0] != 10 || doc.rules[1] != 12 || doc.line(7) != 0 {
		t.Errorf("rules in lines %v of %s, want 10 and 12", doc.rules, doc.json)
	}
}
