package cli

import (
	"bytes"
	"strings"
	"testing"
)

// On a terminal there is a bar of what was copied, then a word on what goes on, and
// nothing at the end.
func TestCopyBar(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	progress, end := (&app{err: &b}).copyBar()
	progress(0, 4<<20)
	progress(1<<20, 4<<20)
	if s := b.String(); !strings.Contains(s, "copying") || !strings.Contains(s, "25%") {
		t.Errorf("bar = %q, want copying 25%%", s)
	}
	b.Reset()
	progress(4<<20, 4<<20)
	if s := b.String(); !strings.Contains(s, "verifying") || strings.Contains(s, "\n") {
		t.Errorf("bar = %q, want verifying, on the same line", s)
	}
	b.Reset()
	end()
	if s := b.String(); strings.TrimLeft(s, "\x1b[2K\r ") != "" {
		t.Errorf("at the end: %q, want an empty line", s)
	}
	_, end = (&app{err: &b}).copyBar()
	end() // nothing was copied
}
