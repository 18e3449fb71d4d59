package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/httpapi"
)

// OP-02, OP-12, OP-13: a failed operation is a successful Get, whose error has a code of
// google.rpc and no status. OP-03: of a done one there is a result, of another none.
// OP-08, JSN-05, JSN-06: nothing but what the messages have, no defaults, no null.
func TestOperation_JSON(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	f := s.fixtures(t, "")
	for name, want := range map[string][]string{
		f.S: {"done", "metadata", "name", "response"}, f.E: {"done", "error", "metadata", "name"},
		f.C: {"done", "error", "metadata", "name"}, f.R: {"metadata", "name"},
	} {
		w := ask(s.web, "GET /v1/"+name, "")
		object := keys(t, w.Body.Bytes())
		var got []string
		for key := range object {
			got = append(got, key)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) || w.Code != 200 || strings.Contains(w.Body.String(), "null") {
			t.Errorf("%s = %d %s, want the keys %v", name, w.Code, w.Body, want)
		}
		var failure map[string]any
		if object["error"] != nil {
			if err := json.Unmarshal(object["error"], &failure); err != nil || failure["status"] != nil || failure["code"].(float64) > 16 {
				t.Errorf("error of %s = %s, want a google.rpc.Status", name, object["error"])
			}
		}
	}
	// JSN-04: an Any of Empty is its type alone.
	if got, want := string(keys(t, ask(s.web, "GET /v1/"+f.S, "").Body.Bytes())["response"]), `{"@type":"type.googleapis.com/google.protobuf.Empty"}`; strings.ReplaceAll(got, " ", "") != want {
		t.Errorf("response = %s, want %s", got, want)
	}
	// JSN-03, OP-07: metadata says its type.
	if got := string(keys(t, ask(s.web, "GET /v1/"+f.S, "").Body.Bytes())["metadata"]); !strings.HasPrefix(got, `{"@type":"type.googleapis.com/longrun.v1.OperationMetadata"`) {
		t.Errorf("metadata = %s, want it to begin with its type", got)
	}
}

// JSN-10: what HTTP says is what the method has returned. LST-12, GET-09: in a list too.
func TestOperation_SameMessage(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	f := s.fixtures(t, parent)
	listed := map[string]*longrunningpb.Operation{}
	for _, op := range s.list(t, "/v1/"+parent+"/operations").GetOperations() {
		listed[op.GetName()] = op
	}
	for _, name := range []string{f.S, f.E, f.C, f.R} {
		n, err := longrun.ParseName(name)
		if err != nil {
			t.Fatal(err)
		}
		op, err := s.svc.Get(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		want := s.svc.Proto(op)
		if got := s.op(t, "GET /v1/"+name, ""); !proto.Equal(got, want) || !proto.Equal(listed[name], want) {
			t.Errorf("GET = %v and listed %v, want %v", got, listed[name], want)
		}
	}
}

// JSN-01: JSON, in UTF-8, on success and error. JSN-15: its blanks mean nothing.
func TestOperation_ContentType(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, line := range []string{"GET /v1/operations", "GET /v1/operations/x", "GET /x", "POST /v1/operations:start", "PUT /v1/operations"} {
		w := ask(s.web, line, "")
		if got := w.Header().Get("Content-Type"); got != "application/json; charset=utf-8" || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: %s %s, want JSON", line, got, w.Body)
		}
	}
}

