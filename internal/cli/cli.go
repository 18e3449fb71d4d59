package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// app is one use of the command line: its streams and its environment.
type app struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) string
	inTerm   bool // in is a terminal
	outTerm  bool
	errTerm  bool
	said     *slog.Logger // takes the talk instead of err, unless it is nil
	width    func() int   // of the terminal that out is; 0 if it does not say, nil if it is none
}

// Main does what args say, the command line without the program's name, on the
// process's streams, and returns the exit status (see the package comment). It is
// to be called once, from main: run, serve and worker take the process's signals.
func Main(args []string) int {
	a := &app{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Getenv,
		inTerm: term.IsTerminal(int(os.Stdin.Fd())), outTerm: term.IsTerminal(int(os.Stdout.Fd())), errTerm: term.IsTerminal(int(os.Stderr.Fd())),
	}
	if a.outTerm {
		a.width = func() int {
			w, _, err := term.GetSize(int(os.Stdout.Fd()))
			if err != nil {
				return 0
			}
			return w
		}
	}
	return a.main(context.Background(), args)
}

func (a *app) main(ctx context.Context, args []string) int {
	root := a.root(args)
	a.complete(root)
	root.SetArgs(args)
	root.SetOut(a.out)
	root.SetErr(a.err)
	cmd, err := root.ExecuteContextC(ctx)
	code := report(a.err, err)
	if p, ok := errors.AsType[*problem](err); ok && p.exit == exitUsage && cmd.Name() == "run" {
		return exitNotRun // 2 may be the command's own
	}
	return code
}

// talk says something to people, or to the log that stands for them.
func (a *app) talk(format string, args ...any) {
	if a.said != nil {
		a.said.Info(printable(fmt.Sprintf(format, args...)))
		return
	}
	fmt.Fprintf(a.err, "longrun: %s\n", printable(fmt.Sprintf(format, args...)))
}

// usageTemplate is cobra's, with the examples last, where the eye rests.
const usageTemplate = `Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND [flags]{{else}}{{.UseLine}}{{end}}
{{- if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if or .IsAvailableCommand (eq .Name "help")}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}
{{- if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}
{{- if .HasHelpSubCommands}}

More help:{{range .Commands}}{{if .IsAdditionalHelpTopicCommand}}
  {{rpad .CommandPath 20}} {{.Short}}{{end}}{{end}}{{end}}
{{- if .HasExample}}

Example:
{{.Example}}{{end}}
`

func (a *app) root(args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "longrun",
		Short: "Long-running operations: a server, and commands for who looks at them",
		Example: `  longrun serve &
  longrun run -- sleep 10
  longrun list`,
		Args:                  cobra.ArbitraryArgs,
		SilenceErrors:         true,
		SilenceUsage:          true,
		DisableFlagsInUseLine: true,

		SuggestionsMinimumDistance: 2,
	}
	root.RunE = func(cmd *cobra.Command, rest []string) error {
		if len(rest) == 0 {
			return cmd.Help()
		}
		return unknownCommand(root, args, rest[0])
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentFlags().String(configFlag, "", "a YAML file with flags; see longrun help environment")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if strings.HasPrefix(cmd.Name(), cobra.ShellCompRequestCmd) {
			return nil // whoever types is not told of mistakes; what is asked of a server is settled there
		}
		return a.settle(cmd)
	}
	root.SetUsageTemplate(usageTemplate)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return flagProblem(cmd, args, err) })
	root.AddCommand(a.serveCmd(), a.runCmd(), a.listCmd(), a.getCmd(), a.waitCmd(), a.cancelCmd(), a.deleteCmd(),
		a.startCmd(), a.workerCmd(), a.checkCmd(), a.backupCmd(), a.completionCmd(), a.versionCmd(), a.guardCmd(), exitCodesTopic())
	root.AddCommand(environmentTopic(root))
	root.SetHelpCommand(helpCmd(root))
	return root
}

