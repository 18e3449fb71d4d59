package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

const (
	// maxConcurrency is how many operations one session may hold.
	maxConcurrency = 1000
	// openPause is between two attempts to open a session.
	openPause = time.Second
	// tellPatience is how long a worker that is to end waits for a server that is away
	// when its commands have ended.
	tellPatience = 10 * time.Second
)

func (a *app) workerCmd() *cobra.Command {
	w := &worker{a: a, kill: killGrace}
	cmd := &cobra.Command{
		Use:   "worker --method METHOD [flags] -- COMMAND ARG...",
		Short: "Run a command for each operation of a method",
		Long: `Run a command for each operation of a method, until stopped.

The command reads the operation's request as JSON and prints the response as JSON.
Exit status 0 ends the operation with it, 75 runs it again later, any other fails it
with the end of standard error. What it writes to descriptor 3, a JSON object a line,
is its progress: {"progress": {"completedUnits": 3, "totalUnits": 10}}. The operation
and the attempt are in LONGRUN_OPERATION and LONGRUN_ATTEMPT.

SIGTERM or Ctrl-C lets the commands end, for as long as --grace says; then they are
stopped, and their operations are given back. Once more kills the commands.`,
		Example: `  longrun worker --method thumbnails -- python3 thumbnails.py
  longrun worker --method backup --concurrency 4 -- sh backup.sh /srv`,
		DisableFlagsInUseLine: true,
		Args:                  some("a command"),
		RunE: func(cmd *cobra.Command, args []string) error {
			w.args = args
			if err := w.check(cmd); err != nil {
				return err
			}
			return w.main(cmd)
		},
	}
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().StringVar(&w.method, "method", "", "the method whose operations it runs (required)")
	cmd.Flags().IntVar(&w.concurrency, "concurrency", 1, "how many operations run at once, at most 1000")
	cmd.Flags().DurationVar(&w.grace, "grace", 15*time.Second, "how long commands may go on when the worker is to end")
	cmd.Flags().DurationVar(&w.ttl, "ttl", 30*time.Second, "how long the server waits for a sign of life, from 5s to 10m")
	serverFlag(cmd)
	return cmd
}

// worker runs a command for each operation of a method, under one session after
// another.
type worker struct {
	a           *app
	c           *client
	method      string
	args        []string
	concurrency int
	ttl         time.Duration
	grace       time.Duration // of commands, when the worker is to end
	kill        time.Duration // of a command, after SIGTERM

	slots   chan struct{}  // one for each operation that runs
	runs    sync.WaitGroup // the operations that run, of all sessions
	guard   *guard
	telling context.Context // ends when the server need not be told any more
	again   chan struct{}   // closed at the second signal
	hurry   chan struct{}   // closed: commands are to end now
	untold  atomic.Int64    // runs whose end the server has not been told
}

func (w *worker) check(cmd *cobra.Command) error {
	switch {
	case w.method == "":
		return usageProblem("--method is missing", exampleOf(cmd))
	case w.concurrency < 1 || w.concurrency > maxConcurrency:
		return usageProblem(fmt.Sprintf("--concurrency must be from 1 to %d", maxConcurrency), "four at once: --concurrency 4")
	case w.grace < 0:
		return usageProblem("--grace must not be negative", "stop at once: --grace 0s")
	case w.ttl < 5*time.Second || w.ttl > 10*time.Minute:
		return usageProblem("--ttl must be from 5s to 10m", "half a minute: --ttl 30s")
	}
	if _, err := exec.LookPath(w.args[0]); err != nil {
		return &problem{msg: fmt.Sprintf("%s: cannot be run: %v", w.args[0], err), exit: startStatus(err),
			hint: "the command and its arguments come after --; PATH says where commands are looked for"}
	}
	return nil
}

func (w *worker) main(cmd *cobra.Command) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	ignoreTerminal()
	var err error
	if w.c, err = w.a.dial(cmd); err != nil {
		return err
	}
	defer w.c.close()
	w.guard, err = startGuard(func() {
		w.a.talk("the guard of this worker has ended: what commands have started may outlive a worker that is killed")
	})
	if err != nil {
		return fmt.Errorf("start the guard: %w", err)
	}
	defer w.guard.close()
	return w.run(cmd.Context(), signals)
}

// run works until a signal comes, or the server refuses.
func (w *worker) run(ctx context.Context, signals <-chan os.Signal) error {
	w.slots = make(chan struct{}, w.concurrency)
	w.again, w.hurry = make(chan struct{}), make(chan struct{})
	working, stop := context.WithCancel(ctx)
	defer stop()
	var heeding sync.WaitGroup
	defer heeding.Wait()
	done := make(chan struct{})
	defer close(done)
	heeding.Go(func() { w.heed(signals, stop, done) })
	var giveUp context.CancelFunc
	w.telling, giveUp = context.WithCancel(ctx)
	defer giveUp()

	err := w.work(working, giveUp)
	if n := w.untold.Load(); n > 0 && err == nil {
		return &problem{msg: fmt.Sprintf("the server at %s was not there to be told how %d operations ended", w.c.addr, n),
			hint: "they run again when the session has ended"}
	}
	if err == nil {
		w.a.talk("stopped")
	}
	return err
}

// heed waits for signals: the first stops the work, the second kills the commands.
func (w *worker) heed(signals <-chan os.Signal, stop func(), done <-chan struct{}) {
	for n := 0; n < 2; n++ {
		select {
		case <-done:
			return
		case sig := <-signals:
			if n == 1 {
				w.a.talk("%v again: SIGKILL", sig)
				close(w.again)
				return
			}
			w.a.talk("%v: stopping; commands may go on for %v, once more kills them", sig, w.grace)
			stop()
		}
	}
}

// work opens sessions and works under them, until working ends.
func (w *worker) work(working context.Context, giveUp func()) error {
	for {
		s, err := w.open(working)
		if s == nil {
			w.drain(nil, giveUp)
			return err
		}
		sh := newShift(w, s)
		w.a.talk("works %q with %s, for the server at %s", w.method, strings.Join(w.args, " "), w.c.addr)
		err = sh.work(working, giveUp)
		if !sh.isOver() {
			return err
		}
		pause(working, retryPause)
	}
}

// open opens a session, and waits for a server that is not there. It returns nil when
// ctx has ended, or with what the server says against it.
func (w *worker) open(ctx context.Context) (*session, error) {
	for said := false; ; pause(ctx, openPause) {
		if ctx.Err() != nil {
			return nil, nil
		}
		s, err := openSession(ctx, w.c, w.ttl)
		switch {
		case err == nil:
			return s, nil
		case ctx.Err() != nil:
		case !passes(err):
			return nil, w.c.explain(err, "worker", "")
		case !said:
			said = true
			w.a.talk("%v; waiting for it", w.c.explain(err, "worker", ""))
		}
	}
}

// drain waits until all runs have ended, for as long as the grace; then it stops
// those of sh. giveUp ends the wait for a server that is to be told.
func (w *worker) drain(sh *shift, giveUp func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.runs.Wait()
	}()
	grace := time.NewTimer(w.grace)
	defer grace.Stop()
	select {
	case <-done:
		return
	case <-grace.C:
	case <-w.again:
	}
	if sh != nil {
		sh.stopAll(byDrain)
	}
	late := time.AfterFunc(w.kill+outputGrace+tellPatience, giveUp)
	defer late.Stop()
	select {
	case <-done:
	case <-w.again:
		close(w.hurry)
		late.Reset(outputGrace + tellPatience)
		<-done
	}
}
