package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Listener returns l for an http.Server that serves h. A Server answers by itself, in
// plain text, a request that it cannot parse, such as one whose path has a malformed
// percent-encoding; it asks no Handler, and has no hook. The connections of this listener
// say it in the envelope (HTTP-10, ERR-22).
func (h *Handler) Listener(l net.Listener) net.Listener { return listener{l, h} }

type listener struct {
	net.Listener
	handler *Handler
}

// Accept waits for the next connection.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, handler: l.handler}, nil
}

// A conn puts what net/http says by itself into the envelope.
type conn struct {
	net.Conn
	handler *Handler
}

// Write writes b, or the envelope for it. net/http writes its own refusals whole, in one
// call, and before any other byte that is about the request.
func (c *conn) Write(b []byte) (int, error) {
	code, ok := ownRefusal(b)
	if !ok {
		return c.Conn.Write(b)
	}
	if _, err := c.Conn.Write(c.handler.refusal(code)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// CloseWrite ends what is written, so that a client can read a refusal to its end while
// it is still sending. The error is errors.ErrUnsupported if the connection cannot.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// plainHead is the whole header of net/http's own refusals. A reply that a Handler has
// made has at least a Date in it, and no body of this package has a line break of
// carriage return and line feed: in JSON they are escaped.
var plainHead = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

// ownRefusal returns the HTTP status of a refusal that net/http has written by itself.
func ownRefusal(b []byte) (code int, ok bool) {
	rest, ok := bytes.CutPrefix(b, []byte("HTTP/1.1 "))
	if !ok || len(rest) < 4 || rest[0] != '4' && rest[0] != '5' {
		return 0, false
	}
	head, body, ok := bytes.Cut(rest, plainHead)
	if !ok || bytes.ContainsAny(head, "\r\n") || bytes.ContainsAny(body, "\r\n") {
		return 0, false
	}
	code, err := strconv.Atoi(string(rest[:3]))
	return code, err == nil
}

// refusal is what is answered instead. What net/http says of the cause is not passed on.
func (h *Handler) refusal(code int) []byte {
	f := &fault{code: codes.InvalidArgument, http: code, reason: ReasonMalformedRequest,
		msg: "this is not a valid HTTP/1.1 request, or the percent-encoding of its path is malformed"}
	switch code {
	case http.StatusRequestHeaderFieldsTooLarge:
		f = tooLarge(code, "the header is too large")
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		f.code, f.msg = codes.Unimplemented, "this version of HTTP, or this transfer encoding, is not supported"
	}
	return h.whole(f.in(h.domain).GRPCStatus(), code)
}

// Busy returns a whole HTTP/1.1 reply for a connection that is turned away before anything
// is read from it: 503, UNAVAILABLE, after which the client may try again in a second
// (ERR-10, POL-04). The text says why.
func (h *Handler) Busy(text string) []byte {
	f := &fault{code: codes.Unavailable, reason: ReasonOverloaded, msg: text, delay: time.Second}
	return h.whole(f.in(h.domain).GRPCStatus(), http.StatusServiceUnavailable)
}

// whole is the reply with an error as it goes over the wire.
func (h *Handler) whole(st *status.Status, code int) []byte {
	body := h.envelope(st.Proto(), code)
	reply := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\n", code, http.StatusText(code))
	if wait := retryAfter(st.Proto()); wait != "" {
		reply = fmt.Appendf(reply, "Retry-After: %s\r\n", wait)
	}
	return fmt.Appendf(reply, "Content-Type: %s\r\nCache-Control: %s\r\nX-Content-Type-Options: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		jsonType[0], noStore[0], noSniff[0], len(body), body)
}
