package cli

import (
	"context"
	"strings"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/emptypb"
)

func (a *app) getCmd() *cobra.Command {
	return a.named(&cobra.Command{
		Use:   "get NAME... [flags]",
		Short: "Show operations",
		Example: `  longrun get operations/01989f0e-5c1a-7d33-9b1e-3f4b8f0e2a11
  longrun get -o json projects/p/operations/01989f0e-5c1a-7d33-9b1e-3f4b8f0e2a11`,
	}, a.get)
}

func (a *app) cancelCmd() *cobra.Command {
	return a.named(&cobra.Command{
		Use:   "cancel NAME... [flags]",
		Short: "Ask operations to stop",
		Long: `Ask operations to stop, and show them as they are then.

Cancelling is a request: the work may take a while to stop, or end first. What
became of it says: longrun wait NAME`,
		Example: `  longrun cancel operations/01989f0e-5c1a-7d33-9b1e-3f4b8f0e2a11
  longrun cancel operations/01989f0e-5c1a-7d33-9b1e-3f4b8f0e2a11 -o json`,
	}, func(ctx context.Context, c *client, form, name string) error {
		err := c.call(ctx, func(ctx context.Context) error {
			_, err := c.ops.CancelOperation(ctx, &longrunningpb.CancelOperationRequest{Name: name})
			return err
		})
		if err != nil {
			return err
		}
		return a.get(ctx, c, form, name)
	})
}

func (a *app) deleteCmd() *cobra.Command {
	return a.named(&cobra.Command{
		Use:   "delete NAME... [flags]",
		Short: "Forget operations; their work goes on",
		Long: `Forget operations. Nobody finds them any more, and who waits for them is told so.

Deleting stops nothing: work that is under way goes on. To stop it, cancel first:
longrun cancel NAME`,
		Example: `  longrun delete operations/01989f0e-5c1a-7d33-9b1e-3f4b8f0e2a11`,
	}, func(ctx context.Context, c *client, form, name string) error {
		err := c.call(ctx, func(ctx context.Context) error {
			_, err := c.ops.DeleteOperation(ctx, &longrunningpb.DeleteOperationRequest{Name: name})
			return err
		})
		switch {
		case err != nil:
			return err
		case form == asJSON:
			return a.printJSON(ctx, c, &emptypb.Empty{})
		case form == asName:
			return a.printOperation(ctx, c, form, &longrunningpb.Operation{Name: name})
		}
		a.talk("operation %q deleted", name)
		return nil
	})
}

// get prints one operation.
func (a *app) get(ctx context.Context, c *client, form, name string) error {
	var op *longrunningpb.Operation
	err := c.call(ctx, func(ctx context.Context) (err error) {
		op, err = c.ops.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: name})
		return err
	})
	if err != nil {
		return err
	}
	return a.printOperation(ctx, c, form, op)
}

// named completes a command that does the same with each of the operations that
// its arguments name. It goes on after one that fails, and its exit status is that
// of the last that did.
func (a *app) named(cmd *cobra.Command, each func(ctx context.Context, c *client, form, name string) error) *cobra.Command {
	cmd.Args = some("the name of an operation")
	cmd.DisableFlagsInUseLine = true
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		form, err := form(cmd)
		if err != nil {
			return err
		}
		c, err := a.dial(cmd)
		if err != nil {
			return err
		}
		defer c.close()
		var last error
		for _, name := range names {
			if last != nil {
				last = &quiet{exit: report(a.err, last)}
			}
			if err := each(cmd.Context(), c, form, strings.TrimSpace(name)); err != nil {
				last = c.explain(err, cmd.Name(), name)
			}
		}
		return last
	}
	outputFlag(cmd)
	serverFlag(cmd)
	return cmd
}
