package httpapi

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
)

const list, getOp = operations + ".ListOperations", operations + ".GetOperation"

func parseConfig(t *testing.T, text string) *ServiceConfig {
	t.Helper()
	c, err := ParseServiceConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A file in the form of Google's, with everything that such files have.
func TestParseServiceConfig_Whole(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/service.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := parseConfig(t, string(text))
	r, ok := c.rule(getOp)
	if !ok || r.rule.GetGet() != "/v3/{name=projects/*/locations/*/operations/*}" || r.line != 22 {
		t.Errorf("rule of Get = %v in line %d, want that of /v3 in line 22", r.rule, r.line)
	}
	if !c.Off(operations+".DeleteOperation") || c.Off(list) || c.Off("library.v1.Library.GetBook") {
		t.Error("Off is wrong: want DeleteOperation off, which is not bound, and no other")
	}
}

// HTTP-03: the last rule of a selector wins. A selector may be a list, and end in ".*".
func TestServiceConfig_LastOneWins(t *testing.T) {
	t.Parallel()
	c := parseConfig(t, `
http:
  rules:
  - selector: google.longrunning.Operations.*
    get: /first/{name=**}
  - selector: a.B.C, google.longrunning.Operations.GetOperation
    get: /second/{name=**}
  - {selector: google.longrunning.Operations.ListOperations, get: "/third/{name=**}"}
  - selector: google.longrunning.Operations.ListOperations
    get: /fourth/{name=**}
`)
	for method, want := range map[protoreflect.FullName]string{
		getOp: "/second/{name=**}", list: "/fourth/{name=**}", waitOperation: "/first/{name=**}", "a.B.C": "/second/{name=**}", "a.B.D": "",
	} {
		r, _ := c.rule(method)
		if got := r.rule.GetGet(); got != want {
			t.Errorf("rule of %s = %q, want %q", method, got, want)
		}
	}
}

// MIX-02: only a configuration that lists the interface switches off what it does
// not bind. HTTP-16: a rule without a path does not.
func TestServiceConfig_Off(t *testing.T) {
	t.Parallel()
	rules := `
http:
  rules:
  - selector: google.longrunning.Operations.GetOperation
    get: /v1/{name=operations/*}
  - selector: google.longrunning.Operations.ListOperations
`
	listed := parseConfig(t, "apis: [{name: google.longrunning.Operations}]"+rules)
	for method, want := range map[protoreflect.FullName]bool{getOp: false, list: false, waitOperation: true, "other.Operations.WaitOperation": false} {
		if got := listed.Off(method); got != want {
			t.Errorf("Off(%s) = %v, want %v", method, got, want)
		}
	}
	if parseConfig(t, "apis: [{name: library.v1.Library}]"+rules).Off(waitOperation) {
		t.Error("Off = true where the interface is not listed, want false")
	}
	var none *ServiceConfig
	if none.Off(waitOperation) {
		t.Error("Off of no configuration = true, want false")
	}
}

// What is wrong is said with its line.
func TestParseServiceConfig_Wrong(t *testing.T) {
	t.Parallel()
	rule := func(s string) string {
		return "http:\n  rules:\n  - selector: a.B.C\n    get: /ok\n  - selector: a.B.D\n    " + s + "\n"
	}
	for text, want := range map[string]string{
		"":                                    "not one document",
		"a: b\n---\nc: d\n":                   "not one document",
		"http: [":                             "line 1",
		"name: x\nbogus: y\n":                 `line 2: unknown field "bogus"`,
		"type: google.api.Other":              "line 1: type is not google.api.Service",
		"http:\n  rules:\n  - selectr: a.B.C": `line 3: unknown field "selectr"`,
		"name: 3":                             "line 1: invalid value for string field name",
		"name: &a x\ntitle: *a":               "line 1: anchor is not allowed",
		"title: *a":                           "line 1",
		"name: !!str x":                       "line 1: tag is not allowed",
		"{a: b}: c":                           "line 1",
		"1: c":                                "line 1: a key must be a name",
		"- a":                                 "line 1",
		"name: a\nname: b":                    "line 2",
		rule("get: v1/x"):                     "line 5: http.rules[1]: path \"v1/x\": column 1: a path begins with a slash",
		rule("get: ''"):                       "line 5: http.rules[1]: an empty path",
		rule("get: /a\n    post: /b"):         "line 7",
		rule("get: /a\n    additional_bindings: [{selector: a.B.C, get: /b}]"): "has a selector",
		"http:\n  rules:\n  - get: /x":                                         "line 3: http.rules[0]: selector \"\" is not the name",
		"http:\n  rules:\n  - selector: a.B*\n    get: /x":                     "is not the name of a method",
		"name: \xff":                                    "not UTF-8",
		"a: " + strings.Repeat("[", 40):                 "nested too deep",
		strings.Repeat("- ", 1000) + "x":                "nested too deep",
		"x:\n" + strings.Repeat(" ", 600) + "a: b":      "nested too deep",
		strings.Repeat("#\n", MaxServiceConfig/2) + "#": "more than",
	} {
		_, err := ParseServiceConfig([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "service config: ") {
			t.Errorf("ParseServiceConfig(%.60q) = %v, want an error with %q", text, err, want)
		}
	}
}

// What is hostile is refused before it costs something.
func TestParseServiceConfig_HostileIsCheap(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		strings.Repeat("[", MaxServiceConfig), strings.Repeat("a: ", MaxServiceConfig/3), strings.Repeat("- ", MaxServiceConfig/2),
		"a: " + strings.Repeat("{a: ", 100000), strings.Repeat("? ", MaxServiceConfig/2),
	} {
		took := time.Duration(math.MaxInt64)
		for end := time.Now().Add(time.Minute); took > 2*time.Second && time.Now().Before(end); { // the machine may have other work
			begin := time.Now()
			if _, err := ParseServiceConfig([]byte(text)); err == nil {
				t.Fatalf("ParseServiceConfig(%.20q...) = nil, want an error", text)
			}
			took = time.Since(begin)
		}
		if took > 2*time.Second {
			t.Errorf("ParseServiceConfig(%.20q...) took %v", text, took)
		}
	}
}

func FuzzParseServiceConfig(f *testing.F) {
	whole, err := os.ReadFile("testdata/service.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(whole))
	for _, seed := range []string{"http: {rules: [{selector: a.B.C, get: /x}]}", "a: &b c", "- - - x", "name: |\n  text\n", "? a\n: b", "name: 0x1F", "<<: {a: b}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseServiceConfig([]byte(text))
		if err != nil {
			return
		}
		for _, r := range c.rules {
			if _, path := pattern(r.rule); path != "" {
				if _, err := parseTemplate(path); err != nil {
					t.Errorf("accepted the path %q: %v", path, err)
				}
			}
		}
	})
}
