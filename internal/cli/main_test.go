package cli

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain plays the command in scripts, and fails when a test has left a goroutine
// behind.
func TestMain(m *testing.M) {
	testscript.Main(leakCheck{m}, map[string]func(){
		"longrun": func() { os.Exit(Main(os.Args[1:])) },
	})
}

type leakCheck struct{ m *testing.M }

func (l leakCheck) Run() int {
	code := l.m.Run()
	if code != 0 {
		return code
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		left := leftGoroutines()
		if left == "" {
			return 0
		}
		if time.Now().After(end) {
			fmt.Fprintf(os.Stderr, "goroutines left behind:\n\n%s\n", left)
			return 1
		}
	}
}

// leftGoroutines returns the stacks of goroutines, but for its caller, that run code
// of this module or of grpc.
func leftGoroutines() string {
	buf := make([]byte, 1<<20)
	var left []string
	for i, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if i > 0 && (strings.Contains(g, "longrun-dev/longrun") || strings.Contains(g, "google.golang.org/grpc")) {
			left = append(left, g)
		}
	}
	return strings.Join(left, "\n\n")
}
