package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	rpccode "google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/httpapi"
	"github.com/longrun-dev/longrun/internal/server"
)

// webClient returns a client, and closes what it has open with the test.
func webClient(t *testing.T, dial func(ctx context.Context, network, addr string) (net.Conn, error)) *http.Client {
	t.Helper()
	tr := &http.Transport{DialContext: dial}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// httpDoor is a door by HTTP/JSON.
type httpDoor struct {
	c   *http.Client
	url string
}

// do sends a request and reads a reply into into.
func (d httpDoor) do(ctx context.Context, method, path, body string, into proto.Message) codes.Code {
	r, err := http.NewRequestWithContext(ctx, method, d.url+path, strings.NewReader(body))
	if err != nil {
		return codes.DataLoss
	}
	resp, err := d.c.Do(r)
	if err != nil {
		return codes.DataLoss
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return codes.DataLoss
	}
	if resp.StatusCode != http.StatusOK {
		var failed struct{ Error struct{ Status string } }
		if json.Unmarshal(text, &failed) != nil {
			return codes.DataLoss
		}
		return codes.Code(rpccode.Code_value[failed.Error.Status])
	}
	if into != nil && protojson.Unmarshal(text, into) != nil {
		return codes.DataLoss
	}
	return codes.OK
}

func escaped(name string) string { return strings.ReplaceAll(name, " ", "%20") }

func (d httpDoor) get(ctx context.Context, name string) (*longrunningpb.Operation, codes.Code) {
	op := new(longrunningpb.Operation)
	return op, d.do(ctx, "GET", "/v1/"+escaped(name), "", op)
}

func (d httpDoor) wait(ctx context.Context, name string, timeout time.Duration) (*longrunningpb.Operation, codes.Code) {
	op := new(longrunningpb.Operation)
	return op, d.do(ctx, "POST", "/v1/"+escaped(name)+":wait", fmt.Sprintf(`{"timeout":"%.3fs"}`, timeout.Seconds()), op)
}

func (d httpDoor) list(ctx context.Context, parent string) ([]*longrunningpb.Operation, codes.Code) {
	page := new(longrunningpb.ListOperationsResponse)
	code := d.do(ctx, "GET", "/v1/"+parent+"/operations", "", page)
	return page.GetOperations(), code
}

func (d httpDoor) cancel(ctx context.Context, name string) codes.Code {
	return d.do(ctx, "POST", "/v1/"+escaped(name)+":cancel", "", nil)
}

func (d httpDoor) delete(ctx context.Context, name string) codes.Code {
	return d.do(ctx, "DELETE", "/v1/"+escaped(name), "", nil)
}

// bubble is the HTTP face of a server inside a bubble of fake time.
func bubble(t *testing.T) (h *house, web *bufconn.Listener) {
	t.Helper()
	web = bufconn.Listen(1 << 20)
	return buildFaces(t, bufconn.Listen(1), web), web
}

func (h *house) end(t *testing.T) {
	t.Helper()
	h.stop()
	if err := <-h.ran; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

// WAI-06: a wait over HTTP lasts as long as is permitted, which is longer than the server
// gives a request to come in. WAI-15: a drain answers it with the latest state.
func TestHTTP_LongPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, web := bubble(t)
		d := httpDoor{webClient(t, func(ctx context.Context, _, _ string) (net.Conn, error) { return web.DialContext(ctx) }), "http://localhost"}
		op := new(longrunningpb.Operation)
		if code := d.do(t.Context(), "POST", "/v1/operations:simulate", `{"runDuration":"3600s"}`, op); code != codes.OK {
			t.Fatalf("simulate = %v", code)
		}
		for _, body := range []string{"", "{}"} {
			begin := time.Now()
			code := d.do(t.Context(), "POST", "/v1/"+op.GetName()+":wait", body, op)
			if took := time.Since(begin); code != codes.OK || op.GetDone() || took != longrun.MaxWait {
				t.Errorf("wait = %v, done %v in %v; want OK and running in %v", code, op.GetDone(), took, longrun.MaxWait)
			}
		}
		begin := time.Now()
		code := make(chan codes.Code, 1)
		go func() { code <- d.do(context.Background(), "POST", "/v1/"+op.GetName()+":wait", "", op) }()
		time.Sleep(time.Second)
		h.stop()
		if got := <-code; got != codes.OK || op.GetDone() || time.Since(begin) > 2*time.Second {
			t.Errorf("wait over a drain = %v, done %v in %v; want OK and running at once", got, op.GetDone(), time.Since(begin))
		}
		d.c.CloseIdleConnections()
		h.end(t)
	})
}

