package cli

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun/longrunpb"
)

// answering returns a client of a server that answers as f does.
func answering(t *testing.T, f http.HandlerFunc) *client {
	t.Helper()
	s := httptest.NewServer(f)
	w := newWeb(s.URL)
	t.Cleanup(func() {
		w.Close()
		s.Close()
	})
	return newClient(s.URL, w, w.learnt)
}

// saying returns a client of a server that always says the same.
func saying(t *testing.T, code int, body string, head ...string) *client {
	t.Helper()
	return answering(t, func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(head); i += 2 {
			w.Header().Set(head[i], head[i+1])
		}
		w.WriteHeader(code)
		io.WriteString(w, body)
	})
}

func (c *client) mustGet(t *testing.T) *longrunningpb.Operation {
	t.Helper()
	op, err := c.ops.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: "operations/x"})
	if err != nil {
		t.Fatalf("GetOperation: %v", err)
	}
	return op
}

func getError(t *testing.T, c *client) error {
	t.Helper()
	op, err := c.ops.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: "operations/x"})
	if err == nil {
		t.Fatalf("GetOperation = %v, want an error", op)
	}
	return err
}

// What a call becomes in HTTP: the first route that fits, escaped, and the rest in the
// query or the body. HTTP-01, HTTP-05: the paths. QRY-01: parameters.
func TestWeb_Request(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		call func(context.Context, *client) error
		want string
	}{
		{list(&longrunningpb.ListOperationsRequest{Name: "-", Filter: `a="x&y" b+c`, PageSize: 5, PageToken: "t/="}),
			"GET /v1/-/operations?filter=a%3D%22x%26y%22+b%2Bc&pageSize=5&pageToken=t%2F%3D "},
		{list(&longrunningpb.ListOperationsRequest{Name: "projects/p"}), "GET /v1/projects/p/operations "},
		{list(&longrunningpb.ListOperationsRequest{Name: "operations"}), "GET /v1/operations "},
		{list(&longrunningpb.ListOperationsRequest{}), "GET /v1/operations "},
		{get("operations/x"), "GET /v1/operations/x "},
		{get("projects/p/operations/x"), "GET /v1/projects/p/operations/x "},
		{get("projects/a b%2F:c?d#é/operations/x:wait"), "GET /v1/projects/a%20b%252F%3Ac%3Fd%23%C3%A9/operations/x%3Await "},
		{func(ctx context.Context, c *client) error {
			_, err := c.ops.DeleteOperation(ctx, &longrunningpb.DeleteOperationRequest{Name: "operations/x"})
			return err
		}, "DELETE /v1/operations/x "},
		{func(ctx context.Context, c *client) error {
			_, err := c.ops.CancelOperation(ctx, &longrunningpb.CancelOperationRequest{Name: "projects/p/operations/x"})
			return err
		}, "POST /v1/projects/p/operations/x:cancel {}"},
		{func(ctx context.Context, c *client) error {
			_, err := c.ops.WaitOperation(ctx, &longrunningpb.WaitOperationRequest{Name: "operations/x", Timeout: durationpb.New(1500 * time.Millisecond)})
			return err
		}, `POST /v1/operations/x:wait {"timeout":"1.500s"}`},
		{func(ctx context.Context, c *client) error {
			_, err := longrunpb.NewDispatcherClient(c.conn).StartOperation(ctx, &longrunpb.StartOperationRequest{Parent: "projects/p", Method: "m"})
			return err
		}, `POST /v1/operations:start {"parent":"projects/p","method":"m"}`},
		{func(ctx context.Context, c *client) error {
			_, err := longrunpb.NewDispatcherClient(c.conn).FinishOperation(ctx, &longrunpb.FinishOperationRequest{Name: "projects/p/operations/x", Session: "s", Attempt: 2})
			return err
		}, `POST /v1/projects/p/operations/x:finish {"session":"s","attempt":"2"}`},
	} {
		var got string
		c := answering(t, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			got = r.Method + " " + r.RequestURI + " " + strings.ReplaceAll(string(body), " ", "")
			if want := len(body) > 0; (r.Header.Get("Content-Type") == "application/json") != want {
				t.Errorf("Content-Type = %q with a body of %d bytes", r.Header.Get("Content-Type"), len(body))
			}
			io.WriteString(w, "{}")
		})
		if err := tt.call(t.Context(), c); err != nil || got != tt.want {
			t.Errorf("request = %s, %v\nwant %s", got, err, tt.want)
		}
	}
}

