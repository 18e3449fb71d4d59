package server

import (
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection"
	reflectpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectalphapb "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/longrun-dev/longrun"
)

// Types are the message types that a server knows: those that are linked in, and
// those of its descriptor sets, which never hide one that is linked in. They are what
// protojson and the reflection service ask for a type. Make one with LoadTypes; it is
// safe for concurrent use.
type Types struct {
	files      *protoregistry.Files // of the sets
	types      *dynamicpb.Types
	extensions []protoreflect.ExtensionType // of the sets
	promises   map[string]longrun.Promise   // of the sets' methods, by full name
}

func newTypes(files *protoregistry.Files) *Types {
	t := &Types{files: files, types: dynamicpb.NewTypes(files), promises: map[string]longrun.Promise{}}
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		t.gather(f.Extensions(), f.Messages())
		t.promise(f)
		return true
	})
	return t
}

// gather notes the extensions, and those within the messages.
func (t *Types) gather(xs protoreflect.ExtensionDescriptors, ms protoreflect.MessageDescriptors) {
	for i := range xs.Len() {
		t.extensions = append(t.extensions, dynamicpb.NewExtensionType(xs.Get(i)))
	}
	for i := range ms.Len() {
		t.gather(ms.Get(i).Extensions(), ms.Get(i).Messages())
	}
}

// first returns what the first of two registries knows, else what the second does.
func first[K, V any](key K, linked, given func(K) (V, error)) (V, error) {
	v, err := linked(key)
	if errors.Is(err, protoregistry.NotFound) {
		return given(key)
	}
	return v, err
}

// FindFileByPath returns the file of that path, or protoregistry.NotFound.
func (t *Types) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	return first(path, protoregistry.GlobalFiles.FindFileByPath, t.files.FindFileByPath)
}

// FindDescriptorByName returns what is declared by that full name, or
// protoregistry.NotFound.
func (t *Types) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	return first(name, protoregistry.GlobalFiles.FindDescriptorByName, t.files.FindDescriptorByName)
}

// FindMessageByName returns the message of that full name, or
// protoregistry.NotFound.
func (t *Types) FindMessageByName(name protoreflect.FullName) (protoreflect.MessageType, error) {
	return first(name, protoregistry.GlobalTypes.FindMessageByName, t.types.FindMessageByName)
}

// FindMessageByURL returns the message of that type URL, or protoregistry.NotFound.
func (t *Types) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	return first(url, protoregistry.GlobalTypes.FindMessageByURL, t.types.FindMessageByURL)
}

// FindExtensionByName returns the extension of that full name, or
// protoregistry.NotFound.
func (t *Types) FindExtensionByName(name protoreflect.FullName) (protoreflect.ExtensionType, error) {
	return first(name, protoregistry.GlobalTypes.FindExtensionByName, t.types.FindExtensionByName)
}

// FindExtensionByNumber returns the extension of a message by its field number, or
// protoregistry.NotFound.
func (t *Types) FindExtensionByNumber(message protoreflect.FullName, field protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
	find := func(by func(protoreflect.FullName, protoreflect.FieldNumber) (protoreflect.ExtensionType, error)) func(protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
		return func(n protoreflect.FieldNumber) (protoreflect.ExtensionType, error) { return by(message, n) }
	}
	return first(field, find(protoregistry.GlobalTypes.FindExtensionByNumber), find(t.types.FindExtensionByNumber))
}

// RangeExtensionsByMessage calls f with each extension of a message until f returns
// false.
func (t *Types) RangeExtensionsByMessage(message protoreflect.FullName, f func(protoreflect.ExtensionType) bool) {
	more := true
	protoregistry.GlobalTypes.RangeExtensionsByMessage(message, func(x protoreflect.ExtensionType) bool {
		more = f(x)
		return more
	})
	for _, x := range t.extensions {
		if !more {
			return
		}
		if x.TypeDescriptor().ContainingMessage().FullName() == message {
			more = f(x)
		}
	}
}

// RangeMessages calls f for each message that is linked in, and then for each of the
// sets that is not, until it returns false.
func (t *Types) RangeMessages(f func(protoreflect.MessageType) bool) {
	more := true
	call := func(m protoreflect.MessageType) bool {
		more = more && f(m)
		return more
	}
	protoregistry.GlobalTypes.RangeMessages(call)
	var each func(ms protoreflect.MessageDescriptors)
	each = func(ms protoreflect.MessageDescriptors) {
		for i := 0; i < ms.Len() && more; i++ {
			if _, err := protoregistry.GlobalTypes.FindMessageByName(ms.Get(i).FullName()); err != nil {
				call(dynamicpb.NewMessageType(ms.Get(i)))
			}
			each(ms.Get(i).Messages())
		}
	}
	t.files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		each(file.Messages())
		return more
	})
}

// reflect serves reflection of the services of g and of all types, in both versions
// of the service.
func (t *Types) reflect(g *grpc.Server) {
	o := reflection.ServerOptions{Services: g, DescriptorResolver: t, ExtensionResolver: t}
	reflectpb.RegisterServerReflectionServer(g, reflection.NewServerV1(o))
	reflectalphapb.RegisterServerReflectionServer(g, reflection.NewServer(o))
}
