package filter

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// FLT-45: what does not fit the schema is found without a message. FLT-44: where.
func TestCompile_Errors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		filter string
		column int
		in     string // part of the message
	}{
		{"true = lent", 1, "no field"},                                      // FLT-12
		{"lent > false", 8, "no order"}, {"genre >= NOVEL", 10, "no order"}, // FLT-15
		{"lent = TRUE", 8, "true or false"}, {"lent = 1", 8, "true or false"}, {"lent=yes", 6, ""}, // FLT-16
		{"lent = null", 8, ""}, {"lent = *", 8, ""}, {"lent = ''", 8, ""}, // FLT-17
		{"genre = novel", 9, "names of book.Genre"}, {"genre = 1", 9, ""}, {"genre:X", 7, ""}, {"genre = *", 9, ""}, // FLT-19
		{"pages = six", 9, "a number"}, {"pages = 2147483648", 9, "out of the range"}, {"pages = -2147483649", 9, "out of the range"}, {"pages = 1.5", 9, "whole"}, // FLT-20
		{"pages = 1e400", 9, "out of the range"}, {"pages = 1e99999999999", 9, "out of the range"}, {"pages = 1e-99999999999", 9, "whole"}, {"pages = 0x10", 9, "a number"}, {"pages = 1_000", 9, ""}, {"pages = +5", 9, ""},
		{"pages = 1.", 11, "field or value"}, {"pages = 1e", 9, ""}, {"pages = -", 9, ""}, {"pages = inf", 9, ""}, {"pages = 6*", 9, ""},
		{"copies = -1", 10, "out of the range"}, {"copies = 4294967296", 10, "out of the range"},
		{"bytes_read = 9223372036854775808", 14, "out of the range"}, {"letters = 18446744073709551616", 11, "out of the range"}, {"letters < -1", 11, "out of the range"},
		{"price = 1e309", 9, "out of the range"}, {"weight = 1e39", 10, "out of the range"}, {"price = NaN", 9, "a number"},
		{`printed = "2012-04-21"`, 11, "a time"}, {`printed = "2012-04-21T11:30:00"`, 11, ""}, {`printed = "2012-04-21 11:30:00Z"`, 11, ""}, {`printed = "2012-04-21T11:30:00.Z"`, 11, ""}, // FLT-21
		{`printed = "2012-04-21T11:30:00,5Z"`, 11, ""}, {`printed = "2012-04-21T11:30:00.1234567890Z"`, 11, ""}, {`printed = "2012-02-30T11:30:00Z"`, 11, ""}, {`printed = "2012-04-21T24:30:00Z"`, 11, ""},
		{`printed = "2012-04-21T11:30:00+24:00"`, 11, ""}, {`printed = "2012-04-21T11:30:00z"`, 11, ""}, {`printed = "12-04-21T11:30:00Z"`, 11, ""}, {"printed = 2012", 11, ""}, {"printed = *", 11, ""},
		{"length = 20", 10, "a duration"}, {"length = 20m", 10, ""}, {"length = 1e3s", 10, ""}, {"length = 1.0000000001s", 10, ""}, {"length = 315576000001s", 10, ""}, {"length = s", 10, ""}, // FLT-22
		{`title = "a*b"`, 9, "star"}, {"title != a*b*", 10, "star"}, {"title:*a*b", 7, "star"}, {"a*b", 1, "star"}, {"tags:a*b", 6, "star"}, {"info.s = a*b", 10, "star"}, // FLT-24
		{"parts.name = x", 7, "repeated"}, {"tags = sea", 8, "only with :"}, {"extras.reason = X", 8, "repeated"}, {"parts.name != x", 7, ""}, // FLT-25
		{"bytesRead = 1", 1, "bytes_read"},                                                                                             // FLT-26
		{"nope = 1", 1, "no field"}, {"first.nope = 1", 7, "book.Part"}, {"title.x = 1", 7, "no fields"}, {"tags.x:1", 6, "no fields"}, // FLT-27
		{"extra.nope = 1", 7, "no message"}, {"extra:nope", 7, "no message"}, {"extra.number = x", 16, "a number"}, {"extras.nope:1", 8, ""}, {"extra.@type.x = 1", 13, ""}, // FLT-28
		{"first = x", 9, "only with :"}, {"extra = x", 9, ""}, {"labels = x", 10, ""}, {"info = x", 8, ""}, {"first:nope", 7, "no field"}, {"parts:x", 7, "list of messages"},
		{"parts.0.name = x", 7, ""}, {"parts.0.name:x", 7, "no field"}, {"parts[0].name:x", 1, "no field"}, {"tags.0:x", 6, ""}, // FLT-39
		{"shelves.x.name = a", 9, "key"}, {"shelves:x", 9, "key"}, {"switches.yes = 1", 10, "key"}, {"shelves.99999999999:*", 9, "key"},
		{"title:(a:b)", 8, "only values"}, {"title=(a OR b=c)", 13, "only values"}, {"pages=(1 OR x)", 13, "a number"}, {"pages=(-x)", 9, "a number"}, // FLT-40
		{`regex(title, ".*")`, 1, `"regex"`}, {"a.b()", 1, `"a.b"`}, {"title = f(x)", 9, `"f"`}, {"title:(f(x))", 8, `"f"`}, {"a OR f()", 6, ""}, // FLT-42
		{"cover = x", 9, "bytes"}, {"cover:x", 7, "bytes"},
		{"metadata = " + strings.Repeat("x", 100), 1, "no field"},
		{"pages = 1 AND (lent = true OR NOT nope:1)", 35, "no field"},
	} {
		_, err := bookSchema.Compile(tt.filter)
		e, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("Compile(%q) = %v, want an *Error", tt.filter, err)
			continue
		}
		checkError(t, tt.filter, err)
		if e.Column != tt.column || !strings.Contains(e.Msg, tt.in) {
			t.Errorf("Compile(%q): %v; want column %d and %q", tt.filter, e, tt.column, tt.in)
		}
	}
}

