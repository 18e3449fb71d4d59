package httpapi_test

import (
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	_ "google.golang.org/protobuf/types/known/anypb"
	_ "google.golang.org/protobuf/types/known/durationpb"
	_ "google.golang.org/protobuf/types/known/fieldmaskpb"
	_ "google.golang.org/protobuf/types/known/structpb"
	_ "google.golang.org/protobuf/types/known/timestamppb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun/httpapi"
)

// libraryFile is a service that is nowhere linked in. Each method takes a Book and
// answers with one; what it does, the test says.
const libraryFile = `
name: "library.proto" package: "library.v1" syntax: "proto3"
dependency: "google/protobuf/any.proto" dependency: "google/protobuf/duration.proto" dependency: "google/protobuf/field_mask.proto"
dependency: "google/protobuf/struct.proto" dependency: "google/protobuf/timestamp.proto" dependency: "google/protobuf/wrappers.proto"
enum_type { name: "Kind" value { name: "KIND_UNSPECIFIED" number: 0 } value { name: "NOVEL" number: 1 } value { name: "ATLAS" number: 2 } }
message_type { name: "Shelf"
  field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "name" }
  field { name: "row_number" number: 2 type: TYPE_INT32 label: LABEL_OPTIONAL json_name: "rowNumber" } }
message_type { name: "Book"
  field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "name" }
  field { name: "page_count" number: 2 type: TYPE_INT64 label: LABEL_OPTIONAL json_name: "pageCount" }
  field { name: "kind" number: 3 type: TYPE_ENUM type_name: ".library.v1.Kind" label: LABEL_OPTIONAL json_name: "kind" }
  field { name: "tags" number: 4 type: TYPE_STRING label: LABEL_REPEATED json_name: "tags" }
  field { name: "create_time" number: 5 type: TYPE_MESSAGE type_name: ".google.protobuf.Timestamp" label: LABEL_OPTIONAL json_name: "createTime" }
  field { name: "digest" number: 6 type: TYPE_BYTES label: LABEL_OPTIONAL json_name: "digest" }
  field { name: "extra" number: 7 type: TYPE_MESSAGE type_name: ".google.protobuf.Any" label: LABEL_OPTIONAL json_name: "extra" }
  field { name: "weight" number: 8 type: TYPE_DOUBLE label: LABEL_OPTIONAL json_name: "weight" }
  field { name: "shelf" number: 9 type: TYPE_MESSAGE type_name: ".library.v1.Shelf" label: LABEL_OPTIONAL json_name: "shelf" }
  field { name: "loan" number: 10 type: TYPE_MESSAGE type_name: ".google.protobuf.Duration" label: LABEL_OPTIONAL json_name: "loan" }
  field { name: "lent" number: 11 type: TYPE_BOOL label: LABEL_OPTIONAL json_name: "lent" }
  field { name: "person" number: 12 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "person" oneof_index: 0 }
  field { name: "club" number: 13 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "club" oneof_index: 0 }
  field { name: "copies" number: 14 type: TYPE_UINT32 label: LABEL_OPTIONAL json_name: "copies" }
  field { name: "rare" number: 15 type: TYPE_MESSAGE type_name: ".google.protobuf.BoolValue" label: LABEL_OPTIONAL json_name: "rare" }
  field { name: "mask" number: 16 type: TYPE_MESSAGE type_name: ".google.protobuf.FieldMask" label: LABEL_OPTIONAL json_name: "mask" }
  field { name: "notes" number: 17 type: TYPE_MESSAGE type_name: ".google.protobuf.Any" label: LABEL_REPEATED json_name: "notes" }
  field { name: "numbers" number: 18 type: TYPE_INT32 label: LABEL_REPEATED json_name: "numbers" }
  field { name: "by_room" number: 19 type: TYPE_MESSAGE type_name: ".library.v1.Book.ByRoomEntry" label: LABEL_REPEATED json_name: "byRoom" }
  field { name: "price" number: 20 type: TYPE_FLOAT label: LABEL_OPTIONAL json_name: "price" }
  field { name: "serial" number: 21 type: TYPE_UINT64 label: LABEL_OPTIONAL json_name: "serial" }
  field { name: "key" number: 22 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "key" }
  nested_type { name: "ByRoomEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "key" }
    field { name: "value" number: 2 type: TYPE_MESSAGE type_name: ".google.protobuf.Any" label: LABEL_OPTIONAL json_name: "value" } }
  oneof_decl { name: "owner" } }
service { name: "Library"
  method { name: "GetBook" input_type: ".library.v1.Book" output_type: ".library.v1.Book" }
  method { name: "UpdateBook" input_type: ".library.v1.Book" output_type: ".library.v1.Book" }
  method { name: "PutShelf" input_type: ".library.v1.Book" output_type: ".library.v1.Book" }
  method { name: "PutTags" input_type: ".library.v1.Book" output_type: ".library.v1.Book" }
  method { name: "Find" input_type: ".library.v1.Book" output_type: ".library.v1.Book" }
  method { name: "Unbound" input_type: ".library.v1.Book" output_type: ".library.v1.Book" }
  method { name: "Watch" input_type: ".library.v1.Book" output_type: ".library.v1.Book" server_streaming: true }
  method { name: "Upload" input_type: ".library.v1.Book" output_type: ".library.v1.Book" client_streaming: true } }
`

