package cli

import (
	"errors"
	"io"
	"io/fs"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

const (
	// killGrace is how long a command has after SIGTERM before SIGKILL.
	killGrace = 10 * time.Second
	// outputGrace is how long, after the command's end, output is still read that
	// a process it has left behind may write.
	outputGrace = 2 * time.Second
)

// child is a command that runs. It has a process group of its own, so that Ctrl-C
// on the terminal reaches us alone, and stopping it reaches what it has started too.
//
// The group is never in the terminal's foreground: Ctrl-C would then go past us. So
// the command reads from the terminal through us, and sees a pipe; a program that
// wants the terminal itself does not get it. See ignoreTerminal.
type child struct {
	pid  int
	done chan struct{} // closed when err and took are set
	err  error         // of exec.Cmd.Wait
	took time.Duration
}

// childIO are the streams of a child.
type childIO struct {
	in       io.Reader
	inTerm   bool
	out, err io.Writer
}

// startChild starts the command. Its error is exec.Cmd.Start's.
func startChild(args []string, s childIO) (*child, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.WaitDelay = outputGrace
	cmd.Stdout, cmd.Stderr = s.out, s.err
	if err := connectInput(cmd, s); err != nil {
		return nil, err
	}
	return launch(cmd, nil)
}

// launch starts cmd in a process group of its own, which cmd leads. rest, if not nil,
// is called when cmd has ended and before that is known: there it can still be waited
// for what cmd has left behind, and be signalled. On Linux the number of the group is
// nobody else's until rest has returned.
func launch(cmd *exec.Cmd, rest func(*child)) (*child, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	c := &child{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Pdeathsig comes when the thread that has started the child ends, and not
		// the process: so this goroutine keeps its thread until the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		begin := time.Now()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		c.pid = cmd.Process.Pid
		started <- nil
		if rest == nil {
			c.err = cmd.Wait()
		} else {
			c.err = waitResting(cmd, func() { rest(c) })
		}
		c.took = time.Since(begin)
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// connectInput hands the command our standard input. A file is passed on as it is;
// a terminal is read by us.
func connectInput(cmd *exec.Cmd, s childIO) error {
	if !s.inTerm {
		cmd.Stdin = s.in
		return nil
	}
	w, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	go func() {
		// Nobody waits for this: a read from the terminal ends with the process, or
		// with the line after the command has closed its end.
		_, _ = io.Copy(w, s.in)
		_ = w.Close()
	}()
	return nil
}

// terminate asks the command, and what it has started, to end.
func (c *child) terminate() {
	c.signal(syscall.SIGTERM)
	c.signal(syscall.SIGCONT) // a stopped process gets the other one only when it goes on
}

// kill ends them.
func (c *child) kill() { c.signal(syscall.SIGKILL) }

func (c *child) signal(sig syscall.Signal) {
	select {
	case <-c.done: // its process id may be another's by now
	default:
		_ = syscall.Kill(-c.pid, sig) // the only error is that nobody is left
	}
}

// status returns the exit status as a shell has it, once the command has ended.
func (c *child) status() int {
	var exit *exec.ExitError
	if !errors.As(c.err, &exit) {
		return 0
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return exitSignal + int(ws.Signal())
	}
	return exit.ExitCode()
}

// startStatus is the exit status of a command that could not be started.
func startStatus(err error) int {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return exitNotFound
	}
	return exitNotExec
}

// childIO are the process's own streams, with the command's output kept in t.
func (a *app) childIO(t *tail) childIO {
	return childIO{in: a.in, inTerm: a.inTerm, out: &output{w: a.out, tail: t}, err: &output{w: a.err, tail: t}}
}
