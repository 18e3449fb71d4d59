package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// pipeRoom is what every pipe takes without anybody reading it.
const pipeRoom = 4 << 10

// script is one run of a worker's command: its input, and who hears what it says.
type script struct {
	args   []string
	env    []string // more than ours
	in     []byte
	err    io.Writer // gets its standard error, besides its tail
	report func(line)
	drop   func(error)     // hears of a line that is dropped
	guard  *guard          // kills the process group if we are killed
	stop   <-chan struct{} // closed: it is to stop
	hurry  <-chan struct{} // closed: it is to end now
	grace  time.Duration   // after SIGTERM
}

// ending is how a run of the command has ended.
type ending struct {
	exit   int            // as a shell has it
	signal syscall.Signal // that has ended it, or 0
	took   time.Duration
	out    []byte
	excess bool   // it has printed more than maxOutputBytes, and was stopped
	tail   []byte // of standard error

	// What it has said on descriptor 3: the last of each.
	fail  *statuspb.Status
	delay *durationpb.Duration
	bad   error // a line that may have been one of these

	learnt *jsonTypes // for types in out that the server may know; nil: none
}

// run starts the command and waits for its end. An error is that it could not be
// started. Besides the command it waits for all that it has left behind with its
// output, for a moment, and kills the rest of its group.
func (s *script) run() (*ending, error) {
	p, err := s.start()
	if err != nil {
		return nil, err
	}
	defer s.guard.forget(p.child.pid)
	stop, hurry, excess := s.stop, s.hurry, p.excess
	var kill <-chan time.Time
	terminate := func() {
		if kill == nil {
			p.child.terminate()
			kill = time.After(s.grace)
		}
	}
	for {
		select {
		case <-p.child.done:
			return p.ending(), nil
		case <-stop:
			stop = nil
			terminate()
		case <-excess:
			excess = nil
			terminate()
		case <-hurry:
			hurry = nil
			p.child.kill()
		case <-kill:
			p.child.kill()
		}
	}
}

// scriptProcess is a command that runs, and what it says.
type scriptProcess struct {
	child   *child
	ours    []*os.File     // our ends of its pipes, by its descriptor
	streams sync.WaitGroup // who reads and writes them
	watched chan struct{}  // closed when the guard has heard of it, or it has not started
	excess  chan struct{}  // closed when it has printed too much
	tail    tail           // of standard error
	said    ending         // out, excess, fail, delay and bad: by the streams, until they end
}

// start connects the pipes and starts the command. Nothing that it says is heard
// before the guard knows its process group.
func (s *script) start() (*scriptProcess, error) {
	p := &scriptProcess{watched: make(chan struct{}), excess: make(chan struct{})}
	theirs, err := p.connect()
	defer closeAll(theirs)
	if err != nil {
		closeAll(p.ours)
		return nil, err
	}
	p.attach(s)
	cmd := exec.Command(s.args[0], s.args[1:]...)
	cmd.Env = append(os.Environ(), s.env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = theirs[0], theirs[1], theirs[2], theirs[3:]
	if p.child, err = launch(cmd, p.rest); err != nil {
		close(p.watched)
		closeAll(p.ours)
		p.streams.Wait()
		return nil, err
	}
	s.guard.watch(p.child.pid)
	close(p.watched)
	return p, nil
}

// connect makes the pipes of descriptors 0 to 3, and returns the command's ends.
func (p *scriptProcess) connect() (theirs []*os.File, err error) {
	for fd := range 4 {
		r, w, err := os.Pipe()
		if err != nil {
			return theirs, err
		}
		if fd == 0 {
			r, w = w, r
		}
		p.ours, theirs = append(p.ours, r), append(theirs, w)
	}
	return theirs, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // a pipe, closed for the second time perhaps
	}
}

// attach begins to write what the command will read, and to read what it will say.
func (p *scriptProcess) attach(s *script) {
	if in := p.ours[0]; len(s.in) <= pipeRoom {
		feed(in, s.in)
	} else {
		p.streams.Go(func() { feed(in, s.in) })
	}
	hear := func(f func()) {
		p.streams.Go(func() {
			<-p.watched
			f()
		})
	}
	hear(func() { p.read(p.ours[1]) })
	hear(func() { _, _ = io.Copy(&output{w: deaf{s.err}, tail: &p.tail}, p.ours[2]) })
	hear(func() { readLines(p.ours[3], func(l line, err error) { p.hear(s, l, err) }) })
}

// feed writes the command's input. That it does not read it is its own affair.
func feed(w io.WriteCloser, in []byte) {
	_, _ = w.Write(in)
	_ = w.Close()
}

// read keeps what the command prints, up to the limit. Of what comes then nothing is
// kept, but it is read, so that a command that is being stopped does not hang.
func (p *scriptProcess) read(r io.Reader) {
	var b bytes.Buffer
	if n, _ := io.CopyN(&b, r, maxOutputBytes+1); n <= maxOutputBytes {
		p.said.out = b.Bytes()
		return
	}
	p.said.excess = true
	close(p.excess)
	_, _ = io.Copy(io.Discard, r)
}

// hear notes a line of descriptor 3.
func (p *scriptProcess) hear(s *script, l line, err error) {
	if _, drop := errors.AsType[*badReport](err); drop {
		s.drop(err)
	} else if err != nil {
		p.said.bad = err
	}
	if l.fail != nil {
		p.said.fail = l.fail
	}
	if l.delay != nil {
		p.said.delay = l.delay
	}
	if l.progress != nil || l.message != nil {
		s.report(l)
	}
}

// rest is called when the command itself has ended. What it has left behind may go on
// writing for a moment; then all that is left of its group is killed.
func (p *scriptProcess) rest(c *child) {
	late := time.AfterFunc(outputGrace, func() {
		for _, f := range p.ours {
			_ = f.SetDeadline(time.Now()) // whoever holds the other end may be out of reach
		}
	})
	p.streams.Wait()
	late.Stop()
	c.kill()
	closeAll(p.ours)
}

// ending is how it has ended, once it has.
func (p *scriptProcess) ending() *ending {
	e := p.said
	e.exit, e.took, e.tail = p.child.status(), p.child.took, p.tail.bytes()
	if exit, ok := errors.AsType[*exec.ExitError](p.child.err); ok {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			e.signal = ws.Signal()
		}
	}
	return &e
}

// deaf is w for a writer that must go on when w does not take it.
type deaf struct{ w io.Writer }

// Write never fails.
func (d deaf) Write(b []byte) (int, error) {
	_, _ = d.w.Write(b)
	return len(b), nil
}
