package clienttest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	translate "cloud.google.com/go/translate/apiv3"
	"cloud.google.com/go/translate/apiv3/translatepb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// survives kills the server while a client waits, lets it fail to reach it, and starts the
// server again: the Wait that was begun before ends with the response. refused tells of polls
// that have not reached the server.
func survives(t *testing.T, s *translation, client *translate.TranslationClient, refused <-chan struct{}, opts ...gax.CallOption) {
	t.Helper()
	op := startBatch(t, client)
	inTheMiddle(t, op)
	type result struct {
		resp *translatepb.BatchTranslateResponse
		err  error
	}
	waited := make(chan result, 1)
	ctx := patient(t)
	go func() {
		resp, err := op.Wait(ctx, opts...)
		waited <- result{resp, err}
	}()
	for len(refused) > 0 {
		<-refused
	}
	s.kill()
	select {
	case <-refused:
	case r := <-waited:
		t.Fatalf("Wait = %v, %v while the server is away", r.resp, r.err)
	}
	s.start(t, "0")
	r := <-waited
	wantTranslated(t, s, r.resp, r.err)
}

// announce is a channel of which a full buffer is no reason to wait.
func announce(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// POL-03, POL-04, CON-02, OP-16: killed in the middle and started again, over gRPC. The client
// is as it comes: it tries UNAVAILABLE again, for as long as its context lasts. (Without a
// deadline in its context, ten seconds for each poll, which is gax's default.)
func TestTranslation_KilledGRPC(t *testing.T) {
	t.Parallel()
	s := newTranslation(t)
	s.start(t, slow)
	refused := make(chan struct{}, 1)
	client := dialTranslation(t, s, grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		err := invoke(ctx, method, req, reply, conn, opts...)
		if status.Code(err) == codes.Unavailable {
			announce(refused)
		}
		return err
	}))
	createGlossary(t, client)
	survives(t, s, client, refused)
}

// The same over REST behind a proxy that answers 503 while the server is away, as every load
// balancer does. The client is as it comes: it tries 503 again.
func TestTranslation_KilledRESTBehindProxy(t *testing.T) {
	t.Parallel()
	s := newTranslation(t)
	s.start(t, slow)
	face, refused := s.behindProxy(t)
	client := restTranslation(t, face)
	createGlossary(t, client)
	survives(t, s, client, refused)
}

// behindProxy returns the address of a proxy before the server, which answers 503 in Google's
// envelope while that is away, and a channel that tells of such answers.
func (s *translation) behindProxy(t *testing.T) (address string, refused <-chan struct{}) {
	t.Helper()
	answers := make(chan struct{}, 1)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: s.http})
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) {
		announce(answers)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		if _, err := io.WriteString(w, `{"error": {"code": 503, "message": "the service is away", "status": "UNAVAILABLE"}}`); err != nil {
			t.Logf("the client has not waited for its 503: %v", err)
		}
	}
	face := httptest.NewServer(proxy)
	t.Cleanup(face.Close)
	return strings.TrimPrefix(face.URL, "http://"), answers
}

// The same over REST without a proxy. Here the client needs a call option: by default gax tries
// the status 503 again, and gives up at once where there is no HTTP answer at all, as when a
// connection is refused.
func TestTranslation_KilledREST(t *testing.T) {
	t.Parallel()
	s := newTranslation(t)
	s.start(t, slow)
	client := restTranslation(t, s.http)
	createGlossary(t, client)
	refused := make(chan struct{}, 1)
	survives(t, s, client, refused, gax.WithRetry(func() gax.Retryer {
		return gax.OnErrorFunc(gax.Backoff{Initial: 500 * time.Millisecond, Max: 5 * time.Second}, func(err error) bool {
			announce(refused)
			_, unreached := errors.AsType[*url.Error](err)
			return unreached
		})
	}))
}
