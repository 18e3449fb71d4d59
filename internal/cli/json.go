package cli

import (
	"bytes"
	"encoding/json"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	// Payloads of these types are printed resolved.
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
	_ "google.golang.org/protobuf/types/known/durationpb"
	_ "google.golang.org/protobuf/types/known/emptypb"
	_ "google.golang.org/protobuf/types/known/fieldmaskpb"
	_ "google.golang.org/protobuf/types/known/structpb"
	_ "google.golang.org/protobuf/types/known/timestamppb"

	_ "github.com/longrun-dev/longrun/longrunpb"
)

// invalidMark is put behind a type URL that is empty, or whose type is known and
// cannot be made of the bytes.
const invalidMark = "#invalid"

// resolver knows the types that payloads are made of.
type resolver interface {
	protoregistry.MessageTypeResolver
	protoregistry.ExtensionTypeResolver
}

// toJSON is toJSONBy with the types that are linked in.
func toJSON(m proto.Message) ([]byte, error) { return toJSONBy(m, protoregistry.GlobalTypes) }

// toJSONBy returns m in ProtoJSON, indented, ending in a newline. An Any that cannot
// be shown as its type is shown as {"@type": ..., "value": base64}.
func toJSONBy(m proto.Message, types resolver) ([]byte, error) {
	m = proto.Clone(m)
	veil(m.ProtoReflect(), types)
	raw, err := protojson.MarshalOptions{Resolver: veiled{types}}.Marshal(m)
	if err != nil {
		return nil, err
	}
	// protojson varies its blanks on purpose.
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// veiled resolves every type URL: one that is not known is a BytesValue, which is
// what veil has put there.
type veiled struct{ resolver }

// FindMessageByURL never fails.
func (v veiled) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	t, err := v.resolver.FindMessageByURL(url)
	if err != nil {
		return (&wrapperspb.BytesValue{}).ProtoReflect().Type(), nil
	}
	return t, nil
}

// veil replaces every Any in m that ProtoJSON cannot show by one that it can.
func veil(m protoreflect.Message, types resolver) {
	eachAny(m, func(a protoreflect.Message) { veilAny(a, types) })
}

// eachAny calls f with every Any in m, but not with those packed in an Any.
func eachAny(m protoreflect.Message, f func(protoreflect.Message)) {
	if isAny(m) {
		f(m)
		return
	}
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.IsMap():
			if field.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					eachAny(v.Message(), f)
					return true
				})
			}
		case field.Message() == nil:
		case field.IsList():
			for i := range v.List().Len() {
				eachAny(v.List().Get(i).Message(), f)
			}
		default:
			eachAny(v.Message(), f)
		}
		return true
	})
}

// isAny reports whether m is an Any, also one of a type that was made at run time.
func isAny(m protoreflect.Message) bool { return m.Descriptor().FullName() == "google.protobuf.Any" }

// anyOf returns what an Any says it is.
func anyOf(m protoreflect.Message) (url string, value []byte) {
	f := m.Descriptor().Fields()
	return m.Get(f.ByNumber(1)).String(), m.Get(f.ByNumber(2)).Bytes()
}

func setAny(m protoreflect.Message, url string, value []byte) {
	f := m.Descriptor().Fields()
	m.Set(f.ByNumber(1), protoreflect.ValueOfString(url))
	m.Set(f.ByNumber(2), protoreflect.ValueOfBytes(value))
}

// unpack returns the message of that type in the bytes.
func unpack(url string, value []byte, types resolver) (protoreflect.Message, error) {
	t, err := types.FindMessageByURL(url)
	if err != nil {
		return nil, err
	}
	m := t.New()
	return m, proto.UnmarshalOptions{Resolver: types}.Unmarshal(value, m.Interface())
}

func veilAny(a protoreflect.Message, types resolver) {
	url, value := anyOf(a)
	if url == "" && len(value) == 0 {
		return
	}
	if inner, err := unpack(url, value, types); err == nil {
		veil(inner, types)
		shown := &anypb.Any{TypeUrl: url}
		if shown.Value, err = proto.Marshal(inner.Interface()); err == nil {
			if _, err := (protojson.MarshalOptions{Resolver: veiled{types}}).Marshal(shown); err == nil {
				setAny(a, url, shown.Value)
				return
			}
		}
		// Its type is known and its bytes are not of it, or say what JSON has no
		// form for, such as a time in the year 300,000,000.
	}
	raw, err := proto.Marshal(&wrapperspb.BytesValue{Value: value})
	if err != nil {
		raw = nil
	}
	if _, err := types.FindMessageByURL(url); err == nil || url == "" {
		url += invalidMark
	}
	setAny(a, url, raw)
}
