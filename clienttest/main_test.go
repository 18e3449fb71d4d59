package clienttest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// builds is where the program is built, once for all tests.
var builds string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if builds, err = os.MkdirTemp("", "longrun-clienttest"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(builds)
	return m.Run()
}

// built is the file of the program, built from this tree.
var built = sync.OnceValues(func() (string, error) {
	file := filepath.Join(builds, "longrun")
	cmd := exec.Command("go", "build", "-o", file, "./cmd/longrun")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return file, nil
})
