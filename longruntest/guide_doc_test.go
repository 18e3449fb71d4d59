package longruntest_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every Go block of docs/testing.md is code of guide_test.go, which has just been
// compiled and run, and every test there is shown.
func TestGuide_ShowsWhatRuns(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("guide_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(guide), -1)
	if len(blocks) == 0 {
		t.Fatal("docs/testing.md shows no Go")
	}
	shown := ""
	for _, b := range blocks {
		shown += b[1]
		if !strings.Contains(string(code), b[1]) {
			t.Errorf("this block of docs/testing.md is not in guide_test.go:\n%s", b[1])
		}
	}
	for _, test := range regexp.MustCompile(`(?m)^func Test\w+`).FindAllString(string(code), -1) {
		if !strings.Contains(shown, test+"(") {
			t.Errorf("docs/testing.md does not show %q", test)
		}
	}
}
