package httpapi_test

import (
	"testing"

	"github.com/longrun-dev/longrun/httpapi"
)

// A Host that is neither loopback nor configured is refused: a page whose name was
// rebound to loopback asks under its own name.
func TestGuard_Host(t *testing.T) {
	t.Parallel()
	h := (&library{}).serve(t, httpapi.Options{Hosts: []string{"Longrun.example.com", "10.0.0.7", "fd00::1"}})
	for host, allowed := range map[string]bool{
		"localhost": true, "localhost:8151": true, "LOCALHOST:1": true, "a.localhost": true, "127.0.0.1:8151": true, "127.1.2.3": true,
		"[::1]:8151": true, "[::1]": true, "[::ffff:127.0.0.1]": true,
		"longrun.example.com": true, "longrun.EXAMPLE.com:80": true, "10.0.0.7:8151": true, "[fd00::1]:8151": true,
		"": false, "evil.example.com": false, "localhost.evil.com": false, "127.0.0.1.evil.com": false, "10.0.0.8": false, "0.0.0.0": false,
		"longrun.example.com.evil.com": false, "x.longrun.example.com": false, "127.1": false, "[fd00::2]": false, "evil@localhost": false,
	} {
		w := ask(h, "GET /v1/books/x", "", "Host: "+host)
		if !allowed {
			expect(t, host, w, want{403, "PERMISSION_DENIED", httpapi.ReasonHostRefused, ""})
		} else if w.Code != 200 {
			t.Errorf("Host %q = %d, want 200", host, w.Code)
		}
	}
	any := (&library{}).serve(t, httpapi.Options{Hosts: []string{"*"}})
	if w := ask(any, "GET /v1/books/x", "", "Host: evil.example.com"); w.Code != 200 {
		t.Errorf("any Host = %d, want 200", w.Code)
	}
}

// A foreign Origin is refused, whatever the method is: only pages of this server, and
// of origins that are configured, may ask. Those are let read the reply.
func TestGuard_Origin(t *testing.T) {
	t.Parallel()
	h := (&library{}).serve(t, httpapi.Options{Origins: []string{"https://console.example.com"}})
	for origin, allowed := range map[string]bool{
		"http://localhost:8151": true, "https://console.example.com": true,
		"http://localhost:3000": false, "http://127.0.0.1:8151": false, "null": false, "": false, "https://evil.example.com": false,
		"http://console.example.com": false, "https://console.example.com:444": false, "localhost:8151": false,
	} {
		for _, line := range []string{"GET /v1/books/x", "PATCH /v1/books/x"} {
			w := ask(h, line, "", "Origin: "+origin)
			if !allowed {
				expect(t, origin, w, want{403, "PERMISSION_DENIED", httpapi.ReasonOriginRefused, ""})
			} else if w.Code != 200 {
				t.Errorf("Origin %q = %d, want 200", origin, w.Code)
			}
			shared := w.Header().Get("Access-Control-Allow-Origin")
			if want := origin == "https://console.example.com"; (shared == origin && origin != "") != want {
				t.Errorf("Origin %q may read: %q, want %v", origin, shared, want)
			}
		}
	}
	w := ask(h, "OPTIONS /v1/books/x", "", "Origin: https://console.example.com", "Access-Control-Request-Method: PATCH")
	if got := w.Header().Get("Access-Control-Allow-Methods"); w.Code != 204 || got != "GET, HEAD, PATCH, REPORT, OPTIONS" {
		t.Errorf("OPTIONS = %d with methods %q, want 204 and all of them", w.Code, got)
	}
	plain := (&library{}).serve(t, httpapi.Options{})
	if got := ask(plain, "GET /v1/books/x", "").Header()["Vary"]; got != nil {
		t.Errorf("Vary = %v without origins, want none", got)
	}
}

func TestNew_Wrong(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]httpapi.Options{
		"port":         {Hosts: []string{"longrun.example.com:80"}},
		"empty host":   {Hosts: []string{""}},
		"no scheme":    {Origins: []string{"console.example.com"}},
		"path":         {Origins: []string{"https://console.example.com/x"}},
		"star origin":  {Origins: []string{"*"}},
		"negative":     {MaxBody: -1},
		"empty origin": {Origins: []string{""}},
	} {
		if _, err := httpapi.New(o); err == nil {
			t.Errorf("%s: New = nil, want an error", name)
		}
	}
}
