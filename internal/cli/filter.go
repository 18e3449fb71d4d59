package cli

import (
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
)

// filterRoom is how much of a filter is shown around what is wrong with it.
const filterRoom = 60

// explainFilter shows where a filter is wrong. It returns nil for any other error.
func explainFilter(err error, filter string) error {
	if reasonOf(err) != "INVALID_FILTER" {
		return nil
	}
	st := status.Convert(err)
	hint := "see: longrun list --help"
	for _, d := range st.Details() {
		info, ok := d.(*errdetails.ErrorInfo)
		if !ok {
			continue
		}
		if column, err := strconv.Atoi(info.GetMetadata()["column"]); err == nil && column > 0 {
			hint = pointAt(filter, column, len([]rune(info.GetMetadata()["token"])))
		}
	}
	return &problem{msg: "--" + strings.TrimPrefix(violation(st), "--"), hint: hint, exit: exitUsage}
}

// pointAt is two lines: the filter, or what of it is around a column, and marks below
// the token that begins there.
func pointAt(filter string, column, length int) string {
	text := []rune(printable(filter))
	at := min(column-1, len(text)) // just behind the end is where something is missing
	length = max(min(length, len(text)-at), 1)
	from, to := 0, len(text)
	before, behind := "", ""
	if at-from > filterRoom/2 {
		from, before = at-filterRoom/2, "..."
	}
	if to-at > filterRoom {
		to, behind = at+filterRoom, "..."
		length = min(length, filterRoom)
	}
	return before + string(text[from:to]) + behind + "\n" + strings.Repeat(" ", len(before)+at-from) + strings.Repeat("^", length)
}

// filterStarts are filters and beginnings of them that completion proposes.
var filterStarts = []string{
	"done=false", "done=true", "error:*", "response:*", "error.code=", "name=",
	"metadata.state=PENDING", "metadata.state=RUNNING", "metadata.state=SUCCEEDED", "metadata.state=FAILED", "metadata.state=CANCELLED",
	"metadata.method=", "metadata.labels.", "metadata.target=", "metadata.requested_cancellation=true",
}

// shellQuoted returns s as one word of a line that can be pasted, "" if that takes more
// than single quotes.
func shellQuoted(s string) string {
	if pasteable(s) {
		return s
	}
	for _, c := range s {
		if c < ' ' || c > '~' || c == '\'' || c == '\\' {
			return ""
		}
	}
	return "'" + s + "'"
}
