package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// ask makes a request and returns the status and the JSON of the reply.
func (p *process) ask(method, path, body string) (int, map[string]any) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.http+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	reply := map[string]any{}
	if err := json.Unmarshal(text, &reply); err != nil {
		p.t.Fatalf("%s %s: %v in %s", method, path, err, text)
	}
	return resp.StatusCode, reply
}

// The same API over HTTP: the annotations of the proto file are the routes, of the methods
// that start operations too, and operations are beside them. PAR-02, PAR-07: ABORTED is 409.
func TestHTTP(t *testing.T) {
	t.Parallel()
	p := begin(t, t.TempDir(), "0")
	_, op := p.ask("POST", "/v1/shelves?shelfId=novels&requestId=7a6e2f1c-3a0e-4f7b-9a53-0d7a41f0b7c2", `{"theme": "Novels"}`)
	name, _ := op["name"].(string)
	if _, op = p.ask("POST", "/v1/"+name+":wait", `{"timeout": "60s"}`); op["done"] != true {
		t.Fatalf("CreateShelf: %v, want it done", op)
	}
	if response, _ := op["response"].(map[string]any); response["state"] != "ACTIVE" {
		t.Errorf("response = %v, want an ACTIVE shelf", response)
	}
	for _, tt := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/v1/shelves", "", 200},
		{"GET", "/v1/shelves/novels", "", 200},
		{"GET", "/v1/shelves/none", "", 404},
		{"POST", "/v1/shelves?shelfId=novels", `{"theme": "Novels"}`, 409},
		{"POST", "/v1/shelves?shelfId=N", `{"theme": "Novels"}`, 400},
		{"POST", "/v1/shelves/novels/books?bookId=emma", `{"title": "Emma"}`, 200},
		{"GET", "/v1/shelves/novels/books/emma", "", 200},
		{"GET", "/v1/shelves/novels/books?pageSize=-1", "", 400},
		{"DELETE", "/v1/shelves/novels/books/emma?etag=x", "", 409},
		{"DELETE", "/v1/shelves/novels?etag=x", "", 409},
		{"POST", "/v1/shelves/novels/books:import", `{"bucketSource": {"object": "none"}}`, 404},
		{"POST", "/v1/shelves/novels/books:batchCreate", `{"requests": [{"bookId": "a", "book": {"title": "A"}}]}`, 200},
		{"POST", "/v1/shelves/novels/books:batchDelete", `{"names": ["shelves/novels/books/emma"]}`, 200},
		{"GET", "/v1/shelves/novels/operations", "", 200},
		{"GET", "/v1/operations", "", 200},
	} {
		if got, reply := p.ask(tt.method, tt.path, tt.body); got != tt.want {
			t.Errorf("%s %s = %d %v, want %d", tt.method, tt.path, got, reply, tt.want)
		}
	}
}
