package mask

import (
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
)

// pack returns m in an Any.
func pack(t testing.TB, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// object returns a Struct of this JSON.
func object(t testing.TB, text string) *structpb.Struct {
	t.Helper()
	s := &structpb.Struct{}
	if err := protojson.Unmarshal([]byte(text), s); err != nil {
		t.Fatal(err)
	}
	return s
}

// fixture is a page with an operation of every kind: failed, done, running, with a
// payload that is a single value, and with one of a type that nobody knows.
func fixture(t testing.TB) *longrunningpb.ListOperationsResponse {
	t.Helper()
	info := pack(t, object(t, `{"reason":"NO_SPACE","domain":"example.com"}`))
	return &longrunningpb.ListOperationsResponse{
		Operations: []*longrunningpb.Operation{
			{Name: "operations/failed", Done: true, Metadata: pack(t, &longrunningpb.WaitOperationRequest{Name: "a", Timeout: durationpb.New(time.Second)}),
				Result: &longrunningpb.Operation_Error{Error: &statuspb.Status{Code: 8, Message: "no space", Details: []*anypb.Any{info, info}}}},
			{Name: "operations/done", Done: true, Result: &longrunningpb.Operation_Response{
				Response: pack(t, object(t, `{"files":[{"path":"/a","size":1},{"path":"/b","size":2},7],"took":{"cpu":3,"wall":4},"ok":true}`))}},
			{Name: "operations/running", Metadata: pack(t, &longrunningpb.Operation{Name: "inner", Done: true, Metadata: info})},
			{Name: "operations/delay", Done: true, Result: &longrunningpb.Operation_Response{Response: pack(t, durationpb.New(90*time.Second))}},
			{Name: "operations/strange", Metadata: &anypb.Any{TypeUrl: "type.googleapis.com/nobody.Knows", Value: []byte{1, 2, 3}}},
		},
		NextPageToken: "token",
		Unreachable:   []string{"locations/a"},
	}
}

// checkKept compares what the mask keeps of src with want, which is JSON.
func checkKept(t *testing.T, text string, src proto.Message, want string) {
	t.Helper()
	kept, err := must(t, text).Apply(src, nil)
	if err != nil {
		t.Errorf("Apply of %q: %v", text, err)
		return
	}
	wanted := src.ProtoReflect().New().Interface()
	if err := protojson.Unmarshal([]byte(want), wanted); err != nil {
		t.Fatalf("%s: %v", want, err)
	}
	checkEqual(t, text, kept, wanted)
}

func checkEqual(t *testing.T, text string, got, want proto.Message) {
	t.Helper()
	if !proto.Equal(got, want) {
		t.Errorf("Apply of %q =\n%v, want\n%v", text, protojson.Format(got), protojson.Format(want))
	}
}

// checkSubset fails when kept has a field, or an element, that src does not have,
// outside of what is packed.
func checkSubset(t *testing.T, text string, src, kept proto.Message) {
	t.Helper()
	s := src.ProtoReflect()
	kept.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case !s.Has(fd):
			t.Errorf("Apply of %q made %s", text, fd.FullName())
		case fd.IsList() && v.List().Len() != s.Get(fd).List().Len():
			t.Errorf("Apply of %q kept %d of %d elements of %s", text, v.List().Len(), s.Get(fd).List().Len(), fd.FullName())
		case fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				checkSubset(t, text, s.Get(fd).List().Get(i).Message().Interface(), v.List().Get(i).Message().Interface())
			}
		case !fd.IsList() && !fd.IsMap() && fd.Message() != nil:
			checkSubset(t, text, s.Get(fd).Message().Interface(), v.Message().Interface())
		}
		return true
	})
}
