package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
)

const (
	// maxOutputBytes is how much a command may print: a response of 3 MiB, and room
	// for its base64 and blanks.
	maxOutputBytes = 6 << 20
	// maxResponseBytes is what the server takes, in the protobuf encoding.
	maxResponseBytes = 3 << 20

	typeKey = "@type"
)

// requestJSON is a request as its command reads it: one line of ProtoJSON. A Struct
// is the object that it stands for; anything else names its type. What has no form in
// JSON is {"@type": ..., "value": base64 of its bytes}, and no request is {}.
func requestJSON(a *anypb.Any, types resolver) ([]byte, error) {
	if a.GetTypeUrl() == "" && len(a.GetValue()) == 0 {
		return []byte("{}\n"), nil
	}
	raw, err := structJSON(a)
	if raw == nil && err == nil {
		raw, err = toJSONBy(a, types)
	}
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil { // protojson varies its blanks on purpose
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// structJSON is a Struct as the object that it stands for, and nil for what is none
// or would be read as a message of another type.
func structJSON(a *anypb.Any) ([]byte, error) {
	st := &structpb.Struct{}
	if !a.MessageIs(st) || a.UnmarshalTo(st) != nil {
		return nil, nil
	}
	if _, typed := st.GetFields()[typeKey]; typed {
		return nil, nil
	}
	raw, err := protojson.Marshal(st)
	if err != nil {
		return nil, nil // it holds what JSON has no form for, such as NaN
	}
	return raw, nil
}

// errTooLarge says that a response is larger than the server takes.
var errTooLarge = errors.New("the response is larger than 3 MiB")

// responseOf reads what a command has printed: nothing, which is
// google.protobuf.Empty, or one JSON object, which is the message that its "@type"
// names, else a Struct. A type that is not known here may be given as requestJSON
// gives it. learnt, if not nil, is for types that the server may know.
func responseOf(out []byte, learnt *jsonTypes) (*anypb.Any, error) {
	out = bytes.TrimSpace(out)
	if len(out) == 0 {
		return anypb.New(&emptypb.Empty{})
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(out, &fields); err != nil || fields == nil {
		return nil, errors.New("standard output is not one JSON object")
	}
	if learnt != nil {
		learnt.learnPayload(out)
	}
	a, err := objectOf(out, fields, learnt)
	if err != nil {
		return nil, err
	}
	if proto.Size(a) > maxResponseBytes {
		return nil, errTooLarge
	}
	return a, nil
}

func objectOf(out []byte, fields map[string]json.RawMessage, types resolver) (*anypb.Any, error) {
	a := &anypb.Any{}
	if _, typed := fields[typeKey]; !typed {
		st := &structpb.Struct{}
		if err := protojson.Unmarshal(out, st); err != nil {
			return nil, fmt.Errorf("standard output cannot be read: %s", plainJSONError(err))
		}
		return a, anypb.MarshalFrom(a, st, proto.MarshalOptions{Deterministic: true})
	}
	var url string
	if err := json.Unmarshal(fields[typeKey], &url); err != nil || url == "" {
		return nil, fmt.Errorf("%q of the response is not the name of a type", typeKey)
	}
	if _, err := types.FindMessageByURL(url); errors.Is(err, protoregistry.NotFound) {
		return bytesOf(url, fields)
	}
	if err := (protojson.UnmarshalOptions{Resolver: types}).Unmarshal(out, a); err != nil {
		return nil, fmt.Errorf("standard output is not a %s: %s", url, plainJSONError(err))
	}
	return a, nil
}

// bytesOf is a message whose type is not known here, by its bytes.
func bytesOf(url string, fields map[string]json.RawMessage) (*anypb.Any, error) {
	var text string
	if len(fields) == 2 && json.Unmarshal(fields["value"], &text) == nil {
		if raw, err := base64.StdEncoding.DecodeString(text); err == nil {
			return &anypb.Any{TypeUrl: url, Value: raw}, nil
		}
	}
	return nil, fmt.Errorf(`the type %q is not known here: "value" must be the base64 of its bytes, and nothing else be there`, url)
}

// plainJSONError is the text of a protojson error, which begins with "proto:" and
// varies its blanks.
func plainJSONError(err error) string {
	text := bytes.ReplaceAll([]byte(err.Error()), []byte("\u00a0"), []byte(" "))
	return string(bytes.TrimSpace(bytes.TrimPrefix(text, []byte("proto:"))))
}
