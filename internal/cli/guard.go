package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
)

// guardName is the command that a worker starts as its guard.
const guardName = "worker-guard"

// guardReady is what it prints when it is ready.
const guardReady = "ready\n"

// guard is a process that outlives this one by a moment: when this one has ended,
// however that came, it kills the process groups that were not over. So do not only
// commands die with their worker, but also what they have started, and on systems
// whose kernel kills no children. A nil guard guards nothing. It is safe for
// concurrent use.
//
// The number of a group that is over may be another's after a while. Between the end
// of a worker and the kill there is no while. Between the start of a command and watch
// there is a moment: what a command has started in it outlives a worker that is killed
// in it.
type guard struct {
	cmd  *exec.Cmd
	lost func() // called once, when the guard itself is gone

	mu   sync.Mutex     // guards what follows
	pipe io.WriteCloser // to it; its end says that we have ended
	gone bool
}

// startGuard starts the guard of this process, in a session of its own, so that what
// is sent to our group or by our terminal does not reach it.
func startGuard(lost func()) (*guard, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{Path: self, Args: []string{"longrun", guardName}, Dir: "/", SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	// Before it is ready, a signal would end it.
	if _, err := io.ReadFull(out, make([]byte, len(guardReady))); err != nil {
		_ = pipe.Close()
		return nil, errors.Join(err, cmd.Wait())
	}
	return &guard{cmd: cmd, lost: lost, pipe: pipe}, nil
}

// watch names a process group to be killed after our end.
func (g *guard) watch(pid int) { g.say("+%d\n", pid) }

// forget says that a process group is over.
func (g *guard) forget(pid int) { g.say("-%d\n", pid) }

func (g *guard) say(format string, pid int) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return
	}
	if _, err := fmt.Fprintf(g.pipe, format, pid); err != nil {
		g.gone = true
		g.lost()
	}
}

// close ends the guard, and kills what was not forgotten.
func (g *guard) close() {
	if g == nil {
		return
	}
	_ = g.pipe.Close()
	_ = g.cmd.Wait() // its end is all that matters
}

func (a *app) guardCmd() *cobra.Command {
	return &cobra.Command{
		Use:    guardName,
		Short:  "Kill what a worker has left behind (workers start it)",
		Hidden: true,
		Args:   exactly(0, "no arguments"),
		Run: func(*cobra.Command, []string) {
			// Whoever stops all processes of a machine or a service stops the worker
			// too, and then there is something to do yet.
			signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			fmt.Fprint(a.out, guardReady)
			for _, pid := range leftGroups(a.in) {
				_ = syscall.Kill(-pid, syscall.SIGKILL) // the only error is that nobody is left
			}
		},
	}
}

// leftGroups reads what a worker says to its guard until the worker has ended, and
// returns the groups that were not over.
func leftGroups(r io.Reader) []int {
	groups := map[int]bool{}
	for s := bufio.NewScanner(r); s.Scan(); {
		pid, err := strconv.Atoi(s.Text())
		switch {
		case err != nil || pid == 0 || pid == 1: // a line that was cut off
		case s.Text()[0] == '+':
			groups[pid] = true
		default:
			delete(groups, -pid)
		}
	}
	var left []int
	for pid := range groups {
		left = append(left, pid)
	}
	return left
}
