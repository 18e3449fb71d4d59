package server_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun/longrunpb"
)

const workerTTL = 5 * time.Second

// worker runs operations from outside, as a program in another language would. While
// chaos lasts it sometimes fails a run, gives one back, or forgets its session as if
// it had crashed.
type worker struct {
	l     *load
	id    string
	chaos context.Context

	session string
	call    int64

	mu     sync.Mutex // guards what follows
	closed int64
	held   map[string]int64 // attempts
	stop   map[string]bool  // runs that must stop
	lost   bool
}

// run opens one session after another.
func (w *worker) run(ctx context.Context) {
	for ctx.Err() == nil {
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		r, err := w.l.disp.OpenSession(try, &longrunpb.OpenSessionRequest{Worker: w.id, Ttl: durationpb.New(workerTTL)})
		cancel()
		if err != nil {
			w.l.outcomeOf(err)
			continue
		}
		w.session, w.call = r.GetSession(), 0
		w.mu.Lock()
		w.closed, w.held, w.stop, w.lost = 0, map[string]int64{}, map[string]bool{}, false
		w.mu.Unlock()
		w.work(ctx)
	}
}

// work acquires and runs until the session is over.
func (w *worker) work(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var beats sync.WaitGroup
	defer beats.Wait()
	defer cancel()
	beats.Go(func() { w.beat(ctx) })
	for ctx.Err() == nil && !w.over() {
		for _, op := range w.acquire(ctx) {
			w.perform(ctx, op)
		}
		if w.chaos.Err() == nil && rand.IntN(60) == 0 {
			return // as if it had crashed: the session is never heard of again
		}
	}
}

func (w *worker) over() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

// isOver reports whether an error ends the run, or with session the session.
func (w *worker) isOver(err error) (run bool) {
	info := infoOf(err)
	if status.Code(err) != codes.Aborted || info == nil {
		return false
	}
	if info.GetReason() == "SESSION_LOST" {
		w.mu.Lock()
		w.lost = true
		w.mu.Unlock()
	}
	return true
}

func (w *worker) beat(ctx context.Context) {
	for ctx.Err() == nil && !w.over() {
		w.mu.Lock()
		req := &longrunpb.BeatSessionRequest{Session: w.session, ClosedCall: w.closed, WaitTimeout: durationpb.New(time.Second)}
		for name, attempt := range w.held {
			req.Held = append(req.Held, &longrunpb.HeldOperation{Operation: name, Attempt: attempt})
		}
		w.mu.Unlock()
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		r, err := w.l.disp.BeatSession(try, req)
		cancel()
		if err != nil && !w.isOver(err) {
			w.l.outcomeOf(err)
		}
		w.mu.Lock()
		for _, s := range r.GetStop() {
			if w.held[s.GetOperation()] == s.GetAttempt() {
				w.stop[s.GetOperation()] = true
			}
		}
		w.mu.Unlock()
		sleep(ctx, 50*time.Millisecond)
	}
}

// acquire makes one call, again and again until it is answered.
func (w *worker) acquire(ctx context.Context) []*longrunpb.AcquiredOperation {
	w.call++
	begin := w.l.h.now()
	for ctx.Err() == nil && !w.over() {
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		r, err := w.l.disp.AcquireOperations(try, &longrunpb.AcquireOperationsRequest{
			Session: w.session, Methods: []string{"crash-work"}, MaxOperations: 3, WaitTimeout: durationpb.New(500 * time.Millisecond), Call: w.call,
		})
		cancel()
		if err != nil {
			if !w.isOver(err) {
				w.l.outcomeOf(err)
			}
			sleep(ctx, 20*time.Millisecond)
			continue
		}
		w.mu.Lock()
		for _, op := range r.GetOperations() {
			w.held[op.GetOperation()] = op.GetAttempt()
			w.l.h.add(op.GetOperation(), begin, call{verb: vAcquire, outcome: ok, attempt: op.GetAttempt()})
		}
		w.closed = w.call
		w.mu.Unlock()
		return r.GetOperations()
	}
	return nil
}

// perform runs one operation and says how it ended, again and again until that is
// answered.
func (w *worker) perform(ctx context.Context, op *longrunpb.AcquiredOperation) {
	from := w.l.h.now()
	sleep(ctx, time.Duration(rand.IntN(150))*time.Millisecond)
	to := w.l.h.now()
	say, c, err := w.ending(op)
	if err != nil {
		w.l.wrong.CompareAndSwap(nil, &err)
		return
	}
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.held, op.GetOperation())
		delete(w.stop, op.GetOperation())
	}()
	for tries := 1; ctx.Err() == nil; tries++ {
		begin := w.l.h.now()
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		err := say(try)
		cancel()
		if w.isOver(err) {
			return
		}
		c.outcome = w.l.outcomeOf(err)
		if c.outcome == notFound {
			err := fmt.Errorf("the end of a run was answered: %w", err)
			w.l.wrong.CompareAndSwap(nil, &err)
			return
		}
		w.l.h.add(op.GetOperation(), begin, c)
		if c.outcome == ok {
			w.l.keys.held(op.GetOperation(), from, to)
			if tries > 1 {
				w.l.over.Add(1)
			}
			return
		}
		sleep(ctx, 20*time.Millisecond)
	}
}

// ending chooses how a run ends, and what that is in the history.
func (w *worker) ending(op *longrunpb.AcquiredOperation) (say func(context.Context) error, c call, err error) {
	w.mu.Lock()
	stop := w.stop[op.GetOperation()]
	w.mu.Unlock()
	req := &longrunpb.FinishOperationRequest{Name: op.GetOperation(), Session: w.session, Attempt: op.GetAttempt()}
	say = func(ctx context.Context) error {
		_, err := w.l.disp.FinishOperation(ctx, req)
		return err
	}
	fail := func(code codes.Code, v verb) (func(context.Context) error, call, error) {
		req.Result = &longrunpb.FinishOperationRequest_Error{Error: &statuspb.Status{Code: int32(code), Message: "as it happened"}}
		return say, call{verb: v, result: fmt.Sprintf("error %d", code)}, nil
	}
	n := 100
	if w.chaos.Err() == nil {
		n = rand.IntN(20)
	}
	switch {
	case stop:
		return fail(codes.Canceled, vFinish)
	case n == 0:
		return fail(codes.Unavailable, vRetry)
	case n == 1:
		return func(ctx context.Context) error {
			_, err := w.l.disp.ReleaseOperation(ctx, &longrunpb.ReleaseOperationRequest{Name: op.GetOperation(), Session: w.session, Attempt: op.GetAttempt()})
			return err
		}, call{verb: vRetry}, nil
	case n < 5:
		return fail(codes.FailedPrecondition, vFinish)
	}
	body, err := anypb.New(wrapperspb.String(fmt.Sprintf("%s by worker %s, attempt %d", op.GetOperation(), w.id, op.GetAttempt())))
	if err != nil {
		return nil, call{}, err
	}
	req.Result = &longrunpb.FinishOperationRequest_Response{Response: body}
	return say, call{verb: vFinish, result: fmt.Sprintf("response %x", body.GetValue())}, nil
}
