package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// typeHost is what a type URL begins with.
const typeHost = "type.googleapis.com/"

// unknownType is the error of JSON whose "@type" nobody knows.
type unknownType struct{ url string }

// Error names the type.
func (u *unknownType) Error() string { return fmt.Sprintf("the type %q is not known", u.url) }

// fromJSON returns a JSON object as a payload: of the type that its "@type" names,
// without one a google.protobuf.Struct. A type without a host gets
// type.googleapis.com/. Of a type that is not known, an *unknownType, the form that
// toJSON prints is taken: {"@type": ..., "value": base64}.
func fromJSON(raw []byte, types resolver) (*anypb.Any, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil || object == nil {
		return nil, notObject(err)
	}
	tag, tagged := object["@type"]
	if !tagged {
		s := &structpb.Struct{}
		if err := protojson.Unmarshal(raw, s); err != nil {
			return nil, plain(err)
		}
		return anypb.New(s)
	}
	var url string
	if err := json.Unmarshal(tag, &url); err != nil || url == "" {
		return nil, errors.New(`"@type" must be the name of a type`)
	}
	if !strings.Contains(url, "/") {
		url = typeHost + url
		object["@type"], _ = json.Marshal(url) // a string has a form in JSON
		raw, _ = json.Marshal(object)          // and so has what was read from it
	}
	if _, err := types.FindMessageByURL(url); errors.Is(err, protoregistry.NotFound) {
		return fromBytes(url, object)
	}
	a := &anypb.Any{}
	if err := (protojson.UnmarshalOptions{Resolver: types}).Unmarshal(raw, a); err != nil {
		return nil, plain(err)
	}
	return a, nil
}

// notObject says why what was read is no JSON object.
func notObject(err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("is not JSON: %w at byte %d", syntax, syntax.Offset)
	}
	return errors.New("must be a JSON object")
}

// fromBytes returns a payload of a type that is not known.
func fromBytes(url string, object map[string]json.RawMessage) (*anypb.Any, error) {
	var value string
	if raw, ok := object["value"]; ok && len(object) == 2 && json.Unmarshal(raw, &value) == nil {
		if b, err := base64.StdEncoding.DecodeString(value); err == nil {
			return &anypb.Any{TypeUrl: url, Value: b}, nil
		}
	}
	return nil, &unknownType{url: url}
}

// plain is an error of protojson in our words: it begins with its own name, and
// varies its blanks on purpose.
func plain(err error) error {
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	return errors.New(strings.TrimPrefix(text, "proto: "))
}

// typesIn returns what every "@type" in the JSON says, in no order, nothing if it is
// not JSON.
func typesIn(raw []byte) []string {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	return typesOf(v, nil)
}

func typesOf(v any, found []string) []string {
	switch v := v.(type) {
	case map[string]any:
		if url, ok := v["@type"].(string); ok {
			found = append(found, url)
		}
		for _, inner := range v {
			found = typesOf(inner, found)
		}
	case []any:
		for _, inner := range v {
			found = typesOf(inner, found)
		}
	}
	return found
}