// Slow and half-open clients are cut off, wherever they have stopped.
func TestHTTP_SlowClients(t *testing.T) {
	for name, tt := range map[string]struct {
		sent  string
		after time.Duration
	}{
		"nothing":        {"", server.ReadHeaderTimeout},
		"half a header":  {"GET /v1/operations HTTP/1.1\r\nHost: loc", server.ReadHeaderTimeout},
		"half a body":    {"POST /v1/operations:start HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{", server.ReadTimeout},
		"refused body":   {"POST /v1/nope HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{", server.ReadTimeout},
		"chunks":         {"POST /v1/operations:start HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{", server.ReadTimeout},
		"silent at last": {"GET /v1/operations HTTP/1.1\r\nHost: localhost\r\n\r\n", server.IdleTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, web := bubble(t)
				conn, err := web.DialContext(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				if _, err := io.WriteString(conn, tt.sent); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, conn); err != nil {
					t.Logf("read: %v", err)
				}
				if took := time.Since(begin); took > tt.after+time.Second {
					t.Errorf("the connection was cut after %v, want %v", took, tt.after)
				}
				conn.Close()
				h.end(t)
			})
		})
	}
}

// HTTP-10, HTTP-11: what a raw client can send that others clean up: 400 or 404, never a
// redirect and never an operation. QRY-16: nor a body or a header that is too large. ERR-22:
// all of it is said in the envelope, also what net/http refuses before anybody is asked.
func TestHTTP_Raw(t *testing.T) {
	t.Parallel()
	s := serve(t, options(t))
	const host = "Host: localhost\r\n"
	for _, tt := range []struct {
		line, header string
		want         int
		reason       string
	}{
		{"GET /v1/operations/%zz", host, 400, httpapi.ReasonMalformedRequest},
		{"GET /v1/operations/%", host, 400, httpapi.ReasonMalformedRequest},
		{"GET /v1/opera tions", host, 400, httpapi.ReasonMalformedRequest},
		{"GET", host, 400, httpapi.ReasonMalformedRequest},
		{"GET /v1/operations", "", 400, httpapi.ReasonMalformedRequest},
		{"GET /v1/operations", host + "X\x00: y\r\n", 400, httpapi.ReasonMalformedRequest},
		{"POST /v1/operations:start", host + "Transfer-Encoding: gzip\r\n", 501, httpapi.ReasonMalformedRequest},
		{"GET /v1/operations", host + "X: " + strings.Repeat("y", 80<<10) + "\r\n", 431, httpapi.ReasonTooLarge},
		{"GET /v1/operations/../operations/x", host, 400, httpapi.ReasonInvalidPath},
		{"GET //v1/operations/x", host, 400, httpapi.ReasonInvalidPath},
		{"GET /v1/operations/", host, 400, httpapi.ReasonInvalidPath},
		{"GET /healthz/../v1/operations", host, 400, httpapi.ReasonInvalidPath},
		{"GET /v1/operations?filter=%zz", host, 400, httpapi.ReasonInvalidParameter},
		{"GET /v1/operations/x?", host, 404, longrun.ReasonOperationNotFound},
		{"GET http://evil.example.com/v1/operations", host, 403, httpapi.ReasonHostRefused},
		{"POST /v1/operations:start?x=" + strings.Repeat("a", 40<<10), host, 414, httpapi.ReasonTooLarge},
		{"POST /v1/operations:start", host + "Content-Length: 20000000\r\n", 413, httpapi.ReasonTooLarge},
	} {
		resp, body := sendRaw(t, s.HTTPAddr(), tt.line+" HTTP/1.1\r\n"+tt.header+"Connection: close\r\n\r\n")
		var p struct {
			Error struct {
				Code    int
				Message string
				Details []struct{ Reason, Domain string }
			}
		}
		if err := json.Unmarshal(body, &p); err != nil || len(p.Error.Details) == 0 {
			t.Errorf("%.40s = %.200q, want an envelope: %v", tt.line, body, err)
			continue
		}
		if got := p.Error.Details[0]; resp.StatusCode != tt.want || p.Error.Code != tt.want || p.Error.Message == "" || got.Reason != tt.reason || got.Domain != longrun.DefaultDomain {
			t.Errorf("%.40s = %d %s, want %d for %s", tt.line, resp.StatusCode, body, tt.want, tt.reason)
		}
		if resp.Header.Get("Location") != "" || resp.Header.Get("Content-Type") != "application/json; charset=utf-8" || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%.40s has the header %v, want JSON that is not stored, and no redirect", tt.line, resp.Header)
		}
	}
	if resp, body := sendRaw(t, s.HTTPAddr(), "OPTIONS * HTTP/1.1\r\n"+host+"Connection: close\r\n\r\n"); resp.StatusCode != 200 || len(body) > 0 {
		t.Errorf("OPTIONS * = %d %q, want net/http's own empty 200", resp.StatusCode, body)
	}
}