// JSN-11, JSN-12: an operation whose payload nobody can read fails no Get and no List.
func TestOperation_UnknownPayload(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	unknown := s.finish(t, s.run(t, parent), longrun.Result{Response: &anypb.Any{TypeUrl: "type.googleapis.com/no.Such", Value: []byte{1}}})
	corrupt := s.finish(t, s.run(t, parent), longrun.Result{Response: &anypb.Any{TypeUrl: "type.googleapis.com/longrun.v1.CommandResponse", Value: []byte{10}}})
	well := s.finish(t, s.run(t, parent), longrun.Result{Response: pack(t, &emptypb.Empty{})})
	for name, want := range map[string]string{unknown: `{"@type":"type.googleapis.com/no.Such","value":"AQ=="}`, corrupt: `{"@type":"type.googleapis.com/longrun.v1.CommandResponse","value":"Cg=="}`} {
		w := ask(s.web, "GET /v1/"+name, "")
		if got := strings.ReplaceAll(string(keys(t, w.Body.Bytes())["response"]), " ", ""); w.Code != 200 || got != want {
			t.Errorf("response = %d %s, want %s", w.Code, got, want)
		}
	}
	w := ask(s.web, "GET /v1/"+parent+"/operations", "")
	for _, name := range []string{unknown, corrupt, well} {
		if w.Code != 200 || !strings.Contains(w.Body.String(), name) {
			t.Errorf("List = %d without %s: %s", w.Code, name, w.Body)
		}
	}
}

// CAN-16: the bodies that clients send with a cancel. QRY-10: none, nothing and {} are the
// same. QRY-11: a name that differs is refused, and cancels nobody.
func TestCancel_Bodies(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, tt := range []struct{ body, typ string }{
		{"", "application/json"}, {"{}", "application/json"}, {`{"name":"NAME"}`, "application/json"}, {"", "application/x-www-form-urlencoded"}, {"{}", ""},
		{`{"name":""}`, "application/json; charset=utf-8"},
	} {
		r := s.run(t, "").Name().String()
		w := ask(s.web, "POST /v1/"+r+":cancel?$alt=json%3Benum-encoding=int", strings.ReplaceAll(tt.body, "NAME", r), "Content-Type: "+tt.typ)
		if tt.typ == "" {
			w = ask(s.web, "POST /v1/"+r+":cancel", tt.body)
		}
		expectJSON(t, tt.body, w, `{}`) // JSN-13
		if op := s.op(t, "GET /v1/"+r, ""); !strings.Contains(op.GetMetadata().String(), "requested_cancellation:true") {
			t.Errorf("%s cancelled nothing: %v", tt.body, op)
		}
	}
	x, y := s.run(t, "").Name().String(), s.run(t, "").Name().String()
	expect(t, "other", ask(s.web, "POST /v1/"+x+":cancel", `{"name":"`+y+`"}`), want{400, invalid, httpapi.ReasonInvalidParameter, "name"})
	for _, name := range []string{x, y} {
		if op := s.op(t, "GET /v1/"+name, ""); strings.Contains(op.GetMetadata().String(), "requested_cancellation:true") {
			t.Errorf("%s = %v, want it untouched", name, op)
		}
	}
}

// DEL-10, DEL-11: DELETE answers {}, and the type of a body that is not there means nothing.
// DEL-05, LST-13, GET-10: what the requests do not have is an unknown parameter.
func TestDelete(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	f := s.fixtures(t, "")
	for _, q := range []string{"DELETE /v1/" + f.S + "?allowMissing=true", "GET /v1/operations?orderBy=name", "GET /v1/" + f.S + "?readMask=name", "GET /v1/" + f.S + "?bogus=1"} {
		p := expect(t, q, ask(s.web, q, ""), want{400, invalid, httpapi.ReasonUnknownParameter, strings.SplitN(strings.SplitN(q, "?", 2)[1], "=", 2)[0]})
		if p.Error.Message == "" {
			t.Errorf("%s has no message", q)
		}
	}
	expectJSON(t, "DELETE", ask(s.web, "DELETE /v1/"+f.S, "", "Content-Type: application/json"), `{}`)
	expect(t, "again", ask(s.web, "DELETE /v1/"+f.S, ""), want{404, "NOT_FOUND", notFound, ""})
	expectJSON(t, "empty body", ask(s.web, "DELETE /v1/"+f.E, `""`), `{}`)
}

