package mask

import (
	"errors"
	"strings"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
)

func descriptor(m proto.Message) protoreflect.MessageDescriptor {
	return m.ProtoReflect().Descriptor()
}

func TestValidate(t *testing.T) {
	t.Parallel()
	page, op := descriptor(&longrunningpb.ListOperationsResponse{}), descriptor(&longrunningpb.Operation{})
	for text, md := range map[string]protoreflect.MessageDescriptor{
		"": op, "*": op, "name,done,metadata,response,error": op,
		"error(code,message,details)": op, "error.details.reason": op,
		// Inside an Any anything may be.
		"metadata.anything.at.all": op, "metadata.*.x": op,
		"response.`0`.a1.`17`": op, "error.details.`0`": op,
		"operations.name,nextPageToken,next_page_token,unreachable": page,
		// SYS-08: repeated fields on the way.
		"operations(*(name,metadata.x)),unreachable.*": page,
		// Nothing can be left out of nothing.
		"name,done.0": descriptor(&emptypb.Empty{}),
		// Keys of maps are no indexes.
		"metadata.0,metadata.team-1": descriptor(&errdetails.ErrorInfo{}),
		"any.keys.`0`":               descriptor(&structpb.Struct{}),
	} {
		if err := must(t, text).Validate(md); err != nil {
			t.Errorf("Validate(%q) = %v, want none", text, err)
		}
	}
}

// SYS-10: a path that leads nowhere is refused, so that a typo does not yield {}.
// SYS-09: so is an index into a repeated field.
func TestValidate_Wrong(t *testing.T) {
	t.Parallel()
	page, op := descriptor(&longrunningpb.ListOperationsResponse{}), descriptor(&longrunningpb.Operation{})
	info, wait := descriptor(&errdetails.ErrorInfo{}), descriptor(&longrunningpb.WaitOperationRequest{})
	for _, tt := range []struct {
		text    string
		md      protoreflect.MessageDescriptor
		offset  int
		segment string
		msg     string
	}{
		{"nmae", op, 0, "nmae", `no field "nmae" in google.longrunning.Operation`},
		{"name,Done", op, 5, "Done", `no field "Done" in google.longrunning.Operation`},
		{"name", page, 0, "name", `no field "name" in google.longrunning.ListOperationsResponse`},
		{"operations(name,x)", page, 16, "x", `no field "x" in google.longrunning.Operation`},
		{"operations.*.x", page, 13, "x", `no field "x" in google.longrunning.Operation`},
		{"z,a", op, 0, "z", `no field "z" in google.longrunning.Operation`},
		{"*,z", op, 2, "z", `no field "z" in google.longrunning.Operation`},
		{"error,error.z", op, 12, "z", `no field "z" in google.rpc.Status`},
		{"name.x", op, 5, "x", "google.longrunning.Operation.name has no fields"},
		{"done.*", op, 5, "*", "google.longrunning.Operation.done has no fields"},
		{"error.*.code", op, 6, "*", "google.rpc.Status has no elements"},
		{"*.name", op, 0, "*", "google.longrunning.Operation has no elements"},
		{"timeout.seconds", wait, 8, "seconds", "google.protobuf.Duration has no fields"},
		{"metadata.k.x", info, 11, "x", "google.rpc.ErrorInfo.MetadataEntry.value has no fields"},
		{"metadata.*.x", info, 11, "x", "google.rpc.ErrorInfo.MetadataEntry.value has no fields"},
		{"unreachable.x", page, 12, "x", "google.longrunning.ListOperationsResponse.unreachable has no fields"},

		{"operations.0.name", page, 11, "0", `an index, "0", into a repeated field`},
		{"operations.17", page, 11, "17", `an index, "17", into a repeated field`},
		{"operations(name,0)", page, 16, "0", `an index, "0", into a repeated field`},
		{"unreachable.0", page, 12, "0", `an index, "0", into a repeated field`},
		{"unreachable.`0`", page, 12, "0", "google.longrunning.ListOperationsResponse.unreachable has no fields"},
		{"metadata.0", op, 9, "0", `an index, "0": the key of a map is in backticks`},
		{"response.*.17", op, 11, "17", `an index, "17": the key of a map is in backticks`},
		{"operations.metadata(a.b(c,2))", page, 26, "2", `an index, "2": the key of a map is in backticks`},
		{"a.0", descriptor(&structpb.Struct{}), 2, "0", `an index, "0": the key of a map is in backticks`},
		{"error.details.0.reason", op, 14, "0", `an index, "0", into a repeated field`},
	} {
		err := must(t, tt.text).Validate(tt.md)
		e, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("Validate(%q) = %v, want an *Error", tt.text, err)
			continue
		}
		if want := (Error{tt.offset, tt.segment, tt.msg}); *e != want {
			t.Errorf("Validate(%q) = %+v, want %+v", tt.text, *e, want)
		}
	}
}

