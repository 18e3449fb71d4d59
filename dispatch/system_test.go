package dispatch_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/dispatch"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/longrunpb"
)

// resize is the method of most tests.
const resize = "resize-image"

// A system is a Dispatcher behind a real connection, on a store in memory.
type system struct {
	longrunpb.DispatcherClient
	t     *testing.T
	ctx   context.Context
	svc   *longrun.Service
	store *faulty
}

// bubble runs f with a fresh system, in a bubble whose time jumps.
func bubble(t *testing.T, f func(x *system)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newSystem(t, dispatch.Options{})) })
}

func newSystem(t *testing.T, o dispatch.Options) *system {
	t.Helper()
	store := &faulty{Store: inmem.New()}
	t.Cleanup(func() { store.Close() })
	return serve(t, store, longrun.Options{}, o)
}

// serve is a server of its own on a store that others may use as well.
func serve(t *testing.T, store *faulty, so longrun.Options, o dispatch.Options) *system {
	t.Helper()
	so.Domain = "images.example.com"
	svc, err := longrun.New(store, so)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	dispatch.Register(server, svc, o)
	client, stop := dial(server)
	t.Cleanup(func() {
		stop()
		svc.Close()
	})
	return &system{DispatcherClient: client, t: t, ctx: t.Context(), svc: svc, store: store}
}

// faulty is a store that can be told to lose answers and that counts.
type faulty struct {
	longrun.Store
	loseClaims atomic.Int64 // so many Claims happen and are answered by ErrUnknown
	claims     atomic.Int64
	lists      atomic.Int64 // of what a session holds
	beats      atomic.Int64
	calls      atomic.Int64 // of those that a worker's calls make, all together
}

func (f *faulty) Create(ctx context.Context, n longrun.NewOperation) (*longrun.Operation, error) {
	f.calls.Add(1)
	return f.Store.Create(ctx, n)
}

func (f *faulty) Get(ctx context.Context, ids ...longrun.ID) ([]*longrun.Operation, error) {
	f.calls.Add(1)
	return f.Store.Get(ctx, ids...)
}

func (f *faulty) Update(ctx context.Context, c longrun.Change) (*longrun.Operation, error) {
	f.calls.Add(1)
	return f.Store.Update(ctx, c)
}

func (f *faulty) Beat(ctx context.Context, s longrun.Session) (longrun.Beat, error) {
	f.calls.Add(1)
	f.beats.Add(1)
	return f.Store.Beat(ctx, s)
}

func (f *faulty) Claim(ctx context.Context, r longrun.ClaimRequest) (longrun.Claimed, error) {
	f.calls.Add(1)
	f.claims.Add(1)
	c, err := f.Store.Claim(ctx, r)
	if err == nil && f.loseClaims.Add(-1) >= 0 {
		return longrun.Claimed{}, longrun.ErrUnknown
	}
	return c, err
}

func (f *faulty) List(ctx context.Context, q longrun.Query) (longrun.Page, error) {
	f.calls.Add(1)
	if !q.Session.IsZero() {
		f.lists.Add(1)
	}
	return f.Store.List(ctx, q)
}

// open opens a session with a TTL of 30 seconds.
func (x *system) open() string {
	x.t.Helper()
	r, err := x.OpenSession(x.ctx, &longrunpb.OpenSessionRequest{Worker: "host/1"})
	if err != nil {
		x.t.Fatalf("OpenSession: %v", err)
	}
	return r.GetSession()
}

// start starts an operation of a method that anybody may acquire.
func (x *system) start(method string) longrun.Name {
	x.t.Helper()
	return x.startWith(&longrunpb.StartOperationRequest{Method: method})
}

func (x *system) startWith(r *longrunpb.StartOperationRequest) longrun.Name {
	x.t.Helper()
	op, err := x.StartOperation(x.ctx, r)
	if err != nil {
		x.t.Fatalf("StartOperation: %v", err)
	}
	return x.name(op.GetName())
}

// startClaimed starts an operation that the session runs.
func (x *system) startClaimed(session string, call int64) longrun.Name {
	x.t.Helper()
	return x.startWith(&longrunpb.StartOperationRequest{Method: resize, Session: session, Call: call})
}

func (x *system) name(s string) longrun.Name {
	x.t.Helper()
	n, err := longrun.ParseName(s)
	if err != nil {
		x.t.Fatalf("ParseName: %v", err)
	}
	return n
}

// acquire claims up to n operations of resize, without waiting.
func (x *system) acquire(session string, call int64, n int32) []*longrunpb.AcquiredOperation {
	x.t.Helper()
	return x.acquireWith(&longrunpb.AcquireOperationsRequest{Session: session, Methods: []string{resize}, MaxOperations: n, Call: call})
}

func (x *system) acquireWith(r *longrunpb.AcquireOperationsRequest) []*longrunpb.AcquiredOperation {
	x.t.Helper()
	reply, err := x.AcquireOperations(x.ctx, r)
	if err != nil {
		x.t.Fatalf("AcquireOperations: %v", err)
	}
	return reply.GetOperations()
}

// acquireOne claims one operation and expects to get it.
func (x *system) acquireOne(session string, call int64) *longrunpb.AcquiredOperation {
	x.t.Helper()
	ops := x.acquire(session, call, 1)
	if len(ops) != 1 {
		x.t.Fatalf("AcquireOperations gave %d operations, want 1", len(ops))
	}
	return ops[0]
}

