package server_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	reflectpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/longrun-dev/longrun/internal/server"
)

// set writes a descriptor set of files in text form.
func set(t *testing.T, files ...string) string {
	t.Helper()
	fds := &descriptorpb.FileDescriptorSet{}
	for _, text := range files {
		f := &descriptorpb.FileDescriptorProto{}
		if err := prototext.Unmarshal([]byte(text), f); err != nil {
			t.Fatal(err)
		}
		fds.File = append(fds.File, f)
	}
	return setOf(t, fds)
}

func setOf(t *testing.T, fds *descriptorpb.FileDescriptorSet) string {
	t.Helper()
	raw, err := proto.Marshal(fds)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "set.binpb")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	sizeFile  = `name: "acme/size.proto" package: "acme" syntax: "proto3" message_type { name: "Size" field { name: "width" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32 json_name: "width" } }`
	thingFile = `name: "acme/thing.proto" package: "acme" syntax: "proto3" dependency: "acme/size.proto" message_type { name: "Thing" field { name: "size" number: 1 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".acme.Size" json_name: "size" } }`
	// An old file that can be extended, and its extension.
	baseFile  = `name: "acme/base.proto" package: "acme" syntax: "proto2" message_type { name: "Base" extension_range { start: 100 end: 200 } }`
	extraFile = `name: "acme/extra.proto" package: "acme" syntax: "proto2" dependency: "acme/base.proto" extension { name: "extra" number: 100 label: LABEL_OPTIONAL type: TYPE_STRING extendee: ".acme.Base" json_name: "extra" }`
)

func TestLoadTypes(t *testing.T) {
	t.Parallel()
	// The order of files does not matter, and a file may be in more than one set.
	types, err := server.LoadTypes(set(t, thingFile, sizeFile), set(t, sizeFile), set(t, extraFile, baseFile))
	if err != nil {
		t.Fatalf("LoadTypes: %v", err)
	}
	a := &anypb.Any{}
	in := `{"@type":"type.googleapis.com/acme.Thing","size":{"width":7}}`
	if err := (protojson.UnmarshalOptions{Resolver: types}).Unmarshal([]byte(in), a); err != nil {
		t.Fatalf("from JSON: %v", err)
	}
	if want := []byte{10, 2, 8, 7}; string(a.GetValue()) != string(want) {
		t.Errorf("value = %v, want %v", a.GetValue(), want)
	}
	in = `{"@type":"type.googleapis.com/acme.Base","[acme.extra]":"x"}`
	if err := (protojson.UnmarshalOptions{Resolver: types}).Unmarshal([]byte(in), a); err != nil {
		t.Fatalf("an extension from JSON: %v", err)
	}
	out, err := protojson.MarshalOptions{Resolver: types}.Marshal(a)
	if err != nil || !strings.Contains(string(out), "[acme.extra]") {
		t.Errorf("an extension to JSON = %s, %v", out, err)
	}
	var found []protoreflect.FullName
	types.RangeExtensionsByMessage("acme.Base", func(x protoreflect.ExtensionType) bool {
		found = append(found, x.TypeDescriptor().FullName())
		return true
	})
	if len(found) != 1 || found[0] != "acme.extra" {
		t.Errorf("extensions of acme.Base = %v, want acme.extra", found)
	}
}

// FLT-28: filters look into what is linked in and into what the sets add, each once.
func TestTypes_RangeMessages(t *testing.T) {
	t.Parallel()
	types, err := server.LoadTypes(set(t, thingFile, sizeFile))
	if err != nil {
		t.Fatal(err)
	}
	times := map[protoreflect.FullName]int{}
	types.RangeMessages(func(m protoreflect.MessageType) bool {
		times[m.Descriptor().FullName()]++
		return true
	})
	for _, name := range []protoreflect.FullName{"acme.Thing", "acme.Size", "google.rpc.Status"} {
		if times[name] != 1 {
			t.Errorf("%s comes %d times, want once", name, times[name])
		}
	}
	n := 0
	types.RangeMessages(func(protoreflect.MessageType) bool { n++; return false })
	if n != 1 {
		t.Errorf("%d messages after the first was enough, want 1", n)
	}
}

