package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/longrun-dev/longrun/internal/server"
)

func (a *app) checkCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Verify a store that no server has open",
		Long: `Verify a store: that the file is whole, and that what it says of each operation
fits together. Nothing is changed. The server that has it open must be stopped
first.`,
		Example:               `  longrun check longrun.db`,
		Args:                  exactly(1, "the file of a store"),
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := server.Check(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			for _, line := range found {
				fmt.Fprintf(a.out, "%s: %s\n", printable(args[0]), printable(line))
			}
			if len(found) > 0 {
				return &problem{msg: fmt.Sprintf("%s is damaged", args[0]),
					hint: "keep the file, restore a backup of it under another name, and serve that with: --store sqlite:FILE"}
			}
			_, err = fmt.Fprintf(a.out, "%s: ok\n", printable(args[0]))
			return err
		},
	}
}