// PAG-18: what java and rust always send is taken; wrong types are not. PS-01, PS-02.
// PAG-03, ERR-08: a violation names the field as JSON does. PS-11, JSN-06: no empty fields.
func TestList_Parameters(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.fixtures(t, "")
	w := ask(s.web, "GET /v1/operations?filter=&pageSize=0&pageToken=&returnPartialSuccess=false&$alt=json%3Benum-encoding%3Dint", "")
	if got := keys(t, w.Body.Bytes()); w.Code != 200 || len(got) != 1 || got["operations"] == nil {
		t.Errorf("List = %d %s, want operations alone", w.Code, w.Body)
	}
	for query, want := range map[string]want{
		"pageSize=abc":              {400, invalid, httpapi.ReasonInvalidParameter, "pageSize"},
		"pageSize=1.5":              {400, invalid, httpapi.ReasonInvalidParameter, "pageSize"},
		"pageSize=":                 {400, invalid, httpapi.ReasonInvalidParameter, "pageSize"},
		"pageSize=2147483648":       {400, invalid, httpapi.ReasonInvalidParameter, "pageSize"},
		"page_size=-1":              {400, invalid, longrun.ReasonInvalidPageSize, "pageSize"},
		"pageSize=1&pageSize=2":     {400, invalid, httpapi.ReasonInvalidParameter, "pageSize"},
		"pageToken=abc":             {400, invalid, longrun.ReasonInvalidPageToken, "pageToken"},
		"returnPartialSuccess=yes":  {400, invalid, httpapi.ReasonInvalidParameter, "returnPartialSuccess"},
		"returnPartialSuccess=1":    {400, invalid, httpapi.ReasonInvalidParameter, "returnPartialSuccess"},
		"returnPartialSuccess=true": {501, "UNIMPLEMENTED", longrun.ReasonPartialSuccess, "returnPartialSuccess"},
		"filter=done&filter=done":   {400, invalid, httpapi.ReasonInvalidParameter, "filter"}, // FLT-13
		"filter=%zz":                {400, invalid, httpapi.ReasonInvalidParameter, "filter"},
	} {
		expect(t, query, ask(s.web, "GET /v1/operations?"+query, ""), want)
	}
}

// PAG-06: pages are walked by URL, and their tokens are safe in one (PAG-12).
func TestList_Pages(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	var want, got []string
	for range 7 {
		want = append(want, s.run(t, parent).Name().String())
	}
	slices.Reverse(want)
	for token, pages := "", 1; ; pages++ {
		page := s.list(t, fmt.Sprintf("/v1/%s/operations?pageSize=3&pageToken=%s", parent, token))
		got = append(got, names(page)...)
		if token = page.GetNextPageToken(); token == "" {
			if pages != 3 {
				t.Errorf("pages = %d, want 3", pages)
			}
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("walked %v, want %v", got, want)
	}
}

// WAI-18: POST :wait with a body. WAI-19: or with parameters. WAI-20: or as Go's client
// asks. WAI-03, WAI-07: when the timeout is over it is the latest state.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		r := s.run(t, "").Name().String()
		for _, tt := range []struct{ line, body string }{
			{"POST /v1/" + r + ":wait", `{"timeout":"2s"}`}, {"POST /v1/" + r + ":wait?timeout=2s", ``}, {"POST /v1/" + r + ":wait?timeout=2s", `{}`},
			{"POST /v1/" + r + ":wait?timeout=2s", `{"name":"` + r + `"}`}, {"GET /?name=" + r + "&timeout=2s", ``}, {"POST /v1/" + r + ":wait", `{"timeout":"2.000s","name":"` + r + `"}`},
		} {
			var op *longrunningpb.Operation
			took := elapsed(func() { op = s.op(t, tt.line, tt.body) })
			if op.GetName() != r || op.GetDone() || took != 2*time.Second {
				t.Errorf("%s %s = %v in %v, want it running in 2s", tt.line, tt.body, op, took)
			}
		}
		if took := elapsed(func() { s.op(t, "POST /v1/"+r+":wait", `{"timeout":"0s"}`) }); took != 0 {
			t.Errorf("a wait of 0s took %v", took)
		}
		// WAI-06: without a timeout, or with a long one, as long as is permitted.
		for _, body := range []string{"", `{"timeout":null}`, `{"timeout":"3600s"}`} { // QRY-14
			if took := elapsed(func() { s.op(t, "POST /v1/"+r+":wait", body) }); took != longrun.MaxWait {
				t.Errorf("wait %s took %v, want %v", body, took, longrun.MaxWait)
			}
		}
		// WAI-05: the deadline of the call counts.
		if took := elapsed(func() { s.op(t, "POST /v1/"+r+":wait", "", "X-Server-Timeout: 5") }); took >= 5*time.Second || took < 4*time.Second {
			t.Errorf("wait with a deadline of 5s took %v", took)
		}
	})
}

