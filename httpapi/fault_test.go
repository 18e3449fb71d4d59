package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun/httpapi"
)

// fails returns a library that fails.
func fails(err error) *library {
	return &library{do: func(context.Context, *dynamicpb.Message) (any, error) { return nil, err }}
}

// MAP-01, MAP-02, ERR-01, ERR-20, ERR-21: each code has its HTTP status, and its name is
// in the envelope. ERR-02, ERR-05: an error without an ErrorInfo gets one.
func TestFault_Codes(t *testing.T) {
	t.Parallel()
	for code, tt := range map[codes.Code]struct {
		http int
		name string
	}{
		codes.Canceled: {499, "CANCELLED"}, codes.Unknown: {500, "UNKNOWN"}, codes.InvalidArgument: {400, invalid},
		codes.DeadlineExceeded: {504, "DEADLINE_EXCEEDED"}, codes.NotFound: {404, "NOT_FOUND"}, codes.AlreadyExists: {409, "ALREADY_EXISTS"},
		codes.PermissionDenied: {403, "PERMISSION_DENIED"}, codes.ResourceExhausted: {429, "RESOURCE_EXHAUSTED"},
		codes.FailedPrecondition: {400, "FAILED_PRECONDITION"}, codes.Aborted: {409, "ABORTED"}, codes.OutOfRange: {400, "OUT_OF_RANGE"},
		codes.Unimplemented: {501, "UNIMPLEMENTED"}, codes.Internal: {500, "INTERNAL"}, codes.Unavailable: {503, "UNAVAILABLE"},
		codes.DataLoss: {500, "DATA_LOSS"}, codes.Unauthenticated: {401, "UNAUTHENTICATED"},
	} {
		h := fails(status.Error(code, "the text")).serve(t, httpapi.Options{Domain: "library.example.com"})
		w := ask(h, "GET /v1/books/x", "")
		p := expect(t, tt.name, w, want{tt.http, tt.name, tt.name, ""})
		if p.Error.Message != "the text" || p.detail("google.rpc.ErrorInfo")["domain"] != "library.example.com" {
			t.Errorf("%s: %v, want its text and the domain", tt.name, p)
		}
		// ERR-24: a challenge, and no text of the error in it.
		if got, want := w.Header().Get("WWW-Authenticate"), map[bool]string{true: "Bearer"}[code == codes.Unauthenticated]; got != want {
			t.Errorf("%s: WWW-Authenticate = %q, want %q", tt.name, got, want)
		}
	}
}

// ERR-07: what has no code is INTERNAL with an id, under which the log has the cause.
// ERR-15: a panic too, and the next request is served.
func TestFault_Internal(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func() error{
		"error":         func() error { return errors.New("dial 10.0.0.7: secret") },
		"panic":         func() error { panic("secret") },
		"OK":            func() error { return okStatus{} },
		"no such code":  func() error { return status.Error(99, "secret") },
		"not a message": func() error { return nil },
	} {
		var log bytes.Buffer
		h := (&library{do: func(context.Context, *dynamicpb.Message) (any, error) { return "secret", do() }}).
			serve(t, httpapi.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		for range 2 {
			p := expect(t, name, ask(h, "GET /v1/books/x", ""), want{500, "INTERNAL", httpapi.ReasonInternal, ""})
			id, _ := p.detail("google.rpc.ErrorInfo")["metadata"].(map[string]any)["id"].(string)
			if id == "" || !strings.Contains(p.Error.Message, id) || !strings.Contains(log.String(), id) || strings.Contains(p.Error.Message, "secret") {
				t.Errorf("%s: message %q, log %q; want an id in both and no cause in the message", name, p.Error.Message, log.String())
			}
		}
	}
}

type okStatus struct{}

func (okStatus) Error() string              { return "secret" }
func (okStatus) GRPCStatus() *status.Status { return status.New(codes.OK, "secret") }

// An error counts by the Status in its tree, without what is around it; going away is
// no failure of ours.
func TestFault_Wrapped(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want want
		text string
	}{
		{fmt.Errorf("secret: %w", status.Error(codes.Aborted, "busy")), want{409, "ABORTED", "ABORTED", ""}, "busy"},
		{fmt.Errorf("secret: %w", context.Canceled), want{499, "CANCELLED", "CANCELLED", ""}, ""},
		{fmt.Errorf("secret: %w", context.DeadlineExceeded), want{504, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", ""}, ""},
	} {
		p := expect(t, tt.err.Error(), ask(fails(tt.err).serve(t, httpapi.Options{}), "GET /v1/books/x", ""), tt.want)
		if strings.Contains(p.Error.Message, "secret") != (tt.text == "") && tt.text != "" {
			t.Errorf("message = %q, want %q", p.Error.Message, tt.text)
		}
	}
}

// ERR-03, ERR-13: details are kept, but for DebugInfo. ERR-08: fields are named as in
// JSON. ERR-10: a RetryInfo is also the header, rounded up. ERR-23: what a client could
// not read is left out.
func TestFault_Details(t *testing.T) {
	t.Parallel()
	st, err := status.New(codes.Unavailable, "later").WithDetails(
		&errdetails.ErrorInfo{Reason: "SHELF_FULL", Domain: "d"},
		&errdetails.DebugInfo{Detail: "secret"},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(1200 * time.Millisecond)},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: `held[0].page_size.labels["a_b"].x_1`}}},
	)
	if err != nil {
		t.Fatal(err)
	}
	p := st.Proto()
	p.Details = append(p.Details, &anypb.Any{TypeUrl: "type.googleapis.com/no.Such", Value: []byte{1}})
	w := ask(fails(status.ErrorProto(p)).serve(t, httpapi.Options{}), "GET /v1/books/x", "")
	got := expect(t, "details", w, want{503, "UNAVAILABLE", "SHELF_FULL", `held[0].pageSize.labels["a_b"].x1`})
	if len(got.Error.Details) != 3 || got.detail("google.rpc.RetryInfo")["retryDelay"] != "1.200s" {
		t.Errorf("details = %v, want ErrorInfo, RetryInfo and BadRequest", got.Error.Details)
	}
	if wait := w.Header().Get("Retry-After"); wait != "2" {
		t.Errorf("Retry-After = %q, want 2", wait)
	}
}

