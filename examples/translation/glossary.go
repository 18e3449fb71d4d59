package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// terms is a glossary of one direction, as a text is translated by it. It is never changed, and
// may be used by many at a time.
type terms struct {
	target  map[string]string
	longest int  // how many words the longest term has
	fold    bool // case does not count
}

// parseTerms reads two columns, a term and its translation, without a header: what the API wants
// of a glossary of one direction. The separator is a comma or a tab; with tabs, quotes need not
// be quoted. A byte order mark before the first term, as spreadsheets write it, is none of it. A
// term that comes twice is an error.
func parseTerms(body []byte, separator rune) (*terms, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("is not UTF-8")
	}
	rows := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(body, []byte("\ufeff"))))
	rows.Comma, rows.FieldsPerRecord, rows.ReuseRecord, rows.LazyQuotes = separator, 2, true, separator == '\t'
	t := &terms{target: map[string]string{}}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		line, _ := rows.FieldPos(0)
		source, target := strings.TrimSpace(row[0]), strings.TrimSpace(row[1])
		if len(words(source)) == 0 || target == "" {
			return nil, fmt.Errorf("line %d: a term and its translation must have a word", line)
		}
		if _, twice := t.target[source]; twice {
			return nil, fmt.Errorf("line %d: the term %q is there twice", line, source)
		}
		t.add(source, target)
	}
	if len(t.target) == 0 {
		return nil, errors.New("there are no terms")
	}
	return t, nil
}

func (t *terms) add(source, target string) {
	t.target[source] = target
	t.longest = max(t.longest, len(words(source)))
}

// folded returns the same glossary, for which case does not count. Of terms that are then the
// same, the one that is smallest as it was written wins.
func (t *terms) folded() *terms {
	f := &terms{target: map[string]string{}, fold: true}
	written := map[string]string{}
	for source, target := range t.target {
		key := strings.ToLower(source)
		if before, twice := written[key]; !twice || source < before {
			written[key] = source
			f.add(key, target)
		}
	}
	return f
}

// apply translates a text. At every word the longest term that begins there counts; a word of
// which there is none stays, and so does all that is between words.
func (t *terms) apply(text string) string {
	var out strings.Builder
	out.Grow(len(text) + len(text)/8)
	all, copied := words(text), 0
	for i := 0; i < len(all); {
		target, n := t.find(text, all[i:])
		if n == 0 {
			i++
			continue
		}
		out.WriteString(text[copied:all[i].begin])
		out.WriteString(target)
		copied = all[i+n-1].end
		i += n
	}
	out.WriteString(text[copied:])
	return out.String()
}

// find returns the translation of the longest term at the first of some words, and how many of
// them it has; 0 where there is none.
func (t *terms) find(text string, at []span) (string, int) {
	for n := min(t.longest, len(at)); n > 0; n-- {
		source := text[at[0].begin:at[n-1].end]
		if t.fold {
			source = strings.ToLower(source)
		}
		if target, ok := t.target[source]; ok {
			return target, n
		}
	}
	return "", 0
}

// span is where a word is in a text.
type span struct{ begin, end int }

// words finds the words of a text: letters, marks, digits, and apostrophes within.
func words(text string) []span {
	var all []span
	begin, end := -1, 0
	for i, r := range text {
		switch {
		case unicode.IsLetter(r), unicode.IsMark(r), unicode.IsDigit(r):
			if begin < 0 {
				begin = i
			}
			end = i + len(string(r))
		case begin >= 0 && (r == '\'' || r == '\u2019') && end == i:
		default:
			if begin >= 0 {
				all = append(all, span{begin, end})
			}
			begin = -1
		}
	}
	if begin >= 0 {
		all = append(all, span{begin, end})
	}
	return all
}
