package httpapi

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A fieldPath leads from a message to a field of it, or of a message in it.
type fieldPath []protoreflect.FieldDescriptor

// findField resolves names separated by dots, each the JSON name of a field or its
// name in the proto file (QRY-01).
func findField(md protoreflect.MessageDescriptor, text string) (fieldPath, error) {
	var p fieldPath
	for name := range strings.SplitSeq(text, ".") {
		if md == nil {
			return nil, fmt.Errorf("%q has no fields", p.jsonName())
		}
		fd := md.Fields().ByJSONName(name)
		if fd == nil {
			fd = md.Fields().ByName(protoreflect.Name(name))
		}
		if fd == nil {
			return nil, fmt.Errorf("there is no field %q", text)
		}
		p = append(p, fd)
		md = nil
		if fd.Message() != nil && fd.Cardinality() != protoreflect.Repeated {
			md = fd.Message()
		}
	}
	return p, nil
}

// leaf is the field that p leads to.
func (p fieldPath) leaf() protoreflect.FieldDescriptor { return p[len(p)-1] }

// jsonName is p as JSON and error details say it (ERR-08).
func (p fieldPath) jsonName() string {
	names := make([]string, len(p))
	for i, fd := range p {
		names[i] = fd.JSONName()
	}
	return strings.Join(names, ".")
}

// owner returns the message of m that has the leaf. It makes those on the way.
func (p fieldPath) owner(m protoreflect.Message) (protoreflect.Message, protoreflect.FieldDescriptor) {
	for _, fd := range p[:len(p)-1] {
		m = m.Mutable(own(m, fd)).Message()
	}
	return m, own(m, p.leaf())
}

// own is fd as m knows it. The descriptors of routes can come from another registry
// than the messages of the handlers.
func own(m protoreflect.Message, fd protoreflect.FieldDescriptor) protoreflect.FieldDescriptor {
	if md := m.Descriptor(); md != fd.ContainingMessage() {
		if mine := md.Fields().ByNumber(fd.Number()); mine != nil {
			return mine
		}
	}
	return fd
}

// hasTextForm reports whether a parameter or a path can say the values of fd.
func hasTextForm(fd protoreflect.FieldDescriptor) bool {
	if fd.IsMap() {
		return false
	}
	return fd.Message() == nil || textMessages[fd.Message().FullName()] != ""
}

// textMessages are the messages whose JSON is a scalar: how their text is written
// in it.
var textMessages = map[protoreflect.FullName]string{
	"google.protobuf.Timestamp":   "quoted",
	"google.protobuf.Duration":    "quoted",
	"google.protobuf.FieldMask":   "quoted",
	"google.protobuf.StringValue": "quoted",
	"google.protobuf.BytesValue":  "quoted",
	"google.protobuf.Int64Value":  "plain",
	"google.protobuf.UInt64Value": "plain",
	"google.protobuf.Int32Value":  "plain",
	"google.protobuf.UInt32Value": "plain",
	"google.protobuf.FloatValue":  "plain",
	"google.protobuf.DoubleValue": "plain",
	"google.protobuf.BoolValue":   "plain",
}

// parseValue reads a value of fd, or of an element of it, from the text of a
// parameter. The errors never hold the text.
func parseValue(m protoreflect.Message, fd protoreflect.FieldDescriptor, text string) (v protoreflect.Value, err error) {
	switch fd.Kind() {
	case protoreflect.StringKind:
		if !utf8.ValidString(text) {
			return v, fmt.Errorf("is not UTF-8")
		}
		return protoreflect.ValueOfString(text), nil
	case protoreflect.BoolKind:
		if text != "true" && text != "false" {
			return v, fmt.Errorf("must be true or false")
		}
		return protoreflect.ValueOfBool(text == "true"), nil
	case protoreflect.BytesKind:
		return parseBytes(text)
	case protoreflect.EnumKind:
		return parseEnum(fd.Enum(), text)
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return parseMessage(m, fd, text)
	}
	return parseNumber(fd.Kind(), text)
}

