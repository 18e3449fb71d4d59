package httpapi

import (
	"slices"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// apiSchemas are the messages and enums of a document, by their full names.
type apiSchemas map[string]*apiSchema

// wellKnown are the messages whose JSON is not an object with their fields
// (JSN-03, JSN-09). Those that may be null in JSON are not so here (JSN-05).
var wellKnown = map[protoreflect.FullName]func() *apiSchema{
	"google.protobuf.Any":       anySchema,
	"google.protobuf.Struct":    func() *apiSchema { return &apiSchema{Type: "object", AdditionalProperties: true} },
	"google.protobuf.Value":     func() *apiSchema { return &apiSchema{Description: "Any JSON."} },
	"google.protobuf.ListValue": func() *apiSchema { return &apiSchema{Type: "array", Items: &apiSchema{}} },

	"google.protobuf.Timestamp": formatted("string", "date-time"),
	"google.protobuf.Duration": func() *apiSchema {
		return &apiSchema{Type: "string", Pattern: `^-?[0-9]+(\.[0-9]{1,9})?s$`, Description: "Seconds, such as 1.500s."}
	},
	"google.protobuf.FieldMask":   formatted("string", ""),
	"google.protobuf.DoubleValue": formatted("number", "double"),
	"google.protobuf.FloatValue":  formatted("number", "float"),
	"google.protobuf.Int64Value":  formatted("string", "int64"),
	"google.protobuf.UInt64Value": formatted("string", "uint64"),
	"google.protobuf.Int32Value":  formatted("integer", "int32"),
	"google.protobuf.UInt32Value": formatted("integer", "int64"),
	"google.protobuf.BoolValue":   formatted("boolean", ""),
	"google.protobuf.StringValue": formatted("string", ""),
	"google.protobuf.BytesValue":  formatted("string", "byte"),
}

func formatted(typ, format string) func() *apiSchema {
	return func() *apiSchema { return &apiSchema{Type: typ, Format: format} }
}

// isObject reports whether the JSON of md is an object with its fields.
func isObject(md protoreflect.MessageDescriptor) bool { return wellKnown[md.FullName()] == nil }

// message returns the schema of a message. One that is an object with its fields is
// added to the document, with all that it holds, and referred to.
func (s apiSchemas) message(md protoreflect.MessageDescriptor) *apiSchema {
	if known := wellKnown[md.FullName()]; known != nil {
		return known()
	}
	name := string(md.FullName())
	if s[name] == nil {
		object := &apiSchema{Type: "object", Properties: map[string]*apiSchema{}}
		s[name] = object // before its fields: it may hold itself
		for i := range md.Fields().Len() {
			fd := md.Fields().Get(i)
			object.Properties[fd.JSONName()] = s.property(fd)
			if isRequired(fd) {
				object.Required = append(object.Required, fd.JSONName())
			}
		}
	}
	return refTo(name)
}

// without returns the schema of a message whose body need not have the fields that the
// path has bound, and may (QRY-11).
func (s apiSchemas) without(md protoreflect.MessageDescriptor, bound map[string]bool) *apiSchema {
	ref := s.message(md)
	whole := s[string(md.FullName())]
	if ref.Ref == "" || !slices.ContainsFunc(whole.Required, func(name string) bool { return bound[name] }) {
		return ref
	}
	part := *whole
	part.Required = slices.DeleteFunc(slices.Clone(whole.Required), func(name string) bool { return bound[name] })
	return &part
}

// property is the schema of a field in its message.
func (s apiSchemas) property(fd protoreflect.FieldDescriptor) *apiSchema {
	schema := s.field(fd)
	if !hasBehavior(fd, annotations.FieldBehavior_OUTPUT_ONLY) {
		return schema
	}
	if schema.Ref != "" { // nothing may stand beside a reference
		schema = &apiSchema{AllOf: []*apiSchema{schema}}
	}
	schema.ReadOnly = true
	return schema
}

// field returns the schema of a field's values.
func (s apiSchemas) field(fd protoreflect.FieldDescriptor) *apiSchema {
	switch {
	case fd.IsMap():
		return &apiSchema{Type: "object", AdditionalProperties: s.single(fd.MapValue())}
	case fd.IsList():
		return &apiSchema{Type: "array", Items: s.single(fd)}
	}
	return s.single(fd)
}

// scalars are the kinds of fields that JSON writes as they are, and 64 bits as text
// (JSN-07).
var scalars = map[protoreflect.Kind]func() *apiSchema{
	protoreflect.BoolKind:     formatted("boolean", ""),
	protoreflect.Int32Kind:    formatted("integer", "int32"),
	protoreflect.Sint32Kind:   formatted("integer", "int32"),
	protoreflect.Sfixed32Kind: formatted("integer", "int32"),
	protoreflect.Uint32Kind:   formatted("integer", "int64"),
	protoreflect.Fixed32Kind:  formatted("integer", "int64"),
	protoreflect.Int64Kind:    formatted("string", "int64"),
	protoreflect.Sint64Kind:   formatted("string", "int64"),
	protoreflect.Sfixed64Kind: formatted("string", "int64"),
	protoreflect.Uint64Kind:   formatted("string", "uint64"),
	protoreflect.Fixed64Kind:  formatted("string", "uint64"),
	protoreflect.FloatKind:    formatted("number", "float"),
	protoreflect.DoubleKind:   formatted("number", "double"),
	protoreflect.StringKind:   formatted("string", ""),
	protoreflect.BytesKind:    formatted("string", "byte"),
}

// single returns the schema of one value of fd.
func (s apiSchemas) single(fd protoreflect.FieldDescriptor) *apiSchema {
	if md := fd.Message(); md != nil {
		return s.message(md)
	}
	if ed := fd.Enum(); ed != nil {
		return s.enum(ed)
	}
	return scalars[fd.Kind()]()
}

// enum returns the schema of an enum, by its names (JSN-08).
func (s apiSchemas) enum(ed protoreflect.EnumDescriptor) *apiSchema {
	if ed.FullName() == "google.protobuf.NullValue" {
		return &apiSchema{Description: "Null."}
	}
	name := string(ed.FullName())
	if s[name] == nil {
		e := &apiSchema{Type: "string"}
		for i := range ed.Values().Len() {
			e.Enum = append(e.Enum, string(ed.Values().Get(i).Name()))
		}
		s[name] = e
	}
	return refTo(name)
}

func isRequired(fd protoreflect.FieldDescriptor) bool {
	return fd.Cardinality() == protoreflect.Required || hasBehavior(fd, annotations.FieldBehavior_REQUIRED)
}

// hasBehavior reports whether the proto file says so of a field (AIP-203).
func hasBehavior(fd protoreflect.FieldDescriptor, b annotations.FieldBehavior) bool {
	behaviors, _ := proto.GetExtension(fd.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviors, b)
}
