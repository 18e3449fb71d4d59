package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// opaqueMark is put behind the type URL of an Any that a server has written as the base64
// of its bytes, while it is read.
const opaqueMark = "#opaque"

const anyName protoreflect.FullName = "google.protobuf.Any"

// marshal writes a message as the JSON of a request.
func (w *web) marshal(m proto.Message) ([]byte, error) {
	m = proto.Clone(m)
	veil(m.ProtoReflect(), w.learnt)
	return protojson.MarshalOptions{Resolver: veiled{w.learnt}}.Marshal(m)
}

// marshalField takes a field out of m and writes it alone.
func (w *web) marshalField(m protoreflect.Message, jsonName string) ([]byte, error) {
	raw, err := w.marshal(m.Interface())
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	m.Clear(m.Descriptor().Fields().ByJSONName(jsonName))
	if value := fields[jsonName]; value != nil {
		return value, nil
	}
	return []byte("{}"), nil
}

var errNoObject = errors.New("is not a JSON object")

// unmarshal reads the JSON of a reply. Fields that are not known are of a newer server,
// and types that are not known keep what the JSON says of them (see jsonTypes).
func (w *web) unmarshal(raw []byte, m proto.Message) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return err
	}
	if _, ok := tree.(map[string]any); !ok {
		return errNoObject
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errNoObject
	}
	if w.learnt.learn(tree, m.ProtoReflect().Descriptor()) {
		var err error
		if raw, err = json.Marshal(tree); err != nil {
			return err
		}
	}
	if err := (protojson.UnmarshalOptions{Resolver: veiled{w.learnt}, DiscardUnknown: true}).Unmarshal(raw, m); err != nil {
		return err
	}
	unveil(m.ProtoReflect(), w.learnt)
	return nil
}

// unveil gives every Any that was marked its own URL and bytes, and reports whether there
// was one.
func unveil(m protoreflect.Message, types resolver) (changed bool) {
	eachAny(m, func(a protoreflect.Message) {
		url, value := anyOf(a)
		if own, marked := strings.CutSuffix(url, opaqueMark); marked {
			b := new(wrapperspb.BytesValue)
			if proto.Unmarshal(value, b) == nil {
				setAny(a, own, b.GetValue())
				changed = true
			}
			return
		}
		inner, err := unpack(url, value, types)
		if err != nil || !unveil(inner, types) {
			return
		}
		if value, err := proto.Marshal(inner.Interface()); err == nil {
			setAny(a, url, value)
			changed = true
		}
	})
	return changed
}

// opaqueBytes returns the bytes of {"@type": ..., "value": base64}.
func opaqueBytes(object map[string]any) ([]byte, bool) {
	text, ok := object["value"].(string)
	if !ok || len(object) != 2 {
		return nil, false
	}
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	return b, err == nil
}

// readsAs reports whether an object is the JSON of the type that it names.
func readsAs(object map[string]any, types resolver) bool {
	raw, err := json.Marshal(object)
	return err == nil && (protojson.UnmarshalOptions{Resolver: veiled{types}}).Unmarshal(raw, new(anypb.Any)) == nil
}