// A long segment does not make a long error.
func TestValidate_LongSegment(t *testing.T) {
	t.Parallel()
	err := must(t, "`"+strings.Repeat("\u00e9", 100)+"`").Validate(descriptor(&longrunningpb.Operation{}))
	e, ok := errors.AsType[*Error](err)
	if want := strings.Repeat("\u00e9", 30) + "..."; !ok || e.Segment != want || len(e.Msg) > 120 {
		t.Errorf("error = %#v, want the segment %s", err, want)
	}
	if at := strings.Repeat("x", 64); cut(at) != at {
		t.Errorf("cut of 64 bytes = %s, want all of it", cut(at))
	}
}

func TestValidate_MapKeys(t *testing.T) {
	t.Parallel()
	for typ, tt := range map[descriptorpb.FieldDescriptorProto_Type]struct{ keys, others []string }{
		descriptorpb.FieldDescriptorProto_TYPE_STRING:   {keys: []string{"a", "0", "``"}},
		descriptorpb.FieldDescriptorProto_TYPE_BOOL:     {[]string{"true", "false"}, []string{"1", "TRUE", "``"}},
		descriptorpb.FieldDescriptorProto_TYPE_INT32:    {[]string{"0", "-1", "2147483647"}, []string{"a", "2147483648", "``"}},
		descriptorpb.FieldDescriptorProto_TYPE_SFIXED64: {[]string{"-9223372036854775808"}, []string{"9223372036854775808", "`1.5`"}},
		descriptorpb.FieldDescriptorProto_TYPE_UINT32:   {[]string{"4294967295"}, []string{"-1", "4294967296"}},
		descriptorpb.FieldDescriptorProto_TYPE_UINT64:   {[]string{"18446744073709551615"}, []string{"-1", "18446744073709551616"}},
	} {
		md := mapOf(t, typ)
		for _, key := range tt.keys {
			if err := must(t, "m."+key).Validate(md); err != nil {
				t.Errorf("Validate(%q) of a map of %v = %v, want none", "m."+key, typ, err)
			}
		}
		for _, key := range tt.others {
			if err := must(t, "m."+key).Validate(md); err == nil {
				t.Errorf("Validate(%q) of a map of %v = none, want an error", "m."+key, typ)
			}
		}
	}
}

// mapOf returns a message with the field m, a map from keys of this type to bool.
func mapOf(t *testing.T, key descriptorpb.FieldDescriptorProto_Type) protoreflect.MessageDescriptor {
	t.Helper()
	one := func(name string, number int32, typ descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{Name: &name, JsonName: &name, Number: &number, Type: typ.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
	}
	m := one("m", 1, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE)
	m.Label, m.TypeName = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum(), proto.String(".maps.Holder.MEntry")
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("maps.proto"), Package: proto.String("maps"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Holder"), Field: []*descriptorpb.FieldDescriptorProto{m},
			NestedType: []*descriptorpb.DescriptorProto{{Name: proto.String("MEntry"), Options: &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)},
				Field: []*descriptorpb.FieldDescriptorProto{one("key", 1, key), one("value", 2, descriptorpb.FieldDescriptorProto_TYPE_BOOL)}}}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().ByName("Holder")
}
