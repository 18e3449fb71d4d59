package longrun

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A hub wakes whoever waits in this process: callers of Wait by operation,
// runners by method, sessions by what their claims should hear.
//
// Those who wait for an operation cost no reads of their own. They subscribe,
// then one goroutine reads, and a read counts only for those who subscribed
// before it began (a shared read that is older than its reader would lose the
// end in between). It reads again after a hint, also one that came during a
// read, and goes through all awaited operations every few seconds, so that a
// lost hint costs seconds and not a stuck client.
type hub struct {
	store Store
	log   *slog.Logger

	draining chan struct{} // closed by drain
	wake     chan struct{} // holds one: there is something to read

	mu       sync.Mutex // guards what follows
	drained  bool
	cancel   context.CancelFunc // not nil once started
	ended    sync.WaitGroup
	reads    int64 // counts reads from 1
	room     int   // for so many more waiters
	awaited  map[ID]*awaited
	queue    []ID      // to be read
	round    []ID      // the rest of the current round of re-reads
	slice    int       // how many of it a tick reads
	began    time.Time // when the round began
	sliced   time.Time // when its last slice was read
	methods  map[string]map[*signal]struct{}
	sessions map[SessionID]map[*signal]struct{}
}

// watchAgain is how long to pause after Watch has failed.
const watchAgain = time.Second

func newHub(store Store, log *slog.Logger, waiters int) *hub {
	return &hub{
		store: store, log: log, room: waiters,
		draining: make(chan struct{}), wake: make(chan struct{}, 1),
		awaited: map[ID]*awaited{}, methods: map[string]map[*signal]struct{}{}, sessions: map[SessionID]map[*signal]struct{}{},
	}
}

// changed tells who waits what a commit of this process has made of op.
func (h *hub) changed(op *Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case op.State.Done() || op.Hidden:
		h.endLocked(op.ID, op, h.reads+1)
	case op.State == Pending && !op.ReadyTime.IsZero():
		h.readyLocked(op.Method)
	}
	switch {
	case op.State == Running && (op.CancelRequested || op.Preempted):
		for s := range h.sessions[op.Claim.Session] {
			s.raise()
		}
	case op.OnConflict == Preempt && op.State == Pending && op.ReadyTime.IsZero():
		raiseAll(h.sessions) // one of them has the holder, which is to stop
	}
}

// drain answers all who wait, from now on.
func (h *hub) drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.drained {
		h.drained = true
		close(h.draining)
	}
}

func (h *hub) isDraining() bool {
	select {
	case <-h.draining:
		return true
	default:
		return false
	}
}

func (h *hub) close() {
	h.drain()
	h.mu.Lock()
	cancel := h.cancel
	h.cancel = func() {}
	h.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	h.ended.Wait()
}

func (h *hub) startLocked() {
	if h.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	h.ended.Go(func() { h.read(ctx) })
	h.ended.Go(func() { h.watch(ctx) })
}

func (h *hub) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := h.store.Watch(ctx, h.hint)
		if ctx.Err() != nil {
			return
		}
		h.log.Warn("store gives no hints", "err", err)
		h.hint(Hint{All: true})
		pause(ctx, watchAgain)
	}
}

func (h *hub) hint(n Hint) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n.All {
		for id, a := range h.awaited {
			h.queueLocked(id, a)
		}
		raiseAll(h.methods)
		raiseAll(h.sessions)
		return
	}
	for _, id := range n.IDs {
		if a := h.awaited[id]; a != nil {
			h.queueLocked(id, a)
		}
	}
	for _, m := range n.Ready {
		h.readyLocked(m)
	}
}