// A value is judged by what is promised where that has the field, and by all
// messages where it has not.
func TestCompile_Promised(t *testing.T) {
	t.Parallel()
	for filter, valid := range map[string]bool{
		"extra.number = 1": true, "extra.number = x": false, // of Part, which is promised
		"extra.pages = 1": true, "extra.pages = x": false, // of Book, which is not
		"extra.reason = x": true, "extra.reason:*": true,
		"open.anything = x": true, "open.any.thing:1": true, "open:anything": true, // a Struct is promised
		"extras.anything:x":                      false,
		"extra.extra.extra.extra.extra.name = x": true,
	} {
		_, err := bookSchema.Compile(filter)
		if (err == nil) != valid {
			t.Errorf("Compile(%q): %v, want valid = %v", filter, err, valid)
		}
	}
}

// Expr shows stores what was asked for.
func TestFilter_Expr(t *testing.T) {
	t.Parallel()
	f, err := bookSchema.Compile(`pages >= 9e0 OR NOT (title = "*x" lent = true) whale`)
	if err != nil {
		t.Fatal(err)
	}
	all := f.Expr().(All)
	pages := all[0].(Any)[0].(*Restriction)
	if n, ok := pages.Value.Int(); n != 9 || !ok || pages.Op != GreaterEqual || !slices.Equal(pages.Path, []string{"pages"}) {
		t.Errorf("first part = %+v, want pages >= 9", pages)
	}
	inner := all[0].(Any)[1].(Not).Expr.(All)
	if text, before, after := inner[0].(*Restriction).Value.Text(); text != "x" || !before || after {
		t.Errorf("Text() = %q, %v, %v; want x with a star before it", text, before, after)
	}
	if v, ok := inner[1].(*Restriction).Value.Bool(); !v || !ok {
		t.Errorf("Bool() = %v, %v; want true", v, ok)
	}
	text := all[1].(Text).Value
	if text := text.String(); text != "whale" {
		t.Errorf("the text = %q, want whale", text)
	}
	blank, err := bookSchema.Compile(" ")
	if err != nil || len(blank.Expr().(All)) != 0 {
		t.Errorf("a blank filter = %v, %v; want an All without parts", blank, err)
	}
}

// Payloads says which messages may matter, all of them.
func TestRestriction_Payloads(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string][]string{
		"extra.name = x":      {"book.Part"},
		"extra.pages = 1":     {"book.Book"},
		"extra.title = x":     {"book.Book"},
		"extra.seconds = 1":   {"google.protobuf.Duration", "google.protobuf.Timestamp"},
		"extra.seconds:*":     {"google.protobuf.Duration", "google.protobuf.Timestamp"},
		"extra.number = 1":    {"book.Part"},
		"extra.inner.name=x":  {"book.Part"},
		"extra.labels:x":      {"book.Book"},
		"open.reason = QUOTA": {"google.protobuf.Struct", "google.rpc.ErrorInfo"},
		"extra:name":          nil, // the path ends before
		"extra.@type = x":     nil,
	} {
		f, err := bookSchema.Compile(filter)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := f.Expr().(*Restriction).Payloads(1, 8)
		if slices.Sort(got); !slices.Equal(got, want) || ok != (want != nil) {
			t.Errorf("Payloads of %s = %q, %v; want %q", filter, got, ok, want)
		}
		if _, ok := f.Expr().(*Restriction).Payloads(1, len(want)-1); ok {
			t.Errorf("Payloads of %s within less than there are: true", filter)
		}
	}
}