// What is linked in stands, and what nobody knows is not found.
func TestTypes_Find(t *testing.T) {
	t.Parallel()
	types, err := server.LoadTypes(set(t, sizeFile))
	if err != nil {
		t.Fatal(err)
	}
	m, err := types.FindMessageByName("google.rpc.Status")
	if err != nil || m != (&statuspb.Status{}).ProtoReflect().Type() {
		t.Errorf("google.rpc.Status = %v, %v; want the one that is linked in", m, err)
	}
	for name, err := range map[string]error{
		"file":                second(types.FindFileByPath("acme/size.proto")),
		"descriptor":          second(types.FindDescriptorByName("acme.Size.width")),
		"message":             second(types.FindMessageByName("acme.Size")),
		"message by URL":      second(types.FindMessageByURL("example.com/acme.Size")),
		"linked file":         second(types.FindFileByPath("google/rpc/status.proto")),
		"linked extension":    second(types.FindExtensionByName("google.api.http")),
		"the same, by number": second(types.FindExtensionByNumber("google.protobuf.MethodOptions", 72295728)),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"file":                second(types.FindFileByPath("acme/none.proto")),
		"descriptor":          second(types.FindDescriptorByName("acme.None")),
		"message":             second(types.FindMessageByName("acme.None")),
		"message by URL":      second(types.FindMessageByURL("example.com/acme.None")),
		"extension":           second(types.FindExtensionByName("acme.none")),
		"extension by number": second(types.FindExtensionByNumber("acme.Size", 1000)),
	} {
		if !errors.Is(err, protoregistry.NotFound) {
			t.Errorf("no such %s: %v, want NotFound", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestLoadTypes_Refuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("syntax = \"proto3\";"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 64<<20+1); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, want string
		sets       []string
	}{
		{"no file", "cannot be read: no such file", []string{filepath.Join(dir, "none")}},
		{"a directory", "cannot be read: is a directory", []string{dir}},
		{"text", "is damaged", []string{text}},
		{"too large", "is larger than 64 MiB", []string{large}},
		{"empty", "has no files", []string{set(t)}},
		{"no name", "a file has no name", []string{set(t, `package: "acme"`)}},
		{"no import", "acme/thing.proto imports acme/size.proto, which is missing", []string{set(t, thingFile)}},
		{"imports itself", "imports itself", []string{set(t, `name: "a.proto" dependency: "a.proto"`)}},
		{"in a circle", "imports itself", []string{set(t, `name: "a.proto" dependency: "b.proto"`, `name: "b.proto" dependency: "a.proto"`)}},
		{"no such type", "acme/thing.proto is damaged", []string{set(t, `name: "acme/thing.proto" message_type { name: "Thing" field { name: "x" number: 1 type: TYPE_MESSAGE type_name: ".acme.None" label: LABEL_OPTIONAL } }`)}},
		{"a file in two ways", "acme/size.proto is another file than the one of", []string{set(t, sizeFile), set(t, `name: "acme/size.proto" package: "acme"`)}},
		{"a name in two files", "copy.proto clashes", []string{set(t, sizeFile, strings.Replace(sizeFile, "acme/size.proto", "copy.proto", 1))}},
		{"a linked message", "a.proto declares google.rpc.Status, which", []string{set(t, `name: "a.proto" package: "google.rpc" message_type { name: "Status" }`)}},
		{"a linked enum", "a.proto declares google.rpc.Code, which", []string{set(t, `name: "a.proto" package: "google.rpc" enum_type { name: "Code" value { name: "X" number: 0 } }`)}},
		{"a linked value", "a.proto declares google.rpc.OK, which", []string{set(t, `name: "a.proto" package: "google.rpc" enum_type { name: "Mine" value { name: "OK" number: 0 } }`)}},
		{"a linked service", "a.proto declares google.longrunning.Operations, which", []string{set(t, `name: "a.proto" package: "google.longrunning" service { name: "Operations" }`)}},
		{"a linked file", "google/rpc/status.proto is not the file that this program has: Status: field 1", []string{set(t,
			`name: "google/rpc/status.proto" package: "google.rpc" syntax: "proto3" message_type { name: "Status" field { name: "code" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL } }`)}},
	} {
		_, err := server.LoadTypes(tt.sets...)
		p, ok := errors.AsType[*server.Problem](err)
		if !ok || !strings.Contains(p.Msg, tt.want) || !strings.HasPrefix(p.Msg, `descriptor set "`) || strings.Contains(p.Msg, "\n") || p.Hint == "" {
			t.Errorf("%s: %+v, want one line with %q and a hint", tt.name, err, tt.want)
		}
	}
}

// A set brings along what it imports, of its own version. Older, newer and other
// options agree with what is linked in, another meaning does not.
func TestLoadTypes_LinkedFiles(t *testing.T) {
	t.Parallel()
	linked := func() *descriptorpb.FileDescriptorProto {
		return protodesc.ToFileDescriptorProto((&descriptorpb.FieldDescriptorProto{}).ProtoReflect().Descriptor().ParentFile())
	}
	for _, tt := range []struct {
		name   string
		change func(*descriptorpb.FileDescriptorProto)
		want   string // "" if it agrees
	}{
		{"the same", func(*descriptorpb.FileDescriptorProto) {}, ""},
		{"other options", func(f *descriptorpb.FileDescriptorProto) {
			f.Options = &descriptorpb.FileOptions{GoPackage: proto.String("x")}
		}, ""},
		{"no names for JSON", func(f *descriptorpb.FileDescriptorProto) { f.MessageType[0].Field[0].JsonName = nil }, ""},
		{"older", func(f *descriptorpb.FileDescriptorProto) { f.MessageType = f.MessageType[:3] }, ""},
		{"a field less", func(f *descriptorpb.FileDescriptorProto) { f.MessageType[1].Field = f.MessageType[1].Field[1:] }, ""},
		{"a field more", func(f *descriptorpb.FileDescriptorProto) {
			f.MessageType[0].Field = append(f.MessageType[0].Field, &descriptorpb.FieldDescriptorProto{Name: proto.String("new"), Number: proto.Int32(5000)})
		}, ""},
		{"a message more", func(f *descriptorpb.FileDescriptorProto) {
			f.MessageType = append(f.MessageType, &descriptorpb.DescriptorProto{Name: proto.String("New")})
		}, ""},
		{"another package", func(f *descriptorpb.FileDescriptorProto) { f.Package = proto.String("x") }, `package "x", not "google.protobuf"`},
		{"another name", func(f *descriptorpb.FileDescriptorProto) { f.MessageType[0].Field[0].Name = proto.String("x") }, "field 1 is not file as it is here"},
		{"another number", func(f *descriptorpb.FileDescriptorProto) { f.MessageType[0].Field[0].Number = proto.Int32(77) }, "file has number 77, not 1"},
		{"no list", func(f *descriptorpb.FileDescriptorProto) {
			f.MessageType[0].Field[0].Label = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
		}, "field 1 is not file as it is here"},
		{"another value", func(f *descriptorpb.FileDescriptorProto) {
			for _, e := range f.EnumType {
				e.Value[0].Number = proto.Int32(7777)
			}
		}, "is 7777, not"},
	} {
		f := linked()
		tt.change(f)
		_, err := server.LoadTypes(setOf(t, &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{f}}))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// Reflection, in both its versions, tells of the types of a set and of those that are
// linked in, and lists no service that is not served.
func TestReflection_DescriptorSet(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.DescriptorSets = []string{set(t, sizeFile, thingFile, `name: "acme/service.proto" package: "acme" service { name: "Books" }`)}
	conn := dial(t, serve(t, o).GRPCAddr())
	v1, err := reflectpb.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, symbol := range []string{"acme.Thing", "acme.Size", "google.rpc.Status"} {
		if err := v1.Send(&reflectpb.ServerReflectionRequest{MessageRequest: &reflectpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: symbol}}); err != nil {
			t.Fatal(err)
		}
		r, err := v1.Recv()
		if err != nil || r.GetErrorResponse() != nil {
			t.Errorf("v1 of %s = %v, %v; want its file", symbol, r, err)
		}
	}
	if err := v1.Send(&reflectpb.ServerReflectionRequest{MessageRequest: &reflectpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	r, err := v1.Recv()
	if err != nil || strings.Contains(r.String(), "acme.Books") || !strings.Contains(r.String(), "google.longrunning.Operations") {
		t.Errorf("services = %v, %v; want those that are served", r, err)
	}
	// The older version has the same messages, under another name.
	alpha, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
	if err != nil {
		t.Fatal(err)
	}
	if err := alpha.SendMsg(&reflectpb.ServerReflectionRequest{MessageRequest: &reflectpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "acme.Thing"}}); err != nil {
		t.Fatal(err)
	}
	answer := &reflectpb.ServerReflectionResponse{}
	if err := alpha.RecvMsg(answer); err != nil || len(answer.GetFileDescriptorResponse().GetFileDescriptorProto()) != 2 {
		t.Errorf("v1alpha of acme.Thing = %v, %v; want its file and the one that it imports", answer, err)
	}
}

// Whatever bytes are called a descriptor set, they are taken or refused in one line.
func FuzzLoadTypes(f *testing.F) {
	for _, text := range []string{sizeFile, thingFile, baseFile} {
		file := &descriptorpb.FileDescriptorProto{}
		if err := prototext.Unmarshal([]byte(text), file); err != nil {
			f.Fatal(err)
		}
		raw, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{file}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(dir, "set.binpb")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := server.LoadTypes(path)
		if p, ok := errors.AsType[*server.Problem](err); err != nil && (!ok || strings.Contains(p.Msg, "\n")) {
			t.Errorf("%x: %v", raw, err)
		}
	})
}