func list(r *longrunningpb.ListOperationsRequest) func(context.Context, *client) error {
	return func(ctx context.Context, c *client) error {
		_, err := c.ops.ListOperations(ctx, r)
		return err
	}
}

func get(name string) func(context.Context, *client) error {
	return func(ctx context.Context, c *client) error {
		_, err := c.ops.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: name})
		return err
	}
}

// What no path can say is refused here, as a server refuses it.
func TestWeb_Misfit(t *testing.T) {
	t.Parallel()
	c := answering(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s was asked for", r.RequestURI) })
	for _, name := range []string{"", "7f3a", "..", "operations/..", "operations//x", "operations/x\n", "operations/\xff", "/operations/x", "projects/p/operations"} {
		err := get(name)(t.Context(), c)
		if status.Code(err) != codes.InvalidArgument || reasonOf(err) != "INVALID_PATH" || !strings.HasPrefix(violation(status.Convert(err)), "name must be ") {
			t.Errorf("GetOperation(%q): %v, want INVALID_ARGUMENT", name, err)
		}
	}
	if err := list(&longrunningpb.ListOperationsRequest{Name: "a//b"})(t.Context(), c); fieldHint(status.Convert(err), "list") != "it is what --parent says; see: longrun list --help" {
		t.Errorf("ListOperations: %v, want that the field is named", err)
	}
}

// Streams have no form in HTTP, and what is not linked in has none.
func TestWeb_Unimplemented(t *testing.T) {
	t.Parallel()
	c := saying(t, 200, "{}")
	if _, err := c.conn.NewStream(t.Context(), &grpc.StreamDesc{}, "/x.Y/Z"); status.Code(err) != codes.Unimplemented {
		t.Errorf("NewStream: %v, want UNIMPLEMENTED", err)
	}
	for _, method := range []string{"/x.Y/Z", "/google.longrunning.Operations", "/grpc.health.v1.Health/Check"} {
		if err := c.conn.Invoke(t.Context(), method, &longrunningpb.GetOperationRequest{}, &longrunningpb.Operation{}); status.Code(err) != codes.Unimplemented {
			t.Errorf("Invoke(%s): %v, want UNIMPLEMENTED", method, err)
		}
	}
	if err := c.conn.Invoke(t.Context(), longrunningpb.Operations_GetOperation_FullMethodName, 1, 2); status.Code(err) != codes.Internal {
		t.Errorf("Invoke without messages: %v, want INTERNAL", err)
	}
}

// ERR-20, MAP-02: the envelope is a Status with its code, details, and fields named as in
// the proto file (ERR-08). ERR-10: Retry-After counts unless the error says it.
func TestWeb_Envelope(t *testing.T) {
	t.Parallel()
	c := saying(t, 400, `{"error": {"code": 400, "message": "no", "status": "FAILED_PRECONDITION", "details": [
		{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "WHY", "domain": "d", "metadata": {"k": "v"}},
		{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "pageSize.aB['cD'].eF", "description": "x"}]},
		{"@type": "type.googleapis.com/nobody.v1.Detail", "text": "y"}, 7, {"@type": "type.googleapis.com/google.rpc.Help", "links": 5}]}}`, "Retry-After", "3")
	err := getError(t, c)
	st := status.Convert(err)
	if st.Code() != codes.FailedPrecondition || st.Message() != "no" || reasonOf(err) != "WHY" {
		t.Errorf("error = %v, want FAILED_PRECONDITION, no, WHY", err)
	}
	var field string
	var delay time.Duration
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.BadRequest:
			field = d.GetFieldViolations()[0].GetField()
		case *errdetails.RetryInfo:
			delay = d.GetRetryDelay().AsDuration()
		}
	}
	if field != "page_size.a_b['cD'].e_f" || delay != 3*time.Second || len(st.Proto().GetDetails()) != 4 {
		t.Errorf("field = %q, delay = %v, %d details; want page_size.a_b['cD'].e_f, 3s, 4", field, delay, len(st.Proto().GetDetails()))
	}
	err = getError(t, saying(t, 503, `{"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE", "details": [
		{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.500s"}]}}`, "Retry-After", "1"))
	if n := len(status.Convert(err).Details()); n != 1 || !passes(err) {
		t.Errorf("%v has %d details, want the one", err, n)
	}
	// Without a name of the code, the HTTP status says it.
	for httpStatus, code := range map[int]codes.Code{400: codes.InvalidArgument, 401: codes.Unauthenticated, 403: codes.PermissionDenied, 404: codes.NotFound,
		409: codes.Aborted, 429: codes.ResourceExhausted, 500: codes.Unknown, 501: codes.Unimplemented, 502: codes.Unavailable, 503: codes.Unavailable, 504: codes.DeadlineExceeded} {
		if err := getError(t, saying(t, httpStatus, `{"error": {"code": 1, "message": "x"}}`)); status.Code(err) != code {
			t.Errorf("code of %d = %v, want %v", httpStatus, status.Code(err), code)
		}
	}
}

