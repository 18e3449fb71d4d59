package runner

import (
	"context"
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun"
)

// end brings the end of a run to the store. cause is why its context had ended
// when the handler returned, nil if it had not.
func (e *engine) end(ctx context.Context, r *run, result longrun.Result, cause error) {
	stopped := gaveUp(result.Err, cause)
	switch {
	case result.Err != nil && (e.isLost(r.s) || cause == longrun.ErrClaimLost):
		// Whoever has the operation now decides. Only work that is done is worth
		// a try: the store takes it if nobody has the claim yet.
		e.logRun(r, "run dropped", result.Err)
		return
	case stopped && cause == longrun.ErrDraining:
		e.release(ctx, r, longrun.Release{Begun: true, Metadata: result.Metadata})
		return
	case stopped && cause == longrun.ErrDeadline:
		result.Err = deadlineError()
	case stopped && cause == longrun.ErrPreempted:
		result.Err = longrun.ErrCancelled // whatever it is, it ends as preempted
	}
	e.insist(r, "run not finished", func() error {
		return call(ctx, func(ctx context.Context) error {
			_, err := e.work.Finish(ctx, r.op.Name(), r.op.Claim, result)
			return err
		})
	})
}

// endUnbegun brings a run to its end whose handler has not begun.
func (e *engine) endUnbegun(ctx context.Context, r *run, why error) {
	switch {
	case e.isLost(r.s) || why == longrun.ErrClaimLost:
		e.logRun(r, "run dropped", why)
	case why == longrun.ErrDeadline:
		e.end(ctx, r, longrun.Result{Err: why}, why)
	default:
		// One that was cancelled or preempted meanwhile ends by being released.
		e.release(ctx, r, longrun.Release{})
	}
}

func (e *engine) release(ctx context.Context, r *run, how longrun.Release) {
	e.insist(r, "run not released", func() error {
		if e.isLost(r.s) {
			return longrun.ErrClaimLost
		}
		return call(ctx, func(ctx context.Context) error {
			_, err := e.work.Release(ctx, r.op.Name(), r.op.Claim, how)
			return err
		})
	})
}

// insist makes an idempotent call again until the store has answered it: that it
// is done, or that the claim is lost. It gives up one try after the session is
// lost or the engine is over.
func (e *engine) insist(r *run, trouble string, f func() error) {
	for delay, try := firstDelay, 1; ; delay, try = min(2*delay, lastDelay), try+1 {
		last := e.isLost(r.s) || e.isOver()
		err := f()
		switch {
		case err == nil:
			return
		case errors.Is(err, longrun.ErrClaimLost) || last:
			e.logRun(r, "run dropped", err)
			return
		case try == 1:
			e.log.Warn(trouble, "operation", r.op.Name().String(), "method", r.op.Method, "attempt", r.op.Claim.Attempt, "err", err)
		}
		t := time.NewTimer(jitter(delay))
		select {
		case <-t.C:
		case <-r.s.gone:
		case <-e.over:
		}
		t.Stop()
	}
}

func (e *engine) isLost(s *session) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return s.lost
}

func (e *engine) isOver() bool {
	select {
	case <-e.over:
		return true
	default:
		return false
	}
}

func (e *engine) logRun(r *run, msg string, err error) {
	e.log.Info(msg, "operation", r.op.Name().String(), "method", r.op.Method, "attempt", r.op.Claim.Attempt, "err", err)
}

// gaveUp reports whether err says no more than that the run has stopped because
// its context had ended with this cause.
func gaveUp(err, cause error) bool {
	if _, again := longrun.RetryDelay(err); again || err == nil || cause == nil {
		return false
	}
	late := cause == longrun.ErrDeadline
	if errors.Is(err, longrun.ErrCancelled) {
		return true
	}
	if st, ok := errors.AsType[interface {
		error
		GRPCStatus() *status.Status
	}](err); ok {
		code := st.GRPCStatus().Code()
		return code == codes.Canceled || late && code == codes.DeadlineExceeded
	}
	return errors.Is(err, cause) || errors.Is(err, context.Canceled) || late && errors.Is(err, context.DeadlineExceeded)
}

// deadlineError is the end of a run that was stopped at its deadline. The store
// makes the same of it; it is spelled out for a run whose deadline has passed by
// our clock and not quite by the store's.
func deadlineError() error {
	st := status.New(codes.DeadlineExceeded, "operation did not end within its execution timeout")
	with, err := st.WithDetails(&errdetails.ErrorInfo{Reason: longrun.ReasonDeadlinePassed})
	if err != nil {
		return st.Err()
	}
	return with.Err()
}
