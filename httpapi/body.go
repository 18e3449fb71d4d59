package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// readBody reads the whole body; nil is one that is not there, or only blanks
// (QRY-10). Its type counts only if there is one (QRY-15).
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil, nil
	}
	if r.ContentLength > h.maxBody {
		return nil, tooLarge(http.StatusRequestEntityTooLarge, "the body has more than %d bytes", h.maxBody)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, tooLarge(http.StatusRequestEntityTooLarge, "the body has more than %d bytes", h.maxBody)
	}
	if err != nil {
		return nil, invalid(ReasonInvalidBody, "", "the body could not be read")
	}
	if len(trimBlanks(body)) == 0 {
		return nil, nil
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, invalid(ReasonInvalidHeader, "", "the body is encoded, which is not supported")
	}
	if typ := r.Header.Get("Content-Type"); typ != "" {
		if media, _, err := mime.ParseMediaType(typ); err != nil && media == "" || media != "application/json" {
			return nil, invalid(ReasonInvalidHeader, "", "the body must be application/json")
		}
	}
	return body, checkJSON(body)
}

// checkJSON refuses what would cost its parser a deep stack.
func checkJSON(body []byte) error {
	if !utf8.Valid(body) {
		return invalid(ReasonInvalidBody, "", "the body is not UTF-8")
	}
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return invalid(ReasonInvalidBody, "", "the body is nested more than %d deep", MaxDepth)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

func trimBlanks(b []byte) []byte {
	for len(b) > 0 && strings.IndexByte(" \t\r\n", b[0]) >= 0 {
		b = b[1:]
	}
	for len(b) > 0 && strings.IndexByte(" \t\r\n", b[len(b)-1]) >= 0 {
		b = b[:len(b)-1]
	}
	return b
}

// setBody reads the body into m, or into the field of it that the rule names.
func (h *Handler) setBody(b *binding, m proto.Message, body []byte) error {
	if body == nil {
		return nil
	}
	switch b.body {
	case "":
		// What Node sends where a rule has no body (QRY-13), and what is nothing.
		if text := string(trimBlanks(body)); text != `""` && text != "{}" {
			return invalid(ReasonInvalidBody, "", "this request has no body")
		}
		return nil
	case "*":
	default:
		if !json.Valid(body) { // or it could end the object around it
			return invalid(ReasonInvalidBody, b.body, "the body is not valid JSON")
		}
		body = append(append([]byte("{"+quote(b.body)+":"), body...), '}')
	}
	return h.unmarshal(body, m)
}

// unmarshal reads JSON into m. An Any without a type is a Struct, and one of an
// unknown type is what this package writes for it.
func (h *Handler) unmarshal(body []byte, m proto.Message) error {
	o := protojson.UnmarshalOptions{Resolver: opaque{h.types}, RecursionLimit: 2 * MaxDepth}
	err := o.Unmarshal(body, m)
	if err == nil {
		return nil
	}
	if typed, changed := typeStructs(body, m.ProtoReflect().Descriptor(), h.types); changed {
		proto.Reset(m)
		if err = o.Unmarshal(typed, m); err == nil {
			return nil
		}
	}
	return bodyFault(err)
}

var unknownField = regexp.MustCompile(`unknown field "([^"]{1,100})"`)

// bodyFault says what protojson says of a body, with the field that it does not
// know as such (QRY-12).
func bodyFault(err error) error {
	text := strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0")
	text = strings.ReplaceAll(text, "\u00a0", " ")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "..."
	}
	if m := unknownField.FindStringSubmatch(text); m != nil {
		f := invalid(ReasonUnknownField, m[1], "body: %s", text)
		f.info = map[string]string{"field": m[1]}
		return f
	}
	return invalid(ReasonInvalidBody, "", "body: %s", text)
}

// quote is s as JSON.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil { // a string has no reason to fail
		return fmt.Sprintf("%q", s)
	}
	return string(b)
}
