package server

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// playEnv makes the test binary play the command line. As playLeashed it ends with
// its standard input, and so with the test that holds the other end.
const (
	playEnv     = "LONGRUN_TEST_PLAY"
	playLeashed = "leashed"
)

// play is the command line; the external tests set it, because it imports this
// package.
var play func(args []string) int

// TestMain plays the command line for tests that need a process of its own, and
// fails when a test has left a goroutine behind.
func TestMain(m *testing.M) {
	switch os.Getenv(playEnv) {
	case "":
	case playLeashed:
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(1)
		}()
		fallthrough
	default:
		os.Exit(play(os.Args[1:]))
	}
	code := m.Run()
	for end := time.Now().Add(time.Minute); code == 0; time.Sleep(time.Millisecond) {
		left := leftGoroutines()
		if left == "" {
			break
		}
		if time.Now().After(end) {
			fmt.Fprintf(os.Stderr, "goroutines left behind:\n\n%s\n", left)
			code = 1
		}
	}
	os.Exit(code)
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
