package cli

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun/longrunpb"
)

func TestFromJSON(t *testing.T) {
	t.Parallel()
	object, err := structpb.NewStruct(map[string]any{"a": 1.0, "b": []any{"x", nil, true}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, in string
		want     proto.Message
	}{
		{"no type is a Struct", `{"a": 1, "b": ["x", null, true]}`, object},
		{"nothing in it", ` {} `, &structpb.Struct{}},
		{"a type", `{"@type": "type.googleapis.com/longrun.v1.SimulateRequest", "runDuration": "2s"}`, &longrunpb.SimulateRequest{RunDuration: durationpb.New(2e9)}},
		{"its other names", `{"@type": "type.googleapis.com/longrun.v1.SimulateRequest", "run_duration": "2s"}`, &longrunpb.SimulateRequest{RunDuration: durationpb.New(2e9)}},
		{"a type without a host", `{"@type": "longrun.v1.SimulateRequest", "runDuration": "2s"}`, &longrunpb.SimulateRequest{RunDuration: durationpb.New(2e9)}},
		{"a form of its own", `{"@type": "google.protobuf.StringValue", "value": "x"}`, wrapperspb.String("x")},
		{"a Struct by name", `{"@type": "google.protobuf.Struct", "value": {"a": 1, "b": ["x", null, true]}}`, object},
		{"empty", `{"@type": "google.protobuf.Empty"}`, &emptypb.Empty{}},
	} {
		got, err := fromJSON([]byte(tt.in), protoregistry.GlobalTypes)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		m, err := got.UnmarshalNew()
		if err != nil || !proto.Equal(m, tt.want) || !strings.HasPrefix(got.GetTypeUrl(), typeHost) {
			t.Errorf("%s: %v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
}

func TestFromJSON_Refuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{``, "is not JSON: "},
		{`{`, "is not JSON: "},
		{`{} {}`, "is not JSON: "},
		{`null`, "must be a JSON object"},
		{`[]`, "must be a JSON object"},
		{`"x"`, "must be a JSON object"},
		{`{"@type": ""}`, `"@type" must be the name of a type`},
		{`{"@type": 1}`, `"@type" must be the name of a type`},
		{`{"a": 1, "a": 2}`, `duplicate`},
		{`{"@type": "type.googleapis.com/google.protobuf.StringValue", "value": 1}`, "invalid value"},
		{`{"@type": "type.googleapis.com/google.rpc.Status", "nonsense": 1}`, `unknown field "nonsense"`},
		{`{"@type": "type.googleapis.com/google.rpc.Status", "code": 99999999999}`, "invalid value for int32"},
	} {
		a, err := fromJSON([]byte(tt.in), protoregistry.GlobalTypes)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.HasPrefix(err.Error(), "proto:") || strings.Contains(err.Error(), "\u00a0") {
			t.Errorf("fromJSON(%s) = %v, %v; want an error with %q", tt.in, a, err, tt.want)
		}
	}
}

// What is printed of a type that nobody knows is taken back as it was.
func TestFromJSON_UnknownType(t *testing.T) {
	t.Parallel()
	got, err := fromJSON([]byte(`{"@type": "acme.v1.Thing", "value": "AQID"}`), protoregistry.GlobalTypes)
	want := &anypb.Any{TypeUrl: "type.googleapis.com/acme.v1.Thing", Value: []byte{1, 2, 3}}
	if err != nil || !proto.Equal(got, want) {
		t.Errorf("fromJSON = %v, %v; want %v", got, err, want)
	}
	for _, in := range []string{
		`{"@type": "acme.v1.Thing"}`, `{"@type": "acme.v1.Thing", "value": "?"}`, `{"@type": "acme.v1.Thing", "value": 1}`,
		`{"@type": "acme.v1.Thing", "value": "AQID", "more": 1}`, `{"@type": "acme.v1.Thing", "x": "AQID"}`,
	} {
		_, err := fromJSON([]byte(in), protoregistry.GlobalTypes)
		if unknown, ok := errors.AsType[*unknownType](err); !ok || unknown.url != "type.googleapis.com/acme.v1.Thing" {
			t.Errorf("fromJSON(%s) = %v, want that its type is not known", in, err)
		}
	}
}

func TestTypesIn(t *testing.T) {
	t.Parallel()
	got := typesIn([]byte(`{"@type": "a/A", "x": [{"@type": "b/B", "y": {"@type": "c/C"}}, 1], "z": {"@type": 5}}`))
	slices.Sort(got)
	if want := []string{"a/A", "b/B", "c/C"}; !slices.Equal(got, want) {
		t.Errorf("typesIn = %v, want %v", got, want)
	}
	if got := typesIn([]byte(`{`)); got != nil {
		t.Errorf("typesIn of half an object = %v, want none", got)
	}
}

// Whatever is given, it is refused or it is a payload that is printed as JSON.
func FuzzFromJSON(f *testing.F) {
	f.Add(`{"@type": "longrun.v1.SimulateRequest", "response": {"@type": "google.protobuf.Any", "value": {"@type": "x/y"}}}`)
	f.Add(`{"a": {"b": [1e999]}}`)
	f.Add(`{"@type": "acme.v1.Thing", "value": "AQID"}`)
	f.Fuzz(func(t *testing.T, in string) {
		typesIn([]byte(in))
		a, err := fromJSON([]byte(in), protoregistry.GlobalTypes)
		if err != nil {
			return
		}
		if b, err := toJSON(a); err != nil || !json.Valid(b) {
			t.Errorf("%q is taken, and printed as %s, %v", in, b, err)
		}
	})
}
