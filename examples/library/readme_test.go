package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Every command of README.md is run, in their order, in one shell that stops at the first
// that fails. A comment behind one is a line that must be printed, after those of the
// commands before it.
func TestREADME(t *testing.T) {
	t.Parallel()
	for _, need := range []string{"bash", "curl", "grpcurl"} {
		if _, err := exec.LookPath(need); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip("skipped: there is no " + need + " (grpcurl: make tools)")
		}
	}
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	script := strings.Builder{}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		script.WriteString(block[1])
	}
	printed := shell(t, script.String())
	for _, line := range strings.Split(script.String(), "\n") {
		_, want, promised := strings.Cut(line, "  # ")
		if !promised {
			continue
		}
		_, rest, found := strings.Cut("\n"+printed, "\n"+want+"\n")
		if !found {
			t.Errorf("not printed, or not in this place: %s\nbut:\n%s", want, printed)
			break
		}
		printed = rest
	}
}

// shell runs the commands of the README in a folder of its own, on ports that nobody has,
// and returns what they print.
func shell(t *testing.T, script string) string {
	t.Helper()
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "bin"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, filepath.Join(folder, "bin", "library")); err != nil {
		t.Fatal(err)
	}
	const build = "go -C examples build -o ../bin/library ./library\n"
	if !strings.Contains(script, build) {
		t.Fatalf("the README does not say how the program is built: %s", build)
	}
	grpcAddr, httpAddr := freeAddress(t), freeAddress(t)
	script = strings.Replace(script, build, "", 1)
	script = strings.ReplaceAll(script, "bin/library ", fmt.Sprintf("bin/library -addr %s -http %s ", grpcAddr, httpAddr))
	script = strings.NewReplacer("127.0.0.1:9151", grpcAddr, "127.0.0.1:8151", httpAddr).Replace(script)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", "set -euo pipefail\ntrap '[ -z \"${server:-}\" ] || kill -9 $server 2>/dev/null || true' EXIT\n"+script)
	cmd.Dir, cmd.Env, cmd.WaitDelay = folder, append(os.Environ(), "no_proxy=127.0.0.1"), 10*time.Second
	out := &strings.Builder{}
	talk := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = out, talk
	if err := cmd.Run(); err != nil {
		log, _ := os.ReadFile(filepath.Join(folder, "shop", "log")) // it may not be there
		t.Fatalf("the commands of the README: %v\nprinted:\n%s%s%s", err, out, talk, log)
	}
	return out.String()
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
