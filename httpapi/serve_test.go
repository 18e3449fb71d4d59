package httpapi_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/longrun-dev/longrun/httpapi"
)

// Serving is safe for concurrent use, and no reply has anything of another.
func TestServe_Concurrent(t *testing.T) {
	t.Parallel()
	h := (&library{}).serve(t, httpapi.Options{})
	var calls sync.WaitGroup
	for i := range 8 {
		calls.Go(func() {
			for j := range 50 {
				name := fmt.Sprintf("books/%d-%s", i, strings.Repeat("x", 1+j*20))
				expectJSON(t, name, ask(h, "PATCH /v1/"+name, `{"extra":{"a":1}}`),
					`{"name":"`+name+`","extra":{"@type":"type.googleapis.com/google.protobuf.Struct","value":{"a":1}}}`)
			}
		})
	}
	calls.Wait()
}

// A body that breaks off is no body, and its method is not called. One without a length
// is read like any other (QRY-16: and limited).
func TestServe_Bodies(t *testing.T) {
	t.Parallel()
	h := (&library{}).serve(t, httpapi.Options{MaxBody: 100})
	serve := func(body io.Reader) *httptest.ResponseRecorder {
		r := httptest.NewRequest("PATCH", "http://localhost/v1/books/x", body)
		r.ContentLength = -1
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	expectJSON(t, "chunks", serve(strings.NewReader(`{"copies":1}`)), `{"name":"books/x","copies":1}`)
	expectJSON(t, "no chunks", serve(strings.NewReader("")), `{"name":"books/x"}`)
	expect(t, "large", serve(strings.NewReader(strings.Repeat(" ", 101))), want{413, "RESOURCE_EXHAUSTED", httpapi.ReasonTooLarge, ""})
	broken := io.MultiReader(strings.NewReader(`{"copies":`), iotestError{})
	expect(t, "broken", serve(broken), want{400, invalid, httpapi.ReasonInvalidBody, ""})
}

type iotestError struct{}

func (iotestError) Read([]byte) (int, error) { return 0, errors.New("broken pipe") }

// Through net/http, HEAD and GET have the same header, and OPTIONS no body.
func TestServe_NetHTTP(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer((&library{}).serve(t, httpapi.Options{}))
	t.Cleanup(server.Close)
	headers := map[string]string{}
	for _, method := range []string{"GET", "HEAD"} {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/v1/books/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || (len(body) == 0) != (method == "HEAD") {
			t.Errorf("%s = %d with %d bytes, %v", method, resp.StatusCode, len(body), err)
		}
		resp.Header.Del("Date")
		headers[method] = fmt.Sprint(resp.Header)
	}
	if headers["GET"] != headers["HEAD"] {
		t.Errorf("headers of GET %s, of HEAD %s; want the same", headers["GET"], headers["HEAD"])
	}
}
