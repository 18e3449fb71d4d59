package client_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun/client"
)

const name = "projects/p1/locations/l1/operations/o1"

// handle is what most tests follow an operation by.
type handle = client.Operation[*wrapperspb.StringValue, *wrapperspb.Int64Value]

// fake is a server of google.longrunning.Operations that answers what a test says.
// A nil function is a method that the server does not have.
type fake struct {
	longrunningpb.UnimplementedOperationsServer
	get, wait      func(ctx context.Context, n int) (*longrunningpb.Operation, error) // n counts from 1
	cancel, delete func(name string) error

	mu    sync.Mutex // guards what follows
	calls []call
}

// call is one call that the fake was asked.
type call struct {
	method  string
	at      time.Time
	timeout time.Duration // asked for, of wait
	left    time.Duration // until the call's deadline
	name    string
}

func (f *fake) note(ctx context.Context, c call) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.at = time.Now()
	if deadline, ok := ctx.Deadline(); ok {
		c.left = time.Until(deadline).Round(time.Second)
	}
	f.calls = append(f.calls, c)
	n := 0
	for _, other := range f.calls {
		if other.method == c.method {
			n++
		}
	}
	return n
}

// asked returns the calls of a method so far.
func (f *fake) asked(method string) []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.calls), func(c call) bool { return c.method != method })
}

// pauses returns the time between the calls of a method.
func (f *fake) pauses(method string) []time.Duration {
	var pauses []time.Duration
	calls := f.asked(method)
	for i, c := range calls {
		if i > 0 {
			pauses = append(pauses, c.at.Sub(calls[i-1].at))
		}
	}
	return pauses
}

func (f *fake) GetOperation(ctx context.Context, r *longrunningpb.GetOperationRequest) (*longrunningpb.Operation, error) {
	n := f.note(ctx, call{method: "get", name: r.GetName()})
	if f.get == nil {
		return f.UnimplementedOperationsServer.GetOperation(ctx, r)
	}
	return f.get(ctx, n)
}

func (f *fake) WaitOperation(ctx context.Context, r *longrunningpb.WaitOperationRequest) (*longrunningpb.Operation, error) {
	n := f.note(ctx, call{method: "wait", name: r.GetName(), timeout: r.GetTimeout().AsDuration()})
	if f.wait == nil {
		return f.UnimplementedOperationsServer.WaitOperation(ctx, r)
	}
	return f.wait(ctx, n)
}

func (f *fake) CancelOperation(ctx context.Context, r *longrunningpb.CancelOperationRequest) (*emptypb.Empty, error) {
	f.note(ctx, call{method: "cancel", name: r.GetName()})
	if f.cancel == nil {
		return f.UnimplementedOperationsServer.CancelOperation(ctx, r)
	}
	return &emptypb.Empty{}, f.cancel(r.GetName())
}

func (f *fake) DeleteOperation(ctx context.Context, r *longrunningpb.DeleteOperationRequest) (*emptypb.Empty, error) {
	f.note(ctx, call{method: "delete", name: r.GetName()})
	if f.delete == nil {
		return f.UnimplementedOperationsServer.DeleteOperation(ctx, r)
	}
	return &emptypb.Empty{}, f.delete(r.GetName())
}

// host is where a fake is served: it can be stopped and begun again, and its
// connections find the server of the moment.
type host struct {
	t    *testing.T
	fake *fake

	mu       sync.Mutex // guards what follows
	server   *grpc.Server
	listener *bufconn.Listener
	serving  sync.WaitGroup
}

// serve serves f until the test ends.
func serve(t *testing.T, f *fake) *host {
	t.Helper()
	h := &host{t: t, fake: f}
	h.begin()
	t.Cleanup(h.kill)
	return h
}

func (h *host) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.server, h.listener = grpc.NewServer(grpc.WaitForHandlers(true)), bufconn.Listen(1<<20)
	longrunningpb.RegisterOperationsServer(h.server, h.fake)
	server, listener := h.server, h.listener
	h.serving.Go(func() {
		if err := server.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			h.t.Errorf("Serve: %v", err)
		}
	})
}

// kill breaks all connections, and lets nobody connect.
func (h *host) kill() {
	h.mu.Lock()
	server := h.server
	h.mu.Unlock()
	server.Stop()
	h.serving.Wait()
}

func (h *host) dial(ctx context.Context, _ string) (net.Conn, error) {
	h.mu.Lock()
	listener := h.listener
	h.mu.Unlock()
	return listener.DialContext(ctx)
}

// conn returns a connection to whatever is served at the moment.
func (h *host) conn() *grpc.ClientConn {
	h.t.Helper()
	conn, err := grpc.NewClient("passthrough:///fake",
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(h.dial))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	return conn
}

// follow serves f and returns a handle on the operation "name" there.
func follow(t *testing.T, f *fake) *handle {
	t.Helper()
	return client.Resume[*wrapperspb.StringValue, *wrapperspb.Int64Value](serve(t, f).conn(), name)
}

func packed(t testing.TB, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// running is an operation that has come as far as n.
func running(t testing.TB, n int64) *longrunningpb.Operation {
	t.Helper()
	return &longrunningpb.Operation{Name: name, Metadata: packed(t, wrapperspb.Int64(n))}
}

func succeeded(t testing.TB, response proto.Message) *longrunningpb.Operation {
	t.Helper()
	return &longrunningpb.Operation{Name: name, Done: true, Result: &longrunningpb.Operation_Response{Response: packed(t, response)}}
}

func failed(st *status.Status) *longrunningpb.Operation {
	return &longrunningpb.Operation{Name: name, Done: true, Result: &longrunningpb.Operation_Error{Error: st.Proto()}}
}

// always answers every call alike.
func always(op *longrunningpb.Operation, err error) func(context.Context, int) (*longrunningpb.Operation, error) {
	return func(context.Context, int) (*longrunningpb.Operation, error) { return op, err }
}

// until is a WaitOperation that waits as it is asked, for an operation that ends
// with the answer that call n is given.
func until(t testing.TB, n int, end *longrunningpb.Operation) func(context.Context, int) (*longrunningpb.Operation, error) {
	return func(ctx context.Context, i int) (*longrunningpb.Operation, error) {
		select {
		case <-time.After(20 * time.Second):
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		if i < n {
			return running(t, int64(i)), nil
		}
		return end, nil
	}
}

// want fails the test unless got, err is this response.
func want(t *testing.T, got *wrapperspb.StringValue, err error, value string) {
	t.Helper()
	if err != nil || got.GetValue() != value {
		t.Errorf("response, error = %v, %v; want %q", got, err, value)
	}
}

// wantCode fails the test unless err has this code.
func wantCode(t *testing.T, err error, code codes.Code) {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("error = %v; want %v", err, code)
	}
}
