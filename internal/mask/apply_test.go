package mask

import (
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
)

func TestApply_Operation(t *testing.T) {
	t.Parallel()
	op := fixture(t).Operations[0]
	for _, tt := range []struct{ text, want string }{
		// SYS-06: only those keys.
		{"name", `{"name":"operations/failed"}`},
		{"name,done", `{"name":"operations/failed","done":true}`},
		{"response", `{}`},
		// A message that is passed through is there, so that the operation has a result.
		{"error.code", `{"error":{"code":8}}`},
		{"error(code,message)", `{"error":{"code":8,"message":"no space"}}`},
		{"error.message.x", `{"error":{}}`},
		// Without Validate, a path that leads nowhere keeps nothing.
		{"nope", `{}`},
	} {
		checkKept(t, tt.text, op, tt.want)
	}
}

// GET-09: the whole is returned unless a mask is given.
func TestApply_Everything(t *testing.T) {
	t.Parallel()
	page := fixture(t)
	for _, text := range []string{"", "*", "nextPageToken,*"} {
		kept, err := must(t, text).Apply(page, nil)
		if err != nil || kept != proto.Message(page) {
			t.Errorf("Apply of %q = %v, %v, want the message itself", text, kept, err)
		}
	}
	var none *longrunningpb.Operation
	if kept, err := must(t, "name").Apply(none, nil); err != nil || kept != proto.Message(none) {
		t.Errorf("Apply to nil = %v, %v, want nil", kept, err)
	}
}

func TestApply_List(t *testing.T) {
	t.Parallel()
	page := &longrunningpb.ListOperationsResponse{
		Operations:    []*longrunningpb.Operation{{Name: "operations/a", Done: true}, {Name: "operations/b"}},
		NextPageToken: "token", Unreachable: []string{"locations/a"},
	}
	const names = `{"operations":[{"name":"operations/a"},{"name":"operations/b"}]}`
	for _, tt := range []struct{ text, want string }{
		// SYS-07: relative to the reply; the forms of partial responses; both spellings.
		{"operations(name)", names},
		{"operations.name", names},
		{"operations/name", names},
		{"operations.name,nextPageToken", `{"operations":[{"name":"operations/a"},{"name":"operations/b"}],"nextPageToken":"token"}`},
		{"nextPageToken", `{"nextPageToken":"token"}`},
		{"next_page_token", `{"nextPageToken":"token"}`},
		{"next_page_token,nextPageToken", `{"nextPageToken":"token"}`},
		// SYS-08: repeated fields on the way, with AIP-161's "*" or without.
		{"operations.*.name", names},
		{"operations(*(name))", names},
		{"operations.*.name,operations.done", `{"operations":[{"name":"operations/a","done":true},{"name":"operations/b"}]}`},
		{"operations.*", `{"operations":[{"name":"operations/a","done":true},{"name":"operations/b"}]}`},
		{"unreachable", `{"unreachable":["locations/a"]}`},
		{"unreachable.*", `{"unreachable":["locations/a"]}`},
		// Elements are pruned, never dropped.
		{"operations.nope", `{"operations":[{},{}]}`},
		// SYS-11: masking the token away is the caller's problem.
		{"operations.done", `{"operations":[{"done":true},{}]}`},
	} {
		checkKept(t, tt.text, page, tt.want)
	}
}

// An index keeps nothing; Validate refuses it.
func TestApply_Index(t *testing.T) {
	t.Parallel()
	page := &longrunningpb.ListOperationsResponse{Operations: []*longrunningpb.Operation{{Name: "operations/a"}}}
	checkKept(t, "operations.0.name", page, `{"operations":[{}]}`)
	checkKept(t, "operations.0", page, `{"operations":[{}]}`)
}

func TestApply_Map(t *testing.T) {
	t.Parallel()
	src := object(t, `{"a":1,"0":2,"x y":3,"o":{"a":4,"b":5},"p":{"b":6}}`)
	for _, tt := range []struct{ text, want string }{
		{"a", `{"a":1}`},
		{"0", `{"0":2}`},
		{"`x y`,a", `{"x y":3,"a":1}`},
		{"o", `{"o":{"a":4,"b":5}}`},
		{"o.b", `{"o":{"b":5}}`},
		{"*.b", `{"o":{"b":5},"p":{"b":6}}`},
		{"*.b,o.a", `{"o":{"a":4,"b":5},"p":{"b":6}}`},
		{"*.*", `{"a":1,"0":2,"x y":3,"o":{"a":4,"b":5},"p":{"b":6}}`},
		{"o.c", `{"o":{}}`},
		{"a.b", `{}`},
	} {
		checkKept(t, tt.text, src, tt.want)
	}
}

func TestApply_TypedMap(t *testing.T) {
	t.Parallel()
	info := &errdetails.ErrorInfo{Reason: "FULL", Metadata: map[string]string{"shelf": "7", "0": "zero"}}
	checkKept(t, "metadata.shelf", info, `{"metadata":{"shelf":"7"}}`)
	checkKept(t, "metadata.0", info, `{"metadata":{"0":"zero"}}`)
	checkKept(t, "metadata.shelf.x,reason", info, `{"reason":"FULL"}`)
	checkKept(t, "metadata", info, `{"metadata":{"shelf":"7","0":"zero"}}`)
}

// A value without parts at the root is nothing without them.
func TestApply_SingleRoot(t *testing.T) {
	t.Parallel()
	checkKept(t, "seconds", durationpb.New(time.Second), `"0s"`)
}

// What has no parts is dropped where a part is asked for.
func TestApply_ListInStruct(t *testing.T) {
	t.Parallel()
	src := &structpb.Value{Kind: &structpb.Value_StructValue{StructValue: object(t, `{"l":[{"a":1,"b":2},[{"a":3}],4]}`)}}
	checkKept(t, "l.a", src, `{"l":[{"a":1},[{"a":3}]]}`)
	checkKept(t, "l.*.a", src, `{"l":[{"a":1},[{"a":3}]]}`)
	checkKept(t, "l", src, `{"l":[{"a":1,"b":2},[{"a":3}],4]}`)
}

// What is kept shares nothing with what it was taken from, which stays as it was.
func TestApply_SharesNothing(t *testing.T) {
	t.Parallel()
	page := fixture(t)
	before := proto.CloneOf(page)
	kept, err := must(t, "operations(metadata,error),unreachable").Apply(page, nil)
	if err != nil {
		t.Fatal(err)
	}
	k := kept.(*longrunningpb.ListOperationsResponse)
	k.Unreachable[0] = "changed"
	k.Operations[0].GetError().Message = "changed"
	clear(k.Operations[0].GetError().Details[0].Value)
	clear(k.Operations[4].Metadata.Value)
	checkEqual(t, "the original", page, before)
}
