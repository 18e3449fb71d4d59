package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/longrun-dev/longrun/internal/server"
)

// What a client may do on one connection is said in the first frame.
func TestGRPC_Settings(t *testing.T) {
	t.Parallel()
	s := serve(t, options(t))
	conn, err := net.Dial("tcp", s.GRPCAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	f, err := framer.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	settings, ok := f.(*http2.SettingsFrame)
	if !ok {
		t.Fatalf("the first frame is %v, want SETTINGS", f)
	}
	for id, want := range map[http2.SettingID]uint32{
		http2.SettingMaxConcurrentStreams: server.MaxStreams,
		http2.SettingMaxHeaderListSize:    server.MaxHeaderBytes,
		http2.SettingInitialWindowSize:    server.StreamWindowBytes,
	} {
		if got, ok := settings.Value(id); !ok || got != want {
			t.Errorf("%v = %d, want %d", id, got, want)
		}
	}
}

// A header of nearly 64 KiB is taken, one of more is refused: on the gRPC face ...
func TestGRPC_HeaderSize(t *testing.T) {
	t.Parallel()
	s := serve(t, options(t))
	c := healthpb.NewHealthClient(dial(t, s.GRPCAddr()))
	for _, tt := range []struct {
		size int
		want codes.Code
	}{{server.MaxHeaderBytes - 2048, codes.OK}, {server.MaxHeaderBytes, codes.Internal}} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x", strings.Repeat("x", tt.size))
		if _, err := c.Check(ctx, &healthpb.HealthCheckRequest{}); status.Code(err) != tt.want {
			t.Errorf("a call with metadata of %d bytes: %v, want %v", tt.size, err, tt.want)
		}
	}
}

// ... and on the HTTP face, where net/http adds 4 KiB.
func TestHTTP_HeaderSize(t *testing.T) {
	t.Parallel()
	s := serve(t, options(t))
	for _, tt := range []struct{ size, want int }{
		{server.MaxHeaderBytes - 2048, http.StatusOK}, {server.MaxHeaderBytes + 4096, http.StatusRequestHeaderFieldsTooLarge},
	} {
		tr := &http.Transport{}
		defer tr.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.HTTPAddr()+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X", string(bytes.Repeat([]byte{'x'}, tt.size)))
		resp, err := (&http.Client{Transport: tr}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("a request with a header of %d bytes = %d, want %d", tt.size, resp.StatusCode, tt.want)
		}
	}
}

// POL-04: each face keeps so many connections. The next one is turned away at once, so
// that its client can come again, and finds room when one has gone.
func TestRun_MaxConnections(t *testing.T) {
	for _, face := range []string{"gRPC", "HTTP"} {
		t.Run(face, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, web := bufconn.Listen(1), bufconn.Listen(1)
				h := buildFaces(t, l, web)
				if face == "HTTP" {
					l = web
				}
				// Shorter than what either face gives a connection that says nothing.
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				var conns []net.Conn
				for len(conns) < server.MaxConnections {
					conn, err := l.DialContext(ctx)
					if err != nil {
						t.Fatalf("connection %d: %v", len(conns)+1, err)
					}
					conns = append(conns, conn)
				}
				if !turnedAway(t, ctx, l) {
					t.Errorf("connection %d was let in, want %d at most", len(conns)+1, server.MaxConnections)
				}
				conns[0].Close()
				synctest.Wait() // until the server has seen that
				if turnedAway(t, ctx, l) {
					t.Error("a connection after one has gone was turned away")
				}
				synctest.Wait()
				conn, err := l.DialContext(ctx)
				if err != nil {
					t.Fatalf("a connection after one has gone: %v", err)
				}
				conns[0] = conn
				for _, conn := range conns {
					conn.Close()
				}
				h.stop()
				if err := <-h.ran; err != nil {
					t.Errorf("Run = %v, want nil", err)
				}
			})
		})
	}
}

// turnedAway reports whether a new connection is closed before the server says
// anything, and closes it.
func turnedAway(t *testing.T, ctx context.Context, l *bufconn.Listener) bool {
	t.Helper()
	conn, err := l.DialContext(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	_, err = conn.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
}