// A path that the server does not have is not an operation that it does not have.
func TestWeb_UnknownPath(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{"UNKNOWN_PATH", "HTTP_METHOD_NOT_ALLOWED"} {
		c := saying(t, 404, `{"error": {"code": 404, "message": "x", "status": "NOT_FOUND", "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "`+reason+`"}]}}`)
		p, ok := errors.AsType[*problem](c.explain(getError(t, c), "get", "operations/x"))
		if !ok || p.msg != "the server at "+c.addr+" does not have GET /v1/operations/x" || p.hint != otherPaths {
			t.Errorf("%s: %+v", reason, p)
		}
	}
}

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": -1, "0": 0, "7": 7 * time.Second, "-1": -1, "soon": -1, "99999999999999999999": -1,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got, ok := parseRetryAfter(header, now); ok != (want >= 0) || ok && got != want {
			t.Errorf("parseRetryAfter(%q) = %v, %v; want %v", header, got, ok, want)
		}
	}
}

// What is no longrun server is told apart, and no call is made again.
func TestWeb_Strangers(t *testing.T) {
	t.Parallel()
	page := "<html>hello</html>"
	for _, tt := range []struct {
		c    *client
		want string
	}{
		{saying(t, 200, page), " is no longrun server: it answers GET /v1/operations/x with 200 OK"},
		{saying(t, 200, "[]"), " is no longrun server: "},
		{saying(t, 200, `{"name": 5}`), " is no longrun server: "},
		{saying(t, 200, `{"name": "a"} {}`), " is no longrun server: "},
		{saying(t, 200, ""), " is no longrun server: "},
		{saying(t, 404, page), " with 404 Not Found"},
		{saying(t, 500, `{"error": "oops"}`), " with 500 Internal Server Error"},
		{saying(t, 302, "", "Location", "https://elsewhere.example/login"), ` redirects to "https://elsewhere.example/login"`},
		{saying(t, 400, "Client sent an HTTP request to an HTTPS server.\n"), " speaks HTTP with TLS alone"},
	} {
		err := getError(t, tt.c)
		p, ok := errors.AsType[*problem](err)
		if !ok || !strings.Contains(p.msg, tt.want) || p.hint == "" || passes(err) {
			t.Errorf("error = %v, want a problem with %q", err, tt.want)
		}
	}
	// A proxy whose server is away is no stranger.
	for _, code := range []int{429, 502, 503, 504} {
		err := getError(t, saying(t, code, page, "Retry-After", "2"))
		if !passes(err) || reasonOf(err) != reasonProxy || len(status.Convert(err).Details()) != 2 {
			t.Errorf("%d: %v, want UNAVAILABLE with a delay", code, err)
		}
	}
}

