package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"

	"github.com/longrun-dev/longrun/longrunpb"
)

const contractFile = "../../docs/cli-json.md"

// example returns the JSON of an example of the contract.
func example(name string) (string, error) {
	doc, err := os.ReadFile(contractFile)
	if err != nil {
		return "", err
	}
	_, rest, ok := strings.Cut(string(doc), "<!-- example: "+name+" -->")
	if !ok {
		return "", fmt.Errorf("%s has no example %s", contractFile, name)
	}
	_, rest, _ = strings.Cut(rest, "```json\n")
	block, _, ok := strings.Cut(rest, "```")
	if !ok {
		return "", fmt.Errorf("the example %s of %s has no JSON", name, contractFile)
	}
	return block, nil
}

// volatile is what differs from one run to the next, and what stands for it.
var volatile = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "ID"},
	{regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`), "TIME"},
	{regexp.MustCompile(`^\d+(\.\d+)?s$`), "DURATION"},
}

// shapes reads a sequence of JSON values and replaces what is volatile.
func shapes(text string) ([]any, error) {
	var all []any
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var v any
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, steady("", v))
	}
}

func steady(key string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			v[k] = steady(k, inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = steady(key, inner)
		}
	case string:
		if key == "nextPageToken" && v != "" {
			return "TOKEN"
		}
		for _, r := range volatile {
			v = r.pattern.ReplaceAllString(v, r.instead)
		}
		return v
	}
	return v
}

func cmdDocumented(ts *testscript.TestScript, _ bool, args []string) {
	want, err := example(args[0])
	ts.Check(err)
	wanted, err := shapes(want)
	ts.Check(err)
	got, err := shapes(ts.ReadFile(args[1]))
	ts.Check(err)
	if diff := cmp.Diff(wanted, got); diff != "" {
		ts.Fatalf("%s is not as the example %s in docs/cli-json.md (-documented +printed):\n%s", args[1], args[0], diff)
	}
}

// Two outputs that differ are found to differ: the comparison forgives only what is
// volatile.
func TestShapes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{`{"t":"2026-11-21T21:55:03.161908Z"}`, `{"t":"2025-01-01T00:00:00Z"}`, true},
		{`{"t":"2026-11-21T21:55:03.161908Z"}`, `{"t":"yesterday"}`, false},
		{`{"name":"operations/01a2001b-0f19-755c-8bb6-5017033e88f3"}`, `{"name":"operations/01a2001b-0f19-755c-8bb6-5017033e88f4"}`, true},
		{`{"name":"operations/01a2001b-0f19-755c-8bb6-5017033e88f3"}`, `{"name":"p/operations/01a2001b-0f19-755c-8bb6-5017033e88f3"}`, false},
		{`{"nextPageToken":"a"}`, `{"nextPageToken":"b"}`, true},
		{`{"nextPageToken":"a"}`, `{"nextPageToken":""}`, false},
		{`{"a":1} {"b":2}`, `{"a":1}`, false},
		{`{"a":"1"}`, `{"a":1}`, false},
		{`{"a":1,"b":1}`, `{"a":1}`, false},
	} {
		a, errA := shapes(tt.a)
		b, errB := shapes(tt.b)
		if errA != nil || errB != nil {
			t.Fatalf("shapes = %v, %v", errA, errB)
		}
		if same := cmp.Equal(a, b); same != tt.same {
			t.Errorf("%s and %s: same = %v, want %v", tt.a, tt.b, same, tt.same)
		}
	}
	if _, err := shapes(`{"a":`); err == nil {
		t.Error("shapes of half a value: no error")
	}
}

// The contract speaks of every field that is printed, and of nothing else.
func TestContract_HasEveryField(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(contractFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []protoreflect.MessageDescriptor{
		(&longrunningpb.Operation{}).ProtoReflect().Descriptor(),
		(&longrunningpb.ListOperationsResponse{}).ProtoReflect().Descriptor(),
		(&longrunpb.OperationMetadata{}).ProtoReflect().Descriptor(),
		(&longrunpb.Progress{}).ProtoReflect().Descriptor(),
	} {
		for i := range m.Fields().Len() {
			if name := "| `" + m.Fields().Get(i).JSONName() + "` |"; !bytes.Contains(doc, []byte(name)) {
				t.Errorf("docs/cli-json.md has no line for %s of %s", name, m.Name())
			}
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-zA-Z]+)` \\|").FindAllStringSubmatch(string(doc), -1) {
		if !known(row[1]) {
			t.Errorf("docs/cli-json.md has a line for %q, which nothing has", row[1])
		}
	}
}

func known(field string) bool {
	for _, m := range []protoreflect.MessageDescriptor{
		(&longrunningpb.Operation{}).ProtoReflect().Descriptor(), (&longrunningpb.ListOperationsResponse{}).ProtoReflect().Descriptor(),
		(&longrunpb.OperationMetadata{}).ProtoReflect().Descriptor(), (&longrunpb.Progress{}).ProtoReflect().Descriptor(),
	} {
		if m.Fields().ByJSONName(field) != nil {
			return true
		}
	}
	return false
}

// Every command that takes -o has an example in the contract.
func TestContract_HasEveryCommand(t *testing.T) {
	t.Parallel()
	for _, cmd := range schema() {
		if cmd.Flags().Lookup("output") == nil {
			continue
		}
		if _, err := example(cmd.Name()); err != nil {
			t.Error(err)
		}
	}
}
