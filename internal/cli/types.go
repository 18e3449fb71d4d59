package cli

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	reflectpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Limits of what is asked of a server's reflection. Whatever is not known within them
// is printed as bytes.
const (
	reflectTimeout = 5 * time.Second
	maxTypeRounds  = 16       // types within types that were not known before
	maxTypeNames   = 500      // in all
	maxTypeFiles   = 2000     // in all
	maxTypeBytes   = 32 << 20 // of descriptors, in all
)

// types knows the messages that are linked in and those that the server has told of.
// It belongs to one command, and is not safe for concurrent use.
type types struct {
	conn   grpc.ClientConnInterface
	learnt *jsonTypes           // what JSON has told, which may be nil
	files  *protoregistry.Files // what the server has told, without what is linked in
	made   *dynamicpb.Types     // of files
	asked  map[protoreflect.FullName]bool
	told   map[string]*descriptorpb.FileDescriptorProto // by path
	begun  map[string]bool                              // paths that were linked, or could not be
	bytes  int
	deaf   error // the server has no reflection, or breaks off; nil while it answers
}

func newTypes(conn grpc.ClientConnInterface) *types {
	files := new(protoregistry.Files)
	return &types{conn: conn, files: files, made: dynamicpb.NewTypes(files),
		asked: map[protoreflect.FullName]bool{}, begun: map[string]bool{}, told: map[string]*descriptorpb.FileDescriptorProto{}}
}

// FindMessageByURL never asks the server.
func (t *types) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	if m, err := t.learnt.FindMessageByURL(url); err == nil {
		return m, nil
	}
	return t.made.FindMessageByURL(url)
}

// FindMessageByName never asks the server.
func (t *types) FindMessageByName(name protoreflect.FullName) (protoreflect.MessageType, error) {
	if m, err := protoregistry.GlobalTypes.FindMessageByName(name); err == nil {
		return m, nil
	}
	return t.made.FindMessageByName(name)
}

// FindExtensionByName never asks the server.
func (t *types) FindExtensionByName(name protoreflect.FullName) (protoreflect.ExtensionType, error) {
	if x, err := protoregistry.GlobalTypes.FindExtensionByName(name); err == nil {
		return x, nil
	}
	return t.made.FindExtensionByName(name)
}

// FindExtensionByNumber never asks the server.
func (t *types) FindExtensionByNumber(message protoreflect.FullName, field protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
	if x, err := protoregistry.GlobalTypes.FindExtensionByNumber(message, field); err == nil {
		return x, nil
	}
	return t.made.FindExtensionByNumber(message, field)
}

// learn asks the server for the types of all payloads in m that are not known. It
// does what it can, within the limits.
func (t *types) learn(ctx context.Context, m proto.Message) {
	ctx, cancel := context.WithTimeout(ctx, reflectTimeout)
	defer cancel()
	for range maxTypeRounds {
		names := map[protoreflect.FullName]bool{}
		t.unknown(m.ProtoReflect(), names)
		if len(names) == 0 || !t.ask(ctx, names) {
			return
		}
	}
}

// learnName asks the server for one type.
func (t *types) learnName(ctx context.Context, url string) {
	name := nameOf(url)
	if _, err := t.FindMessageByURL(url); err == nil || !name.IsValid() || t.asked[name] {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, reflectTimeout)
	defer cancel()
	t.ask(ctx, map[protoreflect.FullName]bool{name: true})
}

// unknown adds to names the types in m that are not known and were not asked for.
func (t *types) unknown(m protoreflect.Message, names map[protoreflect.FullName]bool) {
	eachAny(m, func(a protoreflect.Message) {
		url, value := anyOf(a)
		inner, err := unpack(url, value, t)
		if name := nameOf(url); errors.Is(err, protoregistry.NotFound) && name.IsValid() && !t.asked[name] {
			names[name] = true
		}
		if err == nil {
			t.unknown(inner, names)
		}
	})
}

