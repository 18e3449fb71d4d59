package longrun

import (
	"cmp"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// pack puts m into an Any; one that is an Any already stays as it is.
func pack(m proto.Message) (*anypb.Any, error) {
	if a, ok := m.(*anypb.Any); ok {
		return a, nil
	}
	a := new(anypb.Any)
	err := anypb.MarshalFrom(a, m, proto.MarshalOptions{Deterministic: true})
	return a, err
}

// unpack takes a T out of an Any; where T is *anypb.Any, the Any itself. Nil and
// an empty Any are an empty message.
func unpack[T proto.Message](a *anypb.Any) (T, error) {
	m := newMessage[T]()
	if any, ok := proto.Message(m).(*anypb.Any); ok {
		if a != nil {
			any = a
		}
		return proto.Message(any).(T), nil
	}
	if a.GetTypeUrl() == "" && len(a.GetValue()) == 0 {
		return m, nil
	}
	return m, a.UnmarshalTo(m)
}

// isAny reports whether m is an Any, which promises no type.
func isAny(m proto.Message) bool {
	_, ok := m.(*anypb.Any)
	return ok
}

// present returns m, and an empty message for a typed nil.
func present(m proto.Message) proto.Message {
	if r := m.ProtoReflect(); !r.IsValid() {
		return r.New().Interface()
	}
	return m
}

func newMessage[T proto.Message]() T {
	var zero T
	return zero.ProtoReflect().New().Interface().(T)
}

// nameOf returns the full name of T.
func nameOf[T proto.Message]() protoreflect.FullName {
	var zero T
	return zero.ProtoReflect().Descriptor().FullName()
}

// promised returns the name of a type that is promised: "" for an Any, which
// promises none.
func promised(name protoreflect.FullName) protoreflect.FullName {
	if name == "google.protobuf.Any" {
		return ""
	}
	return name
}

// emptyAny packs an empty message of a type that need not be linked in;
// google.protobuf.Empty where the name is "".
func emptyAny(name protoreflect.FullName) *anypb.Any {
	return &anypb.Any{TypeUrl: typePrefix + string(cmp.Or(name, "google.protobuf.Empty"))}
}

const typePrefix = "type.googleapis.com/"

// anyDepth returns how deep Anys lie in one another below a, up to one more than
// limit. Payloads of types that are not linked in are not looked into.
func anyDepth(a *anypb.Any, limit int) int {
	depth := 1
	for a.MessageIs((*anypb.Any)(nil)) && depth <= limit {
		inner := new(anypb.Any)
		if a.UnmarshalTo(inner) != nil {
			return depth
		}
		a = inner
		depth++
	}
	return depth
}