// WAI-21: a timeout is text with an s. WAI-08: not negative. It is said once.
func TestWait_Wrong(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.run(t, "").Name().String()
	for _, body := range []string{`{"timeout":1}`, `{"timeout":{"seconds":1}}`, `{"timeout":"1"}`, `{"timeout":"s"}`, `{"timeout":"1.0000000001s"}`, `{"timeout":"315576000001s"}`} {
		expect(t, body, ask(s.web, "POST /v1/"+r+":wait", body), want{400, invalid, httpapi.ReasonInvalidBody, ""})
	}
	expect(t, "negative", ask(s.web, "POST /v1/"+r+":wait", `{"timeout":"-1s"}`), want{400, invalid, longrun.ReasonInvalidTimeout, "timeout"})
	expect(t, "query", ask(s.web, "POST /v1/"+r+":wait?timeout=1", ""), want{400, invalid, httpapi.ReasonInvalidParameter, "timeout"})
	expect(t, "both", ask(s.web, "POST /v1/"+r+":wait?timeout=1s", `{"timeout":"1s"}`), want{400, invalid, httpapi.ReasonInvalidParameter, "timeout"})
	expect(t, "unknown", ask(s.web, "POST /v1/"+r+":wait?bogus=1", ""), want{400, invalid, httpapi.ReasonUnknownParameter, "bogus"})
	expect(t, "other", ask(s.web, "POST /v1/"+r+":wait?name=operations/y", ""), want{400, invalid, httpapi.ReasonInvalidParameter, "name"})
	expect(t, "none", ask(s.web, "POST /v1/operations/none:wait", ""), want{404, "NOT_FOUND", notFound, ""})
	expect(t, "bare", ask(s.web, "GET /", ""), want{404, "NOT_FOUND", httpapi.ReasonUnknownPath, ""})
}

// CAN-15, WAI-14: a client that goes away cancels nothing, and frees its wait.
func TestWait_ClientGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		r := s.run(t, "")
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			w, req := recorderFor(ctx, "POST", "/v1/"+r.Name().String()+":wait")
			s.web.ServeHTTP(w, req)
		}()
		synctest.Wait()
		cancel()
		<-gone
		s.finish(t, r, longrun.Result{Response: pack(t, &emptypb.Empty{})})
		if op := s.op(t, "GET /v1/"+r.Name().String(), ""); op.GetResponse() == nil {
			t.Errorf("operation = %v, want it to have gone on", op)
		}
	})
}

// POL-02: a running operation says when to ask again, a done one does not.
func TestGet_RetryAfter(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	f := s.fixtures(t, "")
	if got := ask(s.web, "GET /v1/"+f.R, "").Header().Get("Retry-After"); got == "" {
		t.Error("Retry-After of a running operation = none, want seconds")
	}
	if got := ask(s.web, "GET /v1/"+f.S, "").Header().Get("Retry-After"); got != "" {
		t.Errorf("Retry-After of a done operation = %q, want none", got)
	}
}

