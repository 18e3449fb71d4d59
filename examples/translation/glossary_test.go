package main

import (
	"strings"
	"testing"
)

func parse(t *testing.T, text string) *terms {
	t.Helper()
	g, err := parseTerms([]byte(text), ',')
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// The longest term that begins at a word counts, case counts, and what has no term stays.
func TestTerms_Apply(t *testing.T) {
	t.Parallel()
	g := parse(t, "God,Gott\nthe,die\nthe LORD,der HERR\nthe LORD God,Gott der HERR\nday,Tag\nfather's,des Vaters\n\"a, b\",x\n")
	for _, tt := range [][2]string{
		{"", ""},
		{"God", "Gott"},
		{"God.", "Gott."},
		{"god", "god"},
		{"the LORD", "der HERR"},
		{"the LORD God said", "Gott der HERR said"},
		{"the LORD, God", "der HERR, Gott"},
		{"the  LORD", "die  LORD"},
		{"the\nLORD", "die\nLORD"},
		{"the lord", "die lord"},
		{"Godly days", "Godly days"},
		{"my father's day", "my des Vaters Tag"},
		{"the LORD the LORD God", "der HERR Gott der HERR"},
		{"(day) \"day\" day-day", "(Tag) \"Tag\" Tag-Tag"},
		{"a, b", "x"},
	} {
		if got := g.apply(tt[0]); got != tt[1] {
			t.Errorf("apply(%q) = %q, want %q", tt[0], got, tt[1])
		}
	}
}

func TestTerms_Folded(t *testing.T) {
	t.Parallel()
	g := parse(t, "God,Gott\ngod,gott\nIn the,Im\n").folded()
	for _, tt := range [][2]string{{"GOD", "Gott"}, {"in THE day", "Im day"}} {
		if got := g.apply(tt[0]); got != tt[1] {
			t.Errorf("apply(%q) = %q, want %q", tt[0], got, tt[1])
		}
	}
}

func TestParseTerms_Refused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                  "no terms",
		"a":                 "wrong number of fields",
		"a,b,c":             "wrong number of fields",
		"a,\n":              "line 1: a term and its translation",
		"a,b\n,c\n":         "line 2: a term and its translation",
		"a,b\n...,c\n":      "line 2: a term and its translation",
		"a,b\nc,d\n a ,e\n": `line 3: the term "a" is there twice`,
		"a,\"b\n":           "quote",
		"G\xf6tter,x\n":     "not UTF-8",
	} {
		if _, err := parseTerms([]byte(text), ','); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseTerms(%q) = %v, want %q", text, err, want)
		}
	}
}

func TestParseTerms_Tabs(t *testing.T) {
	t.Parallel()
	g, err := parseTerms([]byte("good day\tguten Tag\nthe 6\" disk\tdie Diskette\n"), '\t')
	if err != nil || g.apply("good day") != "guten Tag" || g.apply("the 6\" disk") != "die Diskette" {
		t.Errorf("terms with tabs = %v, %v; want guten Tag and die Diskette", g, err)
	}
}

// A spreadsheet writes a byte order mark, and lines that end as in Windows: neither is part of a
// term.
func TestParseTerms_Spreadsheet(t *testing.T) {
	t.Parallel()
	if got := parse(t, "\ufeffGod,Gott\r\nday,Tag\r\n").apply("God day"); got != "Gott Tag" {
		t.Errorf("apply = %q, want Gott Tag", got)
	}
}

// What comes with the example translates most of its text.
func TestTerms_Shipped(t *testing.T) {
	t.Parallel()
	g, text := shipped(t), octateuch(t)
	if len(text) < 1<<20 || len(g.target) < 300 {
		t.Fatalf("%d bytes and %d terms, want 1 MiB and 300 at least", len(text), len(g.target))
	}
	first, _, _ := strings.Cut(g.apply(text), "\n")
	if want := "Ge1:1 Am Anfang Gott schuf Himmel und Erde."; first != want {
		t.Errorf("it begins %q, want %q", first, want)
	}
}

// A glossary of others' making never fails to apply, and one without a term that occurs changes
// nothing.
func FuzzTerms(f *testing.F) {
	f.Add("the LORD,der HERR\nGod,Gott\n", "And the LORD God's day")
	f.Add("\"a,b\",c\n", "a,b '' x'")
	f.Add("\xff,x\nü,y", "ü\xff")
	f.Fuzz(func(t *testing.T, glossary, text string) {
		g, err := parseTerms([]byte(glossary), ',')
		if err != nil {
			return
		}
		g.apply(text)
		g.folded().apply(text)
		for source, target := range g.target {
			if len(words(source)) > 0 && source == text && g.apply(text) != target && words(text)[0] == (span{0, len(text)}) {
				t.Errorf("apply(%q) = %q, want %q", text, g.apply(text), target)
			}
		}
		if none := parse(t, "zzzzzz,y\n"); !strings.Contains(text, "zzzzzz") && none.apply(text) != text {
			t.Errorf("apply(%q) = %q without a term in it", text, none.apply(text))
		}
	})
}