// The metadata of a handler is in the header, that of its trailer with a prefix, also
// of an error. What is the transport's own is not for it to say.
func TestCall_ReplyMetadata(t *testing.T) {
	t.Parallel()
	var fail error
	h := (&library{do: func(ctx context.Context, book *dynamicpb.Message) (any, error) {
		for _, err := range []error{
			grpc.SetHeader(ctx, metadata.Pairs("retry-after", "3", "x-a", "1", "x-a", "2", "content-length", "7", "grpc-status", "1", "x-bin", "\xff")),
			grpc.SendHeader(ctx, metadata.Pairs("x-b", "3")),
			grpc.SetTrailer(ctx, metadata.Pairs("x-c", "4")),
		} {
			if err != nil {
				return nil, err
			}
		}
		if grpc.SetHeader(ctx, metadata.Pairs("x-d", "5")) == nil || grpc.SendHeader(ctx, nil) == nil {
			return nil, errors.New("a header was set after it was sent")
		}
		if m, ok := grpc.Method(ctx); !ok || m != "/library.v1.Library/GetBook" {
			return nil, fmt.Errorf("Method = %q", m)
		}
		return book, fail
	}}).serve(t, httpapi.Options{})
	for _, fail = range []error{nil, status.Error(codes.NotFound, "none")} {
		w := ask(h, "GET /v1/books/x", "")
		for name, want := range map[string]string{
			"Retry-After": "[3]", "X-A": "[1 2]", "X-B": "[3]", "Grpc-Trailer-X-C": "[4]", "X-Bin": "[/w]", "X-D": "[]", "Grpc-Status": "[]",
			"Content-Length": fmt.Sprintf("[%d]", w.Body.Len()), "X-Content-Type-Options": "[nosniff]",
		} {
			if got := fmt.Sprint(w.Header().Values(name)); got != want {
				t.Errorf("%s = %s, want %s", name, got, want)
			}
		}
	}
}

// The header of a request is the metadata of the call, but for what is the
// transport's. AUT-11, GRPC-03: routing headers and unknown ones change nothing.
func TestCall_RequestMetadata(t *testing.T) {
	t.Parallel()
	var got metadata.MD
	h := (&library{do: func(ctx context.Context, book *dynamicpb.Message) (any, error) {
		got, _ = metadata.FromIncomingContext(ctx)
		return book, nil
	}}).serve(t, httpapi.Options{})
	w := ask(h, "GET /v1/books/x", "", "X-Goog-Request-Params: name=books%2Fy", "Authorization: Bearer t", "X-Goog-FieldMask: name", "Connection: close",
		"Grpc-Status: 1", "Accept-Encoding: gzip", "Content-Type: application/json", "X-Two: 1", "X-Two: 2", "X-Bin: /w==", "X-Bin: !", "Trace~x: y", "TE: trailers")
	expectJSON(t, "reply", w, `{"name":"books/x"}`)
	want := metadata.MD{
		":authority": {"localhost:8151"}, "x-goog-request-params": {"name=books%2Fy"}, "authorization": {"Bearer t"}, "x-two": {"1", "2"}, "x-bin": {"\xff"},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("metadata = %v, want %v", got, want)
	}
}

// Interceptors run around every call, the first one outermost, after the request was
// read; and they see what any server's do.
func TestInterceptors(t *testing.T) {
	t.Parallel()
	var order []string
	trace := func(name string) grpc.UnaryServerInterceptor {
		return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			order = append(order, name+" "+info.FullMethod)
			return handler(ctx, req)
		}
	}
	h := (&library{}).serve(t, httpapi.Options{Interceptors: []grpc.UnaryServerInterceptor{trace("a"), trace("b")}})
	expectJSON(t, "reply", ask(h, "GET /v1/books/x", ""), `{"name":"books/x"}`)
	if got, want := fmt.Sprint(order), "[a /library.v1.Library/GetBook b /library.v1.Library/GetBook]"; got != want {
		t.Errorf("order = %s, want %s", got, want)
	}
}
