package cli

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/longrun-dev/longrun/internal/server"
)

func (a *app) backupCmd() *cobra.Command {
	var store string
	var replace bool
	cmd := &cobra.Command{
		Use:   "backup [flags] FILE",
		Short: "Copy a store, also while a server has it open",
		Long: `Copy the store of a running server on this machine, which goes on meanwhile, or
with --store one that no server has open. Everything that was acknowledged before
is in the copy. FILE is there when the copy is whole, verified and on disk, and
not before. It holds requests, results and secrets: only its owner may read it.`,
		Example: `  longrun backup longrun-backup.db
  longrun backup --store sqlite:longrun.db longrun-backup.db`,
		Args:                  exactly(1, "the file to make"),
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("store") && cmd.Flags().Changed("server") {
				return usageProblem("--store and --server exclude each other", "a store that a server has open is copied by the server")
			}
			return a.backup(cmd, store, args[0], position(replace))
		},
	}
	cmd.Flags().StringVar(&store, "store", "", "a store that no server has open: sqlite:FILE")
	cmd.Flags().BoolVar(&replace, "replace", false, "take the place of an older backup")
	serverFlag(cmd)
	return cmd
}

func (a *app) backup(cmd *cobra.Command, store, file string, replace server.Switch) error {
	// What was begun is removed when somebody presses Ctrl-C.
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	o := server.BackupOptions{Replace: replace}
	end := func() {}
	if a.errTerm {
		o.Progress, end = a.copyBar()
	}
	var err error
	if cmd.Flags().Changed("store") {
		err = server.BackupStore(ctx, store, file, o)
	} else {
		var c *client
		if c, err = a.dial(cmd); err != nil {
			return err
		}
		defer c.close()
		if isWeb(c.addr) {
			return usageProblem("longrun backup speaks gRPC alone: a copy has no form in HTTP", "name the gRPC address: --server "+server.DefaultGRPC)
		}
		err = server.BackupServer(ctx, c.conn, file, o)
		if _, ok := errors.AsType[*server.Problem](err); !ok {
			err = c.explain(err, "backup", "")
		}
	}
	end()
	if ctx.Err() != nil && err != nil {
		return &problem{msg: "stopped", hint: "nothing was kept"}
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return &problem{msg: err.Error()}
	}
	_, err = fmt.Fprintf(a.out, "%s: ok, %d bytes\n", printable(file), info.Size())
	return err
}

// copyBar shows on a terminal how much was copied, and that it is verified then.
func (a *app) copyBar() (progress func(done, total int64), end func()) {
	var bar *progressbar.ProgressBar
	progress = func(done, total int64) {
		if bar == nil {
			bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(a.err), progressbar.OptionSetWidth(30),
				progressbar.OptionShowBytes(true), progressbar.OptionSetDescription("copying"),
				progressbar.OptionSetSpinnerChangeInterval(0), progressbar.OptionUseANSICodes(true))
		}
		if done == total {
			bar.Describe("verifying")
		}
		_ = bar.Set64(min(done, total-1)) // a full bar begins a line of its own
	}
	end = func() {
		if bar != nil {
			_ = bar.Clear() // what cannot be drawn on a terminal need not be wiped off it
		}
	}
	return progress, end
}
