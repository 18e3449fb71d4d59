package mask

import (
	"math"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// SYS-12: masks reach inside Any, and "@type" is kept, so that the result is still
// read as JSON.
func TestApply_Any(t *testing.T) {
	t.Parallel()
	const url = `"@type":"type.googleapis.com/`
	inner := &longrunningpb.WaitOperationRequest{Name: "a", Timeout: durationpb.New(time.Second)}
	nested := &longrunningpb.Operation{Name: "inner", Done: true, Metadata: pack(t, inner)}
	for _, tt := range []struct {
		text string
		in   proto.Message
		want string
	}{
		{"metadata.name", inner, `{` + url + `google.longrunning.WaitOperationRequest","name":"a"}`},
		{"metadata.timeout", inner, `{` + url + `google.longrunning.WaitOperationRequest","timeout":"1s"}`},
		{"metadata.@type", inner, `{` + url + `google.longrunning.WaitOperationRequest"}`},
		{"metadata(@type,name)", inner, `{` + url + `google.longrunning.WaitOperationRequest","name":"a"}`},
		{"metadata.nope", inner, `{` + url + `google.longrunning.WaitOperationRequest"}`},
		{"metadata.*.name", inner, `{` + url + `google.longrunning.WaitOperationRequest"}`},
		{"metadata", inner, `{` + url + `google.longrunning.WaitOperationRequest","name":"a","timeout":"1s"}`},
		{"metadata.*", inner, `{` + url + `google.longrunning.WaitOperationRequest","name":"a","timeout":"1s"}`},
		{"metadata.metadata.name", nested, `{` + url + `google.longrunning.Operation","metadata":{` + url + `google.longrunning.WaitOperationRequest","name":"a"}}`},
		{"metadata.name", &emptypb.Empty{}, `{` + url + `google.protobuf.Empty"}`},

		// A single value is whole: without it the Any could not be read.
		{"metadata.@type", durationpb.New(time.Second), `{` + url + `google.protobuf.Duration","value":"1s"}`},
		{"metadata.value", durationpb.New(time.Second), `{` + url + `google.protobuf.Duration","value":"1s"}`},
		{"metadata.seconds", timestamppb.New(time.Unix(0, 0)), `{` + url + `google.protobuf.Timestamp","value":"1970-01-01T00:00:00Z"}`},
		{"metadata.x", structpb.NewStringValue("v"), `{` + url + `google.protobuf.Value","value":"v"}`},

		// What JSON has under "value".
		{"metadata.value.a", object(t, `{"a":1,"b":2}`), `{` + url + `google.protobuf.Struct","value":{"a":1}}`},
		{"metadata.a", object(t, `{"a":1,"b":2}`), `{` + url + `google.protobuf.Struct","value":{"a":1}}`},
		{"metadata.@type", object(t, `{"a":1}`), `{` + url + `google.protobuf.Struct","value":{}}`},
		{"metadata.value.a", &structpb.ListValue{Values: []*structpb.Value{structpb.NewStructValue(object(t, `{"a":1,"b":2}`))}},
			`{` + url + `google.protobuf.ListValue","value":[{"a":1}]}`},
		{"metadata.value.name", pack(t, inner), `{` + url + `google.protobuf.Any","value":{` + url + `google.longrunning.WaitOperationRequest","name":"a"}}`},
		{"metadata.value", pack(t, inner), `{` + url + `google.protobuf.Any","value":{` + url + `google.longrunning.WaitOperationRequest","name":"a","timeout":"1s"}}`},
	} {
		op := &longrunningpb.Operation{Name: "operations/x", Metadata: pack(t, tt.in)}
		checkKept(t, tt.text, op, `{"metadata":`+tt.want+`}`)
		kept, err := must(t, tt.text).Apply(op, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := protojson.Marshal(kept); err != nil {
			t.Errorf("what %q keeps is no JSON: %v", tt.text, err)
		}
	}
}

// JSN-11, JSN-12: an Any that cannot be opened does not fail the reply.
func TestApply_AnyThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]*anypb.Any{
		"unknown type":  {TypeUrl: "type.googleapis.com/nobody.Knows", Value: []byte{1, 2, 3}},
		"corrupt bytes": {TypeUrl: "type.googleapis.com/google.rpc.Status", Value: []byte{0xff}},
		"no URL":        {TypeUrl: "///"},
		"empty":         {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page := &longrunningpb.ListOperationsResponse{Operations: []*longrunningpb.Operation{{Name: "operations/a", Metadata: a}, {Name: "operations/b"}}}
			for text, want := range map[string]*anypb.Any{
				"operations(name,metadata)":       a,
				"operations(name,metadata.code)":  a,
				"operations(name,metadata.*.x)":   a,
				"operations(name,metadata.@type)": {TypeUrl: a.TypeUrl},
			} {
				kept, err := must(t, text).Apply(page, nil)
				if err != nil {
					t.Errorf("Apply of %q: %v", text, err)
					continue
				}
				checkEqual(t, text, kept, &longrunningpb.ListOperationsResponse{Operations: []*longrunningpb.Operation{{Name: "operations/a", Metadata: want}, {Name: "operations/b"}}})
			}
		})
	}
}

