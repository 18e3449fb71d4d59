package filter

import (
	"fmt"
	"unicode/utf8"
)

// Limits on a filter. What is beyond is refused before it is read further
// (AIP-160 allows limits, FLT-47).
const (
	// MaxBytes is how long a filter may be.
	MaxBytes = 8 << 10
	// MaxTerms is how many restrictions and bare values a filter may have, those
	// inside a composite argument too.
	MaxTerms = 128
	// MaxDepth is how deep parentheses may be nested, and how many segments a
	// path may have.
	MaxDepth = 32
)

// Error says what is wrong with a filter, and where. Its text is for whoever
// wrote the filter.
type Error struct {
	// Column is where, counted in characters from 1.
	Column int
	// Token is what stands there, cut where it is long; empty at the end.
	Token string
	// Path is the field that a comparison is about, cut where it is long; empty
	// where the filter is no filter at all.
	Path string
	// Msg says what is wrong with it.
	Msg string
}

// Error returns the column and what is wrong there.
func (e *Error) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.Msg) }

// maxToken is how much of the filter an error repeats, in bytes.
const maxToken = 40

// cut shortens text for an error, at a whole character.
func cut(text string) string {
	if len(text) <= maxToken {
		return text
	}
	n := maxToken
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "..."
}

// errorAt returns an Error at the offset pos of a filter.
func errorAt(src string, pos int, token, format string, args ...any) *Error {
	return &Error{Column: utf8.RuneCountInString(src[:pos]) + 1, Token: cut(token), Msg: fmt.Sprintf(format, args...)}
}
