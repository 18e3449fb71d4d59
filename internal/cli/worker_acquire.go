package cli

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun/longrunpb"
)

const (
	// acquireWait is how long a call waits for operations.
	acquireWait = 30 * time.Second
	// acquireMost is how many operations the server gives at once.
	acquireMost = 100
)

// acquireAll acquires operations and begins them, as long as there is room.
func (sh *shift) acquireAll(working context.Context) error {
	ctx, cancel := context.WithCancel(working)
	defer cancel()
	lost := context.AfterFunc(sh.w.telling, cancel)
	defer lost()
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel()
	watch.Go(func() {
		select {
		case <-sh.over:
			cancel()
		case <-ctx.Done():
		}
	})
	for {
		room := sh.w.room(ctx)
		if room == 0 {
			return nil
		}
		began, err := sh.acquire(ctx, room)
		for range room - began {
			<-sh.w.slots
		}
		if err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// room waits for a free slot, and takes as many as there are; none when ctx ends.
func (w *worker) room(ctx context.Context) int {
	select {
	case w.slots <- struct{}{}:
	case <-ctx.Done():
		return 0
	}
	for n := 1; n < acquireMost; n++ {
		select {
		case w.slots <- struct{}{}:
		default:
			return n
		}
	}
	return acquireMost
}

// acquire makes one call for at most n operations, again and again under the same
// number until it is answered, and begins what it gives. Its error is the server's
// refusal.
func (sh *shift) acquire(ctx context.Context, n int) (began int, err error) {
	sh.mu.Lock()
	sh.call++
	req := &longrunpb.AcquireOperationsRequest{
		Session: sh.s.token, Methods: []string{sh.w.method}, MaxOperations: int32(n), WaitTimeout: durationpb.New(acquireWait), Call: sh.call,
	}
	sh.mu.Unlock()
	for {
		sent := time.Now()
		call, cancel := context.WithTimeout(ctx, acquireWait+beatSlack)
		r, err := sh.s.work.AcquireOperations(call, req, grpc.WaitForReady(true))
		cancel()
		switch {
		case err == nil:
			if len(r.GetOperations()) == 0 && time.Since(sent) < acquireWait/2 {
				pause(ctx, retryPause) // a server that stops answers at once
			}
			return sh.begin(req.GetCall(), r.GetOperations(), n), nil
		case ctx.Err() != nil:
			return 0, nil // the call is closed when the shift ends
		case isOver(err):
			sh.lose(err)
			return 0, nil
		case !passes(err):
			return 0, sh.w.c.explain(err, "worker", "")
		}
		pause(ctx, retryPause)
	}
}

// begin holds the operations and runs them, and closes the call that gave them: in
// one, so that no beat says the second without the first.
func (sh *shift) begin(call int64, ops []*longrunpb.AcquiredOperation, room int) int {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.closed = call
	ops = ops[:min(len(ops), room)] // what was not asked for goes back with the next beat
	for _, op := range ops {
		h := newHandling(sh, op)
		sh.held[h.claim()] = h
		if d := op.GetDeadlineTime(); d != nil && d.AsTime().Before(sh.until) {
			sh.hasten()
		}
		sh.w.runs.Go(h.run)
	}
	return len(ops)
}

// drop forgets a run that has ended, and makes room for another.
func (sh *shift) drop(h *handling) {
	sh.mu.Lock()
	delete(sh.held, h.claim())
	sh.mu.Unlock()
	<-sh.w.slots
}
