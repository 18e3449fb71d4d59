package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Limits of what is learnt from JSON. What is past them is a google.protobuf.Struct.
const (
	maxShapes      = 500  // types
	maxShapeFields = 1000 // fields of each
)

const structURL = typeHost + "google.protobuf.Struct"

// jsonTypes are message types that are known by their JSON alone. A server writes payloads
// of its own types in full, and over HTTP nobody says what these types are. So each
// becomes a message here whose fields are those that its JSON was seen to have, each a
// google.protobuf.Value: it is printed, and sent back, as it came. Its bytes mean
// nothing to others.
//
// As a resolver it knows what is linked in, too. A nil jsonTypes knows nothing else, and
// learns nothing. It is safe for concurrent use.
type jsonTypes struct {
	mu    sync.RWMutex // guards what follows
	known map[string]*jsonShape
}

// jsonShape is one type. Fields keep their numbers, so that what was read stays
// readable when more are seen.
type jsonShape struct {
	fields []string // their JSON names, in the order of their numbers
	made   protoreflect.MessageType
}

// FindMessageByURL returns a type that is linked in, or was learnt.
func (s *jsonTypes) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	if m, err := protoregistry.GlobalTypes.FindMessageByURL(url); err == nil || s == nil {
		return m, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if shape := s.known[string(nameOf(url))]; shape != nil {
		return shape.made, nil
	}
	return nil, protoregistry.NotFound
}

// FindMessageByName returns a type that is linked in.
func (s *jsonTypes) FindMessageByName(name protoreflect.FullName) (protoreflect.MessageType, error) {
	return protoregistry.GlobalTypes.FindMessageByName(name)
}

// FindExtensionByName returns one that is linked in.
func (s *jsonTypes) FindExtensionByName(name protoreflect.FullName) (protoreflect.ExtensionType, error) {
	return protoregistry.GlobalTypes.FindExtensionByName(name)
}

// FindExtensionByNumber returns one that is linked in.
func (s *jsonTypes) FindExtensionByNumber(message protoreflect.FullName, n protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
	return protoregistry.GlobalTypes.FindExtensionByNumber(message, n)
}

// learnPayload learns the types of a payload that somebody has written: the server may
// know them.
func (s *jsonTypes) learnPayload(raw []byte) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var tree map[string]any
	if d.Decode(&tree) == nil {
		s.learnAny(tree)
	}
}

// learn learns the types of all payloads in JSON of a message, and marks those that are
// given as bytes. It reports whether it has changed v.
func (s *jsonTypes) learn(v any, md protoreflect.MessageDescriptor) (changed bool) {
	switch v := v.(type) {
	case []any:
		for _, element := range v {
			changed = s.learn(element, md) || changed
		}
	case map[string]any:
		if md.FullName() == anyName {
			return s.learnAny(v)
		}
		for name, value := range v {
			fd := md.Fields().ByJSONName(name)
			if fd == nil || fd.Message() == nil {
				continue
			}
			if fd.IsMap() {
				changed = s.learnEntries(value, fd.MapValue().Message()) || changed
			} else if isAnyOrOurs(fd.Message()) {
				changed = s.learn(value, fd.Message()) || changed
			}
		}
	}
	return changed
}

// isAnyOrOurs keeps what has a JSON form of its own out, such as a Struct, in which
// nothing is a payload.
func isAnyOrOurs(md protoreflect.MessageDescriptor) bool {
	return md.FullName() == anyName || md.FullName().Parent() != anyName.Parent()
}

func (s *jsonTypes) learnEntries(v any, md protoreflect.MessageDescriptor) (changed bool) {
	entries, ok := v.(map[string]any)
	if !ok || md == nil || !isAnyOrOurs(md) {
		return false
	}
	for _, value := range entries {
		changed = s.learn(value, md) || changed
	}
	return changed
}

func (s *jsonTypes) learnAny(object map[string]any) (changed bool) {
	url, ok := object["@type"].(string)
	if !ok {
		return false
	}
	_, opaque := opaqueBytes(object)
	linked, err := protoregistry.GlobalTypes.FindMessageByURL(url)
	switch {
	case opaque && (err != nil || !readsAs(object, s)):
		object["@type"] = url + opaqueMark
		return true
	case err == nil && linked.Descriptor().FullName() == anyName:
		return s.learn(object["value"], linked.Descriptor())
	case err == nil && isAnyOrOurs(linked.Descriptor()):
		return s.learn(object, linked.Descriptor())
	case err == nil:
		return false
	}
	if s.add(string(nameOf(url)), slices.Sorted(maps.Keys(object))) {
		return false
	}
	whole := maps.Clone(object)
	clear(object)
	object["@type"], object["value"] = structURL, whole
	return true
}

// add notes that a type has these fields, and reports whether there is room for it.
func (s *jsonTypes) add(name string, fields []string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.known[name]
	if old == nil {
		if len(s.known) >= maxShapes {
			return false
		}
		old = new(jsonShape)
	}
	next := &jsonShape{fields: slices.Clone(old.fields), made: old.made}
	for _, f := range fields {
		if f != "@type" && !slices.Contains(next.fields, f) {
			next.fields = append(next.fields, f)
		}
	}
	if len(next.fields) > maxShapeFields {
		return false
	}
	if old.made == nil || len(next.fields) > len(old.fields) {
		if next.made = typeOf(next.fields); next.made == nil {
			return false
		}
	}
	if s.known == nil {
		s.known = map[string]*jsonShape{}
	}
	s.known[name] = next
	return true
}

// typeOf makes a message of fields that are each a google.protobuf.Value. It returns nil
// if no message can have such fields.
func typeOf(fields []string) protoreflect.MessageType {
	m := &descriptorpb.DescriptorProto{Name: proto.String("Shape")}
	for i, name := range fields {
		if strings.HasPrefix(name, "[") {
			return nil // an extension, whose name says more
		}
		m.Field = append(m.Field, &descriptorpb.FieldDescriptorProto{
			Name: proto.String(fmt.Sprintf("field%d", i+1)), JsonName: proto.String(name), Number: proto.Int32(int32(i + 1)),
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
			Type:  descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), TypeName: proto.String(".google.protobuf.Value"),
		})
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("longrun/shape.proto"), Package: proto.String("longrun.learnt"), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/struct.proto"}, MessageType: []*descriptorpb.DescriptorProto{m},
	}, protoregistry.GlobalFiles)
	if err != nil {
		return nil
	}
	return dynamicpb.NewMessageType(file.Messages().Get(0))
}
