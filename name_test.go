package longrun_test

import (
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/longrun-dev/longrun"
)

const someID = "0192f0c1-2d3e-7f40-8a5b-6c7d8e9fa0b1"

func TestParseName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in     string
		parent string
	}{
		{"operations/" + someID, ""},                                                         // NM-03
		{"projects/p/operations/" + someID, "projects/p"},                                    // NM-04
		{"projects/p/locations/eu-1/operations/" + someID, "projects/p/locations/eu-1"},      // NM-04
		{"projects/example.com:p1/operations/" + someID, "projects/example.com:p1"},          // a legacy project id
		{"operations/x/operations/" + someID, "operations/x"},                                // a parent may be an operation's name
		{strings.Repeat("p", longrun.MaxParentBytes) + "/operations/" + someID, "1024 long"}, // NM-08: at the limit
	} {
		if tt.parent == "1024 long" {
			tt.parent = strings.Repeat("p", longrun.MaxParentBytes)
		}
		n, err := longrun.ParseName(tt.in)
		if err != nil {
			t.Errorf("ParseName(%.60q) = %v", tt.in, err)
			continue
		}
		if n.Parent != tt.parent || n.ID.String() != someID {
			t.Errorf("ParseName(%.60q) = parent %.60q, id %v; want %.60q, %s", tt.in, n.Parent, n.ID, tt.parent, someID)
		}
		if got := n.String(); got != tt.in {
			t.Errorf("String() = %.60q, want %.60q", got, tt.in)
		}
	}
}

// NM-09, NM-11: a well-formed name that is not one of ours is asked for like any
// other, and found nowhere.
func TestParseName_Foreign(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"operations/does-not-exist",
		"projects/p/operations/12345",
		"operations/" + strings.ToUpper(someID),                                      // NM-06: names are case sensitive
		"operations/" + strings.ReplaceAll(someID, "-", ""),                          // one spelling only
		"operations/00000000-0000-0000-0000-000000000000",                            // the zero ID is no operation's
		strings.Repeat("p", longrun.MaxParentBytes+1) + "/operations/" + someID[:35], // no parent is so long
		"operations/" + strings.Repeat("x", longrun.MaxNameBytes-len("operations/")), // NM-08: at the limit
		"projects/none/locations/l1/operations/x",                                    // NM-10
	} {
		n, err := longrun.ParseName(in)
		if err != nil {
			t.Errorf("ParseName(%.60q) = %v", in, err)
			continue
		}
		if !n.ID.IsZero() {
			t.Errorf("ParseName(%.60q).ID = %v, want the zero ID", in, n.ID)
		}
		if got := n.String(); got != in {
			t.Errorf("String() = %.60q, want %.60q", got, in)
		}
	}
}

func TestParseName_Malformed(t *testing.T) {
	t.Parallel()
	for in, why := range map[string]string{
		"":                                        "GET-05: a name is required",
		"/operations/" + someID:                   "NM-08: leading slash",
		"operations/":                             "NM-08: no id",
		"operations//" + someID:                   "NM-08: empty segment",
		"operations/" + someID + "/":              "NM-08: trailing slash",
		"foo":                                     "NM-08: no collection",
		someID:                                    "NM-08: no collection",
		"operations":                              "NM-08: the collection itself",
		"projects/p/instances/i":                  "NM-11: another type",
		"projects/p/Operations/" + someID:         "NM-06: case sensitive",
		"projects/p/myoperations/" + someID:       "NM-03: another collection",
		"operations/a b":                          "NM-08: a space",
		"operations/a\nb":                         "NM-08: a control character",
		"operations/a%2Fb":                        "NM-08: escapes are undone at the edge, or not at all",
		"operations/a?b":                          "NM-05: a character that URLs escape",
		"operations/\u00e9":                       "NM-06: not ASCII",
		"operations/e\u0301":                      "NM-06: not NFC",
		"operations/\xff":                         "NM-08: not UTF-8",
		"operations/..":                           "NM-05: Go's clients refuse it",
		"operations/.":                            "NM-05",
		"../operations/" + someID:                 "NM-05",
		"operations/-":                            "NM-05: the wildcard",
		"projects/-/operations/" + someID:         "GET-08: wildcards are for lists",
		"projects/-/locations/-/operations/x":     "GET-08",
		"operations/" + someID + ":cancel":        "HTTP-07: a verb is no part of a name",
		"operations/x:wait":                       "HTTP-07",
		"//example.com/operations/" + someID:      "NM-12: full resource name",
		"https://example.com/operations/x":        "NM-12: URL",
		"projects/p/operations/operations/x":      "NM-08: a parent does not end in the collection",
		"p//q/operations/" + someID:               "NM-08: empty segment in the parent",
		"operations/" + strings.Repeat("x", 1014): "NM-08: 1025 bytes",
	} {
		n, err := longrun.ParseName(in)
		if err == nil {
			t.Errorf("ParseName(%.60q) = %v, want an error: %s", in, n, why)
			continue
		}
		wantError(t, err, codes.InvalidArgument, longrun.ReasonInvalidOperationName)
		if got := fieldOf(err); got != "name" {
			t.Errorf("ParseName(%.60q): field = %q, want %q", in, got, "name")
		}
		if n != (longrun.Name{}) {
			t.Errorf("ParseName(%.60q) = %v beside an error, want the zero Name", in, n)
		}
	}
}

func TestName_Zero(t *testing.T) {
	t.Parallel()
	for _, n := range []longrun.Name{{}, {Parent: "projects/p"}} {
		if got := n.String(); got != "" {
			t.Errorf("%#v.String() = %q, want none", n, got)
		}
	}
}

// NM-02, NM-05: ids are unique, need no escaping and are sorted by time.
func TestNewID(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	seen := map[longrun.ID]bool{}
	last := ""
	for range 10_000 {
		id := longrun.NewID()
		if id.IsZero() || seen[id] {
			t.Fatalf("NewID() = %v, want one never seen", id)
		}
		seen[id] = true
		if s := id.String(); !form.MatchString(s) || s[14] != '7' || s <= last {
			t.Fatalf("NewID() = %v after %v, want a later UUIDv7", s, last)
		}
		last = id.String()
	}
}

func TestNewSessionID(t *testing.T) {
	t.Parallel()
	a, b := longrun.NewSessionID(), longrun.NewSessionID()
	if a == b || a.IsZero() || len(a.String()) != 36 {
		t.Errorf("NewSessionID() = %v, %v; want two random ones", a, b)
	}
	if !(longrun.SessionID{}).IsZero() {
		t.Error("the zero SessionID is not zero")
	}
}

// A parsed name is spelled as it was written: there is one spelling of a name.
func FuzzParseName(f *testing.F) {
	for _, s := range []string{"", "operations/" + someID, "projects/p/operations/x", "a/operations/operations/b", "operations/x:y", "-/operations/-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := longrun.ParseName(s)
		if err != nil {
			return
		}
		if got := n.String(); got != s {
			t.Errorf("ParseName(%q).String() = %q", s, got)
		}
		if again, err := longrun.ParseName(n.String()); err != nil || again != n {
			t.Errorf("parsed again: %v, %v; want %v", again, err, n)
		}
		if len(s) > longrun.MaxNameBytes || strings.ContainsAny(s, " %?#\\\x00") || !strings.Contains(s, "operations/") {
			t.Errorf("ParseName(%q) accepts it", s)
		}
	})
}
