package longruntest_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every Go block of docs/steps.md is code of steps_test.go, which has just been compiled
// and run, and every test that the page names is one.
func TestSteps_ShowsWhatRuns(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/steps.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("steps_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 5 {
		t.Fatalf("docs/steps.md shows %d blocks of Go, want five", len(blocks))
	}
	// A page shows a part of a function without its indentation.
	indent := regexp.MustCompile(`(?m)^\t+`)
	flat := indent.ReplaceAllString(string(code), "")
	for _, b := range blocks {
		if !strings.Contains(flat, indent.ReplaceAllString(b[1], "")) {
			t.Errorf("this block of docs/steps.md is not in steps_test.go:\n%s", b[1])
		}
	}
	for _, file := range []string{"../runner/cost_test.go", "../sqlite/step_test.go"} {
		more, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		code = append(code, more...)
	}
	for _, test := range regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(string(page), -1) {
		if !strings.Contains(string(code), "func "+test[1]+"(") {
			t.Errorf("docs/steps.md names %s, and there is no such test", test[1])
		}
	}
}