// SYS-07, SYS-08: a mask is of the response, in either form; SYS-12: it reaches into Any,
// and keeps the type. SYS-10: a typo is an error. SYS-11: errors are whole.
func TestMask(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	f := s.fixtures(t, parent)
	expectJSON(t, "name,done", ask(s.web, "GET /v1/"+f.S+"?fields=name,done", ""), `{"name":"`+f.S+`","done":true}`)
	const state = `{"metadata":{"@type":"type.googleapis.com/longrun.v1.OperationMetadata","state":"SUCCEEDED"}}`
	expectJSON(t, "metadata.state", ask(s.web, "GET /v1/"+f.S+"?$fields=metadata.state", ""), state)
	expectJSON(t, "metadata/state", ask(s.web, "GET /v1/"+f.S, "", "X-Goog-FieldMask: metadata/state"), state)
	list := func(fields string) string {
		return ask(s.web, "GET /v1/"+parent+"/operations?pageSize=1&fields="+fields, "").Body.String()
	}
	if a, b := strings.ReplaceAll(list("operations(name)"), " ", ""), strings.ReplaceAll(list("operations.name"), " ", ""); a != b || a != `{"operations":[{"name":"`+f.R+`"}]}`+"\n" {
		t.Errorf("masks differ: %s and %s", a, b)
	}
	for _, fields := range []string{"bogus", "operations.0.name", "operations.bogus"} {
		expect(t, fields, ask(s.web, "GET /v1/operations?fields="+fields, ""), want{400, invalid, httpapi.ReasonInvalidFieldMask, "fields"})
	}
	expect(t, "error", ask(s.web, "GET /v1/operations/none?fields=name", ""), want{404, "NOT_FOUND", notFound, ""})
}

// JSN-07, JSN-08: the metadata's numbers of 64 bits are text, its enums names or numbers.
func TestMetadata_Forms(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.run(t, "").Name().String()
	for query, want := range map[string]string{"": `"RUNNING"`, "?$alt=json%3Benum-encoding=int": `2`} {
		m := keys(t, keys(t, ask(s.web, "GET /v1/"+r+query, "").Body.Bytes())["metadata"])
		if string(m["state"]) != want || string(m["attempt"]) != `"1"` {
			t.Errorf("%s: state %s, attempt %s; want %s and \"1\"", query, m["state"], m["attempt"], want)
		}
	}
}

// ERR-20, ERR-22: the envelope of errors of methods and of routing is the same, and ERR-09
// names what is missing. ERR-23: its details are what Go's client can read.
func TestErrors(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	p := expect(t, "none", ask(s.web, "GET /v1/operations/none", ""), want{404, "NOT_FOUND", notFound, ""})
	if got := p.detail("google.rpc.ResourceInfo")["resourceName"]; got != "operations/none" {
		t.Errorf("resource = %v, want operations/none", got)
	}
	expect(t, "field", ask(s.web, "POST /v1/operations:start", `{"method":"m","executionTimeout":"-1s"}`), want{400, invalid, longrun.ReasonInvalidField, "executionTimeout"})
	expect(t, "path", ask(s.web, "GET /nope", ""), want{404, "NOT_FOUND", httpapi.ReasonUnknownPath, ""})
	expect(t, "method", ask(s.web, "PUT /v1/operations", ""), want{405, "UNIMPLEMENTED", httpapi.ReasonHTTPMethod, ""})
	expect(t, "malformed", ask(s.web, "GET /v1/operations/%zz", ""), want{400, invalid, httpapi.ReasonInvalidPath, ""})
	expect(t, "host", ask(s.web, "GET /v1/operations", "", "Host: evil.example.com"), want{403, "PERMISSION_DENIED", httpapi.ReasonHostRefused, ""})
}