// beat beats without waiting and closes the calls up to closed.
func (x *system) beat(session string, closed int64, held ...*longrunpb.AcquiredOperation) []*longrunpb.StoppedOperation {
	x.t.Helper()
	r, err := x.BeatSession(x.ctx, beatOf(session, closed, held...))
	if err != nil {
		x.t.Fatalf("BeatSession: %v", err)
	}
	return r.GetStop()
}

func beatOf(session string, closed int64, held ...*longrunpb.AcquiredOperation) *longrunpb.BeatSessionRequest {
	r := &longrunpb.BeatSessionRequest{Session: session, ClosedCall: closed}
	for _, op := range held {
		r.Held = append(r.Held, &longrunpb.HeldOperation{Operation: op.GetOperation(), Attempt: op.GetAttempt()})
	}
	return r
}

// longBeat is beatOf with the longest wait that there is.
func longBeat(session string, closed int64, held ...*longrunpb.AcquiredOperation) *longrunpb.BeatSessionRequest {
	r := beatOf(session, closed, held...)
	r.WaitTimeout = durationpb.New(time.Hour)
	return r
}

func finishOf(session string, op *longrunpb.AcquiredOperation) *longrunpb.FinishOperationRequest {
	return &longrunpb.FinishOperationRequest{Name: op.GetOperation(), Session: session, Attempt: op.GetAttempt()}
}

func succeed(session string, op *longrunpb.AcquiredOperation) *longrunpb.FinishOperationRequest {
	r := finishOf(session, op)
	r.Result = &longrunpb.FinishOperationRequest_Response{Response: text("done")}
	return r
}

func fail(session string, op *longrunpb.AcquiredOperation, code codes.Code) *longrunpb.FinishOperationRequest {
	r := finishOf(session, op)
	r.Result = &longrunpb.FinishOperationRequest_Error{Error: &statuspb.Status{Code: int32(code), Message: "no such image"}}
	return r
}

// finish finishes the run and expects that to be accepted.
func (x *system) finish(r *longrunpb.FinishOperationRequest) {
	x.t.Helper()
	if _, err := x.FinishOperation(x.ctx, r); err != nil {
		x.t.Fatalf("FinishOperation: %v", err)
	}
}

func (x *system) cancel(op *longrunpb.AcquiredOperation) {
	x.t.Helper()
	if err := x.svc.Cancel(x.ctx, x.name(op.GetOperation())); err != nil {
		x.t.Fatalf("Cancel: %v", err)
	}
}

// get returns the operation as it is.
func (x *system) get(n longrun.Name) *longrun.Operation {
	x.t.Helper()
	op, err := x.svc.Get(x.ctx, n)
	if err != nil {
		x.t.Fatalf("Get: %v", err)
	}
	return op
}

// wantState checks where an operation stands and, where it has failed, how.
func (x *system) wantState(n longrun.Name, s longrun.State, code codes.Code) {
	x.t.Helper()
	op := x.get(n)
	if op.State != s || codes.Code(op.Error.GetCode()) != code {
		x.t.Errorf("State = %v, code = %v, want %v, %v", op.State, codes.Code(op.Error.GetCode()), s, code)
	}
}

// sweepFor lets d pass, in which this process stays in touch with its store, and
// then sweeps.
func (x *system) sweepFor(d time.Duration) {
	x.t.Helper()
	w := x.svc.Work()
	id, err := w.OpenSession(x.ctx, longrun.SessionOptions{TTL: longrun.MinSessionTTL})
	for range d / time.Second {
		time.Sleep(time.Second)
		if err == nil {
			_, err = w.Beat(x.ctx, longrun.BeatRequest{Session: id})
		}
	}
	if err == nil {
		err = w.Sweep(x.ctx)
	}
	if err != nil {
		x.t.Fatalf("sweep: %v", err)
	}
}

// took returns how long f takes.
func took(f func()) time.Duration {
	begin := time.Now()
	f()
	return time.Since(begin)
}

// wantError checks code, reason and field of an error that a client has got, and
// that its domain is the service's (ERR-02, ERR-05, ERR-08).
func wantError(t *testing.T, err error, code codes.Code, reason, field string) {
	t.Helper()
	st := status.Convert(err)
	gotReason, gotField := "", ""
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			gotReason = d.GetReason()
			if d.GetDomain() != "images.example.com" {
				t.Errorf("domain = %q, want %q", d.GetDomain(), "images.example.com")
			}
		case *errdetails.BadRequest:
			gotField = d.GetFieldViolations()[0].GetField()
		}
	}
	if st.Code() != code || gotReason != reason || gotField != field {
		t.Errorf("error = %v (%s, field %q: %s), want %v (%s, field %q)", st.Code(), gotReason, gotField, st.Message(), code, reason, field)
	}
}

func wantInvalid(t *testing.T, err error, field string) {
	t.Helper()
	wantError(t, err, codes.InvalidArgument, longrun.ReasonInvalidField, field)
}

func wantClaimLost(t *testing.T, err error) {
	t.Helper()
	wantError(t, err, codes.Aborted, longrun.ReasonClaimLost, "")
}

func wantSessionLost(t *testing.T, err error) {
	t.Helper()
	wantError(t, err, codes.Aborted, longrun.ReasonSessionLost, "")
}

func text(s string) *anypb.Any { return pack(wrapperspb.String(s)) }
