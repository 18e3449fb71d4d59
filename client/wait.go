package client

import (
	"context"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	// hop is how long one call of WaitOperation asks the server to wait: less than
	// the minute after which many proxies cut a call that is silent.
	hop = 30 * time.Second
	// slack is how much longer than it was asked to wait a server may take to
	// answer, before it is taken to be gone.
	slack = 15 * time.Second
	// early is the least that a call of WaitOperation lasts, if the server waits at
	// all. One that answers sooner (WAI-09) is polled.
	early = time.Second
)

// waiting is one Wait.
type waiting struct {
	*remote
	opts     []grpc.CallOption
	polling  bool    // the server has no WaitOperation
	polls    backoff // between answers that came too early to have waited
	failures backoff // between calls that failed
	last     error   // of the last call, if it failed and was waited through
}

// answer is what a call came back with.
type answer struct {
	op   *longrunningpb.Operation
	err  error
	hint time.Duration // the pause that the server asks for; 0: none
	took time.Duration
}

// wait returns nil when the operation is done.
func (r *remote) wait(ctx context.Context, opts []grpc.CallOption) error {
	w := &waiting{remote: r, opts: opts}
	for !r.latest().GetDone() {
		if err := r.reachable(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return interrupted(ctx, r.name, w.last)
		}
		pause, err := w.ask(ctx)
		if err != nil {
			return err
		}
		sleep(ctx, pause)
	}
	return nil
}

// ask asks the server once, and returns how long to pause before the next time, or
// an error that ends the wait.
func (w *waiting) ask(ctx context.Context) (time.Duration, error) {
	a := w.call(ctx)
	switch code := codeOf(a.err); {
	case a.err == nil:
		w.adopt(a.op)
		w.failures, w.last = backoff{}, nil
		return w.pace(a), nil
	case code == codes.Unavailable, code == codes.DeadlineExceeded:
		if ctx.Err() == nil { // else it says no more than that ctx has ended
			w.last = a.err
		}
		return max(a.hint, w.failures.next()), nil
	case code == codes.Unimplemented && !w.polling:
		w.polling = true
		return 0, nil
	case code == codes.Canceled && ctx.Err() != nil:
		return 0, nil
	}
	return 0, a.err
}

// codeOf returns the code of a call's error, and that of a context's error as it is, which
// some interceptors and connections that are not grpc's own return.
func codeOf(err error) codes.Code {
	if st, ok := status.FromError(err); ok {
		return st.Code()
	}
	return status.FromContextError(err).Code()
}

// pace is the pause after an answer: none, if the server waited.
func (w *waiting) pace(a answer) time.Duration {
	if a.op.GetDone() || !w.polling && a.took >= early {
		w.polls = backoff{}
		return 0
	}
	if a.hint > 0 {
		return a.hint
	}
	return w.polls.next()
}

// call calls WaitOperation, or GetOperation where the server has only that.
func (w *waiting) call(ctx context.Context) (a answer) {
	var header, trailer metadata.MD
	opts := append(w.opts[:len(w.opts):len(w.opts)], grpc.Header(&header), grpc.Trailer(&trailer))
	begun := time.Now()
	if w.polling {
		ctx, cancel := context.WithTimeout(ctx, slack)
		defer cancel()
		a.op, a.err = w.ops.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: w.name}, opts...)
	} else {
		ctx, cancel := context.WithTimeout(ctx, hop+slack)
		defer cancel()
		a.op, a.err = w.ops.WaitOperation(ctx, &longrunningpb.WaitOperationRequest{Name: w.name, Timeout: durationpb.New(hop)}, opts...)
	}
	a.took, a.hint = time.Since(begun), hint(a.err, header, trailer)
	return a
}
