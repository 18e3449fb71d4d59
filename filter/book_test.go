package filter

import (
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// bookFile has a message with a field of every kind that a filter tells apart.
const bookFile = `
name: "book.proto" package: "book" syntax: "proto3"
dependency: ["google/protobuf/any.proto", "google/protobuf/duration.proto", "google/protobuf/struct.proto", "google/protobuf/timestamp.proto"]
message_type {
  name: "Book"
  field { name: "title" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "title" }
  field { name: "lent" number: 2 type: TYPE_BOOL label: LABEL_OPTIONAL }
  field { name: "pages" number: 3 type: TYPE_INT32 label: LABEL_OPTIONAL }
  field { name: "copies" number: 4 type: TYPE_UINT32 label: LABEL_OPTIONAL }
  field { name: "bytes_read" number: 5 type: TYPE_INT64 label: LABEL_OPTIONAL json_name: "bytesRead" }
  field { name: "letters" number: 6 type: TYPE_UINT64 label: LABEL_OPTIONAL }
  field { name: "weight" number: 7 type: TYPE_FLOAT label: LABEL_OPTIONAL }
  field { name: "price" number: 8 type: TYPE_DOUBLE label: LABEL_OPTIONAL }
  field { name: "genre" number: 9 type: TYPE_ENUM label: LABEL_OPTIONAL type_name: ".book.Genre" }
  field { name: "cover" number: 10 type: TYPE_BYTES label: LABEL_OPTIONAL }
  field { name: "printed" number: 11 type: TYPE_MESSAGE label: LABEL_OPTIONAL type_name: ".google.protobuf.Timestamp" }
  field { name: "length" number: 12 type: TYPE_MESSAGE label: LABEL_OPTIONAL type_name: ".google.protobuf.Duration" }
  field { name: "first" number: 13 type: TYPE_MESSAGE label: LABEL_OPTIONAL type_name: ".book.Part" }
  field { name: "parts" number: 14 type: TYPE_MESSAGE label: LABEL_REPEATED type_name: ".book.Part" }
  field { name: "tags" number: 15 type: TYPE_STRING label: LABEL_REPEATED }
  field { name: "labels" number: 16 type: TYPE_MESSAGE label: LABEL_REPEATED type_name: ".book.Book.LabelsEntry" }
  field { name: "shelves" number: 17 type: TYPE_MESSAGE label: LABEL_REPEATED type_name: ".book.Book.ShelvesEntry" }
  field { name: "extra" number: 18 type: TYPE_MESSAGE label: LABEL_OPTIONAL type_name: ".google.protobuf.Any" }
  field { name: "extras" number: 19 type: TYPE_MESSAGE label: LABEL_REPEATED type_name: ".google.protobuf.Any" }
  field { name: "info" number: 20 type: TYPE_MESSAGE label: LABEL_OPTIONAL type_name: ".google.protobuf.Struct" }
  field { name: "note" number: 21 type: TYPE_STRING label: LABEL_OPTIONAL proto3_optional: true oneof_index: 0 }
  field { name: "open" number: 22 type: TYPE_MESSAGE label: LABEL_OPTIONAL type_name: ".google.protobuf.Any" }
  field { name: "switches" number: 23 type: TYPE_MESSAGE label: LABEL_REPEATED type_name: ".book.Book.SwitchesEntry" }
  nested_type {
    name: "LabelsEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
    field { name: "value" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL }
  }
  nested_type {
    name: "ShelvesEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_INT32 label: LABEL_OPTIONAL }
    field { name: "value" number: 2 type: TYPE_MESSAGE label: LABEL_OPTIONAL type_name: ".book.Part" }
  }
  nested_type {
    name: "SwitchesEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_BOOL label: LABEL_OPTIONAL }
    field { name: "value" number: 2 type: TYPE_UINT64 label: LABEL_OPTIONAL }
  }
  oneof_decl { name: "_note" }
}
message_type {
  name: "Part"
  field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "number" number: 2 type: TYPE_INT64 label: LABEL_OPTIONAL }
  field { name: "inner" number: 3 type: TYPE_MESSAGE label: LABEL_OPTIONAL type_name: ".book.Part" }
  field { name: "parts" number: 4 type: TYPE_MESSAGE label: LABEL_REPEATED type_name: ".book.Part" }
}
enum_type { name: "Genre" value { name: "UNKNOWN" number: 0 } value { name: "NOVEL" number: 1 } value { name: "POEM" number: 2 } }
`

var (
	book, bookTypes = compileBook()
	part            = bookTypes.mustFind("book.Part")
)

// registry is a *protoregistry.Types for tests.
type registry struct{ *protoregistry.Types }

func (r registry) mustFind(name protoreflect.FullName) protoreflect.MessageType {
	m, err := r.FindMessageByName(name)
	if err != nil {
		panic(err)
	}
	return m
}

func compileBook() (protoreflect.MessageDescriptor, registry) {
	p := &descriptorpb.FileDescriptorProto{}
	if err := prototext.Unmarshal([]byte(bookFile), p); err != nil {
		panic(err)
	}
	file, err := protodesc.NewFile(p, protoregistry.GlobalFiles)
	if err != nil {
		panic(err)
	}
	types := registry{new(protoregistry.Types)}
	for i := range file.Messages().Len() {
		if err := types.RegisterMessage(dynamicpb.NewMessageType(file.Messages().Get(i))); err != nil {
			panic(err)
		}
	}
	for _, m := range []protoreflect.ProtoMessage{
		&errdetails.ErrorInfo{}, &structpb.Struct{}, &structpb.Value{}, &timestamppb.Timestamp{}, &durationpb.Duration{}, &anypb.Any{},
	} {
		if err := types.RegisterMessage(m.ProtoReflect().Type()); err != nil {
			panic(err)
		}
	}
	return file.Messages().Get(0), types
}

// bookSchema has a Part promised in extra, and anything in open.
var bookSchema = must(NewSchema(book, Options{
	Types: bookTypes,
	Promised: map[string][]protoreflect.MessageType{
		"extra": {part}, "open": {bookTypes.mustFind("google.protobuf.Struct")},
	},
	Text: []string{"title", "first.name", "extra"},
}))

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// parseBook reads a book in JSON.
func parseBook(t testing.TB, json string) protoreflect.ProtoMessage {
	t.Helper()
	m := dynamicpb.NewMessage(book)
	if err := (protojson.UnmarshalOptions{Resolver: bookTypes}).Unmarshal([]byte(json), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// matches compiles a filter and judges a book.
func matches(t testing.TB, filter string, m protoreflect.ProtoMessage) bool {
	t.Helper()
	f, err := bookSchema.Compile(filter)
	if err != nil {
		t.Fatalf("Compile(%q): %v", filter, err)
	}
	ok, err := f.Match(m)
	if err != nil {
		t.Fatalf("Match(%q): %v", filter, err)
	}
	return ok
}

// protoValue is a value of a field, for tables.
func protoValue(v any) (protoreflect.Value, error) { return protoreflect.ValueOf(v), nil }
