package cli

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/spf13/cobra"
)

const (
	maxPage      = 1000 // the largest page that a server returns
	defaultLimit = 100
)

func (a *app) listCmd() *cobra.Command {
	var l lister
	cmd := &cobra.Command{
		Use:   "list [flags]",
		Short: "List operations, newest first",
		Example: `  longrun list
  longrun list --parent projects/p/locations/l --limit 20
  longrun list --filter 'done=false AND metadata.labels.team=blue'
  longrun list -o name | xargs longrun get -o json`,
		Args:                  exactly(0, "no arguments"),
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case l.limit < 0:
				return usageProblem("--limit must not be negative", "all operations: longrun list --limit 0")
			case l.pageSize < 0 || l.pageSize > maxPage:
				return usageProblem(fmt.Sprintf("--page-size must be from 0 to %d", maxPage), "it is only how many are fetched at a time; --limit says how many are listed")
			}
			return a.list(cmd, l)
		},
	}
	cmd.Flags().StringVar(&l.parent, "parent", "-", `whose operations to list; "-" is any segment, alone any parent`)
	cmd.Flags().StringVar(&l.filter, "filter", "", "which operations to list, such as metadata.state=RUNNING; the language is AIP-160's")
	cmd.Flags().IntVar(&l.limit, "limit", defaultLimit, "how many to list; 0 for all")
	cmd.Flags().IntVar(&l.pageSize, "page-size", 0, "how many to fetch at a time; 0 lets the server choose")
	cmd.Flags().StringVar(&l.token, "page-token", "", "go on where an earlier list has stopped, with the token that it gave")
	outputFlag(cmd)
	serverFlag(cmd)
	return cmd
}

// lister fetches operations page by page.
type lister struct {
	c               *client
	parent          string
	filter          string
	token           string
	limit, pageSize int
}

func (a *app) list(cmd *cobra.Command, l lister) error {
	form, err := form(cmd)
	if err != nil {
		return err
	}
	if l.c, err = a.dial(cmd); err != nil {
		return err
	}
	defer l.c.close()
	ops, next, err := l.fetch(cmd.Context())
	if err != nil {
		return cmp.Or(explainFilter(err, l.filter), l.c.explain(err, "list", ""))
	}
	if form == asJSON {
		err = a.printJSON(cmd.Context(), l.c, &longrunningpb.ListOperationsResponse{Operations: ops, NextPageToken: next})
	} else {
		err = a.printList(form, ops, time.Now())
	}
	if err == nil && next != "" && form != asJSON {
		a.talk("there are more; go on with: %s", l.goOn(form, next))
	}
	return err
}

// goOn is how to list what comes next.
func (l lister) goOn(form, next string) string {
	words := []string{"list"}
	if l.parent != "-" {
		words = append(words, "--parent", l.parent)
	}
	if l.limit != defaultLimit {
		words = append(words, "--limit", fmt.Sprint(l.limit))
	}
	if form != asTable {
		words = append(words, "-o", form)
	}
	line := l.c.line(append(words, "--page-token", next)...)
	if l.filter != "" && line != "" {
		quoted := shellQuoted(l.filter)
		if quoted == "" {
			return "the same --filter, and --page-token " + next // a token belongs to its filter
		}
		line += " --filter " + quoted
	}
	return cmp.Or(line, "--page-token "+next)
}

// fetch returns up to limit operations, and a page token if there are more.
func (l lister) fetch(ctx context.Context) (ops []*longrunningpb.Operation, next string, err error) {
	next = l.token
	for {
		req := &longrunningpb.ListOperationsRequest{Name: l.parent, Filter: l.filter, PageSize: int32(l.pageSize), PageToken: next}
		if left := l.limit - len(ops); l.limit > 0 && (l.pageSize == 0 || left < l.pageSize) {
			req.PageSize = int32(min(left, maxPage))
		}
		var page *longrunningpb.ListOperationsResponse
		if err := l.c.call(ctx, func(ctx context.Context) (err error) {
			page, err = l.c.ops.ListOperations(ctx, req)
			return err
		}); err != nil {
			return nil, "", err
		}
		ops, next = append(ops, page.GetOperations()...), page.GetNextPageToken()
		if next == "" || l.limit > 0 && len(ops) >= l.limit {
			return ops, next, nil
		}
	}
}
