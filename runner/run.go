package runner

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/longrun-dev/longrun"
)

// A run is one claim of this process and what is done for it: one goroutine from
// the moment it is claimed until the store has answered how it ended.
type run struct {
	s    *session
	op   *longrun.Operation // as it was claimed
	key  longrun.Held
	stop context.CancelCauseFunc // ends its context; the first cause counts

	// Guarded by engine.mu.
	task     *longrun.Task // not nil once the handler has begun
	reported moment        // when a report was last sent
	reports  int           // how many were
	sending  bool          // one is under way
	unsent   *anypb.Any    // a report that was not answered
	refused  bool          // it was logged that one was refused
}

// adoptLocked takes charge of an operation that is claimed by the session.
func (e *engine) adoptLocked(life context.Context, s *session, op *longrun.Operation) {
	ctx, stop := context.WithCancelCause(life)
	r := &run{s: s, op: op, key: heldOf(op), stop: stop}
	s.claims[r.key] = r
	e.runs[r] = true
	switch {
	case s.lost:
		stop(longrun.ErrClaimLost)
	case e.draining:
		stop(longrun.ErrDraining)
	}
	// The store's clock measures the deadline, and so does its difference to the
	// claim: the two clocks need not agree on what time it is.
	var deadline *time.Timer
	if !op.DeadlineTime.IsZero() {
		deadline = time.AfterFunc(op.DeadlineTime.Sub(op.ClaimTime), func() { stop(longrun.ErrDeadline) })
	}
	go func() {
		defer e.forget(r)
		defer stop(nil)
		if deadline != nil {
			defer deadline.Stop()
		}
		e.handle(ctx, context.WithoutCancel(life), r)
	}()
}

// forget frees the slot of a run that is over.
func (e *engine) forget(r *run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.runs, r)
	delete(e.dirty, r)
	delete(r.s.claims, r.key)
	e.freeLocked()
	raise(e.eased)
}

// handle runs the handler under ctx and brings its end to the store, which must
// be possible when ctx has ended.
func (e *engine) handle(ctx, store context.Context, r *run) {
	task, err := e.begin(ctx, r)
	if task == nil {
		e.endUnbegun(store, r, err)
		return
	}
	result := longrun.Result{Err: errors.New("the handler has ended its goroutine")}
	defer func() {
		// Deferred, so that a handler that calls runtime.Goexit has an end too.
		e.end(store, r, result, context.Cause(ctx))
	}()
	result = task.Run(ctx)
}

// begin waits until the session is trusted and returns the task to run. It
// returns none, and why, when the run is to stop before its handler has begun.
func (e *engine) begin(ctx context.Context, r *run) (*longrun.Task, error) {
	task, err := e.work.Task(r.op, longrun.TaskOptions{
		Trusted:  func() bool { return e.trusted(r.s) },
		Reported: func() { e.noteReport(r) },
	})
	if err != nil {
		return nil, err // only methods with a handler are claimed
	}
	for {
		renewed := e.tryBegin(ctx, r, task)
		if renewed == nil {
			return r.task, context.Cause(ctx)
		}
		select {
		case <-renewed:
		case <-ctx.Done():
		}
	}
}

// tryBegin makes task the run's, or decides that it never begins, and returns
// nil; or it returns what to wait for.
func (e *engine) tryBegin(ctx context.Context, r *run, task *longrun.Task) <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if ctx.Err() != nil {
		return nil
	}
	if !e.trustedLocked(r.s) {
		return r.s.renewed
	}
	r.task = task
	return nil
}
