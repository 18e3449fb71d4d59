package filter

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Types are the messages that the payload of an Any may be.
// *protoregistry.Types is one.
type Types interface {
	// RangeMessages calls f for each message, in any order, until it returns
	// false.
	RangeMessages(f func(protoreflect.MessageType) bool)
}

// Options configures a Schema. The zero Options is ready for use.
type Options struct {
	// Types are the messages that an Any may hold and that filters look into.
	// They are read once, when the first filter goes through an Any. Nil means
	// protoregistry.GlobalTypes.
	Types Types

	// Promised are, by the path of an Any or of a list of them, the messages
	// that it is said to hold. Where some of them have the next field of a path,
	// a filter must fit one of these; where none has, any of Types. Promised
	// messages need not be in Types. At run time every message of both is looked
	// into.
	Promised map[string][]protoreflect.MessageType

	// Text are the paths in which a value without a field is looked for: strings,
	// and messages with all strings inside them. Nil means everywhere.
	Text []string
}

// A Schema is a kind of message that filters are checked against. It is safe for
// concurrent use, and meant to be made once.
type Schema struct {
	root     protoreflect.MessageDescriptor
	promised map[string][]protoreflect.MessageType
	opaque   [][]string // the paths for which an opaque message is promised
	text     [][]string
	types    func() *index
}

// NewSchema returns the Schema of a message. An error says which path of o is
// none.
func NewSchema(root protoreflect.MessageDescriptor, o Options) (*Schema, error) {
	s := &Schema{root: root, promised: o.Promised}
	types := o.Types
	if types == nil {
		types = protoregistry.GlobalTypes
	}
	s.types = sync.OnceValue(func() *index { return newIndex(types, s.promised) })
	for path, messages := range o.Promised {
		if slices.ContainsFunc(messages, func(m protoreflect.MessageType) bool { return opaque(m.Descriptor()) }) {
			s.opaque = append(s.opaque, strings.Split(path, "."))
		}
		if t, err := s.static(path); err != nil || !t.holdsAny() {
			return nil, fmt.Errorf("filter: Promised path %q leads to no Any", path)
		}
	}
	for _, path := range o.Text {
		t, err := s.static(path)
		if err != nil || t.kind != kindMessage && t.kind != kindAny && t.kind != kindString {
			return nil, fmt.Errorf("filter: Text path %q leads to no string or message", path)
		}
		s.text = append(s.text, strings.Split(path, "."))
	}
	if o.Text == nil {
		s.text = [][]string{nil}
	}
	return s, nil
}

// static follows a path of the schema itself.
func (s *Schema) static(path string) (typ, error) {
	t := typ{kind: kindMessage, message: s.root}
	for name := range strings.SplitSeq(path, ".") {
		var f protoreflect.FieldDescriptor
		if t.kind == kindMessage {
			f = t.message.Fields().ByName(protoreflect.Name(name))
		}
		if f == nil {
			return typ{}, fmt.Errorf("no field %q", name)
		}
		t = fieldType(f)
	}
	return t, nil
}

// kind is what a place in a message holds, as far as filters tell it apart.
type kind uint8

const (
	kindNone kind = iota
	kindBool
	kindInt
	kindFloat
	kindString
	kindBytes
	kindEnum
	kindTime
	kindDuration
	kindMessage
	kindAny
	kindStruct // a Struct, whose fields nobody knows
	kindValue  // a Value, a ListValue or one of their parts
	kindList
	kindMap
)

// typ is the type of a place. It is comparable.
type typ struct {
	kind    kind
	scalar  protoreflect.Kind              // of kindInt and kindFloat
	message protoreflect.MessageDescriptor // of everything that is a message
	enum    protoreflect.EnumDescriptor
	field   protoreflect.FieldDescriptor // of kindList and kindMap
}

// fieldType returns the type of a field.
func fieldType(f protoreflect.FieldDescriptor) typ {
	switch {
	case f.IsMap():
		return typ{kind: kindMap, field: f}
	case f.IsList():
		return typ{kind: kindList, field: f}
	}
	return elementType(f)
}

// elementType returns the type of a field's single value.
func elementType(f protoreflect.FieldDescriptor) typ {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return typ{kind: kindBool}
	case protoreflect.StringKind:
		return typ{kind: kindString}
	case protoreflect.BytesKind:
		return typ{kind: kindBytes}
	case protoreflect.EnumKind:
		return typ{kind: kindEnum, enum: f.Enum()}
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return typ{kind: kindFloat, scalar: f.Kind()}
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return messageType(f.Message())
	}
	return typ{kind: kindInt, scalar: f.Kind()}
}

func messageType(m protoreflect.MessageDescriptor) typ {
	return typ{kind: messageKind(m), message: m}
}

func messageKind(m protoreflect.MessageDescriptor) kind {
	switch m.FullName() {
	case "google.protobuf.Any":
		return kindAny
	case "google.protobuf.Timestamp":
		return kindTime
	case "google.protobuf.Duration":
		return kindDuration
	case "google.protobuf.Struct":
		return kindStruct
	case "google.protobuf.Value", "google.protobuf.ListValue":
		return kindValue
	}
	return kindMessage
}

// holdsAny reports whether t is an Any or a list of them.
func (t typ) holdsAny() bool {
	return t.kind == kindAny || t.kind == kindList && t.field.Message() != nil && messageKind(t.field.Message()) == kindAny
}

// index is what the messages of an Any's payload have.
type index struct {
	byName  map[protoreflect.FullName]protoreflect.MessageType
	types   map[protoreflect.Name][]typ                            // of the fields of this name, each once
	holders map[protoreflect.Name][]protoreflect.MessageDescriptor // that have a field of this name
}

func newIndex(types Types, promised map[string][]protoreflect.MessageType) *index {
	x := &index{
		byName:  map[protoreflect.FullName]protoreflect.MessageType{},
		types:   map[protoreflect.Name][]typ{},
		holders: map[protoreflect.Name][]protoreflect.MessageDescriptor{},
	}
	types.RangeMessages(func(m protoreflect.MessageType) bool {
		x.add(m)
		return true
	})
	for _, messages := range promised {
		for _, m := range messages {
			x.add(m)
		}
	}
	return x
}

// add takes in a message. The first of a name stays: a type may be promised for
// several places.
func (x *index) add(m protoreflect.MessageType) {
	d := m.Descriptor()
	if x.byName[d.FullName()] != nil {
		return
	}
	x.byName[d.FullName()] = m
	switch messageKind(d) {
	case kindAny, kindStruct, kindValue:
		return // they have no fields of their own for a filter
	}
	fields := d.Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if t := fieldType(f); !slices.Contains(x.types[f.Name()], t) {
			x.types[f.Name()] = append(x.types[f.Name()], t)
		}
		x.holders[f.Name()] = append(x.holders[f.Name()], d)
	}
}
