package mask

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Validate reports the first path of m that leads nowhere in messages of type md
// (SYS-10), or to an index into a repeated field (SYS-09), as an *Error. What is
// inside an Any, a Struct or a Value it does not judge, of a map the type of the
// key alone. A message type without fields, as google.protobuf.Empty, takes any mask: no typo
// changes what is kept of it, and clients send one mask with all their calls.
func (m Mask) Validate(md protoreflect.MessageDescriptor) error {
	if m.root == nil || md.Fields().Len() == 0 {
		return nil
	}
	return checker{unknown: func(e *Error) error { return e }}.message(m.root, md)
}

// checkIndexes reports an index into a repeated field, for a type that is known only
// when there is a reply. What md does not have, another type may.
func checkIndexes(n *node, md protoreflect.MessageDescriptor) error {
	return checker{unknown: func(*Error) error { return nil }}.message(n, md)
}

// A checker walks a mask and a type side by side. It goes no deeper than the mask.
type checker struct {
	unknown func(*Error) error // what to return for a path that leads nowhere
}

// message checks what n has of a message.
func (c checker) message(n *node, md protoreflect.MessageDescriptor) error {
	switch shapeOf(md) {
	case packed, structure, value, list:
		return nil
	case leaf:
		return c.nothing(n, string(md.FullName()))
	}
	if n.each.deeper() {
		return c.unknown(n.each.wrong("*", "%s has no elements", md.FullName()))
	}
	return n.eachName(func(name string, child *node) error {
		fd := field(md, name)
		if fd == nil {
			return c.unknown(child.wrong(name, "no field %q in %s", cut(name), md.FullName()))
		}
		return c.field(child, fd)
	})
}

// field checks what n has of the value of fd.
func (c checker) field(n *node, fd protoreflect.FieldDescriptor) error {
	switch {
	case fd.IsMap():
		return c.entries(n, fd)
	case fd.IsList():
		return c.elements(n, fd)
	}
	return c.single(n, fd)
}

// single checks what n has of one value of fd's type.
func (c checker) single(n *node, fd protoreflect.FieldDescriptor) error {
	if md := fd.Message(); md != nil {
		return c.message(n, md)
	}
	return c.nothing(n, string(fd.FullName()))
}

// elements checks what n has of the elements of a repeated field, with and without
// a "*" for them.
func (c checker) elements(n *node, fd protoreflect.FieldDescriptor) error {
	if err := n.indexed(); err != nil {
		return err
	}
	if n.each != nil {
		if err := c.single(n.each, fd); err != nil {
			return err
		}
	}
	return c.single(&node{offset: n.offset, named: n.named}, fd)
}

// entries checks what n has of the entries of a map.
func (c checker) entries(n *node, fd protoreflect.FieldDescriptor) error {
	if n.each != nil {
		if err := c.single(n.each, fd.MapValue()); err != nil {
			return err
		}
	}
	return n.eachName(func(name string, child *node) error {
		if !isKey(name, fd.MapKey()) {
			return c.unknown(child.wrong(name, "%q is no key of %s", cut(name), fd.FullName()))
		}
		return c.single(child, fd.MapValue())
	})
}

// nothing checks that no path goes below n.
func (c checker) nothing(n *node, what string) error {
	if n.each != nil {
		return c.unknown(n.each.wrong("*", "%s has no fields", what))
	}
	return n.eachName(func(name string, child *node) error {
		return c.unknown(child.wrong(name, "%s has no fields", what))
	})
}

// wrong returns the error of the segment that led to n.
func (n *node) wrong(segment, format string, args ...any) *Error {
	return &Error{Offset: n.offset, Segment: cut(segment), Msg: fmt.Sprintf(format, args...)}
}

// deeper reports whether a path goes below n.
func (n *node) deeper() bool { return n != nil && (n.each != nil || len(n.named) > 0) }

// indexed returns the error of a mask that names an element by its number.
func (n *node) indexed() error {
	if !n.index {
		return nil
	}
	return n.eachName(func(name string, child *node) error {
		if !isNumber(name) {
			return nil
		}
		return child.wrong(name, "an index, %q, into a repeated field", cut(name))
	})
}

// eachName calls f for what has a name below n, in the order of the text, until f
// returns an error, which it returns.
func (n *node) eachName(f func(string, *node) error) error {
	names := slices.SortedFunc(maps.Keys(n.named), func(a, b string) int { return n.named[a].offset - n.named[b].offset })
	for _, name := range names {
		if err := f(name, n.named[name]); err != nil {
			return err
		}
	}
	return nil
}

// isKey reports whether name can be a key of a map with such keys.
func isKey(name string, key protoreflect.FieldDescriptor) bool {
	var err error
	switch key.Kind() {
	case protoreflect.StringKind:
		return true
	case protoreflect.BoolKind:
		return name == "true" || name == "false"
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		_, err = strconv.ParseUint(name, 10, 32)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		_, err = strconv.ParseUint(name, 10, 64)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		_, err = strconv.ParseInt(name, 10, 64)
	default:
		_, err = strconv.ParseInt(name, 10, 32)
	}
	return err == nil
}