// ERR-10: overload is 503 with a RetryInfo and Retry-After, which agree. POL-04: it is
// never 429.
func TestErrors_Overload(t *testing.T) {
	t.Parallel()
	busy := &longrun.Error{Code: codes.Unavailable, Reason: longrun.ReasonOverloaded, Msg: "busy", Delay: 1500 * time.Millisecond}
	s := newSystemWith(t, longrun.Options{Authorize: func(context.Context, longrun.Verb, string) error { return busy }}, httpapi.Options{})
	w := ask(s.web, "GET /v1/operations", "")
	p := expect(t, "busy", w, want{503, "UNAVAILABLE", longrun.ReasonOverloaded, ""})
	if w.Header().Get("Retry-After") != "2" || p.detail("google.rpc.RetryInfo")["retryDelay"] != "1.500s" {
		t.Errorf("Retry-After = %q, RetryInfo %v; want 2 and 1.5 s", w.Header().Get("Retry-After"), p.detail("google.rpc.RetryInfo"))
	}
}

// AUT-01, ERR-24: without credentials it is 401 with a challenge. AUT-03: a refusal is the
// same whether or not the operation exists. SYS-14: keys are in no error and no log.
func TestErrors_Access(t *testing.T) {
	t.Parallel()
	o := longrun.Options{Authorize: func(ctx context.Context, _ longrun.Verb, _ string) error {
		switch longrun.CallerOf(ctx) {
		case "bob":
			return errors.New("rule 7")
		case "alice":
			return nil
		case "mallory":
			panic("out of order")
		}
		return status.Error(codes.Unauthenticated, "who is calling?")
	}}
	var log bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := newSystemWith(t, o, asCaller())
	w := ask(s.web, "GET /v1/operations?key=SECRET&access_token=SECRET", "", "Authorization: SECRET")
	expect(t, "nobody", w, want{401, "UNAUTHENTICATED", "UNAUTHENTICATED", ""})
	if w.Header().Get("WWW-Authenticate") == "" || strings.Contains(w.Body.String(), "SECRET") {
		t.Errorf("401 = %v %s, want a challenge and no secret", w.Header(), w.Body)
	}
	expect(t, "bob", ask(s.web, "GET /v1/operations/x", "", "Caller: bob"), want{403, "PERMISSION_DENIED", longrun.ReasonPermissionDenied, ""})
	expect(t, "alice", ask(s.web, "GET /v1/operations/x", "", "Caller: alice"), want{404, "NOT_FOUND", notFound, ""})
	for _, query := range []string{"key=SECRET%zz", "access_token=SECRET&access_token=SECRET&bogus=SECRET", "$alt=SECRET", "pageSize=SECRET"} {
		if body := ask(s.web, "GET /v1/operations?"+query, "", "Caller: alice").Body.String(); strings.Contains(body, "SECRET") {
			t.Errorf("%s is in the answer: %s", query, body)
		}
	}
	expect(t, "panic", ask(s.web, "GET /v1/operations?key=SECRET&access_token=SECRET", "", "Caller: mallory", "Authorization: SECRET"), want{500, "INTERNAL", longrun.ReasonInternal, ""})
	if log.Len() == 0 || strings.Contains(log.String(), "SECRET") {
		t.Errorf("log = %q, want the panic and no secret", log.String())
	}
}

