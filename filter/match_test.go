package filter

import (
	"testing"

	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// full is a book in which everything is set.
const full = `{
	"title": "The Whale", "lent": true, "pages": 635, "copies": 4000000000, "bytesRead": "9007199254740993", "letters": "18446744073709551615",
	"weight": 0.1, "price": 12.5, "genre": "NOVEL", "cover": "AAEC",
	"printed": "2012-04-21T15:30:00.000000001Z", "length": "1.200s",
	"first": {"name": "Etymology", "number": "-30", "inner": {"name": "deep"}},
	"parts": [{"name": "Loomings", "number": "1", "parts": [{"name": "sub"}]}, {"name": "The Carpet-Bag", "number": "2"}],
	"tags": ["sea", "whale"], "labels": {"env": "prod", "empty": "", "a.b": "dotted", "AND": "x"},
	"shelves": {"-7": {"name": "low", "number": "3"}}, "switches": {"true": "5"},
	"extra": {"@type": "type.googleapis.com/book.Part", "name": "packed", "number": "9", "inner": {"name": "within"}},
	"extras": [
		{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "QUOTA", "metadata": {"k": "v"}},
		{"@type": "type.googleapis.com/book.Part", "name": "other"}],
	"info": {"s": "text", "n": 5, "b": true, "z": null, "o": {"in": "x"}, "l": ["p", {"q": 1}]},
	"open": {"@type": "type.googleapis.com/google.protobuf.Struct", "value": {"key": "free", "count": 2}},
	"note": ""
}`

func TestMatch_Full(t *testing.T) {
	t.Parallel()
	m := parseBook(t, full)
	for filter, want := range map[string]bool{
		"": true, " ": true, // FLT-01
		// FLT-14, FLT-20: numbers, exactly.
		"pages = 635": true, "pages != 635": false, "pages < 636": true, "pages <= 634": false, "pages > 634": true, "pages >= 635": true,
		"pages = 6.35e2": true, "pages = 635.0": true, "pages = 0": false, "pages:635": true, `pages = "635"`: true, "pages:*": true,
		"copies = 4000000000": true, "copies > 3999999999": true,
		"bytes_read = 9007199254740993": true, "bytes_read = 9007199254740992": false, "bytes_read > 9007199254740992": true, "bytes_read >= -9223372036854775808": true,
		"letters = 18446744073709551615": true, "letters < 18446744073709551615": false, "letters > 18446744073709551614": true,
		"weight = 0.1": true, "weight > 0.1": false, "price = 12.5": true, "price = 1.25e1": true, "price > 1e300": false, "price > -1": true,
		// FLT-15, FLT-16, FLT-19: bools and enums.
		"lent = true": true, "lent:true": true, "lent != true": false, "lent:*": true,
		"genre = NOVEL": true, "genre:NOVEL": true, "genre != POEM": true, "genre = UNKNOWN": false, "genre:*": true,
		// FLT-21: instants, to the nanosecond.
		`printed = "2012-04-21T11:30:00.000000001-04:00"`: true, `printed > "2012-04-21T15:30:00Z"`: true, `printed < "2012-04-21T15:30:00.000000002Z"`: true,
		`printed != "2012-04-21T15:30:00Z"`: true, `printed:"2012-04-21T15:30:00.000000001Z"`: true, "printed:*": true, "printed.nanos = 1": true,
		// FLT-22: durations, by their quantity.
		"length = 1.2s": true, "length = 1.200s": true, "length > 1s": true, "length > -1s": true, "length < 1.200000001s": true, "length:*": true,
		// FLT-23, FLT-24, FLT-38: strings.
		`title = "The Whale"`: true, `title = "the whale"`: false, `title = "The*"`: true, `title = "*Whale"`: true, `title = "*e W*"`: true, `title = "*x*"`: false,
		`title != "The*"`: false, "title:The*": true, "title:The": false, `title = "*"`: true, `title = "\*"`: false, `title < "Thf"`: true, `title >= "The Whale"`: true, "title:*": true,
		`title < "The*"`: true, `title = "The Whale*"`: true, `title = "**"`: true,
		// FLT-25, FLT-36: into messages, maps, lists and Structs.
		"first.name = Etymology": true, "first.number = -30": true, "first.inner.name = deep": true, "first:*": true, "first:name": true, "first:parts": false, "first.parts:*": false,
		"tags:sea": true, "tags:se*": true, "tags:land": false, "tags:*": true, "parts:*": true, "parts.name:Loomings": true, "parts.name:Nothing": false, "parts.number:2": true,
		"parts.parts.name:sub": true, "parts.parts:*": true, "parts.name:*": true, "parts.inner:*": false,
		"labels:env": true, "labels:none": false, "labels:*": true, "labels.env:*": true, "labels.empty:*": true, "labels.none:*": false, "labels.env:prod": true,
		"labels.env = prod": true, "labels.env != prod": false, "labels.none != prod": false, `labels."a.b" = dotted`: true, `labels.AND = "x"`: true, // FLT-43
		"shelves:-7": true, "shelves.-7.name = low": true, "shelves.-7:*": true, "shelves.-7:number": true, "shelves.8.name = low": false,
		"switches:true": true, "switches.true = 5": true, "switches.false = 5": false,
		"info:s": true, "info:x": false, "info:*": true, "info.s = text": true, "info.n > 4": true, "info.n = text": false, "info.b = true": true, "info.z = null": true, "info.z:*": true,
		"info.o.in = x": true, "info.o:in": true, "info.l:p": true, "info.l.q:1": true, "info.l = p": false, "info.l:*": true, "info.x = 1": false, "info.s.t = 1": false,
		// FLT-28: into an Any.
		"extra:*": true, "extra.name = packed": true, "extra.inner.name = within": true, "extra:name": true, "extra:parts": false, "extra.number >= 9": true,
		"extra.@type = type.googleapis.com/book.Part": true, `extra.@type = "*Part"`: true, "extra:@type": true, "extra.@type != x": true,
		"extras.reason:QUOTA": true, "extras.reason:OTHER": false, "extras.metadata.k:v": true, "extras.metadata:k": true, "extras.name:other": true, "extras:*": true,
		`extras.@type:"*ErrorInfo"`: true,
		"open.key = free":           true, "open.count = 2": true, "open.none = 2": false, "open:key": true,
		// FLT-37: what is there and default is not there.
		"note:*": false, `note = ""`: true,
		"cover:*": true,
		// FLT-40: composite arguments.
		"title:(x OR The*)": true, "title=(x OR y)": false, "tags:(sea whale)": true, "tags:(sea AND land)": false, "pages = (1 OR 635)": true, "tags:(NOT land)": true, "tags:(-sea)": false,
		"first.number = (-30)": true, "first.number = (5 OR -30)": true, "title:(-x)": true,
		// FLT-41, FLT-17, FLT-18: values without a field, in the texts that are said.
		"Whale": true, "whale": false, "Etym": true, "Loomings": false, "packed": true, "within": true, "lent": false, "true": false, `"The W"`: true, "*hal*": true, "*": true,
		// FLT-07, FLT-08, FLT-31.
		"NOT pages = 635": false, "-pages = 1": true, "-labels.none = x": true, "NOT (pages = 1 OR lent = true)": false,
	} {
		if got := matches(t, filter, m); got != want {
			t.Errorf("%s = %v, want %v", filter, got, want)
		}
	}
}

// FLT-30, FLT-31, FLT-33, FLT-35: what is not set.
func TestMatch_Empty(t *testing.T) {
	t.Parallel()
	m := parseBook(t, `{}`)
	for filter, want := range map[string]bool{
		// A scalar that is not set is its default,
		"pages = 0": true, "pages != 1": true, "pages:*": false, "lent = false": true, "lent:*": false, "genre = UNKNOWN": true, `title = ""`: true, "title:*": false,
		`note = ""`: true, "note:*": false, `title != "x"`: true, "title < a": true, `title = "*"`: true,
		// and what is behind a message that is not set matches nothing.
		"first.number = 0": false, "first.number != 1": false, `first.name = ""`: false, "first:*": false, "NOT first.number = 1": true,
		`printed != "2012-04-21T15:30:00Z"`: false, "length < 1s": false, "extra.number != 1": false, `extra.@type != "x"`: false, "extra:*": false, "NOT extra:*": true,
		"labels.env != prod": false, "labels:*": false, "tags:*": false, "tags:x": false, "parts.name:x": false, "info.x != 1": false, "info:*": false,
		// FLT-32: the other branch still counts.
		"first.number = 1 OR pages = 0": true,
		"x":                             false,
	} {
		if got := matches(t, filter, m); got != want {
			t.Errorf("%s = %v, want %v", filter, got, want)
		}
	}
}

// FLT-28: a payload of another type, of no type and of bad bytes is not set, and
// never an error.
func TestMatch_Payloads(t *testing.T) {
	t.Parallel()
	any := func(url string, value []byte) *dynamicpb.Message {
		m := dynamicpb.NewMessage(book)
		extra := m.Mutable(book.Fields().ByName("extra")).Message()
		extra.Set(extra.Descriptor().Fields().ByNumber(1), must(protoValue(url)))
		extra.Set(extra.Descriptor().Fields().ByNumber(2), must(protoValue(value)))
		return m
	}
	const part = "type.googleapis.com/book.Part"
	for name, m := range map[string]*dynamicpb.Message{
		"unknown type": any("type.googleapis.com/no.Such", []byte("xx")),
		"no type":      any("", nil),
		"bad bytes":    any(part, []byte{0xff, 0xff}),
		"other type":   any("type.googleapis.com/google.rpc.ErrorInfo", nil),
		"an Any":       any("type.googleapis.com/google.protobuf.Any", nil),
		"a Struct":     any("type.googleapis.com/google.protobuf.Struct", []byte{0x0a, 0x08, 0x0a, 0x04, 'n', 'a', 'm', 'e', 0x12, 0x00}),
	} {
		for filter, want := range map[string]bool{
			`extra.name = ""`: false, "extra.name != x": false, "extra:name": false, "NOT extra.name = x": true, "extra:*": true, "extra.@type != x": true, "text": false,
		} {
			if got := matches(t, filter, m); got != want {
				t.Errorf("%s: %s = %v, want %v", name, filter, got, want)
			}
		}
	}
	if !matches(t, `extra.name = ""`, any(part, nil)) || !matches(t, `extra.name = ""`, any("book.Part", nil)) {
		t.Error(`extra.name = "" does not match an empty Part`)
	}
	nul := []byte{0x0a, 0x01, 0}
	if !matches(t, "extra.name = \"\x00\"", any(part, nul)) {
		t.Error("a NUL does not match itself")
	}
}

// Match is told which message it gets.
func TestMatch_OtherMessage(t *testing.T) {
	t.Parallel()
	f, err := bookSchema.Compile("pages = 1")
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := f.Match(&emptypb.Empty{}); ok || err == nil {
		t.Errorf("Match of another message = %v, %v; want an error", ok, err)
	}
}

// FLT-52: a filter may be used at once by many.
func TestMatch_Concurrent(t *testing.T) {
	t.Parallel()
	m := parseBook(t, full)
	f, err := bookSchema.Compile("extra.name = packed extras.reason:QUOTA packed")
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for range 100 {
				if ok, err := f.Match(m); !ok || err != nil {
					t.Errorf("Match = %v, %v; want true", ok, err)
				}
			}
		})
	}
}
