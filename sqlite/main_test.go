package sqlite

import (
	"bytes"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"testing"
	"time"
)

// TestMain is also the program that the crash tests kill and that recovers, and fails when a
// goroutine of ours is left.
func TestMain(m *testing.M) {
	if file := os.Getenv(crashFile); file != "" {
		writeUntilKilled(file)
	}
	if file := os.Getenv(recoverFile); file != "" {
		if err := recoverAll(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if file := os.Getenv(backupFile); file != "" {
		fmt.Println("error", saveUntilKilled(file))
		os.Exit(1)
	}
	code := m.Run()
	for began := time.Now(); code == 0; time.Sleep(10 * time.Millisecond) {
		left := ourGoroutines()
		if left == "" {
			break
		}
		if time.Since(began) > time.Minute {
			fmt.Fprintln(os.Stderr, "goroutines left:\n"+left)
			code = 1
		}
	}
	os.Exit(code)
}

func ourGoroutines() string {
	var all bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
		return err.Error()
	}
	var ours []string
	for g := range strings.SplitSeq(all.String(), "\n\n") {
		if strings.Contains(g, "longrun/sqlite.") && !strings.Contains(g, "TestMain") {
			ours = append(ours, g)
		}
	}
	return strings.Join(ours, "\n\n")
}
