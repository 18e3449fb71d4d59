package main

import (
	"bytes"
	"context"
	"io"
	"unicode/utf8"
)

// chunkBytes is how much of a text is one step, at most. A step costs a write of the store, and
// is what a crash may do again.
const chunkBytes = 16 << 10

// chunks cuts a text into chunks, at the ends of lines where it can: where the cuts are depends
// on the text alone, so that every run finds the same ones.
type chunks struct {
	r    io.Reader
	buf  [chunkBytes]byte
	have int // of buf
}

// next returns the next chunk, at most chunkBytes long and never empty, and io.EOF behind the
// last one.
func (c *chunks) next() ([]byte, error) {
	n, err := io.ReadFull(c.r, c.buf[c.have:])
	c.have += n
	end := c.have
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		if end == 0 {
			return nil, io.EOF
		}
	case err != nil:
		return nil, err
	default:
		end = cut(c.buf[:])
	}
	chunk := bytes.Clone(c.buf[:end])
	c.have = copy(c.buf[:], c.buf[end:c.have])
	return chunk, nil
}

// cut is where b, which is not the end of a text, is cut: behind the last line that is whole, or
// the last word, or the last character.
func cut(b []byte) int {
	for _, end := range []byte{'\n', ' '} {
		if i := bytes.LastIndexByte(b, end); i >= 0 {
			return i + 1
		}
	}
	for i := len(b) - 1; i > 0 && i >= len(b)-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if utf8.FullRune(b[i:]) {
				return len(b)
			}
			return i
		}
	}
	return len(b)
}

// text is what is known of a text after it has been read once.
type text struct {
	characters int64 // Unicode code points
	broken     bool  // it is not UTF-8
}

// survey reads a text to its end, or until ctx ends.
func survey(ctx context.Context, r io.Reader) (text, error) {
	var t text
	c := &chunks{r: r}
	for {
		if ctx.Err() != nil {
			return t, context.Cause(ctx)
		}
		chunk, err := c.next()
		if err == io.EOF {
			return t, nil
		}
		if err != nil {
			return t, err
		}
		t.characters += int64(utf8.RuneCount(chunk))
		t.broken = t.broken || !utf8.Valid(chunk)
	}
}
