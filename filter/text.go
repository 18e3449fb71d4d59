package filter

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// decode returns the payload of an Any, nil if it cannot.
func (x *index) decode(any protoreflect.Message) protoreflect.Message {
	url := typeURL(any)
	t := x.byName[protoreflect.FullName(url[strings.LastIndexByte(url, '/')+1:])]
	if t == nil {
		return nil
	}
	m := t.New()
	value := any.Get(any.Descriptor().Fields().ByNumber(2)).Bytes()
	if (proto.UnmarshalOptions{AllowPartial: true}).Unmarshal(value, m.Interface()) != nil {
		return nil
	}
	return m
}

// match looks for the value as a part of the texts of an entry. Stars at its ends
// add nothing.
func (t Text) match(e *entry) bool {
	for _, path := range e.schema.text {
		if t.at(e, e.root, path) {
			return true
		}
	}
	return false
}

func (t Text) at(e *entry, m protoreflect.Message, path []string) bool {
	if len(path) == 0 {
		return t.inMessage(e, m, maxTextDepth)
	}
	f := m.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	switch {
	case f.Message() == nil:
		return t.in(m.Get(f).String())
	case !m.Has(f):
		return false
	}
	return t.at(e, m.Get(f).Message(), path[1:])
}

// maxTextDepth is how deep messages are searched.
const maxTextDepth = 100

func (t Text) in(s string) bool { return strings.Contains(s, t.Value.text) }

// inMessage reports whether a string inside m has the value in it.
func (t Text) inMessage(e *entry, m protoreflect.Message, depth int) (found bool) {
	if depth == 0 {
		return false
	}
	if messageKind(m.Descriptor()) == kindAny {
		inner := e.unpack(m)
		return inner != nil && t.inMessage(e, inner, depth-1)
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList():
			for i := range v.List().Len() {
				found = found || t.inValue(e, f, v.List().Get(i), depth)
			}
		case f.IsMap():
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				found = t.inValue(e, f.MapValue(), v, depth)
				return !found
			})
		default:
			found = t.inValue(e, f, v, depth)
		}
		return !found
	})
	return found
}

func (t Text) inValue(e *entry, f protoreflect.FieldDescriptor, v protoreflect.Value, depth int) bool {
	switch {
	case f.Message() != nil:
		return t.inMessage(e, v.Message(), depth-1)
	case f.Kind() == protoreflect.StringKind:
		return t.in(v.String())
	}
	return false
}
