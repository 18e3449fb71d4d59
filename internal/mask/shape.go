package mask

import "google.golang.org/protobuf/reflect/protoreflect"

// A shape is what JSON makes of a type of message, and so what parts it has for a
// mask.
type shape int

const (
	plain     shape = iota // an object with its fields
	leaf                   // one string or number, which has no parts
	packed                 // google.protobuf.Any: an object with the fields of what it holds
	structure              // google.protobuf.Struct: an object with its keys
	value                  // google.protobuf.Value: what it holds
	list                   // google.protobuf.ListValue: an array
)

var shapes = map[protoreflect.FullName]shape{
	"google.protobuf.Any":       packed,
	"google.protobuf.Struct":    structure,
	"google.protobuf.Value":     value,
	"google.protobuf.ListValue": list,

	"google.protobuf.Timestamp":   leaf,
	"google.protobuf.Duration":    leaf,
	"google.protobuf.FieldMask":   leaf,
	"google.protobuf.DoubleValue": leaf,
	"google.protobuf.FloatValue":  leaf,
	"google.protobuf.Int64Value":  leaf,
	"google.protobuf.UInt64Value": leaf,
	"google.protobuf.Int32Value":  leaf,
	"google.protobuf.UInt32Value": leaf,
	"google.protobuf.BoolValue":   leaf,
	"google.protobuf.StringValue": leaf,
	"google.protobuf.BytesValue":  leaf,
}

// shapeOf returns plain for every type that is not well known.
func shapeOf(md protoreflect.MessageDescriptor) shape { return shapes[md.FullName()] }

// field returns the field of md that has this name in its .proto file or in JSON,
// nil if there is none.
func field(md protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if fd := md.Fields().ByName(protoreflect.Name(name)); fd != nil {
		return fd
	}
	return md.Fields().ByJSONName(name)
}
