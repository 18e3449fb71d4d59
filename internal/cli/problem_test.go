package cli

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/longrun-dev/longrun/internal/server"
)

func TestReport(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		exit int
		want string
	}{
		{"nothing", nil, 0, ""},
		{"said already", &quiet{exit: 3}, 3, ""},
		{"plain", errors.New("no"), 1, "longrun: error: no\n"},
		{"with hint", &problem{msg: "no", hint: "do"}, 1, "longrun: error: no\nlongrun: hint: do\n"},
		{"with exit status", &problem{msg: "no", exit: 5}, 5, "longrun: error: no\n"},
		{"usage", usageProblem("no", "do"), 2, "longrun: error: no\nlongrun: hint: do\n"},
		{"wrapped", fmt.Errorf("run: %w", &problem{msg: "no", exit: 5}), 5, "longrun: error: no\n"},
		{"server", errors.Join(&server.Problem{Msg: "no", Hint: "do"}), 1, "longrun: error: no\nlongrun: hint: do\n"},
		{"two lines", errors.New("a\nb"), 1, "longrun: error: a b\n"},
		{"escape", errors.New("a\x1b[31mb"), 1, "longrun: error: a?[31mb\n"},
	} {
		var b bytes.Buffer
		if got := report(&b, tt.err); got != tt.exit || b.String() != tt.want {
			t.Errorf("%s: report = %d %q, want %d %q", tt.name, got, b.String(), tt.exit, tt.want)
		}
	}
	if got, want := (&quiet{exit: 3}).Error(), "exit status 3"; got != want {
		t.Errorf("Error = %q, want %q", got, want)
	}
}

func TestPasteable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		s    string
		want bool
	}{
		{"operations/7f3a", true},
		{"projects/p/locations/eu-west1/operations/0198", true},
		{"--parent=projects/p", true},
		{"127.0.0.1:9151", true},
		{"", false},
		{"=ls", false}, // a path to zsh
		{"a b", false},
		{"a;b", false},
		{"$(reboot)", false},
		{"`x`", false},
		{"a*", false},
		{"~", false},
		{"a!b", false},
		{"a'b", false},
		{"a\nb", false},
		{"ä", false},
	} {
		if got := pasteable(tt.s); got != tt.want {
			t.Errorf("pasteable(%q) = %v, want %v", tt.s, got, tt.want)
		}
	}
	if got := pasteLine("longrun", "get", "a b"); got != "" {
		t.Errorf("pasteLine = %q, want none", got)
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ s, want string }{
		{"plain", "plain"},
		{"Größe 中", "Größe 中"},
		{"a\tb\nc", "a b c"},
		{"\x1b]0;title\x07", "?]0;title?"},
		{"\u009b31m", "?31m"},
		{"a\x7f", "a?"},
		{"safe\u202egpj.exe", "safe?gpj.exe"},
		{"\xff", "?"},
	} {
		if got := printable(tt.s); got != tt.want {
			t.Errorf("printable(%q) = %q, want %q", tt.s, got, tt.want)
		}
	}
}
