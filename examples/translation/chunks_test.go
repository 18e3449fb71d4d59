package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// cutUp returns the chunks of a text.
func cutUp(t *testing.T, r io.Reader) []string {
	t.Helper()
	var all []string
	for c := (&chunks{r: r}); ; {
		chunk, err := c.next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(chunk))
	}
}

func TestChunks(t *testing.T) {
	t.Parallel()
	line := strings.Repeat("x", 99) + "\n"
	for _, tt := range []struct {
		name, text string
		chunks     int
		ends       string // of all chunks but the last
	}{
		{"empty", "", 0, ""},
		{"one", "a", 1, ""},
		{"whole", strings.Repeat("a", chunkBytes), 1, ""},
		{"lines", strings.Repeat(line, 2000), 13, "x\n"},
		{"one long line", strings.Repeat("word ", chunkBytes), 6, " "},
		{"no words", strings.Repeat("x", 3*chunkBytes), 3, "x"},
		{"characters", "x" + strings.Repeat("ü", chunkBytes), 3, "ü"},
	} {
		got := cutUp(t, strings.NewReader(tt.text))
		if strings.Join(got, "") != tt.text || len(got) != tt.chunks {
			t.Errorf("%s: %d chunks, want %d that make up the text", tt.name, len(got), tt.chunks)
		}
		for i, c := range got {
			if i < len(got)-1 && !strings.HasSuffix(c, tt.ends) {
				t.Errorf("%s: chunk %d ends in %q, want %q", tt.name, i, c[len(c)-4:], tt.ends)
			}
		}
	}
}

func TestChunks_ReadError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	c := &chunks{r: iotest.ErrReader(broken)}
	if _, err := c.next(); !errors.Is(err, broken) {
		t.Errorf("next = %v, want what the reader says", err)
	}
	if _, err := survey(t.Context(), iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("survey = %v, want what the reader says", err)
	}
}

// A run that is cancelled does not read a large text to its end.
func TestSurvey_Cancelled(t *testing.T) {
	t.Parallel()
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stopped)
	if _, err := survey(ctx, strings.NewReader("a")); !errors.Is(err, stopped) {
		t.Errorf("survey = %v, want the cause", err)
	}
}

func TestSurvey(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   string
		want text
	}{
		{"", text{}},
		{"Größe", text{characters: 5}},
		{strings.Repeat("ü", 100_000), text{characters: 100_000}},
		{"a\xffb", text{characters: 3, broken: true}},
		{strings.Repeat("a", chunkBytes) + "\xc3", text{characters: chunkBytes + 1, broken: true}},
	} {
		if got, err := survey(t.Context(), strings.NewReader(tt.in)); err != nil || got != tt.want {
			t.Errorf("survey of %d bytes = %+v, %v; want %+v", len(tt.in), got, err, tt.want)
		}
	}
}

// Where a text is cut depends on the text alone: a run after a crash must find the same chunks.
func FuzzChunks(f *testing.F) {
	f.Add("a\nb c", 1)
	f.Add("ü ", 7)
	f.Add("\xff\xc3", 9000)
	f.Fuzz(func(t *testing.T, text string, times int) {
		if len(text) == 0 || len(text) > 1000 || times < 1 || times > 100_000/len(text) {
			t.Skip()
		}
		text = strings.Repeat(text, times)
		got := cutUp(t, strings.NewReader(text))
		if strings.Join(got, "") != text {
			t.Fatal("the chunks are not the text")
		}
		again := cutUp(t, iotest.HalfReader(strings.NewReader(text)))
		if len(again) != len(got) {
			t.Fatalf("%d chunks, and %d when read in small parts", len(got), len(again))
		}
		for i := range got {
			if got[i] != again[i] || got[i] == "" || utf8.ValidString(text) && !utf8.ValidString(got[i]) {
				t.Fatalf("chunk %d is empty, cut within a character, or another one when read in small parts", i)
			}
		}
	})
}
