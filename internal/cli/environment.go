package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// environmentTopic is the help on what the environment and a configuration file can
// say. The commands are those of root.
func environmentTopic(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "environment",
		Short: "Flags from the environment and from a file",
		Long: `Every flag can also come from the environment, and from a file in YAML:

  LONGRUN_COMMAND_FLAG   for one command, such as LONGRUN_LIST_LIMIT=20
  LONGRUN_FLAG           for all commands that have the flag
  --config FILE          (or LONGRUN_CONFIG) flags by their long names; those in
                         a section called like a command are for it alone

      server: 127.0.0.1:9151
      list:
        limit: 20

A flag on the command line goes before the environment, that before the file, and
that before the default; what is for one command goes before what is for all. An
empty variable is as good as none. Of a flag that may be repeated, the variable has
the values with commas between them, and the file a list.

` + environmentTable(root),
	}
}

// environmentTable has a line for each flag: its variable, and which commands have it.
func environmentTable(root *cobra.Command) string {
	commands := map[string][]string{}
	for _, cmd := range root.Commands() {
		if !cmd.Runnable() {
			continue
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if isSettable(f) {
				commands[f.Name] = append(commands[f.Name], cmd.Name())
			}
		})
	}
	var flags []string
	for flag := range commands {
		flags = append(flags, flag)
	}
	slices.Sort(flags)
	var b strings.Builder
	for _, flag := range flags {
		fmt.Fprintf(&b, "  %-27s %s\n", envName(flag), strings.Join(commands[flag], ", "))
	}
	return strings.TrimRight(b.String(), "\n")
}
