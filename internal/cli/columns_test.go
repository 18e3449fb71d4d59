package cli

import (
	"strings"
	"testing"
)

func TestColumns(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 60)
	for _, tt := range []struct {
		name  string
		width int
		rows  [][]string
		want  string
	}{
		{"aligned", 80, [][]string{{"NAME", "STATE", "METHOD"}, {"operations/1", "RUNNING", "m"}, {"x", "-", "m"}},
			"NAME          STATE    METHOD\noperations/1  RUNNING  m\nx             -        m\n"},
		{"a long name pads no other row", 40, [][]string{{"NAME", "STATE", "METHOD"}, {long, "DONE", "m"}, {"x", "RUNNING", "m"}},
			"NAME  STATE    METHOD\n" + long + "  DONE     m\nx     RUNNING  m\n"},
		{"nor does a long method", 40, [][]string{{"NAME", "METHOD"}, {"operations/1", long}, {"x", "m"}},
			"NAME          METHOD\noperations/1  " + long + "\nx             m\n"},
		{"no room at all", 1, [][]string{{"NAME", "STATE", "METHOD"}, {"operations/1", "DONE", "m"}},
			"NAME  STATE  METHOD\noperations/1  DONE   m\n"},
		{"the header alone", 80, [][]string{{"NAME", "STATE"}}, "NAME  STATE\n"},
		{"letters, not bytes", 80, [][]string{{"NAME", "STATE"}, {"\u00e4\u00f6", "x"}, {"abcde", "y"}}, "NAME   STATE\n\u00e4\u00f6     x\nabcde  y\n"},
	} {
		if got := columns(tt.rows, tt.width); got != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, got, tt.want)
		}
	}
}

// A name of the greatest length takes the room of its own row alone.
func TestColumns_Terminal(t *testing.T) {
	t.Parallel()
	a := &app{width: func() int { return 80 }}
	if got := a.outWidth(); got != 80 {
		t.Errorf("outWidth = %d, want 80", got)
	}
	if got := (&app{}).outWidth(); got != plainWidth {
		t.Errorf("outWidth without a terminal = %d, want %d", got, plainWidth)
	}
	if got := (&app{width: func() int { return 0 }}).outWidth(); got != plainWidth {
		t.Errorf("outWidth of a terminal that does not say = %d, want %d", got, plainWidth)
	}
	rows := [][]string{{"NAME", "STATE", "AGE", "PROGRESS", "METHOD"}}
	for _, name := range []string{"operations/" + strings.Repeat("x", 30), strings.Repeat("p", 900) + "/operations/" + strings.Repeat("x", 36)} {
		rows = append(rows, []string{name, "SUCCEEDED", "12s", "100%", "command"})
	}
	lines := strings.Split(columns(rows, a.outWidth()), "\n")
	for _, line := range lines[:2] {
		if len(line) > 80 {
			t.Errorf("%d characters, want 80 at most: %q", len(line), line)
		}
	}
}
