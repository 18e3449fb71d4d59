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
// inside an Any, a Struct or a Value only a reply knows: there it refuses numbers that
// are not in backticks, and nothing else. A message type without fields, as
// google.protobuf.Empty, takes any mask: no typo changes what is kept of it, and
// clients send one mask with all their calls.
func (m Mask) Validate(md protoreflect.MessageDescriptor) error {
	if m.root == nil || md.Fields().Len() == 0 {
		return nil
	}
	return checkMessage(m.root, md)
}

// checkMessage checks what n has of a message. It and those below walk a mask and a
// type side by side, no deeper than the mask.
func checkMessage(n *node, md protoreflect.MessageDescriptor) error {
	switch shapeOf(md) {
	case packed, structure, value, list:
		return checkUnknown(n)
	case leaf:
		return checkNothing(n, md.FullName())
	}
	if n.each.deeper() {
		return n.each.wrong("*", "%s has no elements", md.FullName())
	}
	return n.eachName(func(name string, child *node) error {
		fd := field(md, name)
		if fd == nil {
			return child.wrong(name, "no field %q in %s", cut(name), md.FullName())
		}
		return checkField(child, fd)
	})
}

// checkUnknown checks what n has of something whose type only a reply knows.
func checkUnknown(n *node) error {
	if err := n.indexed("an index, %q: the key of a map is in backticks"); err != nil {
		return err
	}
	if n.each != nil {
		if err := checkUnknown(n.each); err != nil {
			return err
		}
	}
	return n.eachName(func(_ string, child *node) error { return checkUnknown(child) })
}

// checkField checks what n has of the value of fd.
func checkField(n *node, fd protoreflect.FieldDescriptor) error {
	switch {
	case fd.IsMap():
		return checkEntries(n, fd)
	case fd.IsList():
		return checkElements(n, fd)
	}
	return checkSingle(n, fd)
}

// checkSingle checks what n has of one value of fd's type.
func checkSingle(n *node, fd protoreflect.FieldDescriptor) error {
	if md := fd.Message(); md != nil {
		return checkMessage(n, md)
	}
	return checkNothing(n, fd.FullName())
}

// checkElements checks what n has of the elements of a repeated field, with and without
// a "*" for them.
func checkElements(n *node, fd protoreflect.FieldDescriptor) error {
	if err := n.indexed("an index, %q, into a repeated field"); err != nil {
		return err
	}
	if n.each != nil {
		if err := checkSingle(n.each, fd); err != nil {
			return err
		}
	}
	return checkSingle(&node{offset: n.offset, named: n.named}, fd)
}

// checkEntries checks what n has of the entries of a map.
func checkEntries(n *node, fd protoreflect.FieldDescriptor) error {
	if n.each != nil {
		if err := checkSingle(n.each, fd.MapValue()); err != nil {
			return err
		}
	}
	return n.eachName(func(name string, child *node) error {
		if !isKey(name, fd.MapKey()) {
			return child.wrong(name, "%q is no key of %s", cut(name), fd.FullName())
		}
		return checkSingle(child, fd.MapValue())
	})
}

// checkNothing checks that no path goes below n.
func checkNothing(n *node, what protoreflect.FullName) error {
	if n.each != nil {
		return n.each.wrong("*", "%s has no fields", what)
	}
	return n.eachName(func(name string, child *node) error {
		return child.wrong(name, "%s has no fields", what)
	})
}

// wrong returns the error of the segment that led to n.
func (n *node) wrong(segment, format string, args ...any) *Error {
	return &Error{Offset: n.offset, Segment: cut(segment), Msg: fmt.Sprintf(format, args...)}
}

// deeper reports whether a path goes below n.
func (n *node) deeper() bool { return n != nil && (n.each != nil || len(n.named) > 0) }

// indexed returns the error, in this format, of a name below n that can only be the
// number of an element.
func (n *node) indexed(format string) error {
	return n.eachName(func(name string, child *node) error {
		if !child.bare || !isNumber(name) {
			return nil
		}
		return child.wrong(name, format, cut(name))
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
