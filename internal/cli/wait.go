package cli

import (
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	// barPace and linePace are how often wait looks how far the operation is: for a
	// bar that moves, and for lines in a log. The end is seen at once.
	barPace  = time.Second
	linePace = 5 * time.Second
	// waitSlack is how much longer than it asks for a call of WaitOperation may take.
	waitSlack = 10 * time.Second
)

func (a *app) waitCmd() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "wait NAME [flags]",
		Short: "Wait for an operation to end",
		Long: `Wait for an operation to end, and show it. The exit status is 0 when it has
succeeded, 3 when it has failed, 4 when it was cancelled, and 5 when --timeout was
over first. A restart of the server does not end the wait.`,
		Example: `  longrun wait operations/01989f0e-5c1a-7d33-9b1e-3f4b8f0e2a11
  longrun wait operations/01989f0e-5c1a-7d33-9b1e-3f4b8f0e2a11 --timeout 5m -o json`,
		Args:                  exactly(1, "the name of an operation"),
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if timeout < 0 {
				return usageProblem("--timeout must not be negative", "without a limit: --timeout 0")
			}
			return a.wait(cmd, args[0], timeout)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait; 0 for as long as it takes")
	outputFlag(cmd)
	serverFlag(cmd)
	return cmd
}

func (a *app) wait(cmd *cobra.Command, name string, timeout time.Duration) error {
	form, err := form(cmd)
	if err != nil {
		return err
	}
	c, err := a.dial(cmd)
	if err != nil {
		return err
	}
	defer c.close()
	return a.follow(cmd, c, form, name, timeout)
}

// follow waits for the end of an operation, shows it, and returns the exit status of
// wait.
func (a *app) follow(cmd *cobra.Command, c *client, form, name string, timeout time.Duration) error {
	ctx := cmd.Context()
	if timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, timeout)
		defer stop()
	}
	w := &waiter{c: c, name: name, pace: linePace, show: &lines{a: a}}
	if a.errTerm {
		w.pace, w.show = barPace, newBar(a.err)
	}
	op, err := w.wait(ctx)
	w.show.end()
	if err != nil && timeout > 0 && over(ctx) && cmd.Context().Err() == nil {
		return notEnded(name, timeout)
	}
	if err != nil {
		return c.explain(err, "wait", name)
	}
	if err := a.printOperation(cmd.Context(), c, form, op); err != nil {
		return err
	}
	return waitStatus(op, timeout)
}

// waitStatus is the exit status of wait.
func waitStatus(op *longrunningpb.Operation, timeout time.Duration) error {
	switch {
	case !op.GetDone():
		return notEnded(op.GetName(), timeout)
	case outcome(op) == "CANCELLED":
		return &quiet{exit: exitCancelled}
	case outcome(op) == "FAILED":
		return &quiet{exit: exitFailed}
	}
	return nil
}

func notEnded(name string, timeout time.Duration) error {
	return &problem{msg: fmt.Sprintf("operation %q has not ended within %v", name, timeout), exit: exitTimeout}
}

// over reports whether ctx has ended, or ends so soon that a call that failed has
// failed for that.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && time.Until(deadline) < 50*time.Millisecond
}

// shower shows how far an operation is.
type shower interface {
	show(view)
	say(format string, args ...any)
	end()
}

// waiter waits for one operation.
type waiter struct {
	c    *client
	name string
	pace time.Duration
	show shower
	away bool
}

// wait returns the operation when it is done, and its latest state when ctx ends.
// Once it has seen the operation, it rides through restarts of the server.
func (w *waiter) wait(ctx context.Context) (op *longrunningpb.Operation, err error) {
	if err := w.c.call(ctx, func(ctx context.Context) error {
		op, err = w.c.ops.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: w.name})
		return err
	}); err != nil {
		return nil, err
	}
	for !op.GetDone() && ctx.Err() == nil {
		w.show.show(look(op))
		next, err := w.ask(ctx)
		switch {
		case err == nil:
			op = next
			w.note(false)
		case over(ctx):
			<-ctx.Done()
			return op, nil
		case !passes(err):
			return nil, err
		default:
			w.note(true)
			pause(ctx, retryPause)
		}
	}
	w.show.show(look(op))
	return op, nil
}

// ask waits for the end, or for the next look.
func (w *waiter) ask(ctx context.Context) (*longrunningpb.Operation, error) {
	ctx, stop := context.WithTimeout(ctx, w.pace+waitSlack)
	defer stop()
	return w.c.ops.WaitOperation(ctx, &longrunningpb.WaitOperationRequest{Name: w.name, Timeout: durationpb.New(w.pace)}, grpc.WaitForReady(true))
}

// note says that the server has gone, or has come back.
func (w *waiter) note(away bool) {
	if away == w.away {
		return
	}
	w.away = away
	if away {
		w.show.say("the server at %s does not answer; waiting for it", w.c.addr)
	} else {
		w.show.say("the server at %s answers again", w.c.addr)
	}
}
