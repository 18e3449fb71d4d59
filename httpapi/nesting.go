package httpapi

import (
	"bytes"
	"errors"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// An Any in an Any in an Any is read once for each of them, and each costs a few
// bytes: one payload of the size that is allowed would take minutes and a stack that
// ends the process. So what is nested deeper than this is written as bytes.
const (
	maxAnyDepth = 16
	// manySlashes is how many slashes the bytes of an Any have at most without
	// being looked at. An Any that is nested brings one in its URL.
	manySlashes = 256
)

var errNesting = errors.New("nested too deep")

// nestedMany reports whether an Any in m may be nested deep.
func nestedMany(m protoreflect.Message) bool {
	return eachAny(m, func(_ string, value []byte) error {
		if bytes.Count(value, []byte{'/'}) > manySlashes {
			return errNesting
		}
		return nil
	}) != nil
}

// checkNesting refuses m if Any is in Any in it more than maxAnyDepth deep, counted
// from depth.
func (o opaque) checkNesting(m protoreflect.Message, depth int) error {
	return eachAny(m, func(url string, value []byte) error {
		if depth == maxAnyDepth {
			return errNesting
		}
		mt, err := o.FindMessageByURL(url)
		if err != nil {
			return err
		}
		inner := mt.New()
		if err := (proto.UnmarshalOptions{AllowPartial: true, Resolver: o}).Unmarshal(value, inner.Interface()); err != nil {
			return err
		}
		return o.checkNesting(inner, depth+1)
	})
}

// eachAny calls f for each Any in m, but not for those inside them, until f returns
// an error, which it returns.
func eachAny(m protoreflect.Message, f func(url string, value []byte) error) (err error) {
	if md := m.Descriptor(); md.FullName() == anyName {
		fields := md.Fields()
		return f(m.Get(fields.ByNumber(1)).String(), m.Get(fields.ByNumber(2)).Bytes())
	}
	for _, fd := range anyFields(m.Descriptor()) {
		if err != nil || !m.Has(fd) {
			continue
		}
		switch v := m.Get(fd); {
		case fd.IsMap():
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				err = eachAny(v.Message(), f)
				return err == nil
			})
		case fd.IsList():
			for i := 0; i < v.List().Len() && err == nil; i++ {
				err = eachAny(v.List().Get(i).Message(), f)
			}
		default:
			err = eachAny(v.Message(), f)
		}
	}
	return err
}

// fieldsOf remembers anyFields of each message descriptor. There are as many as there
// are types in replies.
var fieldsOf sync.Map

// anyFields returns the fields of md in which an Any can be.
func anyFields(md protoreflect.MessageDescriptor) []protoreflect.FieldDescriptor {
	if known, ok := fieldsOf.Load(md); ok {
		return known.([]protoreflect.FieldDescriptor)
	}
	var list []protoreflect.FieldDescriptor
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if holdsAny(messageOf(fd), map[protoreflect.FullName]bool{}) {
			list = append(list, fd)
		}
	}
	fieldsOf.Store(md, list)
	return list
}

// messageOf is the type of fd's values, nil if they are no messages.
func messageOf(fd protoreflect.FieldDescriptor) protoreflect.MessageDescriptor {
	if fd.IsMap() {
		fd = fd.MapValue()
	}
	return fd.Message()
}

// holdsAny reports whether an Any can be in a message of type md.
func holdsAny(md protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if md == nil || seen[md.FullName()] {
		return false
	}
	if md.FullName() == anyName {
		return true
	}
	seen[md.FullName()] = true
	for i := range md.Fields().Len() {
		if holdsAny(messageOf(md.Fields().Get(i)), seen) {
			return true
		}
	}
	return false
}