// Types that only the resolver knows, as from a descriptor set, are opened too.
func TestApply_Resolver(t *testing.T) {
	t.Parallel()
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("book.proto"), Package: proto.String("library"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Book"), Field: []*descriptorpb.FieldDescriptorProto{
			{Name: proto.String("book_title"), JsonName: proto.String("bookTitle"), Number: proto.Int32(1),
				Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()},
			{Name: proto.String("pages"), JsonName: proto.String("pages"), Number: proto.Int32(2),
				Type: descriptorpb.FieldDescriptorProto_TYPE_BYTES.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()},
		}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	typ := dynamicpb.NewMessageType(file.Messages().ByName("Book"))
	types := &protoregistry.Types{}
	if err := types.RegisterMessage(typ); err != nil {
		t.Fatal(err)
	}
	book := typ.New()
	if err := (protojson.UnmarshalOptions{Resolver: types}).Unmarshal([]byte(`{"bookTitle":"Emma","pages":["YQ==","Yg=="]}`), book.Interface()); err != nil {
		t.Fatal(err)
	}
	op := &longrunningpb.Operation{Metadata: pack(t, book.Interface())}
	for text, want := range map[string]string{
		"metadata.book_title": `{"metadata":{"@type":"type.googleapis.com/library.Book","bookTitle":"Emma"}}`,
		"metadata.bookTitle":  `{"metadata":{"@type":"type.googleapis.com/library.Book","bookTitle":"Emma"}}`,
		"metadata.pages":      `{"metadata":{"@type":"type.googleapis.com/library.Book","pages":["YQ==","Yg=="]}}`,
	} {
		kept, err := must(t, text).Apply(op, types)
		if err != nil {
			t.Fatal(err)
		}
		wanted := &longrunningpb.Operation{}
		if err := (protojson.UnmarshalOptions{Resolver: types}).Unmarshal([]byte(want), wanted); err != nil {
			t.Fatal(err)
		}
		checkEqual(t, text, kept, wanted)
	}
	// And those of the program still are.
	op = &longrunningpb.Operation{Metadata: pack(t, &statuspb.Status{Code: 8, Message: "m"})}
	kept, err := must(t, "metadata.code").Apply(op, types)
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, "metadata.code", kept, &longrunningpb.Operation{Metadata: pack(t, &statuspb.Status{Code: 8})})
}

// An Any in an Any in an Any is opened no deeper than the mask goes, however much of
// it there is.
func TestApply_AnyNestedDeeply(t *testing.T) {
	t.Parallel()
	a := pack(t, &statuspb.Status{Code: 8, Message: "m"})
	for range 3000 {
		a = pack(t, a)
	}
	op := &longrunningpb.Operation{Name: "operations/x", Metadata: a}
	took := time.Duration(math.MaxInt64)
	for end := time.Now().Add(time.Minute); took > 2*time.Second && time.Now().Before(end); { // the machine may have other work
		started := time.Now()
		for _, text := range []string{"metadata.code", "metadata.@type", "metadata.value.value.@type", "metadata.*.*.*.code"} {
			if _, err := must(t, text).Apply(op, nil); err != nil {
				t.Fatalf("Apply of %q: %v", text, err)
			}
		}
		took = time.Since(started)
	}
	if took > 2*time.Second {
		t.Errorf("four masks took %v, want a few milliseconds", took)
	}
}
