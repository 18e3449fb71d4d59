package longrun_test

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	_ "google.golang.org/protobuf/types/known/timestamppb" // what acme.proto imports
)

// acmeMetadata is metadata of another API: it has some of the fields that most
// Google APIs share, and one that has only the name of such a field.
var acmeMetadata = registerAcme()

func registerAcme() protoreflect.MessageType {
	const stamp, optional = ".google.protobuf.Timestamp", descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL
	m := &descriptorpb.DescriptorProto{Name: proto.String("ImportMetadata")}
	for i, f := range []struct {
		name, of string
		kind     descriptorpb.FieldDescriptorProto_Type
	}{
		{"create_time", stamp, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE},
		{"end_time", stamp, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE},
		{"target", "", descriptorpb.FieldDescriptorProto_TYPE_STRING},
		{"verb", "", descriptorpb.FieldDescriptorProto_TYPE_STRING},
		{"cancel_requested", "", descriptorpb.FieldDescriptorProto_TYPE_BOOL},
		{"start_time", "", descriptorpb.FieldDescriptorProto_TYPE_STRING}, // only the name
		{"books", "", descriptorpb.FieldDescriptorProto_TYPE_INT64},
	} {
		field := &descriptorpb.FieldDescriptorProto{Name: proto.String(f.name), Number: proto.Int32(int32(i + 1)), Type: f.kind.Enum(), Label: optional.Enum()}
		if f.of != "" {
			field.TypeName = proto.String(f.of)
		}
		m.Field = append(m.Field, field)
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("acme.proto"), Package: proto.String("acme"), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/timestamp.proto"}, MessageType: []*descriptorpb.DescriptorProto{m},
	}, protoregistry.GlobalFiles)
	if err != nil {
		panic(err)
	}
	t := dynamicpb.NewMessageType(file.Messages().Get(0))
	if err := protoregistry.GlobalTypes.RegisterMessage(t); err != nil {
		panic(err)
	}
	return t
}

// acme is an ImportMetadata with these fields.
func acme(fields map[protoreflect.Name]any) proto.Message {
	m := acmeMetadata.New()
	for name, v := range fields {
		m.Set(m.Descriptor().Fields().ByName(name), protoreflect.ValueOf(v))
	}
	return m.Interface()
}