// sendRaw sends text and reads a reply.
func sendRaw(t *testing.T, addr, text string) (*http.Response, []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%.40s: %v", text, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%.40s: %v", text, err)
	}
	return resp, body
}

// A foreign Host is refused, but for the probes of whoever runs the machine; the host of
// --http and those of --allow-host are not foreign.
func TestHTTP_Hosts(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Hosts, o.Origins = []string{"longrun.example.com"}, []string{"https://console.example.com"}
	s := serve(t, o)
	c := webClient(t, nil)
	for _, tt := range []struct {
		path, host, origin string
		want               int
	}{
		{"/v1/operations", "", "", 200}, {"/v1/operations", "longrun.example.com", "", 200}, {"/v1/operations", "evil.example.com", "", 403},
		{"/healthz", "10.1.2.3:8151", "", 200}, {"/v1/operations", "", "https://console.example.com", 200}, {"/v1/operations", "", "https://evil.example.com", 403},
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.HTTPAddr()+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = tt.host
		if tt.origin != "" {
			r.Header.Set("Origin", tt.origin)
		}
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%+v = %d, want %d", tt, resp.StatusCode, tt.want)
		}
	}
}

// A service configuration gives other paths without a change of code, and what it does not
// bind of an interface that it lists is switched off over gRPC too (MIX-02).
func TestServiceConfig(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.ServiceConfig = filepath.Join(t.TempDir(), "service.yaml")
	write(t, o.ServiceConfig, `
type: google.api.Service
apis:
- name: google.longrunning.Operations
http:
  rules:
  - selector: google.longrunning.Operations.GetOperation
    get: '/v3/{name=projects/*/locations/*/operations/*}'
  - selector: google.cloud.location.Locations.GetLocation
    get: '/v3/{name=projects/*/locations/*}'
`)
	s := serve(t, o)
	d, ops := httpDoor{webClient(t, nil), "http://" + s.HTTPAddr()}, longrunningpb.NewOperationsClient(dial(t, s.GRPCAddr()))
	op := new(longrunningpb.Operation)
	if code := d.do(t.Context(), "POST", "/v1/projects/p/locations/l/operations:simulate", "{}", op); code != codes.OK {
		t.Fatalf("simulate = %v", code)
	}
	if code := d.do(t.Context(), "GET", "/v3/"+op.GetName(), "", op); code != codes.OK {
		t.Errorf("GET /v3 = %v, want OK", code)
	}
	if code := d.do(t.Context(), "GET", "/v1/"+op.GetName(), "", op); code != codes.NotFound {
		t.Errorf("GET /v1 = %v, want NOT_FOUND", code)
	}
	if _, err := ops.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: op.GetName()}); err != nil {
		t.Errorf("GetOperation: %v", err)
	}
	if _, err := ops.WaitOperation(t.Context(), &longrunningpb.WaitOperationRequest{Name: op.GetName()}); status.Code(err) != codes.Unimplemented {
		t.Errorf("WaitOperation = %v, want UNIMPLEMENTED", err)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
