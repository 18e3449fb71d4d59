package workerpython

import (
	"fmt"
	"net"
	"path"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/longrun-dev/longrun/longrunpb"
)

// A proxy passes the calls of workers on to the server as they are, and notes what
// tests ask for: it sees what comes over the wire.
type proxy struct {
	addr string

	mu     sync.Mutex // guards what follows
	back   *grpc.ClientConn
	calls  map[string]int // by the method's name
	tokens []string       // of the sessions that were opened
	beats  []beat
}

// A beat is a BeatSession that has come.
type beat struct {
	at      time.Time
	session string
	held    []string
}

// raw passes messages on as bytes.
type raw struct{}

func (raw) Name() string                       { return "proto" }
func (raw) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error { *v.(*[]byte) = slices.Clone(data); return nil }

// newProxy returns a proxy that has no server yet.
func newProxy(t *testing.T) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: listener.Addr().String(), calls: map[string]int{}}
	server := grpc.NewServer(grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(p.pass))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := p.connect(nil); err != nil {
			t.Error(err)
		}
	})
	return p
}

// connect passes calls on to another server.
func (p *proxy) connect(to *grpc.ClientConn) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.back
	p.back = to
	if old == nil {
		return nil
	}
	return old.Close()
}

func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func (p *proxy) pass(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	var in, out []byte
	if err := stream.RecvMsg(&in); err != nil {
		return err
	}
	back, err := p.came(path.Base(method), in)
	if err != nil {
		return err
	}
	if err := back.Invoke(stream.Context(), method, &in, &out, grpc.ForceCodec(raw{})); err != nil {
		return err
	}
	if err := p.went(path.Base(method), out); err != nil {
		return err
	}
	return stream.SendMsg(&out)
}

// came notes a request, and returns where it goes.
func (p *proxy) came(method string, in []byte) (*grpc.ClientConn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[method]++
	if method == "BeatSession" {
		var r longrunpb.BeatSessionRequest
		if err := proto.Unmarshal(in, &r); err != nil {
			return nil, fmt.Errorf("beat: %w", err)
		}
		b := beat{at: time.Now(), session: r.GetSession()}
		for _, h := range r.GetHeld() {
			b.held = append(b.held, h.GetOperation())
		}
		p.beats = append(p.beats, b)
	}
	return p.back, nil
}

// went notes an answer.
func (p *proxy) went(method string, out []byte) error {
	if method != "OpenSession" {
		return nil
	}
	var r longrunpb.OpenSessionResponse
	if err := proto.Unmarshal(out, &r); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens = append(p.tokens, r.GetSession())
	return nil
}

// token returns the token of the i-th session.
func (p *proxy) token(i int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i >= len(p.tokens) {
		return ""
	}
	return p.tokens[i]
}

// beatsOf returns the beats of a session that came from a time on.
func (p *proxy) beatsOf(session string, from time.Time) []beat {
	p.mu.Lock()
	defer p.mu.Unlock()
	var of []beat
	for _, b := range p.beats {
		if b.session == session && !b.at.Before(from) {
			of = append(of, b)
		}
	}
	return of
}

// count returns how many calls of a method have come.
func (p *proxy) count(method string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[method]
}
