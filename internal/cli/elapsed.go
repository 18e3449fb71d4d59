package cli

import (
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// elapsed draws below a command's output for how long it has been running. All
// output must go through it, because it has to be wiped away first. It is safe for
// concurrent use.
type elapsed struct {
	w io.Writer

	mu      sync.Mutex // guards what follows, and what is written to the terminal
	p       *progressbar.ProgressBar
	midLine bool // the cursor is in a line of the command's
}

// drawElapsed draws on a terminal until the returned function is called, which may
// be called again. The talk goes through it, too, until then. Nothing is drawn when
// the output goes elsewhere.
func (a *app) drawElapsed(s childIO) (childIO, func()) {
	if !a.errTerm || !a.outTerm {
		return s, func() {}
	}
	e := &elapsed{w: a.err, p: newBar(a.err).blank()}
	talk := a.err
	s.out, s.err, a.err = e.wrap(s.out), e.wrap(s.err), e.wrap(a.err)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		e.tick(stop)
	}()
	return s, sync.OnceFunc(func() {
		close(stop)
		<-stopped
		a.err = talk
	})
}

func (e *elapsed) tick(stop <-chan struct{}) {
	t := time.NewTicker(barPace)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			e.draw()
		case <-stop:
			e.wipe()
			return
		}
	}
}

func (e *elapsed) draw() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.midLine {
		_ = e.p.Add(1) // a terminal that cannot be drawn on shows nothing
	}
}

func (e *elapsed) wipe() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.midLine {
		_ = e.p.Clear()
	}
}

// wrap returns a writer to w that keeps clear of what is drawn.
func (e *elapsed) wrap(w io.Writer) io.Writer { return &overdrawn{e: e, w: w} }

type overdrawn struct {
	e *elapsed
	w io.Writer
}

// Write is that of the writer below.
func (o *overdrawn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	o.e.mu.Lock()
	defer o.e.mu.Unlock()
	if !o.e.midLine {
		_ = o.e.p.Clear()
	}
	n, err := o.w.Write(p)
	if n > 0 {
		o.e.midLine = p[n-1] != '\n'
	}
	return n, err
}
