package longrun_test

import (
	"testing"

	"github.com/longrun-dev/longrun"
)

// Generated code does not compile without it.
const _ = longrun.SupportPackageIsVersion1

// The operations of Google's APIs live beneath the location of what they work on
// , and those of others beside it.
func TestUnderParent(t *testing.T) {
	t.Parallel()
	for parent, want := range map[string]string{
		"":                                     "",
		"shelves/s":                            "shelves/s",
		"projects/p":                           "projects/p",
		"projects/p/locations":                 "projects/p/locations",
		"projects/p/locations/l":               "projects/p/locations/l",
		"projects/p/locations/l/glossaries/g":  "projects/p/locations/l",
		"projects/p/locations/l/a/b/c/d":       "projects/p/locations/l",
		"projects/p/regions/r/disks/d":         "projects/p/regions/r/disks/d",
		"projects//locations/l":                "projects//locations/l",
		"projects//locations/l/glossaries/g":   "projects//locations/l/glossaries/g",
		"projects/p/locations/":                "projects/p/locations/",
		"folders/f/projects/p/locations/l":     "folders/f/projects/p/locations/l",
		"publishers/p/locations/l":             "publishers/p/locations/l",
		"projects/p/locations/-/glossaries/-":  "projects/p/locations/-", // which Start refuses
		"organizations/o/locations/l/things/t": "organizations/o/locations/l/things/t",
	} {
		if got := longrun.UnderParent(parent); got != want {
			t.Errorf("UnderParent(%q) = %q, want %q", parent, got, want)
		}
	}
}

func TestBesideResource(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"":                                    "",
		"shelves/s":                           "",
		"shelves/s/books/b":                   "shelves/s",
		"projects/p":                          "",
		"projects/p/glossaries/g":             "projects/p",
		"projects/p/locations/l":              "projects/p/locations/l",
		"projects/p/locations/l/glossaries/g": "projects/p/locations/l",
		"config":                              "", // AIP-156: singletons
		"users/u/config":                      "users/u",
	} {
		if got := longrun.BesideResource(name); got != want {
			t.Errorf("BesideResource(%q) = %q, want %q", name, got, want)
		}
	}
}
