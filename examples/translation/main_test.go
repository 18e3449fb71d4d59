package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// builds is where the program is built, once for all tests.
var builds string

func TestMain(m *testing.M) { os.Exit(testAll(m)) }

func testAll(m *testing.M) int {
	var err error
	if builds, err = os.MkdirTemp("", "longrun-translation"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(builds)
	if code := m.Run(); code != 0 {
		return code
	}
	if left := leaked(); left != "" {
		fmt.Fprintln(os.Stderr, "goroutines leaked:\n\n"+left)
		return 1
	}
	return 0
}

// leaked returns the stacks of the goroutines that run our code after the tests,
// given a moment to end.
func leaked() (stacks string) {
	for range 6000 {
		buf := make([]byte, 1<<20)
		stacks = ""
		for s := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(s, "longrun-dev/longrun") && !strings.Contains(s, "TestMain") {
				stacks += s + "\n\n"
			}
		}
		if stacks == "" {
			return ""
		}
		time.Sleep(10 * time.Millisecond)
	}
	return stacks
}

// built is the file of the program, built from this tree.
var built = sync.OnceValues(func() (string, error) {
	file := filepath.Join(builds, "translation")
	if out, err := exec.Command("go", "build", "-o", file, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return file, nil
})
