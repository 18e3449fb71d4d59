package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/longrun-dev/longrun"
)

// A watcher that is behind hears that anything may have changed, and costs no more
// than that.
func TestWatch_Overflow(t *testing.T) {
	t.Parallel()
	ws := &watchers{}
	w := &watcher{wake: make(chan struct{}, 1)}
	ws.add(w)
	op := newOp().Stored(clockTime, false)
	for range maxHintIDs + 1 {
		ws.publish([]put{{id: op.ID, next: &record{op: op}}})
	}
	wantSame(t, "hint", ws.take(w), longrun.Hint{All: true, Ready: []string{op.Method}})
	ws.publish([]put{{id: op.ID, old: &record{op: op}, next: removed}})
	wantSame(t, "hint afterwards", ws.take(w), longrun.Hint{IDs: []longrun.ID{op.ID}})
}

// Close ends every Watch.
func TestWatch_Close(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	done := make(chan error)
	go func() { done <- s.Watch(t.Context(), func(longrun.Hint) {}) }()
	closeTest(t, s)
	if err := <-done; err == nil {
		t.Error("Watch = nil after Close, want an error")
	}
}

var clockTime = timeAt(1_790_000_000_000_000)
