package httpapi

import (
	"errors"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/runtime/protoiface"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// withLinked asks first, if there is one, and then for what is linked in.
func withLinked(first Resolver) Resolver {
	if first == nil {
		return protoregistry.GlobalTypes
	}
	return linked{first}
}

type linked struct{ first Resolver }

func (l linked) FindMessageByName(name protoreflect.FullName) (protoreflect.MessageType, error) {
	if mt, err := l.first.FindMessageByName(name); err == nil {
		return mt, nil
	}
	return protoregistry.GlobalTypes.FindMessageByName(name)
}

func (l linked) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	if mt, err := l.first.FindMessageByURL(url); err == nil {
		return mt, nil
	}
	return protoregistry.GlobalTypes.FindMessageByURL(url)
}

func (l linked) FindExtensionByName(name protoreflect.FullName) (protoreflect.ExtensionType, error) {
	if xt, err := l.first.FindExtensionByName(name); err == nil {
		return xt, nil
	}
	return protoregistry.GlobalTypes.FindExtensionByName(name)
}

func (l linked) FindExtensionByNumber(message protoreflect.FullName, n protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
	if xt, err := l.first.FindExtensionByNumber(message, n); err == nil {
		return xt, nil
	}
	return protoregistry.GlobalTypes.FindExtensionByNumber(message, n)
}

// opaque gives protojson a type for every URL, so that an Any of an unknown type does
// not fail the whole message (JSN-11): one whose bytes it keeps as they are, and whose
// JSON is {"@type": URL, "value": base64}.
type opaque struct{ Resolver }

// FindMessageByURL returns the type of url, or an opaque one. A URL has a slash: what
// is nested deep has many of them (nestedMany).
func (o opaque) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	if strings.IndexByte(url, '/') < 0 {
		return opaqueType{bytesValue}, nil
	}
	mt, err := o.Resolver.FindMessageByURL(url)
	if errors.Is(err, protoregistry.NotFound) {
		return opaqueType{bytesValue}, nil
	}
	return mt, err
}

var bytesValue = (&wrapperspb.BytesValue{}).ProtoReflect().Type()

// opaqueType is the type of bytes whose type nobody knows. To protojson it is a
// BytesValue, whose only field is those bytes.
type opaqueType struct{ protoreflect.MessageType }

func (t opaqueType) New() protoreflect.Message { return &opaqueMessage{t.MessageType.New()} }

// opaqueMessage is a BytesValue whose encoding is its value.
type opaqueMessage struct{ protoreflect.Message }

func (m *opaqueMessage) ProtoReflect() protoreflect.Message   { return m }
func (m *opaqueMessage) Interface() protoreflect.ProtoMessage { return m }
func (m *opaqueMessage) field() protoreflect.FieldDescriptor  { return m.Descriptor().Fields().Get(0) }
func (m *opaqueMessage) ProtoMethods() *protoiface.Methods {
	return &protoiface.Methods{
		Flags: protoiface.SupportMarshalDeterministic | protoiface.SupportUnmarshalDiscardUnknown,
		Unmarshal: func(in protoiface.UnmarshalInput) (protoiface.UnmarshalOutput, error) {
			m.Set(m.field(), protoreflect.ValueOfBytes(append([]byte(nil), in.Buf...)))
			return protoiface.UnmarshalOutput{Flags: protoiface.UnmarshalInitialized}, nil
		},
		Marshal: func(in protoiface.MarshalInput) (protoiface.MarshalOutput, error) {
			return protoiface.MarshalOutput{Buf: append(in.Buf, m.Get(m.field()).Bytes()...)}, nil
		},
	}
}
