package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/longrun-dev/longrun"
)

// settleTimeout limits the last list of a drain and what it releases.
const settleTimeout = 2 * callTimeout

// drain ends the work in the order that the package comment gives. closeDoors
// ends claims and folded creates.
func (e *engine) drain(closeDoors func()) {
	if e.opts.OnDrain != nil {
		e.opts.OnDrain()
	}
	closeDoors()
	e.stopUnbegun()
	e.svc.Drain()
	if !e.await(e.opts.Grace, e.isQuiet) {
		e.stopAll()
		e.await(StopGrace, e.isQuiet)
	}
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

// await waits until done reports true, for as long as limit, and reports whether
// that is so. It asks again whenever a run or a call has ended.
func (e *engine) await(limit time.Duration, done func() bool) bool {
	timer := time.NewTimer(max(limit, 0))
	defer timer.Stop()
	for !done() {
		select {
		case <-e.eased:
		case <-timer.C:
			return done()
		}
	}
	return true
}

// isQuiet reports whether no run and no call is left.
func (e *engine) isQuiet() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.runs) == 0 && e.calls == 0
}

// settle waits until everything is known that the session may hold, and lists its
// claims a last time if one is in doubt: what it holds without knowing would be
// lost with it. unlist ends the lists with every beat, and unlisted is closed when
// the last of these is over. It returns what keeps the session from being ended.
func (e *engine) settle(ctx context.Context, unlist func(), unlisted <-chan struct{}) error {
	unlist()
	e.await(callTimeout, func() bool {
		select {
		case <-unlisted:
			return e.isKnown()
		default:
			return false
		}
	})
	left := e.left() // before the list: a call that ends during it is not on it
	e.mu.Lock()
	if e.current != nil {
		e.current.wanted = e.current.doubt
	}
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	e.list(ctx)
	return left
}

// isKnown reports whether no call is under way that may claim for the session,
// and what came of such calls during the drain was given back.
func (e *engine) isKnown() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.current
	if s == nil {
		return true
	}
	for _, r := range s.claims {
		if r.task == nil {
			return false
		}
	}
	return s.calls == 0
}

// left returns an error that names the operations whose runs have not returned,
// and says how many calls may still claim for the session.
func (e *engine) left() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var names []string
	for r := range e.runs {
		names = append(names, r.op.Name().String())
	}
	var runs, calls error
	if slices.Sort(names); len(names) > 0 {
		runs = fmt.Errorf("runner: %d runs did not return: %s", len(names), shorten(names))
	}
	if s := e.current; s != nil && s.calls > 0 {
		calls = fmt.Errorf("runner: session %v not ended: %d calls that may claim for it were not answered", s.id, s.calls)
	}
	return errors.Join(runs, calls)
}

// leave ends the session, last of all, unless something is left. Runs still hold
// their claims, and ending the session would let a second run start beside each;
// a call that is answered late gives back what it has claimed, which an ended
// session could not. Its TTL ends it then, after this process has gone.
func (e *engine) leave(ctx context.Context, left error) error {
	e.mu.Lock()
	s := e.current
	e.current = nil
	e.mu.Unlock()
	if s == nil || left != nil {
		return left
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
