package inmem

import (
	"context"
	"slices"

	"github.com/longrun-dev/longrun"
)

// maxHint is how many ids or methods a hint names. When a watcher is so far
// behind that there would be more, it is told that anything may have changed.
const maxHint = 1000

// watcher is one call of Watch.
type watcher struct {
	hint longrun.Hint  // what has not been told yet; guarded by Store.mu
	wake chan struct{} // holds one token while hint has something
}

// Watch calls f on the caller's goroutine until ctx ends. Writers never wait for
// f: what happens meanwhile is put together into one hint. The first hint says
// that anything may have changed, and that the watch has begun. See
// [longrun.Store].
func (s *Store) Watch(ctx context.Context, f func(longrun.Hint)) error {
	w := &watcher{hint: longrun.Hint{All: true}, wake: make(chan struct{}, 1)}
	w.wake <- struct{}{}
	s.mu.Lock()
	s.watchers[w] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, w)
	}()
	for {
		if s.isClosed() {
			return closedError("watch")
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-s.closed:
		case <-w.wake:
			f(s.take(w))
		}
	}
}

// take returns what w has not been told yet.
func (s *Store) take(w *watcher) longrun.Hint {
	s.mu.Lock()
	defer s.mu.Unlock()
	hint := w.hint
	w.hint = longrun.Hint{}
	return hint
}

// hintLocked notes for every watcher that op has changed. They get to hear it
// when the commit is done and the store unlocked.
func (s *Store) hintLocked(op *longrun.Operation) {
	for w := range s.watchers {
		w.hint.IDs = append(w.hint.IDs, op.ID)
		if op.State == longrun.Pending && !op.ReadyTime.IsZero() && !slices.Contains(w.hint.Ready, op.Method) {
			w.hint.Ready = append(w.hint.Ready, op.Method)
		}
		if w.hint.All || len(w.hint.IDs) > maxHint || len(w.hint.Ready) > maxHint {
			w.hint = longrun.Hint{All: true}
		}
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}