// helpCmd is cobra's, but for words that are no command.
func helpCmd(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:                   "help [COMMAND]",
		Short:                 "Say what a command does",
		Example:               `  longrun help start`,
		DisableFlagsInUseLine: true,
		PersistentPreRunE:     func(*cobra.Command, []string) error { return nil }, // help needs no settings
		ValidArgsFunction: func(_ *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var found []cobra.Completion
			for _, cmd := range root.Commands() {
				if len(args) == 0 && strings.HasPrefix(cmd.Name(), begun) {
					found = append(found, cobra.CompletionWithDesc(cmd.Name(), cmd.Short))
				}
			}
			return found, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, words []string) error {
			cmd, rest, err := root.Find(words)
			if err != nil || len(words) > 1 || cmd == root && len(rest) > 0 {
				return unknownCommand(root, append([]string{"help"}, words...), words[len(words)-1])
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit statuses mean",
		Long: `The exit statuses of longrun:

    0  it worked; of wait: the operation has succeeded
    1  it did not work: the server said no, or there is none
    2  wrong use of the command line, the environment or the configuration file
    3  wait, start --wait: the operation has failed
    4  wait, start --wait: the operation was cancelled
    5  wait, start --wait: the time was over before the operation

Of run, any other than these is the command's own:

  124  the command has ended, and the server could not be told
  125  longrun itself did not get as far as the command (wrong use, too)
  126  the command cannot be run
  127  the command was not found
128+n  the command was ended by signal n

Of worker: 0 when it was stopped and all was told, 126 and 127 as of run, else 1 or 2.`,
	}
}

// unknownCommand proposes the command that was probably meant. A command that
// changes something is named, never spelt out for pasting.
func unknownCommand(root *cobra.Command, args []string, word string) error {
	msg := fmt.Sprintf("there is no command %q", word)
	near := root.SuggestionsFor(word)
	slices.SortStableFunc(near, func(a, b string) int { return cmp.Compare(unlike(a, word), unlike(b, word)) })
	if len(near) == 0 {
		return usageProblem(msg, "see them all with: longrun help")
	}
	switch near[0] {
	case "list", "get", "wait", "version", "check":
		if line := pasteLine(append([]string{"longrun"}, replaced(args, word, near[0])...)...); line != "" {
			return usageProblem(msg, "did you mean: "+line)
		}
	}
	return usageProblem(msg, fmt.Sprintf("did you mean %q? see: longrun %s --help", near[0], near[0]))
}

// unlike is 0 if both begin with the same letter, as a word and its misspelling mostly
// do, and 1 if not.
func unlike(a, b string) int {
	if strings.HasPrefix(b, a[:1]) {
		return 0
	}
	return 1
}

// replaced returns args with the first word that is old changed to new.
func replaced(args []string, old, new string) []string {
	out := make([]string, len(args))
	found := false
	for i, s := range args {
		out[i] = s
		if s == old && !found {
			out[i], found = new, true
		}
	}
	return out
}

// flagProblem explains what is wrong with a flag.
func flagProblem(cmd *cobra.Command, args []string, err error) error {
	if !cmd.HasParent() {
		// No command was found, so the flags are not the root's fault.
		for _, word := range args {
			if !strings.HasPrefix(word, "-") {
				return unknownCommand(cmd, args, word)
			}
		}
	}
	see := "see: " + cmd.CommandPath() + " --help"
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return usageProblem(err.Error(), see)
	}
	name := unknown.GetSpecifiedName()
	if len(name) == 1 {
		return usageProblem(fmt.Sprintf("%s has no flag -%s", cmd.CommandPath(), name), see)
	}
	msg := fmt.Sprintf("%s has no flag --%s", cmd.CommandPath(), name)
	near := nearFlag(cmd, name)
	if near == "" {
		return usageProblem(msg, see)
	}
	switch cmd.Name() {
	case "list", "get", "wait":
		fixed := []string{"longrun"}
		for _, s := range args {
			if rest, is := strings.CutPrefix(s, "--"+name); is && (rest == "" || rest[0] == '=') {
				s = "--" + near + rest
			}
			fixed = append(fixed, s)
		}
		if line := pasteLine(fixed...); line != "" {
			return usageProblem(msg, "did you mean: "+line)
		}
	}
	return usageProblem(msg, fmt.Sprintf("did you mean --%s? %s", near, see))
}

// nearFlag returns the flag that is spelt nearly like name, by cobra's measure for
// commands.
func nearFlag(cmd *cobra.Command, name string) string {
	flags := &cobra.Command{SuggestionsMinimumDistance: 2}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
	})
	return cmp.Or(append(flags.SuggestionsFor(name), "")...)
}

// exactly wants n arguments, and says which.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return usageProblem(fmt.Sprintf("%s wants %s, got %d arguments", cmd.CommandPath(), what, len(args)), exampleOf(cmd))
	}
}

// some wants one argument or more.
func some(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return nil
		}
		return usageProblem(fmt.Sprintf("%s wants %s", cmd.CommandPath(), what), exampleOf(cmd))
	}
}

func exampleOf(cmd *cobra.Command) string {
	first, _, _ := strings.Cut(strings.TrimSpace(cmd.Example), "\n")
	return "for example: " + first
}
