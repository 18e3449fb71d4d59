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

// toJSON returns m in ProtoJSON, indented, ending in a newline. An Any that cannot
// be shown as its type is shown as {"@type": ..., "value": base64}.
func toJSON(m proto.Message) ([]byte, error) {
	m = proto.Clone(m)
	veil(m.ProtoReflect())
	raw, err := protojson.MarshalOptions{Resolver: veiled{protoregistry.GlobalTypes}}.Marshal(m)
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
type veiled struct{ *protoregistry.Types }

// FindMessageByURL never fails.
func (v veiled) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	t, err := v.Types.FindMessageByURL(url)
	if err != nil {
		return (&wrapperspb.BytesValue{}).ProtoReflect().Type(), nil
	}
	return t, nil
}

// veil replaces every Any in m that ProtoJSON cannot show by one that it can.
func veil(m protoreflect.Message) {
	if a, ok := m.Interface().(*anypb.Any); ok {
		veilAny(a)
		return
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			if f.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					veil(v.Message())
					return true
				})
			}
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				veil(v.List().Get(i).Message())
			}
		default:
			veil(v.Message())
		}
		return true
	})
}

func veilAny(a *anypb.Any) {
	if a.GetTypeUrl() == "" && len(a.GetValue()) == 0 {
		return
	}
	if inner, err := a.UnmarshalNew(); err == nil {
		veil(inner.ProtoReflect())
		shown := &anypb.Any{TypeUrl: a.TypeUrl}
		if shown.Value, err = proto.Marshal(inner); err == nil {
			if _, err := (protojson.MarshalOptions{Resolver: veiled{protoregistry.GlobalTypes}}).Marshal(shown); err == nil {
				a.Value = shown.Value
				return
			}
		}
		// Its type is known and its bytes are not of it, or say what JSON has no
		// form for, such as a time in the year 300,000,000.
	}
	raw, err := proto.Marshal(&wrapperspb.BytesValue{Value: a.Value})
	if err != nil {
		raw = nil
	}
	a.Value = raw
	if _, err := protoregistry.GlobalTypes.FindMessageByURL(a.TypeUrl); err == nil || a.TypeUrl == "" {
		a.TypeUrl += invalidMark
	}
}
