package cli

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// parameters adds what m has to the query, named as in JSON.
func (w *web) parameters(query url.Values, prefix string, m protoreflect.Message) error {
	var err error
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		err = w.parameter(query, prefix+fd.JSONName(), fd, v)
		return err == nil
	})
	return err
}

func (w *web) parameter(query url.Values, name string, fd protoreflect.FieldDescriptor, v protoreflect.Value) error {
	switch {
	case fd.IsMap():
		return noParameter(name)
	case fd.IsList():
		for i := range v.List().Len() {
			text, err := scalarText(fd, v.List().Get(i))
			if err != nil {
				return err
			}
			query.Add(name, text)
		}
		return nil
	case fd.Message() != nil && !isAny(v.Message()):
		if text, ok := messageText(v.Message()); ok {
			query.Add(name, text)
			return nil
		}
		return w.parameters(query, name+".", v.Message())
	}
	text, err := scalarText(fd, v)
	if err == nil {
		query.Add(name, text)
	}
	return err
}

func noParameter(name string) error {
	return status.Errorf(codes.Unimplemented, "%s cannot be sent over HTTP: it is neither in the path nor in the body", name)
}

// messageText is the text of a message whose JSON is a scalar, such as a Duration.
func messageText(m protoreflect.Message) (string, bool) {
	if m.Descriptor().FullName().Parent() != "google.protobuf" {
		return "", false
	}
	raw, err := protojson.Marshal(m.Interface())
	if err != nil || len(raw) == 0 || raw[0] == '{' || raw[0] == '[' {
		return "", false
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, true
	}
	return string(raw), true
}

// scalarText is a value as a path or a parameter has it.
func scalarText(fd protoreflect.FieldDescriptor, v protoreflect.Value) (string, error) {
	switch fd.Kind() {
	case protoreflect.EnumKind:
		if value := fd.Enum().Values().ByNumber(v.Enum()); value != nil {
			return string(value.Name()), nil
		}
		return fmt.Sprint(v.Enum()), nil
	case protoreflect.BytesKind:
		return base64.StdEncoding.EncodeToString(v.Bytes()), nil
	case protoreflect.MessageKind, protoreflect.GroupKind:
		if text, ok := messageText(v.Message()); ok {
			return text, nil
		}
		return "", noParameter(fd.JSONName())
	}
	return v.String(), nil
}
