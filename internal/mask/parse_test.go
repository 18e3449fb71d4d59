package mask

import (
	"errors"
	"strings"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
)

// must parses a mask that is right.
func must(t testing.TB, text string) Mask {
	t.Helper()
	m, err := Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return m
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		// SYS-06: absent or "*" is everything.
		{"", "*"},
		{" \t", "*"},
		{"*", "*"},
		{"name,*", "*"},
		{"*,name", "*"},

		// SYS-07: dotted paths, the classic forms, and both spellings of a field.
		{"name", "name"},
		{"name,done", "done,name"},
		{"operations.name,nextPageToken", "nextPageToken,operations.name"},
		{"operations/name", "operations.name"},
		{"operations(name)", "operations.name"},
		{"operations(name,done),next_page_token", "next_page_token,operations.done,operations.name"},
		{"a/b(c/d,e(f,g.h)),i", "a.b.c.d,a.b.e.f,a.b.e.g.h,i"},
		{"a.b/c", "a.b.c"},
		{"operations(*)", "operations.*"},
		{"operations.*.name", "operations.*.name"},

		// Paths are added up.
		{"a.b,a.c,a.b", "a.b,a.c"},
		{"a,a.b", "a,a.b"},
		{"a(b),a(c)", "a.b,a.c"},

		// Spaces around commas and parentheses.
		{" a , b ( c , d ) ,\te ", "a,b.c,b.d,e"},

		// AIP-161: keys of maps; in backticks with any letters.
		{"labels.team-1", "labels.team-1"},
		{"metadata.@type", "metadata.@type"},
		{"labels.`John Smith`.x", "labels.`John Smith`.x"},
		{"labels.`a.b/c(d),*`", "labels.`a.b/c(d),*`"},
		{"labels.`a``b`", "labels.`a``b`"},
		{"labels.`ab`", "labels.ab"},
		{"labels.`\u00e9`", "labels.`\u00e9`"},
		{"labels.``", "labels.``"},
		{"labels.````", "labels.````"},
		{"labels.`17`", "labels.`17`"},
		{"labels.17", "labels.17"},
		{"labels.`17`,labels.17", "labels.17"},
	} {
		if got := must(t, tt.text).String(); got != tt.want {
			t.Errorf("Parse(%q) = %s, want %s", tt.text, got, tt.want)
		}
	}
}

func TestParse_Wrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text   string
		offset int
		msg    string
	}{
		{",", 0, "expected a field"},
		{"a,", 2, "expected a field"},
		{"a,,b", 2, "expected a field"},
		{".a", 0, "expected a field"},
		{"a.", 2, "expected a field"},
		{"a..b", 2, "expected a field"},
		{"a//b", 2, "expected a field"},
		{"a. b", 2, "expected a field"},
		{"a.(b)", 2, "expected a field"},
		{"(a)", 0, "expected a field"},
		{"a()", 2, "expected a field"},
		{"a(", 2, "expected a field"},
		{"a(b", 3, "expected a comma or a closing parenthesis"},
		{"a(b.c(d)", 8, "expected a comma or a closing parenthesis"},
		{"a(b)c", 4, "expected a comma or the end"},
		{"a(b)/c", 4, "expected a comma or the end"},
		{"a(b)(c)", 4, "expected a comma or the end"},
		{"a)", 1, "expected a comma or the end"},
		{"a b", 2, "expected a comma or the end"},
		{"*a", 1, "expected a comma or the end"},
		{"a*", 1, "expected a comma or the end"},
		{"a;b", 1, "expected a comma or the end"},
		{"a[0]", 1, "expected a comma or the end"},
		{"\u00e9", 0, "expected a field"},
		{"a\x00", 1, "expected a comma or the end"},
		{"a.`b", 2, "a backtick that is not closed"},
		{"a.`b``", 2, "a backtick that is not closed"},
		{"a.`\xff`", 2, "a key that is not UTF-8"},
	} {
		m, err := Parse(tt.text)
		e, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("Parse(%q) = %v, %v, want an *Error", tt.text, m, err)
			continue
		}
		if e.Offset != tt.offset || e.Msg != tt.msg {
			t.Errorf("Parse(%q) = byte %d, %s, want byte %d, %s", tt.text, e.Offset, e.Msg, tt.offset, tt.msg)
		}
		if !m.All() {
			t.Errorf("Parse(%q) = %v beside its error, want the zero Mask", tt.text, m)
		}
	}
}

func TestError_Text(t *testing.T) {
	t.Parallel()
	_, err := Parse("name,")
	if got, want := err.Error(), "mask: byte 5: expected a field"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

func TestParse_Limits(t *testing.T) {
	t.Parallel()
	deep := func(n int, by string) string { return strings.TrimSuffix(strings.Repeat("a"+by, n), by) }
	nested := func(n int) string { return strings.Repeat("a(", n-1) + "a" + strings.Repeat(")", n-1) }
	wide := func(n int) string { return "a(" + strings.TrimSuffix(strings.Repeat("b,", n), ",") + ")" }
	for name, tt := range map[string]struct {
		most, past string
		msg        string
	}{
		"bytes":   {strings.Repeat("a", MaxBytes), strings.Repeat("a", MaxBytes+1), "more than 8192 bytes"},
		"paths":   {wide(MaxPaths), wide(MaxPaths + 1), "more than 256 paths"},
		"dots":    {deep(MaxDepth, "."), deep(MaxDepth+1, "."), "more than 32 segments in a path"},
		"slashes": {deep(MaxDepth, "/"), deep(MaxDepth+1, "/"), "more than 32 segments in a path"},
		"groups":  {nested(MaxDepth), nested(MaxDepth + 1), "more than 32 segments in a path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := Parse(tt.most); err != nil {
				t.Errorf("at the limit: %v, want none", err)
			}
			_, err := Parse(tt.past)
			if e, ok := errors.AsType[*Error](err); !ok || e.Msg != tt.msg {
				t.Errorf("one past the limit: %v, want %s", err, tt.msg)
			}
		})
	}
}

func TestMask_All(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"": true, "*": true, "a,*": true, "a": false, "a.*": false, "*.a": false} {
		if got := must(t, text).All(); got != want {
			t.Errorf("All of %q = %v, want %v", text, got, want)
		}
	}
	if !(Mask{}).All() {
		t.Error("All of the zero Mask = false, want true")
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "*", "name,done", "operations(name,metadata/progress),next_page_token", "a.`b``c`", "a(b", "a..b", " a , b (c)", "*.0"} {
		f.Add(seed)
	}
	list := (&longrunningpb.ListOperationsResponse{}).ProtoReflect().Descriptor()
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse(text)
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Offset < 0 || e.Offset > len(text) {
				t.Fatalf("Parse(%q) = %#v, want an *Error within the text", text, err)
			}
			return
		}
		canonical := m.String()
		if len(canonical) <= MaxBytes {
			if again := must(t, canonical).String(); again != canonical {
				t.Fatalf("Parse(%q) = %s, and that is read as %s", text, canonical, again)
			}
		}
		valid := m.Validate(list)
		page := fixture(t)
		kept, err := m.Apply(page, nil)
		if err != nil {
			return
		}
		checkSubset(t, text, page, kept)
		twice, err := m.Apply(kept, nil)
		if err != nil {
			t.Fatalf("Apply of %q to what it kept: %v", text, err)
		}
		if valid == nil {
			checkEqual(t, text, twice, kept)
		}
	})
}
