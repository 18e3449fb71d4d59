package main

import (
	"encoding/base64"
	"strings"
)

// Sizes of a page (AIP-158).
const (
	defaultPage = 50
	maxPage     = 1000
)

// pageSize returns how many to list.
func pageSize(asked int32) (int, error) {
	switch {
	case asked < 0:
		return 0, invalid("page_size", "must not be negative")
	case asked == 0:
		return defaultPage, nil
	}
	return min(int(asked), maxPage), nil
}

// tokenText is how page tokens are spelled: URL-safe, and one spelling for each.
var tokenText = base64.RawURLEncoding.Strict()

// nextToken returns the token of the page of a collection that begins behind the name
// last. It is a place and no count, so that what is added or deleted meanwhile makes
// nothing else be skipped or shown twice.
func nextToken(collection, last string) string {
	return tokenText.EncodeToString([]byte(collection + "\n" + last))
}

// readToken returns the name behind which a page begins, "" for the first page. Whoever
// makes a token up learns nothing that the collection does not tell anyway.
func readToken(collection, token string) (after string, err error) {
	if token == "" {
		return "", nil
	}
	text, err := tokenText.DecodeString(token)
	if err != nil {
		return "", invalid("page_token", "is not one of ours")
	}
	of, after, _ := strings.Cut(string(text), "\n")
	if of != collection || !strings.HasPrefix(after, collection+"/") {
		return "", invalid("page_token", "is not one of this collection")
	}
	return after, nil
}
