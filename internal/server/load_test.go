package server_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/google/uuid"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun/longrunpb"
)

// tryTimeout bounds one try of a call, so that a server that was killed costs its
// client little time.
const tryTimeout = 3 * time.Second

// load is what clients do to a server that is killed again and again. Each notes
// every call, with how it ended, in the history.
type load struct {
	h    *history
	ops  longrunningpb.OperationsClient
	sim  longrunpb.SimulatorClient
	disp longrunpb.DispatcherClient

	mu    sync.Mutex // guards what follows
	names []string   // operations whose start was answered, for everybody
	kept  []started  // those that nobody deletes, so that their request can come again

	keys  keyrings
	wrong atomic.Pointer[error] // the first answer that no server may give
	over  atomic.Int64          // ends of runs that were answered after more than one try
}

// started is a start that can be repeated.
type started struct {
	name  string
	again func(context.Context) (*longrunningpb.Operation, error)
}

func newLoad(conn grpc.ClientConnInterface, h *history) *load {
	return &load{h: h, ops: longrunningpb.NewOperationsClient(conn), sim: longrunpb.NewSimulatorClient(conn), disp: longrunpb.NewDispatcherClient(conn)}
}

// run lets the clients loose until stop; the workers go on until done, so that
// everything that was started ends.
func (l *load) run(t *testing.T, stop, done context.Context) *sync.WaitGroup {
	var wg sync.WaitGroup
	client := func(ctx context.Context, pace time.Duration, f func(context.Context)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				f(ctx)
				sleep(ctx, time.Duration(rand.Int64N(int64(2*pace))))
			}
		})
	}
	for range 2 {
		client(stop, 40*time.Millisecond, l.simulate)
		client(stop, 40*time.Millisecond, l.start)
		client(stop, 10*time.Millisecond, l.get)
		client(stop, 10*time.Millisecond, l.wait)
	}
	client(stop, 60*time.Millisecond, l.cancel)
	client(stop, 80*time.Millisecond, l.delete)
	client(stop, 100*time.Millisecond, l.list)
	client(stop, 100*time.Millisecond, l.repeat)
	for i := range 3 {
		wg.Go(func() { (&worker{l: l, id: strconv.Itoa(i), chaos: stop}).run(done) })
	}
	return &wg
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// outcomeOf is what a client knows after a call.
func (l *load) outcomeOf(err error) outcome {
	switch status.Code(err) {
	case codes.OK:
		return ok
	case codes.NotFound:
		return notFound
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return unknown
	}
	l.wrong.CompareAndSwap(nil, &err)
	return unknown
}

// insist starts an operation: the same request over and over, until it is answered.
func (l *load) insist(ctx context.Context, start func(context.Context) (*longrunningpb.Operation, error)) string {
	var tries []int64
	for ctx.Err() == nil {
		begin := l.h.now()
		call, cancel := context.WithTimeout(ctx, tryTimeout)
		op, err := start(call)
		cancel()
		if l.outcomeOf(err) != ok {
			tries = append(tries, begin)
			sleep(ctx, 20*time.Millisecond)
			continue
		}
		for _, b := range tries {
			l.h.add(op.GetName(), b, plain(vStart, unknown))
		}
		l.h.add(op.GetName(), begin, plain(vStart, ok))
		l.h.see(begin, op)
		return op.GetName()
	}
	return ""
}

func (l *load) publish(name string, again func(context.Context) (*longrunningpb.Operation, error)) {
	if name == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if rand.IntN(5) == 0 {
		l.kept = append(l.kept, started{name: name, again: again})
		return
	}
	l.names = append(l.names, name)
}

// simulate starts an operation that the server's own runner runs.
func (l *load) simulate(ctx context.Context) {
	req := &longrunpb.SimulateRequest{
		RequestId: uuid.NewString(), RunDuration: durationpb.New(time.Duration(rand.IntN(1500)) * time.Millisecond),
		ProgressSteps: int32(rand.IntN(5)),
	}
	if rand.IntN(4) == 0 {
		req.Outcome = &longrunpb.SimulateRequest_Error{Error: &statuspb.Status{Code: int32(codes.FailedPrecondition), Message: "as asked"}}
	}
	start := func(ctx context.Context) (*longrunningpb.Operation, error) { return l.sim.Simulate(ctx, req) }
	l.publish(l.insist(ctx, start), start)
}

