package runner

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/longrun-dev/longrun"
)

const (
	// reportInterval is the shortest time between two reports of a run.
	reportInterval = time.Second
	// reportsAtOnce is how many reports are under way together, so that the store
	// can keep them in one commit.
	reportsAtOnce = 32
)

// noteReport remembers that r has something to report. It does not block.
func (e *engine) noteReport(r *run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.runs[r] && !e.dirty[r] {
		e.dirty[r] = true
		raise(e.reportable)
	}
}

// keepReporting sends what runs report until ctx ends: the first report of a run
// at once, later ones a second apart, of which the latest wins. The last one
// travels with the run's end.
func (e *engine) keepReporting(ctx context.Context) {
	timer := time.NewTimer(reportInterval)
	defer timer.Stop()
	for {
		due, next := e.dueReports()
		e.report(ctx, due)
		timer.Reset(next)
		select {
		case <-ctx.Done():
			return
		case <-e.reportable:
		case <-timer.C:
		}
	}
}

// dueReports returns the runs whose report is due, and when to look again.
func (e *engine) dueReports() (due []*run, next time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	next = reportInterval
	for r := range e.dirty {
		if wait := reportInterval - now.since(r.reported); r.reports > 0 && wait > 0 {
			next = min(next, wait)
			continue
		}
		delete(e.dirty, r)
		r.reported = now
		r.reports++
		due = append(due, r)
	}
	return due, next
}

// report sends the reports of these runs, some at a time, and returns when all
// were answered.
func (e *engine) report(ctx context.Context, runs []*run) {
	var calls sync.WaitGroup
	places := make(chan struct{}, reportsAtOnce)
	for _, r := range runs {
		places <- struct{}{}
		calls.Go(func() {
			defer func() { <-places }()
			e.reportRun(ctx, r)
		})
	}
	calls.Wait()
}

func (e *engine) reportRun(ctx context.Context, r *run) {
	metadata := e.takeReport(r)
	if metadata == nil {
		return
	}
	err := call(ctx, func(ctx context.Context) error {
		return e.work.Report(ctx, r.op.Name(), r.op.Claim, longrun.Report{Metadata: metadata})
	})
	switch {
	case err == nil:
		e.keepReport(r, nil)
	case errors.Is(err, longrun.ErrClaimLost):
		r.stop(longrun.ErrClaimLost)
	default:
		if e.keepReport(r, metadata) {
			e.log.Warn("progress not reported", "operation", r.op.Name().String(), "method", r.op.Method, "attempt", r.op.Claim.Attempt, "err", err)
		}
	}
}

// takeReport returns the latest metadata that the store has not taken.
func (e *engine) takeReport(r *run) *anypb.Any {
	metadata := r.task.Reported()
	if metadata != nil {
		return metadata
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return r.unsent
}

// keepReport keeps metadata that was not taken for another try, and nil when it
// was taken. It reports whether this is the first that was not.
func (e *engine) keepReport(r *run, metadata *anypb.Any) (first bool) {
	e.mu.Lock()
	first = r.unsent == nil && metadata != nil
	r.unsent = metadata
	e.mu.Unlock()
	if metadata != nil {
		e.noteReport(r)
	}
	return first
}
