package main

import (
	"strings"
	"testing"
	"testing/fstest"
)

// The rules here have prefixes that docs/spec.md does not have, so that the tool
// does not take its own tests for tests of the real rules.
const smallSpec = `# A spec

## 1. First

| Id | Rule | Level | Basis |
|---|---|---|---|
| ZA-01 | a bar \| in the rule | MUST NOT set | N |
| ZA-02 | two | SHOULD / MUST | N |
| ZA-04 | four; three was taken out | - | N |

## 2. Second

### 2.1 Part

| ZB-01 | one, see ZA-01 | MAY | N |
`

func tree(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{
		"docs/spec.md":        {Data: []byte(smallSpec)},
		"docs/spec-later.txt": {Data: []byte("# none\n")},
	}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

func TestCheck_Report(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	ok, err := check(tree(map[string]string{
		"get_test.go":                        "package longrun\n\n// ZA-01 to\n// ZA-02: two rules.\nfunc TestGet() {}\n",
		"storetest/get.go":                   "package storetest\n\nfunc testGet() { _ = \"ZA-01\" }\n",
		"sqlite/get.go":                      "package sqlite\n\n// ZA-04 is no test here.\nfunc Get() {}\n",
		"cli/testdata/script/get.txt":        "# ZA-02\n",
		"docs/spec-later.txt":                "ZA-02, ZA-04  three was enough\n",
		".git/get_test.go":                   "ZA-04",
		"examples/node_modules/x/x_test.go":  "ZA-04",
		"cli/testdata/README":                "ZA-04",
		"internal/other/not_a_test_file.txt": "ZA-04",
	}), &out)
	if err != nil || ok {
		t.Errorf("check = %v, %v; want false, nil", ok, err)
	}
	const want = `## 1. First: 2 of 3 rules have a test
ZA-01    MUST NOT longrun.TestGet, storetest.testGet
ZA-02    SHOULD   cli/testdata/script/get.txt, longrun.TestGet
ZA-04    -        later: three was enough

## 2. Second: 0 of 1 rules have a test
ZB-01    MAY      NO TEST

4 rules, 2 have a test
1 later: three was enough
1 have a test, and a reason to have none: ZA-02
1 have neither a test nor a reason: ZB-01
`
	if got := out.String(); got != want {
		t.Errorf("report:\n%s\nwant:\n%s", got, want)
	}
}

func TestCheck_AllIsWell(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	ok, err := check(tree(map[string]string{
		"all_test.go":         "package longrun\n\n// ZA-01..04\nfunc TestAll() {}\n",
		"docs/spec-later.txt": "ZB-01  later\n",
	}), &out)
	if err != nil || !ok {
		t.Errorf("check = %v, %v; want true, nil\n%s", ok, err, out.String())
	}
}

// A reason that outlives its rule's first test would hide that the test has gone.
func TestCheck_TestAndReason(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	ok, err := check(tree(map[string]string{
		"all_test.go":         "package longrun\n\n// ZA-01..04, ZB-01\nfunc TestAll() {}\n",
		"docs/spec-later.txt": "ZB-01  later\n",
	}), &out)
	if err != nil || ok {
		t.Errorf("check = %v, %v; want false, nil", ok, err)
	}
	if want := "1 have a test, and a reason to have none: ZB-01\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("report ends in %q, want %q", out.String(), want)
	}
}

func TestCheck_UnknownRule(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	ok, err := check(tree(map[string]string{
		"all_test.go":         "package longrun\n\n// ZA-01..04\n// ZA-03 was taken out, AIP-99 and ZZA-01 are not ours.\nfunc TestAll() {}\n",
		"docs/spec-later.txt": "ZB-01  later\n",
	}), &out)
	if err != nil || ok {
		t.Errorf("check = %v, %v; want false, nil", ok, err)
	}
	if want := "no such rule: all_test.go:4: ZA-03\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("report ends in %q, want %q", out.String(), want)
	}
	if strings.Contains(out.String(), "AIP-99") {
		t.Errorf("report names AIP-99, which is no rule's id:\n%s", out.String())
	}
}

func TestCheck_Errors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file, text, want string
	}{
		{"no rules", "docs/spec.md", "# nothing\n", "docs/spec.md: no rules"},
		{"rule twice", "docs/spec.md", "| ZA-01 | a | b |\n| ZA-01 | a | b |\n", "docs/spec.md: rule ZA-01 is there twice"},
		{"short row", "docs/spec.md", "| ZA-01 |\n", "docs/spec.md: rule ZA-01 has 1 columns, want 3 or more"},
		{"reason for no rule", "docs/spec-later.txt", "\nZA-03  why\n", `docs/spec-later.txt: line 2: "ZA-03" names a rule that the spec does not have`},
		{"reason for no id", "docs/spec-later.txt", "filters  why\n", `docs/spec-later.txt: line 1: "filters" is no id and no range`},
		{"two reasons", "docs/spec-later.txt", "ZA-01  a\nZA-01..02  b\n", "docs/spec-later.txt: line 2: ZA-01 has a reason already"},
		{"no reason", "docs/spec-later.txt", "ZA-01\n", `docs/spec-later.txt: line 1: want ids, two blanks and a reason: "ZA-01"`},
		{"broken Go", "x_test.go", "package", "x_test.go:1:8: expected 'IDENT', found 'EOF'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			_, err := check(tree(map[string]string{tt.file: tt.text}), &out)
			if err == nil || err.Error() != tt.want {
				t.Errorf("err = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	s, err := parseSpec(smallSpec)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"ZA-01":           "ZA-01",
		"ZA-01..04":       "ZA-01 ZA-02 ZA-04",
		"ZA-01..ZA-02":    "ZA-01 ZA-02",
		"ZA-01 to ZA-02":  "ZA-01 ZA-02",
		"ZA-01 to 02":     "ZA-01 ZA-02",
		"ZA-04..ZB-01":    "ZA-04 ZB-01",
		"ZA-01, ZB-01":    "ZA-01 ZB-01",
		"ZA-1 ZA-011 A-1": "",
		"ZA-01..09":       "! ZA-09",
		"x ZA-02.":        "ZA-02",
	} {
		var got []string
		for _, m := range mention.FindAllStringSubmatch(text, -1) {
			known, unknown := s.ids(m)
			got = append(got, known...)
			for _, u := range unknown {
				got = append(got, "!", u)
			}
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("ids in %q = %q, want %q", text, got, want)
		}
	}
}

func TestOwners(t *testing.T) {
	t.Parallel()
	const src = `// Package comment HERE0
package sqlite

import "testing"

// HERE1
var cases = []string{"HERE2"}

type fault struct{} // HERE3

// HERE4
func TestA(t *testing.T) {
	// HERE5
}

// HERE6
`
	owner, err := owners("sqlite/a_test.go", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	for mark, want := range map[string]string{
		"HERE0": "sqlite.cases", "HERE1": "sqlite.cases", "HERE2": "sqlite.cases", "HERE3": "sqlite.fault",
		"HERE4": "sqlite.TestA", "HERE5": "sqlite.TestA", "HERE6": "sqlite/a_test.go",
	} {
		if got := owner(strings.Index(src, mark)); got != want {
			t.Errorf("owner of %s = %q, want %q", mark, got, want)
		}
	}
}

func FuzzParseSpec(f *testing.F) {
	f.Add(smallSpec)
	f.Add("| ZA-01 | \\| | MUST |")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSpec(text)
		if err == nil && len(s.rules) == 0 {
			t.Error("a spec without rules, and no error")
		}
	})
}