func nameOf(url string) protoreflect.FullName {
	return protoreflect.FullName(url[strings.LastIndexByte(url, '/')+1:])
}

// ask asks for the names, and reports whether anything more is known after it.
func (t *types) ask(ctx context.Context, names map[protoreflect.FullName]bool) bool {
	if t.deaf != nil {
		return false
	}
	ctx, cancel := context.WithCancel(ctx) // ends the stream
	defer cancel()
	stream, err := reflectpb.NewServerReflectionClient(t.conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.deaf = err
		return false
	}
	before := len(t.told)
	for name := range names {
		if len(t.asked) >= maxTypeNames {
			break
		}
		t.asked[name] = true
		t.request(stream, &reflectpb.ServerReflectionRequest{
			MessageRequest: &reflectpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: string(name)},
		})
	}
	for _, path := range sortedPaths(t.told) {
		t.link(stream, path)
	}
	t.made = dynamicpb.NewTypes(t.files)
	// Ends the call in order; whatever the server still has to say is not wanted.
	if stream.CloseSend() == nil && t.deaf == nil {
		if _, err := stream.Recv(); err != nil && !errors.Is(err, io.EOF) {
			t.deaf = err
		}
	}
	return len(t.told) > before
}

func sortedPaths(m map[string]*descriptorpb.FileDescriptorProto) []string {
	var paths []string
	for path := range m {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

type reflectStream = grpc.BidiStreamingClient[reflectpb.ServerReflectionRequest, reflectpb.ServerReflectionResponse]

// request makes one request, and keeps the files of the answer.
func (t *types) request(stream reflectStream, r *reflectpb.ServerReflectionRequest) {
	if t.deaf != nil || len(t.told) >= maxTypeFiles || t.bytes >= maxTypeBytes {
		return
	}
	_ = stream.Send(r) // why it fails is what Recv says
	answer, err := stream.Recv()
	if err != nil {
		t.deaf = err
		return
	}
	for _, raw := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
		t.bytes += len(raw)
		f := &descriptorpb.FileDescriptorProto{}
		if proto.Unmarshal(raw, f) == nil && f.GetName() != "" && t.told[f.GetName()] == nil {
			t.told[f.GetName()] = f
		}
	}
}

// link makes types of a file that the server has told of, after its imports, for
// which it asks if they did not come along. What is linked in stands. A file that
// makes no sense is left out.
func (t *types) link(stream reflectStream, path string) {
	f := t.told[path]
	if f == nil {
		t.request(stream, &reflectpb.ServerReflectionRequest{
			MessageRequest: &reflectpb.ServerReflectionRequest_FileByFilename{FileByFilename: path},
		})
		if f = t.told[path]; f == nil {
			return
		}
	}
	if t.begun[path] || isLinked(path) {
		return
	}
	t.begun[path] = true
	for _, imported := range f.GetDependency() {
		if !isLinked(imported) {
			t.link(stream, imported)
		}
	}
	// ProtoJSON knows these by their names, and relies on what they look like.
	if strings.HasPrefix(f.GetPackage(), "google.protobuf") {
		return
	}
	if made, err := protodesc.NewFile(f, linkedFirst{t.files}); err == nil {
		_ = t.files.RegisterFile(made) // one that clashes with another is left out
	}
}

// isLinked reports whether this program has the file itself.
func isLinked(path string) bool {
	_, err := protoregistry.GlobalFiles.FindFileByPath(path)
	return err == nil
}

// linkedFirst finds what a file imports.
type linkedFirst struct{ files *protoregistry.Files }

// FindFileByPath is that of what is linked in, or of the files.
func (l linkedFirst) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	if f, err := protoregistry.GlobalFiles.FindFileByPath(path); err == nil {
		return f, nil
	}
	return l.files.FindFileByPath(path)
}

// FindDescriptorByName is that of what is linked in, or of the files.
func (l linkedFirst) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	if d, err := protoregistry.GlobalFiles.FindDescriptorByName(name); err == nil {
		return d, nil
	}
	return l.files.FindDescriptorByName(name)
}
