package httpapi_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/longrun-dev/longrun/httpapi"
)

// on serves handler on the listener of h, and returns its address.
func on(t *testing.T, h *httpapi.Handler, handler http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute, MaxHeaderBytes: 4 << 10}
	served := make(chan error, 1)
	go func() { served <- server.Serve(h.Listener(l)) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve = %v, want %v", err, http.ErrServerClosed)
		}
	})
	return l.Addr().String()
}

// exchange sends text and returns the reply as it comes.
func exchange(t *testing.T, addr, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	reply, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("%.40q: %v", text, err)
	}
	return string(reply)
}

// HTTP-10, ERR-20, ERR-22: what net/http refuses by itself is in the envelope, whole and
// framed, also behind requests that it has served.
func TestListener_OwnRefusals(t *testing.T) {
	t.Parallel()
	h := (&library{}).serve(t, httpapi.Options{Domain: "library.example.com"})
	addr := on(t, h, h)
	const info = `"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"%s","domain":"library.example.com"}]}}` + "\n"
	for request, want := range map[string]struct {
		line, status, reason string
	}{
		"GET /v1/books/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n":                                         {"400 Bad Request", invalid, httpapi.ReasonMalformedRequest},
		"GET /v1/books/x HTTP/1.1\r\n\r\n":                                                              {"400 Bad Request", invalid, httpapi.ReasonMalformedRequest},
		"nonsense\r\n\r\n":                                                                              {"400 Bad Request", invalid, httpapi.ReasonMalformedRequest},
		"GET /v1/books/x HTTP/3.0\r\nHost: localhost\r\n\r\n":                                           {"505 HTTP Version Not Supported", "UNIMPLEMENTED", httpapi.ReasonMalformedRequest},
		"PATCH /v1/books/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n":              {"501 Not Implemented", "UNIMPLEMENTED", httpapi.ReasonMalformedRequest},
		"GET /v1/books/x HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("y", 16<<10) + "\r\n\r\n": {"431 Request Header Fields Too Large", "RESOURCE_EXHAUSTED", httpapi.ReasonTooLarge},
	} {
		reply := exchange(t, addr, request)
		if !strings.HasPrefix(reply, "HTTP/1.1 "+want.line+"\r\n") || !strings.HasSuffix(reply, `"status":"`+want.status+`",`+fmt.Sprintf(info, want.reason)) {
			t.Errorf("%.40q = %q, want %s in the envelope", request, reply, want.line)
		}
		if _, err := http.ReadResponse(bufio.NewReader(strings.NewReader(reply)), nil); err != nil {
			t.Errorf("%.40q: %v", request, err)
		}
	}
	replies := exchange(t, addr, "GET /v1/books/x HTTP/1.1\r\nHost: localhost\r\n\r\nGET /% HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if strings.Count(replies, "HTTP/1.1 200 OK") != 1 || !strings.Contains(replies, `{"name":"books/x"}`) || !strings.HasSuffix(replies, fmt.Sprintf(info, httpapi.ReasonMalformedRequest)) {
		t.Errorf("two requests = %q, want a book and an envelope", replies)
	}
}

// What a handler says is let through as it is, in plain text too.
func TestListener_OfHandlers(t *testing.T) {
	t.Parallel()
	h := (&library{}).serve(t, httpapi.Options{})
	addr := on(t, h, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		http.Error(w, "400 Bad Request", http.StatusBadRequest)
	}))
	reply := exchange(t, addr, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if !strings.HasSuffix(reply, "\r\n\r\n400 Bad Request\n") || !strings.Contains(reply, "Content-Type: text/plain") {
		t.Errorf("reply = %q, want the handler's", reply)
	}
}

// ERR-10, POL-04: a connection that is turned away is told when to come again.
func TestBusy(t *testing.T) {
	t.Parallel()
	h := (&library{}).serve(t, httpapi.Options{})
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(h.Busy("too many connections")))), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	var p problem
	unmarshal(t, body, &p)
	if err != nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "1" || p.detail("google.rpc.RetryInfo")["retryDelay"] != "1s" || p.Error.Status != "UNAVAILABLE" {
		t.Errorf("Busy = %d %v %s, %v; want 503 with Retry-After and RetryInfo", resp.StatusCode, resp.Header, body, err)
	}
}