// rules are those of the proto file.
var rules = map[string]string{
	"GetBook":    `get: "/v1/{name=books/*}" additional_bindings { custom { kind: "REPORT" path: "/v1/{name=books/*}" } }`,
	"UpdateBook": `patch: "/v1/{name=books/*}" body: "*" additional_bindings { post: "/v1/{name=books/*}:touch" }`,
	"PutShelf":   `put: "/v1/{name=books/*}/shelf" body: "shelf" response_body: "shelf"`,
	"PutTags":    `put: "/v1/{name=books/*}/tags" body: "tags" response_body: "tags"`,
	"Find":       `get: "/v1/shelves/{shelf.name}/rows/{shelf.row_number}" additional_bindings { get: "/v1/kinds/{kind}/{digest}" }`,
	"Watch":      `get: "/v1/{name=books/*}:watch"`,
	"Upload":     `post: "/v1/books:upload" body: "*"`,
}

// library is the service. The zero library answers with the request.
type library struct {
	do    func(ctx context.Context, book *dynamicpb.Message) (any, error)
	watch func(book *dynamicpb.Message, stream grpc.ServerStream) error
	// authorize says who may call it; nil is everybody.
	authorize func(ctx context.Context, method string, book *dynamicpb.Message) error
}

func (l *library) AuthorizeCall(ctx context.Context, method string, r any) error {
	if l.authorize == nil {
		return nil
	}
	return l.authorize(ctx, method, r.(*dynamicpb.Message))
}

// shelves has the descriptors of a library.
type shelves struct {
	files *protoregistry.Files
	book  protoreflect.MessageDescriptor
}

// build makes descriptors in which methods have the given rules.
func build(t testing.TB, rules map[string]string) shelves {
	t.Helper()
	fdp := new(descriptorpb.FileDescriptorProto)
	if err := prototext.Unmarshal([]byte(libraryFile), fdp); err != nil {
		t.Fatal(err)
	}
	for _, m := range fdp.GetService()[0].GetMethod() {
		if text := rules[m.GetName()]; text != "" {
			rule := new(annotations.HttpRule)
			if err := prototext.Unmarshal([]byte(text), rule); err != nil {
				t.Fatal(err)
			}
			m.Options = new(descriptorpb.MethodOptions)
			proto.SetExtension(m.Options, annotations.E_Http, rule)
		}
	}
	fd, err := protodesc.NewFile(fdp, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	s := shelves{files: new(protoregistry.Files), book: fd.Messages().ByName("Book")}
	if err := s.files.RegisterFile(fd); err != nil {
		t.Fatal(err)
	}
	return s
}

// desc is what generated code would have made.
func (s shelves) desc() *grpc.ServiceDesc {
	d := &grpc.ServiceDesc{ServiceName: "library.v1.Library", HandlerType: (*any)(nil)}
	for _, name := range []string{"GetBook", "UpdateBook", "PutShelf", "PutTags", "Find", "Unbound"} {
		d.Methods = append(d.Methods, grpc.MethodDesc{MethodName: name, Handler: s.unary(name)})
	}
	d.Streams = []grpc.StreamDesc{
		{StreamName: "Watch", ServerStreams: true, Handler: func(srv any, stream grpc.ServerStream) error {
			book := dynamicpb.NewMessage(s.book)
			if err := stream.RecvMsg(book); err != nil {
				return err
			}
			if err := stream.RecvMsg(book); err != io.EOF {
				return err
			}
			return srv.(*library).watch(book, stream)
		}},
		{StreamName: "Upload", ClientStreams: true, Handler: func(any, grpc.ServerStream) error { return nil }},
	}
	return d
}

func (s shelves) unary(name string) grpc.MethodHandler {
	return func(srv any, ctx context.Context, dec func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		book := dynamicpb.NewMessage(s.book)
		if err := dec(book); err != nil {
			return nil, err
		}
		handle := func(ctx context.Context, in any) (any, error) {
			if l := srv.(*library); l.do != nil {
				return l.do(ctx, in.(*dynamicpb.Message))
			}
			return in, nil
		}
		if interceptor == nil {
			return handle(ctx, book)
		}
		return interceptor(ctx, book, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/library.v1.Library/" + name}, handle)
	}
}

// serve returns a handler of l.
func (l *library) serve(t testing.TB, o httpapi.Options) *httpapi.Handler {
	t.Helper()
	s := build(t, rules)
	o.Files, o.Types = s.files, dynamicpb.NewTypes(s.files)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h, err := httpapi.New(o)
	if err != nil {
		t.Fatal(err)
	}
	h.RegisterService(s.desc(), l)
	if err := h.Check(); err != nil {
		t.Fatal(err)
	}
	return h
}

// ask sends a request: "GET /path", a body, and headers as "Name: value".
func ask(h *httpapi.Handler, line, body string, headers ...string) *httptest.ResponseRecorder {
	method, url, _ := strings.Cut(line, " ")
	r := httptest.NewRequest(method, "http://localhost:8151", strings.NewReader(body))
	r.URL.Path, r.URL.RawQuery, _ = strings.Cut(url, "?")
	if strings.Contains(r.URL.Path, "%") {
		r.URL.RawPath = r.URL.Path
	}
	if body == "" {
		r.Body, r.ContentLength = nil, 0
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
