package longrun

import (
	"context"
	"time"
)

// awaited is an operation that someone waits for.
type awaited struct {
	waiters []*waiter
	queued  bool // in hub.queue
}

// A waiter is one who waits for the end of an operation.
type waiter struct {
	parent string        // of the name it waits for
	since  int64         // hub.reads when it subscribed
	end    chan struct{} // closed when op is set
	op     *Operation    // done, hidden, of another parent, or nil where there is none
}

const (
	readChunk    = 256                    // operations in one read
	rereadRound  = 4 * time.Second        // all awaited operations are read again this often
	rereadTick   = 200 * time.Millisecond // in slices, one a tick
	readAgain    = 200 * time.Millisecond // pause after a read has failed
	readDeadline = 10 * time.Second
)

// await subscribes to the end of the operation and asks for a read. It returns nil
// where there is no room for one more; whoever got a waiter leaves in the end.
func (h *hub) await(name Name) *waiter {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.room <= 0 {
		return nil
	}
	h.room--
	h.startLocked()
	w := &waiter{parent: name.Parent, since: h.reads, end: make(chan struct{})}
	a := h.awaited[name.ID]
	if a == nil {
		a = &awaited{}
		h.awaited[name.ID] = a
	}
	a.waiters = append(a.waiters, w)
	h.queueLocked(name.ID, a)
	return w
}

// leave unsubscribes, once for each await, also when the wait has ended.
func (h *hub) leave(id ID, w *waiter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.room++
	a := h.awaited[id]
	if a == nil {
		return
	}
	for i, x := range a.waiters {
		if x == w {
			last := len(a.waiters) - 1
			a.waiters[i] = a.waiters[last]
			a.waiters[last] = nil
			a.waiters = a.waiters[:last]
			break
		}
	}
	if len(a.waiters) == 0 {
		delete(h.awaited, id)
	}
}

// endLocked ends the wait of those who subscribed before read number read began,
// if op has ended or is not what they wait for.
func (h *hub) endLocked(id ID, op *Operation, read int64) {
	a := h.awaited[id]
	if a == nil {
		return
	}
	over := op == nil || op.Hidden || op.State.Done()
	later := a.waiters[:0]
	for _, w := range a.waiters {
		if w.since >= read || !over && w.parent == op.Parent {
			later = append(later, w)
			continue
		}
		w.op = op
		close(w.end)
	}
	clear(a.waiters[len(later):])
	a.waiters = later
	if len(later) == 0 {
		delete(h.awaited, id)
	}
}

func (h *hub) queueLocked(id ID, a *awaited) {
	if a.queued {
		return
	}
	a.queued = true
	h.queue = append(h.queue, id)
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// read reads what is queued until ctx ends, and queues what is due again.
func (h *hub) read(ctx context.Context) {
	timer := time.NewTimer(rereadRound)
	defer timer.Stop()
	for {
		for h.readChunk(ctx) {
		}
		var due <-chan time.Time
		if d, ok := h.untilReread(); ok {
			timer.Reset(d)
			due = timer.C
		}
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
		case <-due:
			h.reread()
		}
	}
}

// untilReread returns how long it is until the next slice of re-reads, and false
// while nobody waits.
func (h *hub) untilReread() (time.Duration, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.awaited) == 0 {
		return 0, false
	}
	if h.sliced.IsZero() {
		h.sliced = time.Now()
		h.began = h.sliced
	}
	next := h.sliced.Add(rereadTick)
	if len(h.round) == 0 {
		next = h.began.Add(rereadRound)
	}
	return max(time.Until(next), 0), true
}

// readChunk reads one chunk of the queue and reports whether there was one.
func (h *hub) readChunk(ctx context.Context) bool {
	h.mu.Lock()
	ids := make([]ID, 0, min(readChunk, len(h.queue)))
	for len(h.queue) > 0 && len(ids) < readChunk {
		id := h.queue[0]
		h.queue = h.queue[1:]
		if a := h.awaited[id]; a != nil && a.queued {
			a.queued = false
			ids = append(ids, id)
		}
	}
	if len(h.queue) == 0 {
		h.queue = nil
	}
	h.reads++
	number := h.reads
	h.mu.Unlock()
	if len(ids) == 0 || ctx.Err() != nil {
		return false
	}
	readCtx, cancel := context.WithTimeout(ctx, readDeadline)
	ops, err := h.store.Get(readCtx, ids...)
	cancel()
	if err != nil {
		h.again(ids)
		pause(ctx, readAgain)
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, op := range ops {
		h.endLocked(ids[i], op, number)
	}
	return true
}

// again queues what could not be read. Whoever waits in vain meanwhile learns of
// the error by the read that ends every wait.
func (h *hub) again(ids []ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		if a := h.awaited[id]; a != nil {
			h.queueLocked(id, a)
		}
	}
}

// reread queues the next slice of the awaited operations.
func (h *hub) reread() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sliced = time.Now()
	if len(h.round) == 0 {
		h.began = h.sliced
		for id := range h.awaited {
			h.round = append(h.round, id)
		}
		h.slice = len(h.round)/int(rereadRound/rereadTick) + 1
	}
	n := min(len(h.round), h.slice)
	for _, id := range h.round[:n] {
		if a := h.awaited[id]; a != nil {
			h.queueLocked(id, a)
		}
	}
	if h.round = h.round[n:]; len(h.round) == 0 {
		h.round = nil
	}
}
