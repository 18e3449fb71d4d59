package httpapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/longrun-dev/longrun/httpapi"
)

// watching returns a library whose stream has n elements and then ends with err.
func watching(n int, err error) *library {
	return &library{watch: func(book *dynamicpb.Message, stream grpc.ServerStream) error {
		if err := stream.SetHeader(metadata.Pairs("x-a", "1")); err != nil {
			return err
		}
		for i := range n {
			book.Set(book.Descriptor().Fields().ByName("copies"), protoreflect.ValueOfUint32(uint32(i+1)))
			if err := stream.SendMsg(book); err != nil {
				return err
			}
		}
		stream.SetTrailer(metadata.Pairs("x-t", "2"))
		return err
	}}
}

// The messages of a stream are the elements of an array, and each is as in a reply.
func TestStream(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: `[]`, 1: `[{"name":"books/x","copies":1}]`, 3: `[{"name":"books/x","copies":1},{"name":"books/x","copies":2},{"name":"books/x","copies":3}]`} {
		w := ask(watching(n, nil).serve(t, httpapi.Options{}), "GET /v1/books/x:watch", "")
		expectJSON(t, fmt.Sprint(n), w, want)
		if got := w.Header().Get("X-A"); got != "1" || w.Flushed != true {
			t.Errorf("X-A = %q, flushed = %v; want the handler's header, and all sent as it comes", got, w.Flushed)
		}
		if got := w.Result().Trailer.Get("Grpc-Trailer-X-T"); got != "2" {
			t.Errorf("trailer = %v, want x-t", w.Result().Trailer)
		}
	}
	w := ask(watching(1, nil).serve(t, httpapi.Options{}), "GET /v1/books/x:watch?fields=copies", "")
	expectJSON(t, "mask", w, `[{"copies":1}]`)
}

// An error before the first element is an error; one after it is the last element.
func TestStream_Error(t *testing.T) {
	t.Parallel()
	busy := status.Error(codes.Aborted, "busy")
	h := watching(0, busy).serve(t, httpapi.Options{})
	expect(t, "at once", ask(h, "GET /v1/books/x:watch", ""), want{409, "ABORTED", "ABORTED", ""})
	expect(t, "request", ask(h, "GET /v1/books/x:watch?bogus=1", ""), want{400, invalid, httpapi.ReasonUnknownParameter, "bogus"})
	w := ask(watching(1, busy).serve(t, httpapi.Options{}), "GET /v1/books/x:watch", "")
	expectJSON(t, "later", w, `[{"name":"books/x","copies":1},{"error":{"code":409,"message":"busy","status":"ABORTED",
		"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"ABORTED","domain":"longrun.dev"}]}}]`)
	panics := &library{watch: func(*dynamicpb.Message, grpc.ServerStream) error { panic("x") }}
	expect(t, "panic", ask(panics.serve(t, httpapi.Options{}), "GET /v1/books/x:watch", ""), want{500, "INTERNAL", httpapi.ReasonInternal, ""})
}

// Interceptors run around streams. A client that streams is told that HTTP cannot.
func TestStream_Interceptors(t *testing.T) {
	t.Parallel()
	refused := errors.New("no")
	h := watching(1, nil).serve(t, httpapi.Options{StreamInterceptors: []grpc.StreamServerInterceptor{
		func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			if info.FullMethod != "/library.v1.Library/Watch" || !info.IsServerStream || info.IsClientStream {
				return refused
			}
			return handler(srv, ss)
		},
	}})
	if w := ask(h, "GET /v1/books/x:watch", ""); w.Code != 200 || !strings.HasPrefix(w.Body.String(), "[") {
		t.Errorf("watch = %d %s, want 200", w.Code, w.Body)
	}
	expect(t, "upload", ask(h, "POST /v1/books:upload", "{}"), want{501, "UNIMPLEMENTED", httpapi.ReasonStreaming, ""})
}

// brokenWriter is a client that has gone.
type brokenWriter struct{ http.ResponseWriter }

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// A client that goes ends the stream: the next message says so.
func TestStream_ClientGoes(t *testing.T) {
	t.Parallel()
	var failed error
	h := (&library{watch: func(book *dynamicpb.Message, stream grpc.ServerStream) error {
		for range 10 {
			if failed = stream.SendMsg(book); failed != nil {
				break
			}
		}
		return failed
	}}).serve(t, httpapi.Options{})
	h.ServeHTTP(brokenWriter{httptest.NewRecorder()}, httptest.NewRequest("GET", "http://localhost/v1/books/x:watch", nil))
	if status.Code(failed) != codes.Canceled {
		t.Errorf("SendMsg to nobody = %v, want CANCELLED", failed)
	}
}

// A header that is sent before the first element leaves at once.
func TestStream_SendHeader(t *testing.T) {
	t.Parallel()
	h := (&library{watch: func(book *dynamicpb.Message, stream grpc.ServerStream) error {
		if err := stream.SendHeader(metadata.Pairs("x-b", "1")); err != nil {
			return err
		}
		if stream.SetHeader(metadata.Pairs("x-c", "1")) == nil || stream.SendHeader(nil) == nil {
			return errors.New("a header was set after it was sent")
		}
		return stream.SendMsg(book)
	}}).serve(t, httpapi.Options{})
	w := ask(h, "GET /v1/books/x:watch", "")
	expectJSON(t, "stream", w, `[{"name":"books/x"}]`)
	if got := w.Header().Get("X-B"); got != "1" {
		t.Errorf("X-B = %q, want 1", got)
	}
}
