package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/longrun-dev/longrun"
)

// drain ends the work in the order that the package comment gives, and returns
// the names of the operations whose runs did not return. closeDoors ends claims
// and folded creates.
func (e *engine) drain(closeDoors func()) (left []string) {
	if e.opts.OnDrain != nil {
		e.opts.OnDrain()
	}
	closeDoors()
	e.stopUnbegun()
	e.svc.Drain()
	if !e.await(e.opts.Grace) {
		e.stopAll()
		e.await(StopGrace)
	}
	return e.left()
}

// stopUnbegun lets nothing begin any more; runs that have not begun are given
// back.
func (e *engine) stopUnbegun() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.draining = true
	for r := range e.runs {
		if r.task == nil {
			r.stop(longrun.ErrDraining)
		}
	}
}

// stopAll ends the contexts of all runs.
func (e *engine) stopAll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for r := range e.runs {
		r.stop(longrun.ErrDraining)
	}
}

// await waits until no run and no call is left, for as long as limit, and reports
// whether that is so.
func (e *engine) await(limit time.Duration) bool {
	timer := time.NewTimer(max(limit, 0))
	defer timer.Stop()
	for !e.isQuiet() {
		select {
		case <-e.eased:
		case <-timer.C:
			return e.isQuiet()
		}
	}
	return true
}

func (e *engine) isQuiet() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.runs) == 0 && e.calls == 0
}

// left names the operations whose runs have not returned.
func (e *engine) left() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var names []string
	for r := range e.runs {
		names = append(names, r.op.Name().String())
	}
	slices.Sort(names)
	return names
}

// settle lists the session's claims a last time, if one is in doubt: what it
// holds without knowing would be lost with it.
func (e *engine) settle(ctx context.Context) {
	e.mu.Lock()
	if e.current != nil {
		e.current.wanted = e.current.doubt
	}
	e.mu.Unlock()
	e.list(ctx)
}

// leave ends the session, last of all, unless runs are left: they still hold
// their claims, and ending the session would let a second run start beside each.
// Its TTL ends it then, after this process has gone.
func (e *engine) leave(ctx context.Context, left []string) error {
	e.mu.Lock()
	s := e.current
	e.current = nil
	e.mu.Unlock()
	if len(left) > 0 {
		return fmt.Errorf("runner: %d runs did not return: %s", len(left), shorten(left))
	}
	if s == nil {
		return nil
	}
	err := call(ctx, func(ctx context.Context) error { return e.work.CloseSession(ctx, s.id) })
	if err != nil {
		e.log.Warn("session not ended", "session", s.id, "err", err)
	}
	return nil
}

// shorten joins names, of which there may be many.
func shorten(names []string) string {
	const most = 10
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + ", ..."
}
