package cli

import (
	"io"
	"sync"
)

// tailBytes is how much of a command's output its operation keeps.
const tailBytes = 4 << 10

// tail keeps the end of what a command has written. It is safe for concurrent use.
type tail struct {
	mu  sync.Mutex // guards buf
	buf []byte
}

// keep notes output.
func (t *tail) keep(p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if extra := len(t.buf) - tailBytes; extra > 0 {
		t.buf = append(t.buf[:0], t.buf[extra:]...)
	}
}

// bytes returns the last 4 KiB.
func (t *tail) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]byte(nil), t.buf...)
}

// output is one of a command's two streams: it goes to w, and its end to tail. An
// error of w goes to the command, which gets SIGPIPE as in any pipeline.
type output struct {
	w    io.Writer
	tail *tail
}

// Write is w's.
func (o *output) Write(p []byte) (int, error) {
	o.tail.keep(p)
	return o.w.Write(p)
}
