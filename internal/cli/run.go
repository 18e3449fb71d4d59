package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun/longrunpb"
)

func (a *app) runCmd() *cobra.Command {
	var parent string
	var patience, ttl time.Duration
	cmd := &cobra.Command{
		Use:   "run [flags] -- COMMAND ARG...",
		Short: "Run a command here, as an operation that others can follow",
		Long: `Run a command here, as an operation that others can follow and cancel.

The exit status is the command's; see longrun help exit-codes. Ctrl-C, and whoever
cancels the operation, stops the command: SIGTERM, and SIGKILL after 10 seconds. The
command goes on while the server is away. On a terminal it reads its input through a
pipe. Arguments and working directory can be read by all who list operations; the
environment is not sent.`,
		Example: `  longrun run -- make all
  longrun run --parent projects/p -- sh -c 'sleep 5; echo done'`,
		DisableFlagsInUseLine: true,
		Args:                  some("a command"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if patience <= 0 {
				return usageProblem("--patience must be positive", "ten minutes: --patience 10m")
			}
			return a.run(cmd, &running{parent: parent, args: args, ttl: ttl, patience: patience, grace: killGrace})
		},
	}
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().StringVar(&parent, "parent", "", "the resource that the operation lives under")
	cmd.Flags().DurationVar(&patience, "patience", 10*time.Minute, "how long to wait for a server that is away when the command has ended")
	cmd.Flags().DurationVar(&ttl, "session-ttl", 30*time.Second, "how long the operation is held without a sign of life, 5s to 10m")
	serverFlag(cmd)
	return cmd
}

// running is one command that runs as an operation.
type running struct {
	a        *app
	parent   string
	args     []string
	ttl      time.Duration // of the session; zero is the server's
	patience time.Duration // for a server that is away at the end
	grace    time.Duration // of the command, after SIGTERM

	s       *session
	child   *child
	tail    tail
	notices chan notice   // all but lost; may drop what people can do without
	over    chan struct{} // closed when lost was heard, which comes once
	signals chan os.Signal

	interrupted bool          // a signal has come
	stopped     bool          // the command was told to stop
	saidLost    bool          // people were told that the operation is lost
	cancelDone  chan struct{} // closed when the cancel of an interrupt has returned
}

func (a *app) run(cmd *cobra.Command, r *running) error {
	r.a, r.notices, r.over = a, make(chan notice, 8), make(chan struct{})
	r.signals = make(chan os.Signal, 4)
	signal.Notify(r.signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(r.signals)
	ignoreTerminal()
	c, err := a.dial(cmd)
	if err != nil {
		return err
	}
	defer c.close()
	if err := r.begin(cmd.Context(), c); err != nil {
		return err
	}
	defer r.s.close()

	// Beats go on until the end was answered: until then the operation is held.
	ctx, stop := context.WithCancel(cmd.Context())
	beaten := make(chan struct{})
	go func() {
		defer close(beaten)
		r.s.beats(ctx)
	}()
	defer func() {
		stop()
		<-beaten
		if r.cancelDone != nil {
			<-r.cancelDone
		}
	}()
	return r.work(ctx)
}

// begin opens the session and creates the operation. A signal gives that up.
func (r *running) begin(ctx context.Context, c *client) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	begun := make(chan error, 1)
	go func() { begun <- r.open(ctx, c) }()
	select {
	case err := <-begun:
		return err
	case sig := <-r.signals:
		stop()
		<-begun
		if r.s != nil && r.s.token != "" {
			r.s.close()
		}
		return &problem{msg: fmt.Sprintf("%v before the command began", sig), exit: exitSignal + int(sig.(syscall.Signal))}
	}
}

func (r *running) open(ctx context.Context, c *client) error {
	var err error
	if r.s, err = openSession(ctx, c, r.ttl); err != nil {
		return notRun(c.explain(err, "run", ""))
	}
	r.s.told = r.told
	dir, err := os.Getwd()
	if err != nil {
		dir = ""
	}
	command := &longrunpb.CommandRequest{WorkingDirectory: strings.ToValidUTF8(dir, "?")}
	for _, arg := range r.args {
		command.Arguments = append(command.Arguments, strings.ToValidUTF8(arg, "?"))
	}
	if err := r.s.start(ctx, r.parent, command); err != nil {
		r.s.close()
		return notRun(c.explain(err, "run", ""))
	}
	return nil
}

// told passes on a notice of the session. It does not wait for people to have read
// the last one: who waits does not beat.
func (r *running) told(n notice) {
	if n == lost {
		close(r.over)
		return
	}
	select {
	case r.notices <- n:
	default: // eight are waiting: a cancellation is repeated, the others are about contact
	}
}

// notRun gives a problem the exit status of run itself.
func notRun(err error) error {
	p, ok := err.(*problem)
	if !ok {
		p = &problem{msg: err.Error()}
	}
	p.exit = exitNotRun
	return p
}

// work runs the command and tells the server how it ended.
func (r *running) work(ctx context.Context) error {
	var err error
	streams, undraw := r.a.drawElapsed(r.a.childIO(&r.tail))
	defer undraw()
	if r.child, err = startChild(r.args, streams); err != nil {
		exit := startStatus(err)
		msg := fmt.Sprintf("%s: command not found", r.args[0])
		if exit == exitNotExec {
			msg = fmt.Sprintf("%s: cannot be run: %v", r.args[0], err)
		}
		if err := r.tell(ctx, nil, failure(exit, msg)); err != nil {
			report(r.a.err, err)
		}
		return &problem{msg: msg, hint: "the command and its arguments come after --; PATH says where commands are looked for", exit: exit}
	}
	r.a.talk("operation %q runs %s", r.s.name, strings.Join(r.args, " "))
	r.attend(ctx)
	undraw()
	exit := r.child.status()
	response, fail := r.result(exit)
	if err := r.tell(ctx, response, fail); err != nil {
		return err
	}
	r.a.talk("operation %q %s after %s, exit status %d", r.s.name, ended(fail), took(r.child.took), exit)
	return &quiet{exit: exit}
}

