package client_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(mortalAddr); addr != "" {
		if err := serveMortal(addr, os.Getenv(mortalFile)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	if left := leaked(); code == 0 && left != "" {
		fmt.Fprintln(os.Stderr, "goroutines leaked:\n\n"+left)
		code = 1
	}
	os.Exit(code)
}

// leaked returns the stacks of the goroutines that run our code or grpc's after
// the tests, given a moment to end.
func leaked() (stacks string) {
	for range 6000 {
		buf := make([]byte, 1<<20)
		stacks = ""
		for s := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			own := strings.Contains(s, "longrun") || strings.Contains(s, "google.golang.org/grpc")
			if own && !strings.Contains(s, "TestMain") {
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
