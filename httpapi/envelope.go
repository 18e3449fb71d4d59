package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
)

// envelope is an error on the wire (ERR-20).
type envelope struct {
	Error envelopeError `json:"error"`
}

type envelopeError struct {
	Code    int               `json:"code"` // the HTTP status (ERR-21)
	Message string            `json:"message"`
	Status  string            `json:"status"` // MAP-02
	Details []json.RawMessage `json:"details,omitempty"`
}

// envelope renders an error. Details that clients could not read are left out, as
// they would make some drop all of them (ERR-23).
func (h *Handler) envelope(st *statuspb.Status, status int) []byte {
	e := envelope{envelopeError{Code: status, Message: st.GetMessage(), Status: codeName(st.GetCode())}}
	for _, d := range st.GetDetails() {
		text, err := protojson.MarshalOptions{Resolver: h.types}.Marshal(inJSON(d))
		if err != nil {
			h.log.Warn("error detail left out", "type", d.GetTypeUrl(), "err", err)
			continue
		}
		e.Error.Details = append(e.Error.Details, text)
	}
	body, err := json.Marshal(e)
	if err != nil { // protojson writes valid JSON
		h.log.Error("envelope", "err", err)
		return []byte(`{"error":{"code":500,"message":"internal error","status":"INTERNAL"}}`)
	}
	return append(body, '\n')
}

// inJSON is d with fields named as in JSON (ERR-08).
func inJSON(d *anypb.Any) *anypb.Any {
	bad := new(errdetails.BadRequest)
	if !d.MessageIs(bad) || d.UnmarshalTo(bad) != nil {
		return d
	}
	for _, v := range bad.GetFieldViolations() {
		v.Field = camelPath(v.GetField())
	}
	named, err := anypb.New(bad)
	if err != nil {
		return d
	}
	return named
}

// camelPath turns snake_case into lowerCamel in the path of a field, but for what
// is in brackets.
func camelPath(path string) string {
	var b strings.Builder
	up, brackets := false, 0
	for _, c := range []byte(path) {
		switch {
		case c == '[':
			brackets++
		case c == ']':
			brackets--
		case brackets > 0:
		case c == '_':
			up = true
			continue
		case up && 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		}
		up = false
		b.WriteByte(c)
	}
	return b.String()
}

// retryAfter is the header for a RetryInfo: whole seconds, rounded up (ERR-10). It
// is "" if st has none.
func retryAfter(st *statuspb.Status) string {
	info := new(errdetails.RetryInfo)
	for _, d := range st.GetDetails() {
		if d.MessageIs(info) && d.UnmarshalTo(info) == nil && info.GetRetryDelay().CheckValid() == nil {
			delay := max(info.GetRetryDelay().AsDuration(), 0)
			return strconv.FormatInt(int64((delay+time.Second-1)/time.Second), 10)
		}
	}
	return ""
}

// refuse answers with err.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, method string, err error, pretty bool) {
	st, status := h.outside(method, err)
	body := h.envelope(st, status)
	if pretty {
		body = indent(body)
	}
	head := w.Header()
	if wait := retryAfter(st); wait != "" {
		head["Retry-After"] = []string{wait}
	}
	if status == http.StatusUnauthorized && head.Get("Www-Authenticate") == "" {
		head.Set("Www-Authenticate", "Bearer") // ERR-24
	}
	write(w, r, status, body)
}

func indent(body []byte) []byte {
	var b bytes.Buffer
	if json.Indent(&b, body, "", "  ") != nil {
		return body
	}
	return b.Bytes()
}

var jsonType = []string{"application/json; charset=utf-8"}

// write sends a whole reply. What goes wrong is that the client has gone.
func write(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	head := w.Header()
	head["Content-Type"] = jsonType
	head["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}
