package httpapi

import (
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/runtime/protoiface"
)

// lenient is opaque also for bytes that are not of the type that they say they are,
// that JSON cannot say, or that are nested too deep (JSN-12). It tries each Any
// before it is written, and so is for messages that cannot be written without it.
type lenient struct{ opaque }

// FindMessageByURL returns a type that turns opaque when its bytes are at fault.
func (l lenient) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	mt, err := l.opaque.FindMessageByURL(url)
	if err != nil {
		return nil, err
	}
	return &triedType{MessageType: mt, types: l.opaque}, nil
}

// triedType is the type of one Any, made for it alone. protojson asks for its
// descriptor after the message was read, when it is known what it is.
type triedType struct {
	protoreflect.MessageType
	types opaque
}

func (t *triedType) New() protoreflect.Message {
	return &triedMessage{Message: t.MessageType.New(), of: t}
}

// triedMessage is the message of one Any: that of its type if all goes well.
type triedMessage struct {
	protoreflect.Message
	of *triedType
}

func (m *triedMessage) ProtoReflect() protoreflect.Message   { return m }
func (m *triedMessage) Interface() protoreflect.ProtoMessage { return m }
func (m *triedMessage) ProtoMethods() *protoiface.Methods {
	return &protoiface.Methods{Unmarshal: m.unmarshal}
}

func (m *triedMessage) unmarshal(in protoiface.UnmarshalInput) (protoiface.UnmarshalOutput, error) {
	err := m.try(in.Buf)
	if err != nil {
		m.of.MessageType = opaqueType{bytesValue}
		m.Message = m.of.MessageType.New()
		err = proto.Unmarshal(in.Buf, m.Message.Interface())
	}
	return protoiface.UnmarshalOutput{Flags: protoiface.UnmarshalInitialized}, err
}

// try reads the bytes and finds out if they can be written.
func (m *triedMessage) try(value []byte) error {
	o := proto.UnmarshalOptions{AllowPartial: true, Resolver: m.of.types}
	if err := o.Unmarshal(value, m.Message.Interface()); err != nil {
		return err
	}
	if err := m.of.types.checkNesting(m.Message, 1); err != nil {
		return err
	}
	_, err := protojson.MarshalOptions{AllowPartial: true, Resolver: m.of.types}.Marshal(m.Message.Interface())
	return err
}
