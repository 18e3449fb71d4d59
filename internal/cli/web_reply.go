package cli

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	rpccode "google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// read turns a reply into a response or an error.
func (w *web) read(req *webRequest, reply *webReply, out proto.Message) error {
	if reply.status != http.StatusOK {
		return w.failure(req, reply)
	}
	body := reply.body
	if req.field != "" {
		body = append(append([]byte(`{"`+req.field+`":`), body...), '}')
	}
	if w.unmarshal(body, out) != nil {
		return w.stranger(req, reply)
	}
	return nil
}

// failure is what the server says against a call.
func (w *web) failure(req *webRequest, reply *webReply) error {
	p := w.envelope(reply)
	if p == nil {
		return w.stranger(req, reply)
	}
	switch reasonOf(status.ErrorProto(p)) {
	case "UNKNOWN_PATH", "HTTP_METHOD_NOT_ALLOWED":
		// Its NOT_FOUND is not that of an operation.
		p.Code = int32(codes.Unimplemented)
		path, _, _ := strings.Cut(req.target, "?")
		p.Message = "the server at " + w.addr + " does not have " + req.method + " " + path
	}
	return status.ErrorProto(withRetryInfo(p, reply.head.Get("Retry-After")))
}

// envelope reads {"error": {"code", "message", "status", "details"}}. It returns nil for
// what is none.
func (w *web) envelope(reply *webReply) *statuspb.Status {
	var e struct {
		Error struct {
			Code    int
			Message string
			Status  string
			Details []json.RawMessage
		}
	}
	if json.Unmarshal(reply.body, &e) != nil || e.Error.Code == 0 {
		return nil
	}
	// The HTTP status alone does not tell the code (MAP-02).
	code := cmp.Or(codes.Code(rpccode.Code_value[e.Error.Status]), codeOf(reply.status))
	p := &statuspb.Status{Code: int32(code), Message: e.Error.Message}
	for _, raw := range e.Error.Details {
		detail := new(anypb.Any)
		if w.unmarshal(raw, detail) == nil { // the others are as good without it
			p.Details = append(p.Details, asProto(detail))
		}
	}
	return p
}

// codeOf is the code that an HTTP status stands for in the first place, where nothing
// else says it.
func codeOf(httpStatus int) codes.Code {
	switch httpStatus {
	case http.StatusBadRequest:
		return codes.InvalidArgument
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusNotFound:
		return codes.NotFound
	case http.StatusConflict:
		return codes.Aborted
	case http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case http.StatusNotImplemented:
		return codes.Unimplemented
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return codes.Unavailable
	case http.StatusGatewayTimeout:
		return codes.DeadlineExceeded
	}
	return codes.Unknown
}

// asProto names fields as in the proto files, where JSON names them otherwise (ERR-08).
func asProto(detail *anypb.Any) *anypb.Any {
	bad := new(errdetails.BadRequest)
	if !detail.MessageIs(bad) || detail.UnmarshalTo(bad) != nil {
		return detail
	}
	for _, v := range bad.GetFieldViolations() {
		v.Field = snakePath(v.GetField())
	}
	named, err := anypb.New(bad)
	if err != nil {
		return detail
	}
	return named
}

// snakePath turns lowerCamel into snake_case in the path of a field, but for what is in
// brackets.
func snakePath(path string) string {
	var b strings.Builder
	brackets := 0
	for _, c := range []byte(path) {
		switch {
		case c == '[':
			brackets++
		case c == ']':
			brackets--
		case brackets == 0 && 'A' <= c && c <= 'Z':
			b.WriteByte('_')
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}

// withRetryInfo adds what the header Retry-After says, in seconds or as a date, unless
// the error says it itself.
func withRetryInfo(p *statuspb.Status, header string) *statuspb.Status {
	delay, ok := parseRetryAfter(header, time.Now())
	for _, d := range p.GetDetails() {
		ok = ok && !d.MessageIs(&errdetails.RetryInfo{})
	}
	if !ok {
		return p
	}
	if info, err := anypb.New(&errdetails.RetryInfo{RetryDelay: durationpb.New(delay)}); err == nil {
		p.Details = append(p.Details, info)
	}
	return p
}

func parseRetryAfter(header string, now time.Time) (time.Duration, bool) {
	if n, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(n) * time.Second, true
	}
	at, err := http.ParseTime(header)
	return max(at.Sub(now), 0), err == nil
}
