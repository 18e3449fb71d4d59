package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var fence = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")

// README.md does what it says: its commands are run in their order, in one shell, and print what
// stands below them, where "..." is any text.
func TestREADME(t *testing.T) {
	t.Parallel()
	for _, need := range []string{"bash", "curl", "grpcurl"} {
		if _, err := exec.LookPath(need); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("not tested: there is no %s", need)
			}
			t.Skipf("not tested: there is no %s", need)
		}
	}
	body, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	script, want := &strings.Builder{}, []string{}
	script.WriteString("set -euo pipefail\ntrap '[ -z \"${server:-}\" ] || kill -9 $server 2>/dev/null || true' EXIT\n")
	for _, m := range fence.FindAllStringSubmatch(onFreePorts(t, string(body)), -1) {
		if m[1] == "sh" {
			fmt.Fprintf(script, "exec >out.%d\n%s\n", len(want), m[2])
			want = append(want, "")
		} else if m[1] == "text" {
			want[len(want)-1] = m[2]
		}
	}
	dir := readmeDir(t)
	cmd := exec.CommandContext(bounded(t), "bash", "-c", script.String())
	cmd.Dir, cmd.WaitDelay = dir, 10*time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // its trap ends the program
	cmd.Env = append(os.Environ(), "no_proxy=127.0.0.1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the commands of README.md: %v\n%s", err, out)
	}
	for i, want := range want {
		got, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("out.%d", i)))
		if err != nil {
			t.Fatal(err)
		}
		pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(want)), `\.\.\.`, ".+")
		if !regexp.MustCompile("^" + pattern + "$").MatchString(strings.TrimSpace(string(got))) {
			t.Errorf("block %d has printed:\n%s\nwant:\n%s", i, got, want)
		}
	}
}

// readmeDir is a folder like examples, in which the program is built already.
func readmeDir(t *testing.T) string {
	t.Helper()
	file, err := built()
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, target := range map[string]string{"translation": here, "bin": filepath.Dir(file)} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// onFreePorts gives the program of the README ports that nobody has, and leaves out that it is
// built.
func onFreePorts(t *testing.T, text string) string {
	t.Helper()
	grpc, http := freeAddress(t), freeAddress(t)
	return strings.NewReplacer("go build -o bin/translation ./translation\n", "",
		"127.0.0.1:9161", grpc, "127.0.0.1:8161", http,
		"bin/translation ", fmt.Sprintf("bin/translation -addr %s -http %s ", grpc, http)).Replace(text)
}

// freeAddress returns an address that stays free while the program is away: its port is not of
// those that a system hands out, to whoever connects to somebody.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000)))
		if err != nil {
			continue
		}
		defer l.Close()
		return l.Addr().String()
	}
	t.Fatal("no port is free")
	return ""
}
