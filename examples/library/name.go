package main

import (
	"regexp"
	"strings"
)

// An id is the last part of a name that a caller has chosen (AIP-122, AIP-133).
const idPattern = `[a-z][a-z0-9-]{0,62}`

var (
	idText    = regexp.MustCompile(`^` + idPattern + `$`)
	shelfText = regexp.MustCompile(`^shelves/` + idPattern + `$`)
	bookText  = regexp.MustCompile(`^shelves/` + idPattern + `/books/` + idPattern + `$`)
)

func shelfName(id string) string       { return "shelves/" + id }
func bookName(shelf, id string) string { return shelf + "/books/" + id }

// shelfOf returns the name of the shelf that a book of this name is on.
func shelfOf(book string) string {
	shelf, _, _ := strings.Cut(book, "/books/")
	return shelf
}

// checkID says what is wrong with the id in a field of a request.
func checkID(field, id string) error {
	if !idText.MatchString(id) {
		return invalid(field, "must be lower-case letters, digits and -, at most 63, a letter first")
	}
	return nil
}

// checkShelf says what is wrong with the name of a shelf in a field of a request.
func checkShelf(field, name string) error {
	if !shelfText.MatchString(name) {
		return invalid(field, "must be the name of a shelf, shelves/{shelf}")
	}
	return nil
}

// checkBook says what is wrong with the name of a book in a field of a request.
func checkBook(field, name string) error {
	if !bookText.MatchString(name) {
		return invalid(field, "must be the name of a book, shelves/{shelf}/books/{book}")
	}
	return nil
}

// maxText is how many bytes a text of a caller may have, so that a whole page of them
// stays below what a gRPC client receives.
const maxText = 500

// checkText says what is wrong with a text in a field of a request.
func checkText(field, text string) error {
	if len(text) > maxText {
		return invalid(field, "must have at most %d bytes", maxText)
	}
	return nil
}