// The Dispatcher over HTTP: start, claim, report, finish; IDM-01; payloads without a type
// are a Struct, and those of unknown types are bytes. A token is never in a URL.
func TestDispatcher(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	const id = `"requestId":"0f0e0d0c-0b0a-4908-8706-050403020100"`
	op := s.op(t, "POST /v1/"+parent+"/operations:start", `{"method":"resize","request":{"width":3},"labels":{"a":"b"},`+id+`}`)
	if again := s.op(t, "POST /v1/"+parent+"/operations:start", `{"method":"resize","request":{"width":3},"labels":{"a":"b"},`+id+`}`); again.GetName() != op.GetName() {
		t.Errorf("the same request again = %s, want %s", again.GetName(), op.GetName())
	}
	var opened struct{ Session string }
	unmarshal(t, ask(s.web, "POST /v1/sessions:open", `{"worker":"w","ttl":"30s"}`).Body.Bytes(), &opened)
	token := `"session":"` + opened.Session + `"`
	var claimed struct {
		Operations []struct {
			Operation, Attempt string
			Request            json.RawMessage
		}
	}
	unmarshal(t, ask(s.web, "POST /v1/operations:acquire", `{`+token+`,"methods":["resize"],"call":"1"}`).Body.Bytes(), &claimed)
	if len(claimed.Operations) != 1 || claimed.Operations[0].Operation != op.GetName() || claimed.Operations[0].Attempt != "1" ||
		!strings.Contains(string(claimed.Operations[0].Request), "google.protobuf.Struct") {
		t.Fatalf("acquired %+v, want the operation with a Struct", claimed)
	}
	claim := token + `,"attempt":"1"`
	path := "POST /v1/" + op.GetName()
	expectJSON(t, "report", ask(s.web, path+":reportProgress", `{`+claim+`,"progress":{"completedUnits":"1","totalUnits":2}}`), `{}`)
	expectJSON(t, "beat", ask(s.web, "POST /v1/sessions:beat", `{`+token+`,"closedCall":"1","held":[{"operation":"`+op.GetName()+`","attempt":"1"}]}`), `{}`)
	expect(t, "query", ask(s.web, path+":finish?session="+opened.Session, `{"attempt":"1"}`), want{400, invalid, httpapi.ReasonUnknownParameter, "session"})
	expectJSON(t, "finish", ask(s.web, path+":finish", `{`+claim+`,"response":{"@type":"example.com/no.Such","value":"AAE="}}`), `{}`)
	got := string(keys(t, ask(s.web, "GET /v1/"+op.GetName(), "").Body.Bytes())["response"])
	if strings.ReplaceAll(got, " ", "") != `{"@type":"example.com/no.Such","value":"AAE="}` {
		t.Errorf("response = %s, want what was sent", got)
	}
	expect(t, "late", ask(s.web, path+":release", `{`+token+`,"attempt":"2"}`), want{409, "ABORTED", longrun.ReasonClaimLost, ""})
	expectJSON(t, "close", ask(s.web, "POST /v1/sessions:close", `{`+token+`}`), `{}`)
	expect(t, "closed", ask(s.web, "POST /v1/sessions:beat", `{`+token+`}`), want{409, "ABORTED", longrun.ReasonSessionLost, ""})
	top := s.op(t, "POST /v1/operations:start", `{"method":"m"}`)
	expect(t, "no claim", ask(s.web, "POST /v1/"+top.GetName()+":release", `{`+claim+`}`), want{409, "ABORTED", longrun.ReasonClaimLost, ""})
}

// The Simulator over HTTP, at the top and below a parent. OP-19: an error of the start is
// the answer, and nothing is stored.
func TestSimulator(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, parent := range []string{"", parent + "/"} {
		op := s.op(t, "POST /v1/"+parent+"operations:simulate", `{"runDuration":"1s","response":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}}`)
		if !strings.HasPrefix(op.GetName(), parent+"operations/") || op.GetDone() {
			t.Errorf("simulate = %v, want it running below %q", op, parent)
		}
		expect(t, "start_error", ask(s.web, "POST /v1/"+parent+"operations:simulate", `{"startError":{"code":8,"message":"quota"}}`), want{429, "RESOURCE_EXHAUSTED", longrun.ReasonOperationFailed, ""})
	}
	expect(t, "other parent", ask(s.web, "POST /v1/a/b/operations:simulate", `{"parent":"c/d"}`), want{400, invalid, httpapi.ReasonInvalidParameter, "parent"})
	// PAR-02: a busy resource is 409.
	s.op(t, "POST /v1/operations:simulate", `{"conflictKey":"k"}`)
	expect(t, "busy", ask(s.web, "POST /v1/operations:simulate", `{"conflictKey":"k","onConflict":"REJECT"}`), want{409, "ABORTED", longrun.ReasonConcurrentOperation, ""})
}

func unmarshal(t *testing.T, body []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
}
