package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/longrun-dev/longrun/internal/server"
)

func (a *app) checkCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Verify a store that no server has open",
		Long: `Verify a store: that the file is whole, and that what it says of each operation
fits together. Nothing is changed. The server that has it open must be stopped
first. What is wrong is printed, a line each, and then what can be done about it.`,
		Example:               `  longrun check longrun.db`,
		Args:                  exactly(1, "the file of a store"),
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := server.Check(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			var hints []string
			for _, f := range found {
				fmt.Fprintf(a.out, "%s: %s\n", printable(args[0]), printable(f.Text))
				if !slices.Contains(hints, f.Hint) {
					hints = append(hints, f.Hint)
				}
			}
			if len(found) > 0 {
				return &problem{msg: fmt.Sprintf("%s is damaged", args[0]), hint: strings.Join(hints, "\n")}
			}
			_, err = fmt.Fprintf(a.out, "%s: ok\n", printable(args[0]))
			return err
		},
	}
}
