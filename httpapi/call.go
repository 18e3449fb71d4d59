package httpapi

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// A call is the grpc.ServerTransportStream of one request: it keeps the metadata that
// the handler answers with. It is safe for concurrent use.
type call struct {
	method string
	peer   peer.Peer

	mu      sync.Mutex // guards what follows
	header  metadata.MD
	trailer metadata.MD
	sent    bool
}

var _ grpc.ServerTransportStream = (*call)(nil)

// Method returns the full name of the method.
func (c *call) Method() string { return c.method }

var errSent = errors.New("the header was sent already")

// SetHeader adds to the header of the reply.
func (c *call) SetHeader(md metadata.MD) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sent {
		return errSent
	}
	c.header = metadata.Join(c.header, md)
	return nil
}

// SendHeader is SetHeader for the last time. The header goes with the reply.
func (c *call) SendHeader(md metadata.MD) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sent {
		return errSent
	}
	c.header = metadata.Join(c.header, md)
	c.sent = true
	return nil
}

// SetTrailer adds to the trailer of the reply.
func (c *call) SetTrailer(md metadata.MD) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trailer = metadata.Join(c.trailer, md)
	return nil
}

// trailerPrefix stands before what a handler has put into its trailer: a client of
// HTTP finds it in the header.
const trailerPrefix = "Grpc-Trailer-"

// answer puts the handler's metadata into the header of the reply.
func (c *call) answer(head http.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	copyMetadata(head, "", c.header)
	copyMetadata(head, trailerPrefix, c.trailer)
}

func copyMetadata(head http.Header, prefix string, md metadata.MD) {
	for key, values := range md {
		if prefix == "" && ownHeader(key) || strings.HasPrefix(key, ":") {
			continue
		}
		for _, v := range values {
			if strings.HasSuffix(key, "-bin") {
				v = base64.RawStdEncoding.EncodeToString([]byte(v))
			}
			head.Add(prefix+key, v)
		}
	}
}

// ownHeader reports whether a header is the transport's own, so that no handler's
// metadata can be it and none is made of it.
func ownHeader(key string) bool {
	switch key {
	case "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "date", "host", "accept-encoding":
		return true
	}
	return strings.HasPrefix(key, "content-") || strings.HasPrefix(key, "grpc-") || strings.HasPrefix(key, "proxy-") ||
		strings.HasPrefix(key, "access-control-")
}

// maskHeader is the header that has the response mask. It is dealt with here, and
// so does not reach the method.
const maskHeader = "X-Goog-Fieldmask"

// lowered are common headers in lower case.
var lowered = map[string]string{
	"Accept": "accept", "Authorization": "authorization", "Traceparent": "traceparent", "User-Agent": "user-agent",
	"X-Goog-Api-Client": "x-goog-api-client", "X-Goog-Request-Params": "x-goog-request-params", "X-Goog-User-Project": "x-goog-user-project",
}

// incoming is the header of a request as the metadata of a call.
func incoming(r *http.Request) metadata.MD {
	md := make(metadata.MD, len(r.Header)+1)
	md[":authority"] = []string{r.Host}
	for name, values := range r.Header {
		key, ok := lowered[name]
		if !ok {
			key = strings.ToLower(name)
			if ownHeader(key) || name == maskHeader || !isMetadataKey(key) {
				continue
			}
		}
		if strings.HasSuffix(key, "-bin") {
			values = decodeAll64(values)
		}
		if len(values) > 0 {
			md[key] = values
		}
	}
	return md
}

func isMetadataKey(key string) bool {
	return strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

// decodeAll64 decodes binary values, and leaves out what is not base64.
func decodeAll64(values []string) []string {
	var out []string
	for _, v := range values {
		if b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(v, "=")); err == nil {
			out = append(out, string(b))
		}
	}
	return out
}

// address is where a request comes from.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

// begin returns a call and the context of its handler.
func begin(ctx context.Context, r *http.Request, method string) (context.Context, *call) {
	c := &call{method: method}
	c.peer.Addr = address(r.RemoteAddr)
	if local, ok := ctx.Value(http.LocalAddrContextKey).(net.Addr); ok {
		c.peer.LocalAddr = local
	}
	ctx = metadata.NewIncomingContext(ctx, incoming(r))
	ctx = peer.NewContext(ctx, &c.peer)
	return grpc.NewContextWithServerTransportStream(ctx, c), c
}
