package longrun_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The Go of these pages is shown as it runs: each block of a page is lines of a test or
// of an example program, where indentation does not count.
func TestDocs_ShowWhatRuns(t *testing.T) {
	t.Parallel()
	code := codeThatRuns(t)
	for _, page := range []string{"starting.md", "running.md", "transactions.md", "client.md"} {
		text, err := os.ReadFile(filepath.Join("docs", page))
		if err != nil {
			t.Error(err)
			continue
		}
		blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(text), -1)
		if len(blocks) == 0 {
			t.Errorf("docs/%s shows no Go", page)
		}
		for _, b := range blocks {
			if !strings.Contains(code, flat(b[1])) {
				t.Errorf("no test and no example has this block of docs/%s:\n%s", page, b[1])
			}
		}
	}
}

// codeThatRuns is the Go of all tests, of the example programs, and of the guide, which
// CI follows line by line; flattened.
func codeThatRuns(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != "." {
			return fs.SkipDir
		}
		runs := strings.HasSuffix(path, "_test.go") || strings.HasPrefix(filepath.ToSlash(path), "examples/") && strings.HasSuffix(path, ".go") ||
			path == filepath.Join("docs", "guide.md")
		if d.IsDir() || !runs {
			return nil
		}
		text, err := os.ReadFile(path)
		all.WriteString(flat(string(text)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// flat is text without the indentation of its lines.
func flat(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSpace(l)
	}
	return strings.Join(lines, "\n")
}
