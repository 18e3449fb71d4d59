package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const (
	// completeTimeout is how long somebody who has pressed Tab waits at most.
	completeTimeout = time.Second
	// completeLook is how many operations are looked at, the newest.
	completeLook = 200
)

func (a *app) completionCmd() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print what makes a shell complete commands, flags and names",
		Long: `Print what makes a shell complete commands, flags, and the names of operations,
which it asks of the server. The shells are bash (with its package bash-completion),
zsh, fish and powershell.

  bash        source <(longrun completion bash)          in ~/.bashrc
  zsh         source <(longrun completion zsh)           in ~/.zshrc, after compinit
  fish        longrun completion fish | source           in ~/.config/fish/config.fish
  powershell  longrun completion powershell | Out-String | Invoke-Expression`,
		Example:               `  longrun completion bash`,
		Args:                  exactly(1, "the name of a shell"),
		ValidArgs:             shells,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.completion(cmd.Root(), args[0], shells)
		},
	}
}

func (a *app) completion(root *cobra.Command, shell string, shells []string) error {
	write := map[string]func(io.Writer) error{
		"bash":       func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"zsh":        root.GenZshCompletion,
		"fish":       func(w io.Writer) error { return root.GenFishCompletion(w, true) },
		"powershell": root.GenPowerShellCompletionWithDesc,
	}[shell]
	if write == nil {
		return usageProblem(fmt.Sprintf("the shell %q is not known", shell), "the shells are: "+strings.Join(shells, ", "))
	}
	return write(a.out)
}

// completer proposes what an argument or the value of a flag may be.
type completer = func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective)

// complete makes the commands of root complete their arguments and the values of
// their flags.
func (a *app) complete(root *cobra.Command) {
	anyName := a.names(func(*longrunningpb.Operation) bool { return true })
	unfinished := a.names(func(op *longrunningpb.Operation) bool { return !op.GetDone() })
	names := map[string]completer{"get": anyName, "delete": anyName, "wait": upTo(1, unfinished), "cancel": unfinished}
	files := []string{"config", "descriptor-set"}
	words := map[string]completer{
		"output":      fixed(asTable, asJSON, asName),
		"on-conflict": fixed(policies...),
		"log-format":  fixed(logText, logJSON),
		"log-level":   fixed("debug", "info", "warn", "error"),
		"filter":      fixed(filterStarts...),
		"method":      a.seen(func(v view) string { return v.method }),
		"parent":      a.seen(func(v view) string { return parentOf(v.name) }),
	}
	for _, cmd := range append(root.Commands(), root) {
		if f := names[cmd.Name()]; f != nil {
			cmd.ValidArgsFunction = f
		} else if cmd.Name() == "list" || cmd.Name() == "serve" || cmd.Name() == "start" || cmd.Name() == "version" {
			cmd.ValidArgsFunction = fixed()
		}
		propose := func(f *pflag.Flag) {
			switch {
			case slices.Contains(files, f.Name) || f.Value.Type() == "bool":
				return // files, and nothing
			case words[f.Name] != nil:
				_ = cmd.RegisterFlagCompletionFunc(f.Name, words[f.Name]) // fails when it is there already
			default:
				_ = cmd.RegisterFlagCompletionFunc(f.Name, fixed())
			}
		}
		cmd.Flags().VisitAll(propose)
	}
}

// fixed proposes words.
func fixed(words ...string) completer {
	return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

// upTo proposes nothing after n arguments.
func upTo(n int, f completer) completer {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f(cmd, args, begun)
	}
}

// names proposes the names of operations, newest first.
func (a *app) names(wanted func(*longrunningpb.Operation) bool) completer {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		parent := "-"
		if i := strings.LastIndex(begun, "/operations/"); i >= 0 {
			parent = begun[:i]
		}
		var found []cobra.Completion
		for _, op := range a.glance(cmd, parent) {
			v := look(op)
			if wanted(op) && pasteable(op.GetName()) && strings.HasPrefix(op.GetName(), begun) && !slices.Contains(args, op.GetName()) {
				found = append(found, cobra.CompletionWithDesc(op.GetName(), strings.TrimSpace(v.state+" "+v.method)))
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// seen proposes what the newest operations have in common.
func (a *app) seen(what func(view) string) completer {
	return func(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var found []cobra.Completion
		for _, op := range a.glance(cmd, "-") {
			if word := what(look(op)); pasteable(word) && strings.HasPrefix(word, begun) {
				found = append(found, word)
			}
		}
		slices.Sort(found)
		return slices.Compact(found), cobra.ShellCompDirectiveNoFileComp
	}
}

// parentOf returns the parent in the name of an operation.
func parentOf(name string) string {
	return name[:max(strings.LastIndex(name, "/operations/"), 0)]
}

// glance returns the newest operations of a parent. Whoever has pressed Tab wants no
// errors: if anything goes wrong, there are none.
func (a *app) glance(cmd *cobra.Command, parent string) []*longrunningpb.Operation {
	if a.settle(cmd) != nil {
		return nil
	}
	c, err := a.dial(cmd)
	if err != nil {
		return nil
	}
	defer c.close()
	ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
	defer cancel()
	page, err := c.ops.ListOperations(ctx, &longrunningpb.ListOperationsRequest{Name: parent, PageSize: completeLook})
	if err != nil {
		return nil
	}
	return page.GetOperations()
}
