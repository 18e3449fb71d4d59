package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/protobuf/proto"
)

// The forms of -o.
const (
	asTable = "table"
	asJSON  = "json"
	asName  = "name"
)

// outputFlag adds -o to a command.
func outputFlag(cmd *cobra.Command) {
	cmd.Flags().StringP("output", "o", asTable, "what to print: table, json or name")
}

// form returns the form that -o asks for.
func form(cmd *cobra.Command) (string, error) {
	f, err := cmd.Flags().GetString("output")
	if err != nil {
		return "", err
	}
	switch f {
	case asTable, asJSON, asName:
		return f, nil
	}
	return "", usageProblem(fmt.Sprintf("-o %q is not known", f), "the forms are: -o table, -o json, -o name")
}

// printJSON writes m to standard output. Types of payloads that are not linked in
// are asked of the server.
func (a *app) printJSON(ctx context.Context, c *client, m proto.Message) error {
	c.types.learn(ctx, m)
	b, err := toJSONBy(m, c.types)
	if err != nil {
		return err
	}
	_, err = a.out.Write(b)
	return err
}

// printOperation writes one operation to standard output.
func (a *app) printOperation(ctx context.Context, c *client, form string, op *longrunningpb.Operation) error {
	switch form {
	case asJSON:
		return a.printJSON(ctx, c, op)
	case asName:
		_, err := fmt.Fprintln(a.out, printable(op.GetName()))
		return err
	}
	v := look(op)
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, row := range []struct{ label, value string }{
		{"name:", printable(v.name)},
		{"method:", v.method},
		{"labels:", v.labels},
		{"state:", v.state + cancelling(v, op)},
		{"progress:", v.progress()},
		{"created:", clock(v.created)},
		{"started:", clock(v.started)},
		{"ended:", clock(v.ended)},
		{"expires:", clock(v.expires)},
		{"attempt:", nonzero(v.attempt)},
		{"error:", errorCode(op)},
		{"message:", v.message},
		{"response:", printable(typeName(op.GetResponse().GetTypeUrl()))},
	} {
		if row.value != "" {
			fmt.Fprintf(w, "%s\t%s\n", row.label, row.value)
		}
	}
	return w.Flush()
}

// printList writes operations to standard output, one to a line.
func (a *app) printList(form string, ops []*longrunningpb.Operation, now time.Time) error {
	if form == asName {
		var b strings.Builder
		for _, op := range ops {
			b.WriteString(printable(op.GetName()) + "\n")
		}
		_, err := fmt.Fprint(a.out, b.String())
		return err
	}
	rows := [][]string{{"NAME", "STATE", "AGE", "PROGRESS", "METHOD"}}
	for _, op := range ops {
		v := look(op)
		rows = append(rows, []string{printable(v.name), v.state + cancelling(v, op), ago(v.created, now),
			cmp.Or(v.progress(), "-"), cmp.Or(v.method, "-")})
	}
	_, err := fmt.Fprint(a.out, columns(rows, a.outWidth()))
	return err
}

// columns lines rows up within width, as far as that goes: a first cell that leaves
// no room for the others pushes those of its own row to the right, and of no other.
// Nothing is cut off, because names are there to be copied.
func columns(rows [][]string, width int) string {
	const gap, lastRoom = 2, 24
	widths := make([]int, len(rows[0]))
	rest := 0
	for i := len(widths) - 1; i >= 0; i-- {
		for _, row := range rows {
			if n := utf8.RuneCountInString(row[i]); i > 0 || n <= max(width-rest, len(rows[0][0])) {
				widths[i] = max(widths[i], n)
			}
		}
		if i == len(widths)-1 {
			rest += min(widths[i], lastRoom) + gap
		} else {
			rest += widths[i] + gap
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", max(widths[i]-utf8.RuneCountInString(cell), 0)+gap))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// plainWidth is the width of tables that go to no terminal.
const plainWidth = 120

// outWidth is how many characters a line of standard output should have at most.
func (a *app) outWidth() int {
	if a.width != nil {
		if w := a.width(); w > 0 {
			return w
		}
	}
	return plainWidth
}

func cancelling(v view, op *longrunningpb.Operation) string {
	if v.cancelling && !op.GetDone() {
		return " (cancelling)"
	}
	return ""
}

func errorCode(op *longrunningpb.Operation) string {
	if op.GetError() == nil {
		return ""
	}
	return fmt.Sprintf("%d %s", op.GetError().GetCode(), code.Code(op.GetError().GetCode()))
}

func nonzero(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.RFC3339)
}

// typeName is a type URL without its host.
func typeName(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }
