package cli

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/longrun-dev/longrun/longrunpb"
)

// reportPause is between two reports of a run: a command may say more often how far
// it is.
const reportPause = 200 * time.Millisecond

// reporter sends how far a run is: the latest, and not too often. It begins to work
// with the first report, and is safe for concurrent use.
type reporter struct {
	h    *handling
	stop context.CancelFunc
	sent sync.WaitGroup

	mu    sync.Mutex                   // guards what follows
	md    *longrunpb.OperationMetadata // as the run has it; nil until it reports
	own   bool                         // the method has metadata of its own, of which we know nothing
	fresh bool                         // there is something to send
	wake  chan struct{}
}

func newReporter(h *handling) *reporter {
	return &reporter{h: h, stop: func() {}, wake: make(chan struct{}, 1)}
}

// report notes what a line says.
func (r *reporter) report(l line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.md == nil {
		r.beginLocked()
	}
	if l.progress != nil {
		r.md.Progress = l.progress
	}
	if l.message != nil {
		r.md.StatusMessage = *l.message
	}
	r.fresh = true
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// beginLocked reads the metadata that the run begins with, and begins to send.
func (r *reporter) beginLocked() {
	r.md = &longrunpb.OperationMetadata{}
	if before := r.h.op.GetMetadata(); before != nil {
		r.own = before.UnmarshalTo(r.md) != nil
	}
	ctx, stop := context.WithCancel(r.h.sh.w.telling)
	r.stop = stop
	r.sent.Go(func() { r.send(ctx) })
}

// send sends what is fresh until ctx ends, or the server does not take it.
func (r *reporter) send(ctx context.Context) {
	for {
		select {
		case <-r.wake:
		case <-ctx.Done():
			return
		}
		req := r.next()
		if req == nil {
			continue
		}
		err := r.h.sh.s.c.call(ctx, func(ctx context.Context) error {
			_, err := r.h.sh.s.work.ReportProgress(ctx, req)
			return err
		})
		switch {
		case err == nil || ctx.Err() != nil:
		case isLost(err):
			r.h.stop(byLoss)
			return
		case !passes(err):
			r.h.talk("the server does not take its progress: %s", verdict(err))
			return
		default: // what is said next comes again with it
		}
		pause(ctx, reportPause)
	}
}

// next is the report to send, nil if there is none.
func (r *reporter) next() *longrunpb.ReportProgressRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.fresh {
		return nil
	}
	r.fresh = false
	req := &longrunpb.ReportProgressRequest{Name: r.h.op.GetOperation(), Session: r.h.sh.s.token, Attempt: r.h.op.GetAttempt()}
	if r.own {
		req.Report = &longrunpb.ReportProgressRequest_Progress{Progress: proto.CloneOf(r.md.GetProgress())}
		return req
	}
	md, err := anypb.New(r.md)
	if err != nil {
		return nil
	}
	req.Report = &longrunpb.ReportProgressRequest_Metadata{Metadata: md}
	return req
}

// end ends the reports and returns the last metadata, to be kept with the end of the
// run; nil if the run has said nothing.
func (r *reporter) end() *anypb.Any {
	r.stop()
	r.sent.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.md == nil || r.own {
		return nil
	}
	md, err := anypb.New(r.md)
	if err != nil {
		return nil // it cannot be: the texts in it are valid
	}
	return md
}