// start starts an operation that a worker outside runs.
func (l *load) start(ctx context.Context) {
	body, err := anypb.New(wrapperspb.String(uuid.NewString()))
	if err != nil {
		l.wrong.CompareAndSwap(nil, &err)
		return
	}
	req := &longrunpb.StartOperationRequest{Parent: "projects/crash", Method: "crash-work", RequestId: uuid.NewString(), Request: body}
	if n := rand.IntN(10); n < 3 {
		req.ConflictKey = "key-" + strconv.Itoa(n)
	}
	start := func(ctx context.Context) (*longrunningpb.Operation, error) { return l.disp.StartOperation(ctx, req) }
	name := l.insist(ctx, start)
	l.keys.hasKey(name, req.ConflictKey)
	l.publish(name, start)
}

// repeat makes an old request again: it is the same operation, whatever has happened
// since (IDM-01, IDM-08).
func (l *load) repeat(ctx context.Context) {
	l.mu.Lock()
	if len(l.kept) == 0 {
		l.mu.Unlock()
		return
	}
	s := l.kept[rand.IntN(len(l.kept))]
	l.mu.Unlock()
	if name := l.insist(ctx, s.again); name != "" && name != s.name {
		err := errors.New("the same request id is " + s.name + " and " + name)
		l.wrong.CompareAndSwap(nil, &err)
	}
}

// pick returns the name of some operation, of the newest more often.
func (l *load) pick() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.names)
	if n == 0 {
		return ""
	}
	if rand.IntN(3) > 0 {
		return l.names[n-1-rand.IntN(min(n, 20))]
	}
	return l.names[rand.IntN(n)]
}

// look reads an operation and notes what it saw.
func (l *load) look(ctx context.Context, name string, f func(context.Context) (*longrunningpb.Operation, error)) *longrunningpb.Operation {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	begin := l.h.now()
	op, err := f(ctx)
	switch l.outcomeOf(err) {
	case ok:
		l.h.see(begin, op)
		return op
	case notFound:
		l.h.add(name, begin, plain(vSee, notFound))
	}
	return nil
}

func (l *load) get(ctx context.Context) {
	if name := l.pick(); name != "" {
		l.look(ctx, name, func(ctx context.Context) (*longrunningpb.Operation, error) {
			return l.ops.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: name})
		})
	}
}

func (l *load) wait(ctx context.Context) {
	if name := l.pick(); name != "" {
		l.look(ctx, name, func(ctx context.Context) (*longrunningpb.Operation, error) {
			return l.ops.WaitOperation(ctx, &longrunningpb.WaitOperationRequest{Name: name, Timeout: durationpb.New(time.Second)})
		})
	}
}

// list sees what is on the newest page; it may not name what it does not know.
func (l *load) list(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	begin := l.h.now()
	page, err := l.ops.ListOperations(ctx, &longrunningpb.ListOperationsRequest{Name: "-", PageSize: 20})
	if l.outcomeOf(err) == ok {
		for _, op := range page.GetOperations() {
			l.h.see(begin, op)
		}
	}
}

func (l *load) cancel(ctx context.Context) { l.cancelOne(ctx, l.pick()) }

func (l *load) cancelOne(ctx context.Context, name string) {
	l.change(ctx, vCancel, name, func(ctx context.Context) error {
		_, err := l.ops.CancelOperation(ctx, &longrunningpb.CancelOperationRequest{Name: name})
		return err
	})
}

func (l *load) delete(ctx context.Context) {
	name := l.pick()
	l.change(ctx, vDelete, name, func(ctx context.Context) error {
		_, err := l.ops.DeleteOperation(ctx, &longrunningpb.DeleteOperationRequest{Name: name})
		return err
	})
}

// change makes one call, and notes it.
func (l *load) change(ctx context.Context, v verb, name string, f func(context.Context) error) {
	if name == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	begin := l.h.now()
	l.h.add(name, begin, plain(v, l.outcomeOf(f(ctx))))
}
