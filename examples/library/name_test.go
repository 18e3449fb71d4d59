package main

import (
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	for _, tt := range []struct {
		what  string
		check func(field, text string) error
		text  string
		good  bool
	}{
		{"id", checkID, "a", true},
		{"id", checkID, "a-1", true},
		{"id", checkID, long, true},
		{"id", checkID, long + "a", false},
		{"id", checkID, "", false},
		{"id", checkID, "1a", false},
		{"id", checkID, "A", false},
		{"id", checkID, "a\n", false},
		{"id", checkID, "a/b", false},
		{"shelf", checkShelf, "shelves/" + long, true},
		{"shelf", checkShelf, "shelves/-", false},
		{"shelf", checkShelf, "shelves/a/books/b", false},
		{"shelf", checkShelf, "//library.longrun.dev/shelves/a", false},
		{"book", checkBook, "shelves/a/books/b", true},
		{"book", checkBook, "shelves/a/books/", false},
		{"book", checkBook, "shelves/a", false},
		{"text", checkText, strings.Repeat("x", maxText), true},
		{"text", checkText, strings.Repeat("x", maxText+1), false},
	} {
		if err := tt.check(tt.what, tt.text); (err == nil) != tt.good {
			t.Errorf("check of the %s %q = %v, want it to be good: %v", tt.what, tt.text, err, tt.good)
		}
	}
	if got, want := shelfOf(bookName(shelfName("a"), "b")), "shelves/a"; got != want {
		t.Errorf("shelfOf = %q, want %q", got, want)
	}
}
