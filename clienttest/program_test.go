package clienttest

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is "longrun serve --simulator", built from this tree, as a process of its own.
type program struct{ grpc, http string }

// build returns the program's file.
func build(t *testing.T) string {
	t.Helper()
	file, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// runProgram serves until the test ends, when it must stop by
// itself after SIGTERM.
func runProgram(t *testing.T, flags ...string) program {
	t.Helper()
	args := append([]string{"serve", "--simulator", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0",
		"--store", "sqlite:" + filepath.Join(t.TempDir(), "longrun.db")}, flags...)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), build(t), args...)
	talk, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, read := make(chan string, 64), make(chan struct{})
	go func() {
		defer close(read)
		defer close(lines)
		for s := bufio.NewScanner(talk); s.Scan(); {
			select {
			case lines <- s.Text():
			default: // nobody reads the log of a server that serves
			}
		}
	}()
	t.Cleanup(func() {
		cut := time.AfterFunc(5*time.Minute, func() { cmd.Process.Kill() })
		defer cut.Stop()
		report(t, "SIGTERM", cmd.Process.Signal(syscall.SIGTERM))
		<-read
		report(t, "longrun serve", cmd.Wait())
	})
	return awaitAddresses(t, lines)
}

// awaitAddresses reads what the program says until it has said where it serves.
func awaitAddresses(t *testing.T, lines <-chan string) program {
	t.Helper()
	var p program
	var said []string
	late := time.After(5 * time.Minute)
	for p.grpc == "" || p.http == "" {
		select {
		case line, ok := <-lines:
			if !ok {
				t.Fatalf("the program has ended:\n%s", strings.Join(said, "\n"))
			}
			said = append(said, line)
			if _, addr, ok := strings.Cut(line, "serving gRPC on "); ok {
				p.grpc = addr
			}
			if _, addr, ok := strings.Cut(line, "serving HTTP on "); ok {
				p.http = addr
			}
		case <-late:
			t.Fatalf("the program does not serve after minutes:\n%s", strings.Join(said, "\n"))
		}
	}
	return p
}

// unavailable skips a test that needs what this machine does not have, and says what.
// Where all must be there, it fails.
func unavailable(t *testing.T, missing string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("not tested: %s", missing)
	}
	t.Skipf("not tested: %s", missing)
}
