package longrun

import (
	"strings"
	"testing"
)

func TestMatchParent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, parent string
		want            bool
	}{
		{"", "", true},
		{"", "projects/p", false}, // LST-07: not recursive
		{"projects/p", "projects/p", true},
		{"projects/p", "projects/p/locations/l", false}, // LST-07
		{"projects/p/locations/l", "projects/p", false},
		{"projects/p", "projects/P", false}, // NM-06
		{"-", "", true},                     // every parent
		{"-", "projects/p", true},
		{"-", "projects/p/locations/l", true},
		{"projects/-", "projects/p", true}, // LST-08
		{"projects/-", "projects/p/locations/l", false},
		{"projects/-", "projects", false},
		{"projects/-", "folders/p", false},
		{"projects/-", "", false},
		{"projects/p/locations/-", "projects/p/locations/l", true},
		{"projects/-/locations/l", "projects/p/locations/l", true},
		{"projects/-/locations/-", "projects/p/locations/l", true},
		{"projects/-/locations/-", "projects/p/zones/l", false},
		{"-/-", "projects/p", true},
		{"-/-", "projects", false},
		{"-/-", "", false},
		{"projects/p-", "projects/px", false}, // a hyphen within a segment is no wildcard
	} {
		if got := MatchParent(tt.pattern, tt.parent); got != tt.want {
			t.Errorf("MatchParent(%q, %q) = %v, want %v", tt.pattern, tt.parent, got, tt.want)
		}
	}
}

func TestHasWildcard(t *testing.T) {
	t.Parallel()
	for parent, want := range map[string]bool{
		"": false, "-": true, "projects/-": true, "projects/-/x": true, "-/x": true, "a-b": false, "a/-b/c-": false,
	} {
		if got := HasWildcard(parent); got != want {
			t.Errorf("HasWildcard(%q) = %v, want %v", parent, got, want)
		}
	}
}

// LST-03: the bare parent and its collection are two spellings of one parent.
func TestParseListParent(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "operations": "",
		"projects/p": "projects/p", "projects/p/operations": "projects/p",
		"projects/-": "projects/-", "projects/-/operations": "projects/-", // LST-08
		"-": "-", "-/operations": "-",
		"operations/x": "operations/x",
	} {
		if got, err := ParseListParent(in); err != nil || got != want {
			t.Errorf("ParseListParent(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	if _, err := ParseListParent(strings.Repeat("p", MaxNameBytes)); err != nil {
		t.Errorf("a parent at the limit: %v", err)
	}
}

// LST-06: a malformed parent is INVALID_ARGUMENT.
func TestParseListParent_Malformed(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"/", "//", "/projects/p", "projects/p/", "projects//p", "projects/p//operations", "a b", "p/..", "p/./q",
		"projects/p/operations/operations", "operations/operations", "//example.com/p", "p\x00", strings.Repeat("p", MaxNameBytes+1),
	} {
		got, err := ParseListParent(in)
		if err == nil {
			t.Errorf("ParseListParent(%.40q) = %q, want an error", in, got)
			continue
		}
		if e := err.(*Error); e.Reason != ReasonInvalidOperationName || e.Field != "name" {
			t.Errorf("ParseListParent(%.40q) = reason %s, field %q", in, e.Reason, e.Field)
		}
	}
}

// NM-08: every name under a parent that may be started fits into a name.
func TestCheckParent_Limits(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("p", MaxParentBytes)
	if err := checkParent(longest); err != nil {
		t.Errorf("a parent at the limit: %v", err)
	}
	n := Name{Parent: longest, ID: NewID()}
	if got := len(n.String()); got != MaxNameBytes {
		t.Errorf("the name under it has %d bytes, want %d", got, MaxNameBytes)
	}
	if back, err := ParseName(n.String()); err != nil || back != n {
		t.Errorf("ParseName of it = %v, %v", back, err)
	}
	for _, in := range []string{longest + "p", "/", "a/", "projects/-", "-", "a/operations", "operations", "a b", "\u00e9"} {
		if err := checkParent(in); err == nil {
			t.Errorf("checkParent(%.40q) = nil, want an error", in)
		} else if e := err.(*Error); e.Field != "parent" {
			t.Errorf("checkParent(%.40q): field = %q, want parent", in, e.Field)
		}
	}
}