// attend waits for the command to end, and meanwhile heeds signals and notices.
func (r *running) attend(ctx context.Context) {
	var kill <-chan time.Time
	stop := func() {
		if !r.stopped {
			r.stopped = true
			r.child.terminate()
			kill = time.After(r.grace)
		}
	}
	for {
		select {
		case <-r.child.done:
			return
		case <-kill:
			r.a.talk("the command has not ended within %v: SIGKILL", r.grace)
			r.child.kill()
		case sig := <-r.signals:
			if r.interrupted {
				r.a.talk("%v again: SIGKILL", sig)
				r.child.kill()
				continue
			}
			r.a.talk("%v: cancelling; once more kills the command", sig)
			r.interrupt(ctx)
			stop()
		case n := <-r.notices:
			r.hear(n)
			if n == cancelled {
				stop()
			}
		case <-r.news():
			r.hear(lost)
		}
	}
}

// interrupt cancels the operation because of a signal.
func (r *running) interrupt(ctx context.Context) {
	r.interrupted = true
	r.cancelDone = make(chan struct{})
	go func() {
		defer close(r.cancelDone)
		_ = r.s.cancel(ctx) // without it the run ends as one that has failed
	}()
}

// news is closed when the operation is lost and nobody was told so yet.
func (r *running) news() <-chan struct{} {
	if r.saidLost {
		return nil
	}
	return r.over
}

// lost reports whether the session has heard that the operation is not ours any more.
func (r *running) lost() bool {
	select {
	case <-r.over:
		return true
	default:
		return false
	}
}

// hear says to people what the session has heard.
func (r *running) hear(n notice) {
	switch n {
	case serverAway:
		r.a.talk("the server at %s does not answer; the command goes on", r.s.c.addr)
	case serverBack:
		r.a.talk("the server at %s answers again", r.s.c.addr)
	case cancelled:
		if !r.stopped {
			r.a.talk("operation %q was cancelled: stopping the command", r.s.name)
		}
	case lost:
		r.saidLost = true
		r.a.talk("the server has given operation %q up; the command is left to finish", r.s.name)
	}
}

// result is how the operation ends. A command that was told to stop was cancelled,
// whatever its exit status.
func (r *running) result(exit int) (*longrunpb.CommandResponse, *statuspb.Status) {
	switch {
	case r.stopped:
		return nil, &statuspb.Status{Code: int32(codes.Canceled), Message: "the command was stopped"}
	case exit != 0:
		return nil, failure(exit, fmt.Sprintf("the command ended with exit status %d", exit))
	}
	return &longrunpb.CommandResponse{OutputTail: r.tail.bytes(), RunDuration: durationpb.New(r.child.took)}, nil
}

// failure is the error of an operation whose command did not exit with 0.
func failure(exit int, msg string) *statuspb.Status {
	return statusOf(codes.Unknown, reasonCommandFailed, msg, exit)
}

// tell ends the operation. It waits for a server that is away, until a signal or its
// patience ends that.
func (r *running) tell(ctx context.Context, response *longrunpb.CommandResponse, fail *statuspb.Status) error {
	ctx, stop := context.WithTimeout(ctx, r.patience)
	defer stop()
	if r.s.away.Load() {
		r.waiting()
	}
	answered := make(chan error, 1)
	go func() {
		if r.cancelDone != nil {
			select {
			case <-r.cancelDone: // a code 1 means something only of an operation that was cancelled
			case <-ctx.Done(): // the server is away for the cancel too
			}
		}
		answered <- r.s.finish(ctx, response, fail)
	}()
	for {
		select {
		case err := <-answered:
			return r.untold(err)
		case n := <-r.notices:
			if n == serverAway {
				r.waiting()
			} else {
				r.hear(n)
			}
		case <-r.news():
			r.hear(lost)
		case <-r.signals:
			stop()
		}
	}
}

func (r *running) waiting() {
	r.a.talk("the command has ended; waiting for the server at %s to be told (Ctrl-C gives up)", r.s.c.addr)
}

// untold is what a failure to tell means.
func (r *running) untold(err error) error {
	if err == nil {
		return nil
	}
	p := &problem{exit: exitLost, hint: "the operation ends by itself; what became of the command only its output says"}
	switch {
	case isLost(err) || r.lost() && isStranger(err):
		p.msg = fmt.Sprintf("the server has given operation %q up before the command ended", r.s.name)
	case passes(err) || ctxEnded(err):
		p.msg = fmt.Sprintf("the command has ended, and the server at %s was not there to be told", r.s.c.addr)
	default:
		p.msg = fmt.Sprintf("the command has ended, and the server does not take it: %v", r.s.c.explain(err, "run", ""))
	}
	if r.child != nil {
		p.msg += fmt.Sprintf(" (exit status %d)", r.child.status())
	}
	return p
}

// ended is the operation's state, in words.
func ended(fail *statuspb.Status) string {
	switch {
	case fail == nil:
		return "succeeded"
	case fail.GetCode() == int32(codes.Canceled):
		return "was cancelled"
	}
	return "failed"
}

// ignoreTerminal lets us go on in the terminal's background, where reading from it
// fails instead of stopping us, and through Ctrl-Z and a broken pipe: whoever is
// stopped does not beat, and loses the operation.
func ignoreTerminal() {
	signal.Ignore(syscall.SIGTTIN, syscall.SIGTTOU)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGTSTP, syscall.SIGPIPE)
}
