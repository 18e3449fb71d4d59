package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/longrun-dev/longrun/internal/server"
)

// Exit statuses; doc.go says what they mean, and so does "longrun help
// exit-codes".
const (
	exitOK        = 0
	exitFailure   = 1
	exitUsage     = 2
	exitFailed    = 3
	exitCancelled = 4
	exitTimeout   = 5
	exitLost      = 124
	exitNotRun    = 125
	exitNotExec   = 126
	exitNotFound  = 127
	exitSignal    = 128
)

// problem is an error for people: what is wrong, what to do about it, and the
// exit status.
type problem struct {
	msg  string
	hint string // may be empty; each of its lines is one
	exit int    // 0 means exitFailure
}

func (p *problem) Error() string { return p.msg }

// quiet is an error of which everything was said already.
type quiet struct{ exit int }

func (q *quiet) Error() string { return fmt.Sprintf("exit status %d", q.exit) }

// usageProblem says that the command line is wrong.
func usageProblem(msg, hint string) error { return &problem{msg: msg, hint: hint, exit: exitUsage} }

// report prints err the way every command does, and returns the exit status.
func report(w io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	if q, ok := errors.AsType[*quiet](err); ok {
		return q.exit
	}
	p, ok := errors.AsType[*problem](err)
	if !ok {
		p = &problem{msg: err.Error()}
		if s, ok := errors.AsType[*server.Problem](err); ok {
			p = &problem{msg: s.Msg, hint: s.Hint}
			if s.Usage {
				p.exit = exitUsage
			}
		}
	}
	fmt.Fprintf(w, "longrun: error: %s\n", printable(p.msg))
	for hint := range strings.Lines(p.hint) {
		fmt.Fprintf(w, "longrun: hint: %s\n", printable(strings.TrimSuffix(hint, "\n")))
	}
	return cmp.Or(p.exit, exitFailure)
}

// pasteable reports whether s, not as the first word of a line, is one word of a
// shell, and nothing but itself, without quotes.
func pasteable(s string) bool {
	for _, c := range s {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-_./:@,+=", c)) {
			return false
		}
	}
	return s != "" && s[0] != '='
}

// pasteLine returns the words as a line that can be pasted, and "" if one of
// them would mean something else to a shell.
func pasteLine(words ...string) string {
	for _, w := range words {
		if !pasteable(w) {
			return ""
		}
	}
	return strings.Join(words, " ")
}

// printable returns s without characters that could steer a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n':
			return ' '
		case r < ' ' || 0x7f <= r && r < 0xa0 || bidi(r):
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// bidi reports whether r changes the direction of what follows, by which text can
// be made to look like other text.
func bidi(r rune) bool {
	return 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 || r == 0x200e || r == 0x200f || r == 0x2028 || r == 0x2029
}
