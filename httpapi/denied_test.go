package httpapi_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/httpapi"
)

const (
	permissionDenied = longrun.ReasonPermissionDenied
	anID             = "0190a000-0000-7000-8000-000000000000"
)

// bobOnlyAtTop lets bob do nothing below projects, and alice everything.
func bobOnlyAtTop() longrun.Options {
	return longrun.Options{Authorize: func(ctx context.Context, _ longrun.Verb, parent string) error {
		if longrun.CallerOf(ctx) == "bob" && strings.HasPrefix(parent, "projects/") {
			return errors.New("rule 7")
		}
		return nil
	}}
}

// AUT-02: who may not make a call hears that, whatever is wrong with his request, and
// whoever may hears what is wrong. AUT-03: it says no more than for a request that is
// well-formed.
func TestDenied_BeforeValidation(t *testing.T) {
	t.Parallel()
	s := newSystemWith(t, bobOnlyAtTop(), asCaller())
	there, missing := s.run(t, "projects/p").Name().String(), "projects/p/operations/"+anID
	const p, unknown, bad, body = "/v1/projects/p/operations", httpapi.ReasonUnknownParameter, httpapi.ReasonInvalidParameter, httpapi.ReasonInvalidBody
	for _, tt := range []struct{ line, body, header, well, reason string }{
		{"GET /v1/NAME?bogus=1", "", "", "GET /v1/NAME", unknown},
		{"GET /v1/NAME?fields=bogus", "", "", "GET /v1/NAME", httpapi.ReasonInvalidFieldMask},
		{"GET /v1/NAME", "", "X-Goog-FieldMask: bogus", "GET /v1/NAME", httpapi.ReasonInvalidFieldMask},
		{"GET /v1/NAME?$alt=xml", "", "", "GET /v1/NAME", bad},
		{"GET /v1/NAME?name=operations/y", "", "", "GET /v1/NAME", bad},
		{"GET /v1/NAME", "", "Grpc-Timeout: x", "GET /v1/NAME", httpapi.ReasonInvalidHeader},
		{"GET /v1/NAME?%zz", "", "", "GET /v1/NAME", bad},
		{"GET /?name=NAME&bogus=1", "", "", "POST /v1/NAME:wait", unknown},
		{"GET /?name=NAME&alt=xml", "", "", "POST /v1/NAME:wait", bad},
		{"DELETE /v1/NAME?bogus=1", "", "", "DELETE /v1/NAME", unknown},
		{"DELETE /v1/NAME", "{", "", "DELETE /v1/NAME", body},
		{"POST /v1/NAME:cancel", "{", "", "POST /v1/NAME:cancel", body},
		{"POST /v1/NAME:cancel", `{"name":"operations/y"}`, "", "POST /v1/NAME:cancel", bad},
		{"POST /v1/NAME:cancel", `{}`, "Content-Type: text/plain", "POST /v1/NAME:cancel", httpapi.ReasonInvalidHeader},
		{"POST /v1/NAME:wait", `{"timeout":1}`, "", "POST /v1/NAME:wait", body},
		{"POST /v1/NAME:finish", `{"bogus":1}`, "", "POST /v1/NAME:finish", httpapi.ReasonUnknownField},
		{"GET " + p + "?pageSize=abc", "", "", "GET " + p, bad},
		{"GET " + p + "?filter=a&filter=b", "", "", "GET " + p, bad},
		{"POST " + p + ":start", `{"bogus":1}`, "", "POST " + p + ":start", httpapi.ReasonUnknownField},
		{"POST " + p + ":simulate", `{"runDuration":1}`, "", "POST " + p + ":simulate", body},
		{"POST /v1/operations:simulate", `{"bogus":1,"parent":"projects/p"}`, "", "POST " + p + ":simulate", httpapi.ReasonUnknownField},
	} {
		for _, name := range []string{there, missing} {
			named := strings.NewReplacer("NAME", name)
			headers := []string{"Caller: bob"}
			if tt.header != "" {
				headers = append(headers, tt.header)
			}
			faulty := ask(s.web, named.Replace(tt.line), tt.body, headers...)
			expect(t, tt.line, faulty, want{403, "PERMISSION_DENIED", permissionDenied, ""})
			if well := ask(s.web, named.Replace(tt.well), "", "Caller: bob"); well.Body.String() != faulty.Body.String() {
				t.Errorf("%s = %s, want what the request is answered without its fault: %s", tt.line, faulty.Body, well.Body)
			}
			headers[0] = "Caller: alice"
			var p problem
			unmarshal(t, ask(s.web, named.Replace(tt.line), tt.body, headers...).Body.Bytes(), &p)
			if got := p.detail("google.rpc.ErrorInfo")["reason"]; got != tt.reason {
				t.Errorf("%s of alice has the reason %v, want %s", tt.line, got, tt.reason)
			}
		}
	}
	if op := s.op(t, "GET /v1/"+there, "", "Caller: alice"); op.GetDone() || strings.Contains(op.String(), "requested_cancellation:true") {
		t.Errorf("operation = %v, want it untouched", op)
	}
}

