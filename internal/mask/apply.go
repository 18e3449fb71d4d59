package mask

import (
	"bytes"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// A Resolver finds the types of what is inside an Any. It is safe for concurrent
// use if masks are applied concurrently.
type Resolver interface {
	protoregistry.MessageTypeResolver
	protoregistry.ExtensionTypeResolver
}

// Apply returns a copy of msg with what m keeps. It shares nothing with msg, which it
// only reads; a mask that keeps everything returns msg itself. Types is asked for what
// is inside an Any before the types that are linked into the program; nil is none.
//
// Apply does not ask for Validate first: a path that leads nowhere keeps nothing. An
// error means that what is kept of a message in an Any cannot be written again.
func (m Mask) Apply(msg proto.Message, types Resolver) (proto.Message, error) {
	src := msg.ProtoReflect()
	if m.All() || !src.IsValid() {
		return msg, nil
	}
	dst, err := pruner{types}.message(src, []*node{m.root})
	if err != nil {
		return nil, err
	}
	if dst == nil { // a single value has no parts
		dst = src.New()
	}
	return dst.Interface(), nil
}

// A pruner copies what is kept. What is kept of a value is the sum of some nodes: a
// field may be named twice, by a name and by "*". It goes no deeper than the mask.
type pruner struct{ types Resolver }

// find returns the type of what is inside an Any.
func (p pruner) find(url string) (protoreflect.MessageType, error) {
	if p.types != nil {
		if found, err := p.types.FindMessageByURL(url); err == nil {
			return found, nil
		}
	}
	return protoregistry.GlobalTypes.FindMessageByURL(url)
}

// unmarshal reads what is inside an Any. What its type requires may be missing.
func (p pruner) unmarshal(raw []byte, msg proto.Message) error {
	o := proto.UnmarshalOptions{AllowPartial: true}
	if p.types != nil {
		o.Resolver = p.types
	}
	return o.Unmarshal(raw, msg)
}

// message returns what is kept of src, nil if that is a single value of which a part
// is asked for.
func (p pruner) message(src protoreflect.Message, keep []*node) (protoreflect.Message, error) {
	if everything(keep) {
		return proto.Clone(src.Interface()).ProtoReflect(), nil
	}
	fields := src.Descriptor().Fields()
	dst := src.New()
	switch shapeOf(src.Descriptor()) {
	case leaf:
		return nil, nil
	case packed:
		return p.packed(src, keep)
	case structure:
		fd := fields.ByName("fields")
		return dst, p.entries(dst, fd, src.Get(fd).Map(), keep)
	case list:
		fd := fields.ByName("values")
		return dst, p.elements(dst, fd, src.Get(fd).List(), keep)
	case value:
		fd := src.WhichOneof(src.Descriptor().Oneofs().ByName("kind"))
		if fd == nil || fd.Message() == nil {
			return nil, nil
		}
		return dst, p.field(dst, fd, src.Get(fd), keep)
	}
	var err error
	src.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.IsExtension() {
			return true
		}
		if below := named(keep, string(fd.Name()), fd.JSONName()); len(below) > 0 {
			err = p.field(dst, fd, v, below)
		}
		return err == nil
	})
	return dst, err
}

// field sets what is kept of v, the value of fd, in dst.
func (p pruner) field(dst protoreflect.Message, fd protoreflect.FieldDescriptor, v protoreflect.Value, keep []*node) error {
	switch {
	case fd.IsMap():
		return p.entries(dst, fd, v.Map(), keep)
	case fd.IsList():
		return p.elements(dst, fd, v.List(), keep)
	}
	kept, err := p.single(fd, v, keep)
	if kept.IsValid() {
		dst.Set(fd, kept)
	}
	return err
}

// single returns what is kept of one value, which is not valid if that is nothing.
func (p pruner) single(fd protoreflect.FieldDescriptor, v protoreflect.Value, keep []*node) (protoreflect.Value, error) {
	switch {
	case fd.Message() != nil:
		m, err := p.message(v.Message(), keep)
		if m == nil {
			return protoreflect.Value{}, err
		}
		return protoreflect.ValueOfMessage(m), err
	case !everything(keep):
		return protoreflect.Value{}, nil
	case fd.Kind() == protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(bytes.Clone(v.Bytes())), nil
	}
	return v, nil
}

// elements keeps of each element what is asked of all, and what "*" asks.
func (p pruner) elements(dst protoreflect.Message, fd protoreflect.FieldDescriptor, src protoreflect.List, keep []*node) error {
	keep = ofElements(keep)
	kept := dst.Mutable(fd).List()
	for i := range src.Len() {
		v, err := p.single(fd, src.Get(i), keep)
		if err != nil {
			return err
		}
		if v.IsValid() {
			kept.Append(v)
		}
	}
	return nil
}

// entries keeps of each entry what is asked of its key, and what "*" asks.
func (p pruner) entries(dst protoreflect.Message, fd protoreflect.FieldDescriptor, src protoreflect.Map, keep []*node) error {
	kept := dst.Mutable(fd).Map()
	var err error
	src.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		below := []*node{{whole: true}}
		if !everything(keep) {
			below = append(named(keep, k.String()), each(keep)...)
		}
		if len(below) == 0 {
			return true
		}
		if v, err = p.single(fd.MapValue(), v, below); v.IsValid() {
			kept.Set(k, v)
		}
		return err == nil
	})
	return err
}

// everything reports whether any of the nodes keeps all of its value.
func everything(keep []*node) bool {
	for _, n := range keep {
		if n.all() {
			return true
		}
	}
	return false
}

// named returns what is asked of the field or key that has any of these names.
func named(keep []*node, names ...string) []*node {
	var below []*node
	for _, n := range keep {
		for i, name := range names {
			if child := n.named[name]; child != nil && (i == 0 || name != names[0]) {
				below = append(below, child)
			}
		}
	}
	return below
}

// each returns what "*" asks.
func each(keep []*node) []*node {
	var below []*node
	for _, n := range keep {
		if n.each != nil {
			below = append(below, n.each)
		}
	}
	return below
}

// ofElements returns what is asked of the elements of a list: by "*", and without it.
func ofElements(keep []*node) []*node {
	below := each(keep)
	if len(below) == 0 {
		return keep
	}
	for _, n := range keep {
		below = append(below, &node{offset: n.offset, whole: n.whole, named: n.named})
	}
	return below
}
