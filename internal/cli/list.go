package cli

import (
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/spf13/cobra"
)

// maxPage is the largest page that a server returns.
const maxPage = 1000

func (a *app) listCmd() *cobra.Command {
	var parent string
	var limit, pageSize int
	cmd := &cobra.Command{
		Use:   "list [flags]",
		Short: "List operations, newest first",
		Example: `  longrun list
  longrun list --parent projects/p/locations/l --limit 20
  longrun list -o name | xargs longrun get -o json`,
		Args:                  exactly(0, "no arguments"),
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case limit < 0:
				return usageProblem("--limit must not be negative", "all operations: longrun list --limit 0")
			case pageSize < 0 || pageSize > maxPage:
				return usageProblem(fmt.Sprintf("--page-size must be from 0 to %d", maxPage), "it is only how many are fetched at a time; --limit says how many are listed")
			}
			return a.list(cmd, lister{parent: parent, limit: limit, pageSize: pageSize})
		},
	}
	cmd.Flags().StringVar(&parent, "parent", "-", `whose operations to list; "-" is any segment, alone any parent`)
	cmd.Flags().IntVar(&limit, "limit", 100, "how many to list; 0 for all")
	cmd.Flags().IntVar(&pageSize, "page-size", 0, "how many to fetch at a time; 0 lets the server choose")
	outputFlag(cmd)
	serverFlag(cmd)
	return cmd
}

// lister fetches operations page by page.
type lister struct {
	c               *client
	parent          string
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
		return l.c.explain(err, "list", "")
	}
	if form == asJSON {
		err = a.printJSON(&longrunningpb.ListOperationsResponse{Operations: ops, NextPageToken: next})
	} else {
		err = a.printList(form, ops, time.Now())
	}
	if err == nil && next != "" && !cmd.Flags().Changed("limit") {
		a.talk("there are more; all of them: %s", l.c.line("list", "--limit", "0"))
	}
	return err
}

// fetch returns up to limit operations, and a page token if there are more.
func (l lister) fetch(ctx context.Context) (ops []*longrunningpb.Operation, next string, err error) {
	for {
		req := &longrunningpb.ListOperationsRequest{Name: l.parent, PageSize: int32(l.pageSize), PageToken: next}
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
