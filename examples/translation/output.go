package main

import (
	"bytes"
	"encoding/csv"
	"path"
	"strings"
)

// output names the objects that a batch writes, as the API documents it.
type output struct {
	prefix string // path; ends in a slash
}

// translations is the object of the translation of an input, a_b_c_TARGET_glossary_translations.txt
// for a/b/c.txt.
func (o output) translations(input, target string) string {
	return o.name(input, target, "glossary_translations")
}

// errors is the object that says why an input was not translated.
func (o output) errors(input, target string) string { return o.name(input, target, "glossary_errors") }

func (o output) index() string { return o.prefix + "index.csv" }

func (o output) name(input, target, what string) string {
	ext := path.Ext(input)
	return o.prefix + strings.ReplaceAll(strings.TrimSuffix(input, ext), "/", "_") + "_" + target + "_" + what + ext
}

// entry is a row of the index: what was made of one input for one target. An object that there is
// not is empty.
type entry struct{ input, target, translations, errors string }

// indexOf is the index of a batch, in the API's columns: input_file, target_language_code,
// translations_file, errors_file, glossary_translations_file, glossary_errors_file. What would be
// without a glossary is empty, as there is no model.
func indexOf(entries []entry) ([]byte, error) {
	var body bytes.Buffer
	w := csv.NewWriter(&body)
	for _, e := range entries {
		if err := w.Write([]string{uriOf(e.input), e.target, "", "", uriOf(e.translations), uriOf(e.errors)}); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return body.Bytes(), w.Error()
}

func uriOf(name string) string {
	if name == "" {
		return ""
	}
	return scheme + name
}
