package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

const notOurWeb = "is it the HTTP address of a longrun server? name another with --server"

// unreached reports whether a call failed before anything of it was sent: nobody has
// taken the connection.
func unreached(err error) bool {
	dial, ok := errors.AsType[*net.OpError](err)
	return ok && dial.Op == "dial"
}

// unanswered says why a call has no reply. What no later call would mend is a *problem.
func (w *web) unanswered(ctx context.Context, err error) error {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if ended := cmp.Or(ctx.Err(), contextError(err)); ended != nil {
		return status.FromContextError(ended).Err()
	}
	if p := w.mismatch(err); p != nil {
		return p
	}
	return status.Error(codes.Unavailable, err.Error())
}

// contextError is the end of a context in an error, which may come a moment before the
// context itself says so.
func contextError(err error) error {
	for _, ended := range []error{context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, ended) {
			return ended
		}
	}
	return nil
}

// mismatch says what the other side speaks, where that is something else.
func (w *web) mismatch(err error) error {
	host := hostPort(w.addr)
	if errors.Is(err, errGRPC) {
		return &problem{msg: fmt.Sprintf("the server at %s speaks gRPC, not HTTP", host), hint: "leave the scheme out: --server " + host}
	}
	if header, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		if bytes.HasPrefix(header.RecordHeader[:], []byte("HTTP/")) {
			return &problem{msg: fmt.Sprintf("the server at %s speaks HTTP without TLS", host), hint: "leave the s out: --server http://" + host}
		}
		return &problem{msg: fmt.Sprintf("the server at %s does not speak TLS", host), hint: notOurWeb}
	}
	if untrusted, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return &problem{msg: fmt.Sprintf("the certificate of the server at %s is not accepted: %v", host, untrusted.Err),
			hint: "it must name that host, and be of an authority that this machine knows; SSL_CERT_FILE names more of them"}
	}
	if alert, ok := errors.AsType[tls.AlertError](err); ok {
		return &problem{msg: fmt.Sprintf("the server at %s does not agree on TLS: %v", host, alert), hint: notOurWeb}
	}
	return nil
}

// stranger is about a reply that is none of a longrun server: of another, or of a proxy
// before ours.
func (w *web) stranger(req *webRequest, reply *webReply) error {
	line := strings.TrimSpace(fmt.Sprintf("%d %s", reply.status, http.StatusText(reply.status)))
	switch {
	case reply.status == http.StatusBadRequest && bytes.Contains(reply.body, []byte("HTTP request to an HTTPS server")):
		host := hostPort(w.addr)
		return &problem{msg: fmt.Sprintf("the server at %s speaks HTTP with TLS alone", host), hint: "add an s: --server https://" + host}
	case reply.status/100 == 3:
		return &problem{msg: fmt.Sprintf("the server at %s redirects to %q", w.addr, reply.head.Get("Location")), hint: "name the address of the longrun server itself with --server"}
	case codeOf(reply.status) == codes.Unavailable || codeOf(reply.status) == codes.DeadlineExceeded || reply.status == http.StatusTooManyRequests:
		return w.passing(line, reply)
	}
	return &problem{msg: fmt.Sprintf("%s is no longrun server: it answers %s %s with %s", w.addr, req.method, req.target, line), hint: notOurWeb}
}

// passing is what a proxy says while the server behind it is away, and a server that has
// no room for another connection.
func (w *web) passing(line string, reply *webReply) error {
	st := status.New(codes.Unavailable, fmt.Sprintf("%s answers %s", w.addr, line)).Proto()
	// With a reason it is no server that is not there.
	if info, err := anypb.New(&errdetails.ErrorInfo{Reason: reasonProxy, Domain: "longrun.dev"}); err == nil {
		st.Details = append(st.Details, info)
	}
	return status.ErrorProto(withRetryInfo(st, reply.head.Get("Retry-After")))
}

// reasonProxy is the reason of errors that come from before a server.
const reasonProxy = "HTTP_UNAVAILABLE"