// TLS that does not fit, or is not trusted.
func TestWeb_TLS(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = discardLog()
	s.StartTLS()
	t.Cleanup(s.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	served := make(chan struct{})
	go func() {
		defer close(served)
		g.Serve(l)
	}()
	t.Cleanup(func() {
		g.Stop()
		<-served
	})
	for _, tt := range []struct{ addr, want string }{
		{s.URL, "is not accepted: x509: certificate signed by unknown authority"},
		{strings.Replace(s.URL, "https", "http", 1), "speaks HTTP with TLS alone"},
		{strings.Replace(plain.URL, "http", "https", 1), "speaks HTTP without TLS"},
		{"http://" + l.Addr().String(), "speaks gRPC, not HTTP"},
		{"https://" + l.Addr().String(), "speaks gRPC, not HTTP"},
	} {
		w := newWeb(tt.addr)
		err := getError(t, newClient(tt.addr, w, w.learnt))
		w.Close()
		if p, ok := errors.AsType[*problem](err); !ok || !strings.Contains(p.msg, tt.want) || p.hint == "" {
			t.Errorf("%s: %v, want a problem with %q", tt.addr, err, tt.want)
		}
	}
}

// Over TLS it works as it does without.
func TestWeb_TLSTrusted(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"name": "operations/x"}`) }))
	t.Cleanup(s.Close)
	w := newWeb(s.URL + "/")
	w.trip = s.Client().Transport
	if op := newClient(s.URL, w, w.learnt).mustGet(t); op.GetName() != "operations/x" {
		t.Errorf("name = %q, want operations/x", op.GetName())
	}
}

// Nobody there: at once, unless the call waits for it.
func TestWeb_NoServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var there atomic.Bool
		l := bufconn.Listen(1 << 20)
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"done": true}`) })}
		served := make(chan struct{})
		go func() {
			defer close(served)
			s.Serve(l)
		}()
		tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if !there.Load() {
				return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
			}
			return l.DialContext(ctx)
		}}
		c := newClient("http://bubble", &web{addr: "http://bubble", learnt: new(jsonTypes), trip: tr, close: tr.CloseIdleConnections}, nil)
		if err := getError(t, c); status.Code(err) != codes.Unavailable || reasonOf(err) != "" {
			t.Errorf("GetOperation = %v, want UNAVAILABLE", err)
		}
		if c.reached(t.Context()) {
			t.Error("reached = true without a server")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := c.ops.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: "operations/x"}, grpc.WaitForReady(true))
		if status.Code(err) != codes.DeadlineExceeded || ctx.Err() == nil {
			t.Errorf("GetOperation that waits = %v, want DEADLINE_EXCEEDED after a minute", err)
		}
		time.AfterFunc(time.Hour, func() { there.Store(true) })
		begin := time.Now()
		op, err := c.ops.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: "operations/x"}, grpc.WaitForReady(true))
		if err != nil || !op.GetDone() || time.Since(begin) < time.Hour {
			t.Errorf("GetOperation that waits = %v, %v after %v; want it after an hour", op, err, time.Since(begin))
		}
		if !c.reached(t.Context()) {
			t.Error("reached = false with a server")
		}
		c.close()
		s.Close()
		<-served
	})
}

// The server hears the deadline, and a caller that has gone is not waited for.
func TestWeb_Deadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := bufconn.Listen(1 << 20)
		heard := make(chan string, 1)
		s := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			heard <- r.Header.Get("X-Server-Timeout")
			<-r.Context().Done()
		})}
		served := make(chan struct{})
		go func() {
			defer close(served)
			s.Serve(l)
		}()
		tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.DialContext(ctx) }}
		c := newClient("http://bubble", &web{addr: "http://bubble", learnt: new(jsonTypes), trip: tr, close: tr.CloseIdleConnections}, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		err := get("operations/x")(ctx, c)
		if timeout := <-heard; status.Code(err) != codes.DeadlineExceeded || timeout != "1.500" {
			t.Errorf("error = %v, X-Server-Timeout = %q; want DEADLINE_EXCEEDED, 1.500", err, timeout)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		err = get("operations/x")(ctx, c)
		if timeout := <-heard; status.Code(err) != codes.Canceled || timeout != "" || !ctxEnded(err) {
			t.Errorf("error = %v, X-Server-Timeout = %q; want CANCELLED, none", err, timeout)
		}
		c.close()
		s.Close()
		<-served
	})
}

// A reply has a limit, and a server that breaks off is one that may come back.
func TestWeb_Replies(t *testing.T) {
	t.Parallel()
	large := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		blank := []byte(strings.Repeat(" ", 1<<20))
		for range maxReplyBytes>>20 + 1 {
			if _, err := w.Write(blank); err != nil {
				return
			}
		}
	})
	if p, ok := errors.AsType[*problem](getError(t, large)); !ok || !strings.Contains(p.msg, "more than 64 MiB") {
		t.Errorf("problem = %v, want that the reply is too large", p)
	}
	broken := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, `{"name": `)
	})
	if err := getError(t, broken); status.Code(err) != codes.Unavailable {
		t.Errorf("a reply that breaks off: %v, want UNAVAILABLE", err)
	}
}

func TestHostPort(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"127.0.0.1:9151": "127.0.0.1:9151", "http://a": "a:80", "https://a/b": "a:443", "http://[::1]:8": "[::1]:8", "https://[::1]": "[::1]:443",
	} {
		if got := hostPort(addr); got != want {
			t.Errorf("hostPort(%q) = %q, want %q", addr, got, want)
		}
	}
}

// Whatever a value is, what the path has of it can be decoded to it again.
func FuzzEscapePath(f *testing.F) {
	f.Add("projects/p/operations/x:wait")
	f.Add("a%2Fb/é ?#")
	f.Fuzz(func(t *testing.T, value string) {
		escaped := escapePath(value)
		got, err := url.PathUnescape(escaped)
		if err != nil || got != value || strings.ContainsAny(escaped, ":?# ") {
			t.Errorf("escapePath(%q) = %q, which is %q, %v", value, escaped, got, err)
		}
	})
}
