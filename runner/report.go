package runner

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
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

// keepReporting sends what runs report until ctx ends, and returns when all calls
// were answered: the first report of a run at once, later ones a second apart, of
// which the latest wins. The last one travels with the run's end. A report that is
// not answered holds up its own run only, as long as there are places.
func (e *engine) keepReporting(ctx context.Context) {
	var calls sync.WaitGroup
	defer calls.Wait()
	places := make(chan struct{}, reportsAtOnce)
	timer := time.NewTimer(reportInterval)
	defer timer.Stop()
	for {
		due, next := e.dueReports()
		for _, r := range due {
			places <- struct{}{} // each call ends with ctx, or in callTimeout
			calls.Go(func() {
				defer func() { <-places }()
				e.reportRun(ctx, r)
				e.reported(r)
			})
		}
		timer.Reset(next)
		select {
		case <-ctx.Done():
			return
		case <-e.reportable:
		case <-timer.C:
		}
	}
}

// dueReports returns the runs whose report is due, and when to look again. A run
// has one report under way at a time, so that none overtakes a later one.
func (e *engine) dueReports() (due []*run, next time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	next = reportInterval
	for r := range e.dirty {
		if r.sending {
			continue
		}
		if wait := reportInterval - now.since(r.reported); r.reports > 0 && wait > 0 {
			next = min(next, wait)
			continue
		}
		delete(e.dirty, r)
		r.reported = now
		r.reports++
		r.sending = true
		due = append(due, r)
	}
	return due, next
}

// reported notes that r's report is not under way any more.
func (e *engine) reported(r *run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r.sending = false
	if e.dirty[r] {
		raise(e.reportable)
	}
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
	case longrun.CodeOf(err) == codes.InvalidArgument:
		// It would be refused again: what the starter has set made it too large.
		e.dropReport(r, err)
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

// dropReport forgets a report that the service refuses, and logs the first of the
// run.
func (e *engine) dropReport(r *run, err error) {
	e.mu.Lock()
	first := !r.refused
	r.unsent, r.refused = nil, true
	e.mu.Unlock()
	if first {
		e.log.Warn("progress refused", "operation", r.op.Name().String(), "method", r.op.Method, "attempt", r.op.Claim.Attempt, "err", err)
	}
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
