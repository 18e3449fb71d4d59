package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Limits of what a server may answer over HTTP.
const (
	// maxReplyBytes is for the JSON of a page, of which gRPC takes 4 MiB.
	maxReplyBytes = 64 << 20
	// maxReplyHeader is for all headers of a reply.
	maxReplyHeader = 64 << 10
	// webIdle is how long a connection is kept for the next call. Servers keep it for
	// longer, ours for two minutes.
	webIdle = 90 * time.Second
	// webConns is how many calls a worker has under way at a time, and no more than
	// these leave a connection behind.
	webConns = 64
)

// web speaks HTTP/JSON to a server as a grpc.ClientConn speaks gRPC: the clients of
// generated code call it and get the same replies, and errors with the same Status
// and details. What a method's path is, and what of a request goes where, the
// google.api.http rules of the linked descriptors say.
//
// It knows the call option WaitForReady, and ignores all others. It has no streams,
// so that the server's reflection and backups are out of its reach. Errors that no
// later call would mend, such as a server that is none of ours, are a *problem.
//
// It is safe for concurrent use.
type web struct {
	addr   string // as it was given: scheme://host, and perhaps a path
	learnt *jsonTypes
	trip   http.RoundTripper
	close  func()
}

var _ connection = (*web)(nil)

// newWeb prepares to speak to a server. It does not connect.
func newWeb(addr string) *web {
	tr := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialWeb,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    pingTimeout,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingIdle, PingTimeout: pingTimeout},
		IdleConnTimeout:        webIdle,
		MaxIdleConnsPerHost:    webConns,
		MaxResponseHeaderBytes: maxReplyHeader,
	}
	return &web{addr: strings.TrimRight(addr, "/"), learnt: new(jsonTypes), trip: tr, close: tr.CloseIdleConnections}
}

// dialWeb connects to a server, and notices later if a network has swallowed the
// connection without a word, as for gRPC.
func dialWeb(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: pingTimeout, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: pingIdle, Interval: pingTimeout / 2, Count: 2}}
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &firstWord{Conn: conn}, nil
}

// errGRPC says that the other side speaks gRPC.
var errGRPC = errors.New("the server speaks gRPC")

// firstWord is a connection that hears gRPC by its first byte. A server of gRPC speaks
// first, which net/http would put into the log of the process.
type firstWord struct {
	net.Conn
	heard bool // by Read, which one goroutine calls
}

// Read fails with errGRPC where the first byte is that of HTTP/2: neither HTTP/1 nor TLS
// begins with zero.
func (c *firstWord) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.heard && n > 0 {
		c.heard = true
		if b[0] == 0 {
			return 0, errGRPC
		}
	}
	return n, err
}

// Close closes the connections that no call is using.
func (w *web) Close() error {
	w.close()
	return nil
}

// NewStream fails: streams have no form in HTTP.
func (w *web) NewStream(_ context.Context, _ *grpc.StreamDesc, method string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Errorf(codes.Unimplemented, "%s has no form in HTTP", method)
}

// Invoke calls a method that has a path.
func (w *web) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	in, ok := args.(proto.Message)
	out, isMessage := reply.(proto.Message)
	if !ok || !isMessage {
		return status.Errorf(codes.Internal, "%T and %T are not messages", args, reply)
	}
	req, err := w.request(method, in)
	if err != nil {
		return err
	}
	for {
		resp, err := w.send(ctx, req)
		if err == nil {
			return w.read(req, resp, out)
		}
		if !unreached(err) || ctx.Err() != nil || !waitsForReady(opts) {
			return w.unanswered(ctx, err)
		}
		pause(ctx, retryPause)
	}
}

// waitsForReady reports whether a call waits for a server that is not there.
func waitsForReady(opts []grpc.CallOption) bool {
	waits := false
	for _, o := range opts {
		if f, ok := o.(grpc.FailFastCallOption); ok {
			waits = !f.FailFast
		}
	}
	return waits
}

// reach reports whether anybody answers there.
func (w *web) reach(ctx context.Context) bool {
	_, err := w.send(ctx, &webRequest{method: http.MethodGet, target: "/healthz"})
	return err == nil
}

// webRequest is a call on its way into HTTP.
type webRequest struct {
	method string // GET and so on
	target string // path and query, escaped
	body   []byte // nil: none
	field  string // the field of the response that the reply is, "" if it is all
}

// webReply is what came back.
type webReply struct {
	status int
	head   http.Header
	body   []byte
}

// send makes one request and reads the whole reply.
func (w *web) send(ctx context.Context, req *webRequest) (*webReply, error) {
	r, err := http.NewRequestWithContext(ctx, req.method, w.addr+req.target, bytes.NewReader(req.body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "longrun")
	if req.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if deadline, ok := ctx.Deadline(); ok {
		// A wait is answered a little before its caller has gone (WAI-05).
		r.Header.Set("X-Server-Timeout", strconv.FormatFloat(max(time.Until(deadline), time.Millisecond).Seconds(), 'f', 3, 64))
	}
	// Not by an http.Client: a redirect is no answer of ours.
	resp, err := w.trip.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReplyBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read the reply: %w", err)
	}
	if len(body) > maxReplyBytes {
		return nil, &problem{msg: fmt.Sprintf("the server at %s answers with more than %d MiB", w.addr, maxReplyBytes>>20),
			hint: "fetch less at a time: longrun list --page-size 10"}
	}
	return &webReply{status: resp.StatusCode, head: resp.Header, body: body}, nil
}
