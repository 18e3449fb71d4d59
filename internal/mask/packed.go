package mask

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// typeName is the segment of the type of an Any, which is always kept (SYS-12).
const typeName = "@type"

// packed returns what is kept of an Any: its type, and what is asked of the message
// inside. An Any that cannot be opened is whole, or its type alone if nothing else
// is asked for, as a stranger's operation must not fail a list (JSN-11, JSN-12).
func (p pruner) packed(src protoreflect.Message, keep []*node) (protoreflect.Message, error) {
	url, value := src.Descriptor().Fields().ByName("type_url"), src.Descriptor().Fields().ByName("value")
	dst := src.New()
	dst.Set(url, src.Get(url))
	inside := asksInside(keep)
	inner, err := p.find(src.Get(url).String())
	if err == nil && isSingle(inner.Descriptor()) || err != nil && inside {
		return whole(src), nil
	}
	if !inside {
		return dst, nil
	}
	msg := inner.New()
	if err := p.unmarshal(src.Get(value).Bytes(), msg.Interface()); err != nil {
		return whole(src), nil
	}
	kept, err := p.unpacked(msg, keep)
	if err != nil {
		return nil, err
	}
	raw, err := proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(kept.Interface())
	if err != nil {
		return nil, fmt.Errorf("mask %s: %w", inner.Descriptor().FullName(), err)
	}
	dst.Set(value, protoreflect.ValueOfBytes(raw))
	return dst, nil
}

// unpacked returns what is kept of a message that was in an Any. JSON has those
// types that it does not write as an object with fields under "value"; for a Struct that
// may be left out. Without it, an Any in an Any in an Any would take no segment of the mask, and
// the mask would be no limit to the depth.
func (p pruner) unpacked(msg protoreflect.Message, keep []*node) (protoreflect.Message, error) {
	switch shapeOf(msg.Descriptor()) {
	case plain:
	case structure:
		keep = append(named(keep, "value"), keep...)
	default:
		keep = named(keep, "value")
	}
	return p.message(msg, keep)
}

// isSingle reports whether JSON writes md as one value without parts, or may do
// so: in an Any that has no value it could not be read.
func isSingle(md protoreflect.MessageDescriptor) bool {
	s := shapeOf(md)
	return s == leaf || s == value
}

// asksInside reports whether anything but the type is asked of an Any.
func asksInside(keep []*node) bool {
	for _, n := range keep {
		if n.each != nil || len(n.named) > 1 || len(n.named) == 1 && n.named[typeName] == nil {
			return true
		}
	}
	return false
}

func whole(src protoreflect.Message) protoreflect.Message {
	return proto.Clone(src.Interface()).ProtoReflect()
}
