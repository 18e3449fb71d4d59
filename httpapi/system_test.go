package httpapi_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/dispatch"
	"github.com/longrun-dev/longrun/grpcapi"
	"github.com/longrun-dev/longrun/httpapi"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/simulator"
)

const parent = "projects/p1/locations/l1"

// system is operations behind a handler, with the services that start and work them.
type system struct {
	svc     *longrun.Service
	web     *httpapi.Handler
	session longrun.SessionID
}

func newSystem(t testing.TB) *system { return newSystemWith(t, longrun.Options{}, httpapi.Options{}) }

func newSystemWith(t testing.TB, o longrun.Options, web httpapi.Options) *system {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	store := inmem.New()
	svc, err := longrun.New(store, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		svc.Close()
		store.Close()
	})
	api := grpcapi.Options{Log: o.Log, NoWait: web.Config.Off("google.longrunning.Operations.WaitOperation")}
	web.Log, web.Domain = o.Log, svc.Domain()
	web.Interceptors = append(web.Interceptors, grpcapi.UnaryInterceptor(svc, api))
	s := &system{svc: svc}
	if s.web, err = httpapi.New(web); err != nil {
		t.Fatal(err)
	}
	grpcapi.Register(s.web, svc, api)
	dispatch.Register(s.web, svc, dispatch.Options{})
	simulator.Register(s.web, svc)
	if err := s.web.Check(); err != nil {
		t.Fatal(err)
	}
	return s
}

// run starts an operation that the system's session runs.
func (s *system) run(t testing.TB, parent string) *longrun.Operation {
	t.Helper()
	return s.runRequest(t, longrun.StartRequest{Method: "command", StartOptions: longrun.StartOptions{Parent: parent}})
}

func (s *system) runRequest(t testing.TB, r longrun.StartRequest) *longrun.Operation {
	t.Helper()
	if s.session.IsZero() {
		id, err := s.svc.Work().OpenSession(context.Background(), longrun.SessionOptions{TTL: longrun.MaxSessionTTL})
		if err != nil {
			t.Fatal(err)
		}
		s.session = id
	}
	r.Session = s.session
	op, err := s.svc.Start(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return op
}

func (s *system) finish(t testing.TB, op *longrun.Operation, r longrun.Result) string {
	t.Helper()
	if _, err := s.svc.Work().Finish(context.Background(), op.Name(), op.Claim, r); err != nil {
		t.Fatal(err)
	}
	return op.Name().String()
}

// fixtures are the names of what the spec calls S, E, C and R.
type fixtures struct{ S, E, C, R string }

func (s *system) fixtures(t testing.TB, parent string) fixtures {
	t.Helper()
	cancelled := s.run(t, parent)
	if err := s.svc.Cancel(context.Background(), cancelled.Name()); err != nil {
		t.Fatal(err)
	}
	return fixtures{
		S: s.finish(t, s.run(t, parent), longrun.Result{Response: pack(t, &emptypb.Empty{})}),
		E: s.finish(t, s.run(t, parent), longrun.Result{Err: status.Error(codes.FailedPrecondition, "the shelf is full")}),
		C: s.finish(t, cancelled, longrun.Result{Err: longrun.ErrCancelled}),
		R: s.run(t, parent).Name().String(),
	}
}

func pack(t testing.TB, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// op asks for an operation, which must be 200.
func (s *system) op(t testing.TB, line, body string, headers ...string) *longrunningpb.Operation {
	t.Helper()
	w, op := ask(s.web, line, body, headers...), new(longrunningpb.Operation)
	if err := protojson.Unmarshal(w.Body.Bytes(), op); err != nil || w.Code != 200 {
		t.Fatalf("%s %s = %d %s, want an operation: %v", line, body, w.Code, w.Body, err)
	}
	return op
}

// list asks for a page, which must be 200.
func (s *system) list(t testing.TB, path string) *longrunningpb.ListOperationsResponse {
	t.Helper()
	w, page := ask(s.web, "GET "+path, ""), new(longrunningpb.ListOperationsResponse)
	if err := protojson.Unmarshal(w.Body.Bytes(), page); err != nil || w.Code != 200 {
		t.Fatalf("%s = %d %s, want a page: %v", path, w.Code, w.Body, err)
	}
	return page
}

func names(page *longrunningpb.ListOperationsResponse) []string {
	var list []string
	for _, op := range page.GetOperations() {
		list = append(list, op.GetName())
	}
	return list
}

// keys returns the keys of a JSON object.
func keys(t testing.TB, body []byte) map[string]json.RawMessage {
	t.Helper()
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return object
}

// elapsed returns how long f takes.
func elapsed(f func()) time.Duration {
	begin := time.Now()
	f()
	return time.Since(begin)
}

// asCaller makes everybody the caller of the header "caller".
func asCaller() httpapi.Options {
	return httpapi.Options{Interceptors: []grpc.UnaryServerInterceptor{
		func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if v := metadata.ValueFromIncomingContext(ctx, "caller"); len(v) > 0 {
				ctx = longrun.WithCaller(ctx, v[0])
			}
			return handler(ctx, req)
		},
	}}
}

// recorderFor returns what a request without a body is served with.
func recorderFor(ctx context.Context, method, path string) (*httptest.ResponseRecorder, *http.Request) {
	r := httptest.NewRequestWithContext(ctx, method, "http://localhost"+path, nil)
	return httptest.NewRecorder(), r
}