// Options that lead nowhere are refused.
func TestNewSchema_Errors(t *testing.T) {
	t.Parallel()
	promise := func(path string) Options {
		return Options{Promised: map[string][]protoreflect.MessageType{path: {part}}}
	}
	for name, o := range map[string]Options{
		"text of no field": {Text: []string{"nope"}}, "text of a number": {Text: []string{"pages"}}, "text below a list": {Text: []string{"parts.name"}},
		"promise of no field": promise("nope"), "promise of no Any": promise("title"), "promise below an Any": promise("extra.name"), "empty path": promise(""),
	} {
		if s, err := NewSchema(book, o); err == nil {
			t.Errorf("%s: %v, want an error", name, s)
		}
	}
	if _, err := NewSchema(book, Options{}); err != nil {
		t.Errorf("zero Options: %v", err)
	}
}

// Without Options, all messages that are linked in are known, and every text is
// searched.
func TestNewSchema_Defaults(t *testing.T) {
	t.Parallel()
	s := must(NewSchema(book, Options{}))
	m := parseBook(t, full)
	for filter, want := range map[string]bool{"Loomings": true, "prod": true, "QUOTA": true, "sea": true, "text": true, "absent": false, "sub": true, "extras.reason:QUOTA": true} {
		f, err := s.Compile(filter)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := f.Match(m); got != want || err != nil {
			t.Errorf("%s = %v, %v; want %v", filter, got, err, want)
		}
	}
}

// FLT-47: within the limits, no filter takes long to check and to judge.
func TestCompile_HostileIsQuick(t *testing.T) {
	t.Parallel()
	m := parseBook(t, full)
	deep := "extra" + strings.Repeat(".extra", MaxDepth-2) + ".name = x"
	for name, filter := range map[string]string{
		"terms": strings.TrimSuffix(strings.Repeat("extra.extra.extra.title:x OR ", MaxTerms), " OR "),
		"texts": strings.TrimSuffix(strings.Repeat("x OR ", MaxTerms), " OR "),
		"deep":  strings.TrimSuffix(strings.Repeat(deep+" ", MaxBytes/(len(deep)+1)), " "),
		"zeros": "pages = 1e-8000 OR pages = 1" + strings.Repeat("0", 7000),
	} {
		const limit = 100 * time.Millisecond
		took := fastest(limit, func() {
			if f, err := bookSchema.Compile(filter); err == nil {
				f.Match(m) // what it says is another test's
			}
		})
		if took > limit {
			t.Errorf("%s took %v, want %v at most", name, took, limit)
		}
	}
}

// FuzzCompile: a filter is refused with an *Error, or judges every book without
// one, and NOT of it is the opposite.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		"pages = 635", `title = "*Whale" OR lent:true`, "extra.inner.name:*", "labels.env:prod parts.name:(a OR b)", "info.o.in = x", "NOT first.number = -30",
		`printed > "2012-04-21T15:30:00Z"`, "length <= 1.5s", "genre != POEM", "whale", "extras.@type:*", "tags:(-x)", "pages=(-5 OR 6e2)",
	} {
		f.Add(seed)
	}
	books := []protoreflect.ProtoMessage{parseBook(f, full), parseBook(f, "{}")}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := bookSchema.Compile(text)
		if err != nil {
			checkError(t, text, err)
			return
		}
		negated, err := bookSchema.Compile("NOT (" + text + ")")
		if err != nil {
			return // too long, too deep or blank
		}
		for _, b := range books {
			is, err := c.Match(b)
			isNot, err2 := negated.Match(b)
			if err != nil || err2 != nil || is == isNot {
				t.Errorf("%q = %v, %v; NOT of it = %v, %v", text, is, err, isNot, err2)
			}
		}
	})
}

// filter200 has 200 bytes.
const filter200 = `lent=true AND pages >= 300 AND (title = "The*" OR extra.name = packed) labels.env:prod ` +
	`printed > "2012-04-21T15:30:00Z" AND NOT genre = POEM AND length < 20s OR tags:whale AND price != 12.7500000001 h`

// cpu runs a benchmark and reports processor time too, which a busy machine does
// not stretch.
func cpu(b *testing.B, f func()) {
	b.Helper()
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	b.ReportAllocs()
	before := used()
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64((used()-before).Nanoseconds())/1000/float64(b.N), "cpu_us/op")
}

// The aim for 200 bytes is 10 microseconds.
func BenchmarkCompile(b *testing.B) {
	if len(filter200) != 200 {
		b.Fatalf("the filter has %d bytes, want 200", len(filter200))
	}
	cpu(b, func() {
		if _, err := bookSchema.Compile(filter200); err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	m, f := parseBook(b, full), must(bookSchema.Compile(filter200))
	cpu(b, func() {
		if ok, err := f.Match(m); err != nil || !ok {
			b.Fatal(ok, err)
		}
	})
}
