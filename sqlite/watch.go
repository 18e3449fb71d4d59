package sqlite

import (
	"context"
	"slices"
	"sync"

	"github.com/longrun-dev/longrun"
)

// maxHintIDs is how many ids a watcher may be behind before it hears that
// anything may have changed.
const maxHintIDs = 4096

// watchers hands out hints. The writer never waits for a watcher.
type watchers struct {
	mu  sync.Mutex // guards everything below
	all map[*watcher]bool
}

// watcher is one call of Watch.
type watcher struct {
	wake chan struct{} // of capacity 1
	hint longrun.Hint  // what it has not heard yet; guarded by watchers.mu
}

// Watch calls f with hints until ctx ends or the store is closed, which is
// Unavailable. See [longrun.Store]. Changes of one commit, and of commits that
// follow while f is busy, come in one hint.
func (s *Store) Watch(ctx context.Context, f func(longrun.Hint)) error {
	if err := s.begin(ctx, "watch"); err != nil {
		return err
	}
	w := &watcher{wake: make(chan struct{}, 1)}
	s.watchers.add(w)
	defer s.watchers.remove(w)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.done:
			return closedError("watch")
		case <-w.wake:
		}
		f(s.watchers.take(w))
	}
}

func (ws *watchers) add(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.all == nil {
		ws.all = map[*watcher]bool{}
	}
	ws.all[w] = true
}

func (ws *watchers) remove(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.all, w)
}

func (ws *watchers) take(w *watcher) longrun.Hint {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	h := w.hint
	w.hint = longrun.Hint{}
	return h
}

// publish tells every watcher what a commit has changed.
func (ws *watchers) publish(puts []put) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.all) == 0 || len(puts) == 0 {
		return
	}
	for w := range ws.all {
		for _, p := range puts {
			w.add(p)
		}
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

func (w *watcher) add(p put) {
	switch {
	case w.hint.All:
	case len(w.hint.IDs) == maxHintIDs:
		w.hint.IDs, w.hint.All = nil, true
	default:
		w.hint.IDs = append(w.hint.IDs, p.id)
	}
	op := p.next.op
	if op == nil || op.State != longrun.Pending || op.ReadyTime.IsZero() || slices.Contains(w.hint.Ready, op.Method) {
		return
	}
	if p.old == nil || !p.old.op.ReadyTime.Equal(op.ReadyTime) {
		w.hint.Ready = append(w.hint.Ready, op.Method)
	}
}