func parseNumber(kind protoreflect.Kind, text string) (v protoreflect.Value, err error) {
	switch kind {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		n, err := strconv.ParseInt(text, 10, 32)
		return protoreflect.ValueOfInt32(int32(n)), numberError(err, "an integer of 32 bits")
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		n, err := strconv.ParseInt(text, 10, 64)
		return protoreflect.ValueOfInt64(n), numberError(err, "an integer of 64 bits")
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		n, err := strconv.ParseUint(text, 10, 32)
		return protoreflect.ValueOfUint32(uint32(n)), numberError(err, "an integer of 32 bits that is not negative")
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		n, err := strconv.ParseUint(text, 10, 64)
		return protoreflect.ValueOfUint64(n), numberError(err, "an integer of 64 bits that is not negative")
	case protoreflect.FloatKind:
		f, err := parseFloat(text, 32)
		return protoreflect.ValueOfFloat32(float32(f)), err
	case protoreflect.DoubleKind:
		f, err := parseFloat(text, 64)
		return protoreflect.ValueOfFloat64(f), err
	}
	return v, fmt.Errorf("cannot be a parameter")
}

func numberError(err error, want string) error {
	if err != nil {
		return fmt.Errorf("must be %s", want)
	}
	return nil
}

// parseFloat takes what ProtoJSON does: no hexadecimal, no underscores, and the
// names of what is no number.
func parseFloat(text string, bits int) (float64, error) {
	switch text {
	case "NaN":
		return math.NaN(), nil
	case "Infinity":
		return math.Inf(1), nil
	case "-Infinity":
		return math.Inf(-1), nil
	}
	f, err := strconv.ParseFloat(text, bits)
	if err != nil || strings.ContainsAny(text, "xX_nN") {
		return 0, fmt.Errorf("must be a number")
	}
	return f, nil
}

func parseBytes(text string) (v protoreflect.Value, err error) {
	text = strings.TrimRight(text, "=")
	enc := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		enc = base64.RawURLEncoding
	}
	b, err := enc.DecodeString(text)
	if err != nil {
		return v, fmt.Errorf("must be base64")
	}
	return protoreflect.ValueOfBytes(b), nil
}

func parseEnum(ed protoreflect.EnumDescriptor, text string) (v protoreflect.Value, err error) {
	if value := ed.Values().ByName(protoreflect.Name(text)); value != nil {
		return protoreflect.ValueOfEnum(value.Number()), nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return v, fmt.Errorf("must be the name of a value, or its number")
	}
	return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n)), nil
}

// parseMessage reads one of textMessages by its JSON.
func parseMessage(m protoreflect.Message, fd protoreflect.FieldDescriptor, text string) (v protoreflect.Value, err error) {
	form := textMessages[fd.Message().FullName()]
	if form == "" {
		return v, fmt.Errorf("cannot be a parameter")
	}
	if form == "quoted" {
		if !utf8.ValidString(text) {
			return v, fmt.Errorf("is not UTF-8")
		}
		text = quote(text)
	}
	v = m.NewField(fd)
	if fd.IsList() {
		v = v.List().NewElement()
	}
	if err := protojson.Unmarshal([]byte(text), v.Message().Interface()); err != nil || strings.TrimSpace(text) != text || text == "null" {
		return v, fmt.Errorf("is not a valid %s", fd.Message().Name())
	}
	return v, nil
}

// set sets the field to what text says, and adds it to a repeated one.
func (p fieldPath) set(root protoreflect.Message, text string) error {
	m, fd := p.owner(root)
	v, err := parseValue(m, fd, text)
	if err != nil {
		return err
	}
	if fd.IsList() {
		m.Mutable(fd).List().Append(v)
		return nil
	}
	if of := fd.ContainingOneof(); of != nil {
		if other := m.WhichOneof(of); other != nil && other != fd {
			return fmt.Errorf("cannot be set beside %s", other.JSONName())
		}
	}
	m.Set(fd, v)
	return nil
}

// bind sets the field to what the path says. A value that the body or a parameter
// has given already must be the same (QRY-05, QRY-11).
func (p fieldPath) bind(root protoreflect.Message, text string) error {
	m, fd := p.owner(root)
	v, err := parseValue(m, fd, text)
	if err != nil {
		return err
	}
	if m.Has(fd) && !m.Get(fd).Equal(v) {
		return fmt.Errorf("differs from the path")
	}
	m.Set(fd, v)
	return nil
}
