package httpapi

import (
	"bytes"
	"encoding/json"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

const anyName protoreflect.FullName = "google.protobuf.Any"

// What makes an object an Any of a Struct.
const (
	structBegin = `{"@type":"type.googleapis.com/google.protobuf.Struct","value":`
	structEnd   = `}`
)

// typeStructs gives each Any in body that has fields but no "@type" that of a Struct,
// and reports whether there was one. It changes nothing else, so that what is wrong
// with body stays wrong. body is nested MaxDepth deep at most.
func typeStructs(body []byte, md protoreflect.MessageDescriptor, types protoregistry.MessageTypeResolver) (typed []byte, changed bool) {
	w := &typer{body: body, in: json.NewDecoder(bytes.NewReader(body)), types: types}
	w.in.UseNumber()
	if w.value(shape{md: md}) != nil || w.copied == 0 {
		return body, false
	}
	return append(w.out, body[w.copied:]...), true
}

// typer walks JSON beside the type that it is of, and writes it again.
type typer struct {
	body   []byte
	in     *json.Decoder
	types  protoregistry.MessageTypeResolver
	out    []byte
	copied int // how much of body is in out
}

// A shape is what an object is: a message, or a map to messages. The zero shape is
// one in which no Any can be.
type shape struct {
	md      protoreflect.MessageDescriptor
	entries bool
}

// field is the shape of what is called name in an object of shape s.
func (s shape) field(name string) shape {
	switch {
	case s.md == nil:
		return shape{}
	case s.entries:
		return shape{md: s.md}
	}
	fd := s.md.Fields().ByJSONName(name)
	if fd == nil {
		fd = s.md.Fields().ByName(protoreflect.Name(name))
	}
	switch {
	case fd == nil:
		return shape{}
	case fd.IsMap():
		return shape{md: fd.MapValue().Message(), entries: true}
	}
	return shape{md: fd.Message()}
}

// value walks a value; an array has the shape of its elements.
func (w *typer) value(s shape) error {
	t, err := w.in.Token()
	if err != nil {
		return err
	}
	switch t {
	case json.Delim('['):
		for w.in.More() {
			if err := w.value(s); err != nil {
				return err
			}
		}
		_, err = w.in.Token()
		return err
	case json.Delim('{'):
		if s.entries || s.md == nil || s.md.FullName() != anyName {
			return w.object(s)
		}
		return w.any(int(w.in.InputOffset()) - 1)
	}
	return nil
}

// object walks the rest of an object.
func (w *typer) object(s shape) error {
	for w.in.More() {
		name, err := w.in.Token()
		if err != nil {
			return err
		}
		key, _ := name.(string)
		if err := w.value(s.field(key)); err != nil {
			return err
		}
	}
	_, err := w.in.Token()
	return err
}

// any walks the rest of an Any, which begins at begin.
func (w *typer) any(begin int) error {
	if !w.in.More() { // an empty object is an empty Any
		return w.object(shape{})
	}
	url, ok := typeURL(w.body[begin:])
	if ok {
		return w.object(w.payload(url))
	}
	if err := w.object(shape{}); err != nil {
		return err
	}
	end := int(w.in.InputOffset())
	w.out = append(append(w.out, w.body[w.copied:begin]...), structBegin...)
	w.out = append(append(w.out, w.body[begin:end]...), structEnd...)
	w.copied = end
	return nil
}

// payload is the shape of an Any of a known type. One that JSON writes under "value"
// has no Any in it that lacks a type.
func (w *typer) payload(url string) shape {
	mt, err := w.types.FindMessageByURL(url)
	if err != nil || mt.Descriptor().FullName().Parent() == anyName.Parent() {
		return shape{}
	}
	return shape{md: mt.Descriptor()}
}

// typeURL returns the "@type" of the object that text begins with.
func typeURL(text []byte) (string, bool) {
	in := json.NewDecoder(bytes.NewReader(text))
	if _, err := in.Token(); err != nil {
		return "", false
	}
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return "", false
		}
		var value json.RawMessage
		if in.Decode(&value) != nil {
			return "", false
		}
		if name == "@type" {
			var url string
			_ = json.Unmarshal(value, &url) // what is no text is no known type either
			return url, true
		}
	}
	return "", false
}