// Where a request does not say what it is about, there is nothing that it could leak, and
// it is INVALID_ARGUMENT.
func TestDenied_NothingToAskAbout(t *testing.T) {
	t.Parallel()
	s := newSystemWith(t, bobOnlyAtTop(), asCaller())
	for line, body := range map[string]string{
		"GET /v1/operations?bogus=1": "", "GET /v1/operations/a/b?bogus=1": "", "POST /v1/operations:simulate": "{", "GET /v1/-//operations": "",
		"POST /v1/sessions:open": `{"ttl":1}`, "POST /v1/operations/X:release": `{"bogus":1}`,
	} {
		if w := ask(s.web, line, body, "Caller: bob"); w.Code != 400 {
			t.Errorf("%s %s = %d %s, want 400", line, body, w.Code, w.Body)
		}
	}
}

// AUT-06: of an operation that is gone its parent decides: who may read there hears that it
// is not there, and nobody else does.
func TestDenied_Deleted(t *testing.T) {
	t.Parallel()
	s := newSystemWith(t, bobOnlyAtTop(), asCaller())
	name := s.run(t, "projects/p").Name().String()
	expectJSON(t, "delete", ask(s.web, "DELETE /v1/"+name, "", "Caller: alice"), `{}`)
	expect(t, "alice", ask(s.web, "GET /v1/"+name, "", "Caller: alice"), want{404, "NOT_FOUND", notFound, ""})
	expect(t, "bob", ask(s.web, "GET /v1/"+name, "", "Caller: bob"), want{403, "PERMISSION_DENIED", permissionDenied, ""})
}

// AUT-01: an interceptor that knows nobody comes before what is wrong with a request.
// AUT-02: and an Authorizer, of methods with a stream too. It is not asked about a request
// with which nothing is wrong: that its method does.
func TestDenied_Authorizer(t *testing.T) {
	t.Parallel()
	seen := func(ctx context.Context) (context.Context, error) {
		if v := metadata.ValueFromIncomingContext(ctx, "caller"); len(v) == 0 {
			return nil, status.Error(codes.Unauthenticated, "who is calling?")
		}
		md, _ := metadata.FromIncomingContext(ctx)
		return metadata.NewIncomingContext(ctx, metadata.Join(md, metadata.Pairs("seen", "yes"))), nil
	}
	var asked []string
	l := &library{
		watch: func(book *dynamicpb.Message, stream grpc.ServerStream) error { return stream.SendMsg(book) },
		authorize: func(ctx context.Context, method string, book *dynamicpb.Message) error {
			asked = append(asked, method+" "+book.Get(book.Descriptor().Fields().ByName("name")).String())
			if v := metadata.ValueFromIncomingContext(ctx, "seen"); len(v) == 0 {
				return status.Error(codes.Internal, "the interceptors have not run")
			}
			return status.Error(codes.PermissionDenied, "not you")
		},
	}
	h := l.serve(t, httpapi.Options{
		Interceptors: []grpc.UnaryServerInterceptor{func(ctx context.Context, r any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			ctx, err := seen(ctx)
			if err != nil {
				return nil, err
			}
			return handler(ctx, r)
		}},
		StreamInterceptors: []grpc.StreamServerInterceptor{func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			ctx, err := seen(stream.Context())
			if err != nil {
				return err
			}
			return handler(srv, changed{stream, ctx})
		}},
	})
	for _, line := range []string{"GET /v1/books/x?bogus=1", "GET /v1/books/x:watch?bogus=1", "GET /v1/books/x:watch?fields=bogus", "PATCH /v1/books/x?pageCount=1"} {
		expect(t, line, ask(h, line, ""), want{401, "UNAUTHENTICATED", "UNAUTHENTICATED", ""})
		expect(t, line, ask(h, line, "", "Caller: bob"), want{403, "PERMISSION_DENIED", "PERMISSION_DENIED", ""})
	}
	if len(asked) != 4 || asked[0] != "/library.v1.Library/GetBook books/x" || asked[1] != "/library.v1.Library/Watch books/x" {
		t.Errorf("asked about %q, want each request of a caller that is known, by its name", asked)
	}
	for _, line := range []string{"GET /v1/books/x", "GET /v1/books/x:watch"} {
		if w := ask(h, line, "", "Caller: bob"); w.Code != 200 || len(asked) != 4 {
			t.Errorf("%s = %d %s, want 200 and nothing asked", line, w.Code, w.Body)
		}
	}
}

// changed is a stream whose context an interceptor has changed.
type changed struct {
	grpc.ServerStream
	ctx context.Context
}

func (c changed) Context() context.Context { return c.ctx }
