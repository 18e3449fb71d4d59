package cli

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/longrun-dev/longrun/longrunpb"
)

func pack(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestToJSON(t *testing.T) {
	t.Parallel()
	opaque := &anypb.Any{TypeUrl: "type.googleapis.com/acme.v1.Thing", Value: []byte{1, 2, 3}}
	for _, tt := range []struct {
		name string
		op   *longrunningpb.Operation
		want string // in the compact form
	}{
		{"empty", &longrunningpb.Operation{}, `{}`},
		{
			"resolved",
			&longrunningpb.Operation{Name: "operations/x", Done: true, Result: &longrunningpb.Operation_Response{Response: pack(t, &longrunpb.CommandResponse{RunDuration: durationpb.New(1e9)})}},
			`{"name":"operations/x","done":true,"response":{"@type":"type.googleapis.com/longrun.v1.CommandResponse","runDuration":"1s"}}`,
		},
		{
			"unknown type",
			&longrunningpb.Operation{Metadata: opaque},
			`{"metadata":{"@type":"type.googleapis.com/acme.v1.Thing","value":"AQID"}}`,
		},
		{
			"unknown type, no bytes",
			&longrunningpb.Operation{Metadata: &anypb.Any{TypeUrl: "acme/T"}},
			`{"metadata":{"@type":"acme/T","value":""}}`,
		},
		{
			"unknown type within known ones",
			&longrunningpb.Operation{Result: &longrunningpb.Operation_Error{Error: &statuspb.Status{Code: 5, Details: []*anypb.Any{
				opaque, pack(t, &errdetails.ErrorInfo{Reason: "GONE"}), pack(t, &statuspb.Status{Details: []*anypb.Any{opaque}}),
			}}}},
			`{"error":{"code":5,"details":[{"@type":"type.googleapis.com/acme.v1.Thing","value":"AQID"},` +
				`{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"GONE"},` +
				`{"@type":"type.googleapis.com/google.rpc.Status","details":[{"@type":"type.googleapis.com/acme.v1.Thing","value":"AQID"}]}]}}`,
		},
		{
			"known type, other bytes",
			&longrunningpb.Operation{Metadata: &anypb.Any{TypeUrl: "type.googleapis.com/google.rpc.Status", Value: []byte{0xff}}},
			`{"metadata":{"@type":"type.googleapis.com/google.rpc.Status#invalid","value":"/w=="}}`,
		},
		{
			"a time that JSON has no form for",
			&longrunningpb.Operation{Metadata: pack(t, &timestamppb.Timestamp{Seconds: math.MaxInt64})},
			`{"metadata":{"@type":"type.googleapis.com/google.protobuf.Timestamp#invalid","value":"CP//////////fw=="}}`,
		},
		{
			"no type",
			&longrunningpb.Operation{Metadata: &anypb.Any{Value: []byte{1}}},
			`{"metadata":{"@type":"#invalid","value":"AQ=="}}`,
		},
		{"nothing at all", &longrunningpb.Operation{Metadata: &anypb.Any{}}, `{"metadata":{}}`},
	} {
		before := proto.Clone(tt.op)
		b, err := toJSON(tt.op)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := compact(t, b); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
		if !strings.HasSuffix(string(b), "}\n") {
			t.Errorf("%s: %q does not end in a newline", tt.name, b)
		}
		if !proto.Equal(tt.op, before) {
			t.Errorf("%s: the operation was changed", tt.name)
		}
	}
}

func compact(t *testing.T, b []byte) string {
	t.Helper()
	raw := json.RawMessage(b)
	out, err := json.Marshal(raw)
	if err != nil {
		t.Fatalf("%s is not JSON: %v", b, err)
	}
	return string(out)
}

// Whatever a payload is made of, it is printed.
func FuzzToJSON(f *testing.F) {
	f.Add("type.googleapis.com/google.protobuf.Any", []byte{10, 1, 'x'})
	f.Add("type.googleapis.com/google.rpc.Status", []byte{26, 4, 10, 2, 'x', '/'})
	f.Add("type.googleapis.com/google.protobuf.Struct", []byte{10, 2, 10, 0})
	f.Add("type.googleapis.com/google.protobuf.Duration", []byte{8, 255, 255, 255, 255, 255, 255, 255, 255, 127})
	f.Add("type.googleapis.com/google.protobuf.FieldMask", []byte{10, 1, '_'})
	f.Add("", []byte{1})
	f.Add("#invalid", []byte{})
	f.Fuzz(func(t *testing.T, url string, value []byte) {
		// What comes over the wire is valid UTF-8, or was refused there.
		payload := &anypb.Any{TypeUrl: strings.ToValidUTF8(url, ""), Value: value}
		b, err := toJSON(&longrunningpb.Operation{Metadata: payload, Result: &longrunningpb.Operation_Error{Error: &statuspb.Status{Details: []*anypb.Any{payload}}}})
		if err != nil {
			t.Fatalf("toJSON of %q %x: %v", url, value, err)
		}
		if !json.Valid(b) {
			t.Errorf("%s is not JSON", b)
		}
	})
}
