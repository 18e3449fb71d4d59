package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun/longrunpb"
)

func packed(t testing.TB, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func fields(t testing.TB, m map[string]any) *structpb.Struct {
	t.Helper()
	st, err := structpb.NewStruct(m)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// payloads are messages, and what a command reads for each. What it prints is read
// the same way.
func payloads(t testing.TB) map[string]*anypb.Any {
	return map[string]*anypb.Any{
		`{}`:                         packed(t, &structpb.Struct{}),
		`{"a":1}`:                    packed(t, fields(t, map[string]any{"a": 1})),
		`{"a":"<&> \"x\"","b":[{}]}`: packed(t, fields(t, map[string]any{"a": `<&> "x"`, "b": []any{map[string]any{}}})),
		`{"@type":"type.googleapis.com/google.protobuf.Struct","value":{"@type":"x"}}`: packed(t, fields(t, map[string]any{"@type": "x"})),
		`{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1.500s"}`:    packed(t, durationpb.New(1500*time.Millisecond)),
		`{"@type":"type.googleapis.com/longrun.v1.Progress","completedUnits":"3"}`:     packed(t, &longrunpb.Progress{CompletedUnits: 3}),
		`{"@type":"type.googleapis.com/acme.v1.Unknown","value":"CAE="}`:               {TypeUrl: "type.googleapis.com/acme.v1.Unknown", Value: []byte{8, 1}},
		`{"@type":"type.googleapis.com/acme.v1.Unknown","value":""}`:                   {TypeUrl: "type.googleapis.com/acme.v1.Unknown"},
	}
}

func TestPayloads_BothWays(t *testing.T) {
	t.Parallel()
	for text, a := range payloads(t) {
		got, err := requestJSON(a, protoregistry.GlobalTypes)
		if err != nil || string(got) != text+"\n" {
			t.Errorf("requestJSON = %q, %v; want %q", got, err, text)
		}
		back, err := responseOf([]byte(text), nil)
		if err != nil {
			t.Errorf("responseOf(%s): %v", text, err)
			continue
		}
		if diff := cmp.Diff(a, back, protocmp.Transform()); diff != "" {
			t.Errorf("responseOf(%s) (-want +got):\n%s", text, diff)
		}
	}
}

// What has no form in JSON is given by its bytes, and never an error.
func TestRequestJSON_Formless(t *testing.T) {
	t.Parallel()
	nan := &structpb.Struct{Fields: map[string]*structpb.Value{"x": structpb.NewNumberValue(math.NaN())}}
	for _, tt := range []struct {
		a    *anypb.Any
		want string
	}{
		{nil, `{}`},
		{&anypb.Any{}, `{}`},
		{packed(t, &emptypb.Empty{}), `"@type":"type.googleapis.com/google.protobuf.Empty"`},
		{packed(t, nan), `{"@type":"type.googleapis.com/google.protobuf.Struct#invalid","value":"`},
		{&anypb.Any{TypeUrl: "type.googleapis.com/google.protobuf.Duration", Value: []byte{0xff}}, `{"@type":"type.googleapis.com/google.protobuf.Duration#invalid","value":"/w=="}`},
	} {
		got, err := requestJSON(tt.a, protoregistry.GlobalTypes)
		if err != nil || !strings.Contains(string(got), tt.want) || bytes.Count(got, []byte("\n")) != 1 || !json.Valid(got) {
			t.Errorf("requestJSON(%v) = %q, %v; want one line of JSON with %s", tt.a, got, err, tt.want)
		}
	}
}

// A command that prints nothing has nothing to say: google.protobuf.Empty.
func TestResponseOf_Nothing(t *testing.T) {
	t.Parallel()
	for _, out := range []string{"", "\n", " \t\r\n"} {
		a, err := responseOf([]byte(out), nil)
		if err != nil || !a.MessageIs(&emptypb.Empty{}) {
			t.Errorf("responseOf(%q) = %v, %v; want Empty", out, a, err)
		}
	}
}

// Garbage is an error that says what is wrong with it.
func TestResponseOf_Garbage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ out, want string }{
		{"hello", "not one JSON object"},
		{"null", "not one JSON object"},
		{"[]", "not one JSON object"},
		{"42", "not one JSON object"},
		{"{}{}", "not one JSON object"},
		{"{}\nhello", "not one JSON object"},
		{`{"a": `, "not one JSON object"},
		{"\xff\xfe\x00", "not one JSON object"},
		{`{"a": NaN}`, "not one JSON object"},
		{`{"a": 1, "a": 2}`, "cannot be read"},
		{`{"@type": 5}`, "not the name of a type"},
		{`{"@type": ""}`, "not the name of a type"},
		{`{"@type": "type.googleapis.com/acme.v1.Unknown"}`, "is not known here"},
		{`{"@type": "type.googleapis.com/acme.v1.Unknown", "title": "x"}`, "is not known here"},
		{`{"@type": "type.googleapis.com/acme.v1.Unknown", "value": "!"}`, "is not known here"},
		{`{"@type": "type.googleapis.com/acme.v1.Unknown", "value": "CAE=", "more": 1}`, "is not known here"},
		{`{"@type": "type.googleapis.com/longrun.v1.Progress", "title": "x"}`, "is not a type.googleapis.com/longrun.v1.Progress: "},
		{`{"@type": "type.googleapis.com/google.protobuf.Duration", "value": "soon"}`, "is not a type.googleapis.com/google.protobuf.Duration: "},
	} {
		a, err := responseOf([]byte(tt.out), nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("responseOf(%q) = %v, %v; want an error with %q", tt.out, a, err, tt.want)
		}
	}
}

// A response may have 3 MiB in its protobuf form, and not a byte more.
func TestResponseOf_Size(t *testing.T) {
	t.Parallel()
	of := func(n int) []byte {
		raw, err := protojson.Marshal(packed(t, wrapperspb.Bytes(make([]byte, n))))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	n := maxResponseBytes - 60
	for proto.Size(packed(t, wrapperspb.Bytes(make([]byte, n)))) < maxResponseBytes {
		n++
	}
	if a, err := responseOf(of(n), nil); err != nil || proto.Size(a) != maxResponseBytes {
		t.Errorf("a response of 3 MiB: %d bytes, %v", proto.Size(a), err)
	}
	if _, err := responseOf(of(n+1), nil); !errors.Is(err, errTooLarge) {
		t.Errorf("a response of 3 MiB and a byte: %v, want %v", err, errTooLarge)
	}
}

// Whatever a command prints is a response that fits, or an error; and a response is
// what a command reads of the same payload.
func FuzzResponseOf(f *testing.F) {
	for text := range payloads(f) {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"@type": "type.googleapis.com/google.protobuf.Any", "value": {"@type": "x/google.protobuf.Empty", "value": {}}}`))
	f.Add([]byte(`{"a": `))
	f.Fuzz(func(t *testing.T, out []byte) {
		a, err := responseOf(out, nil)
		if err != nil {
			if a != nil || err.Error() == "" {
				t.Errorf("responseOf(%q) = %v, %v", out, a, err)
			}
			return
		}
		if a.GetTypeUrl() == "" || proto.Size(a) > maxResponseBytes {
			t.Fatalf("responseOf(%q) = %v", out, a)
		}
		again, err := requestJSON(a, protoregistry.GlobalTypes)
		if err != nil || !json.Valid(again) {
			t.Fatalf("requestJSON(%v) = %q, %v", a, again, err)
		}
		if _, err := responseOf(again, nil); err != nil && !strings.Contains(string(again), invalidMark) {
			t.Errorf("responseOf(%q), which requestJSON has made: %v", again, err)
		}
	})
}
