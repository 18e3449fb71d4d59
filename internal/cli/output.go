package cli

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

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

// printJSON writes m to standard output.
func (a *app) printJSON(m proto.Message) error {
	b, err := toJSON(m)
	if err != nil {
		return err
	}
	_, err = a.out.Write(b)
	return err
}

// printOperation writes one operation to standard output.
func (a *app) printOperation(form string, op *longrunningpb.Operation) error {
	switch form {
	case asJSON:
		return a.printJSON(op)
	case asName:
		_, err := fmt.Fprintln(a.out, printable(op.GetName()))
		return err
	}
	v := look(op)
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, row := range []struct{ label, value string }{
		{"name:", printable(v.name)},
		{"method:", v.method},
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
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSTATE\tAGE\tPROGRESS\tMETHOD")
	for _, op := range ops {
		v := look(op)
		fmt.Fprintf(w, "%s\t%s%s\t%s\t%s\t%s\n", printable(v.name), v.state, cancelling(v, op), ago(v.created, now),
			cmp.Or(v.progress(), "-"), cmp.Or(v.method, "-"))
	}
	return w.Flush()
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
