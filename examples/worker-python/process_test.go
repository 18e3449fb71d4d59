package workerpython

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything that must happen may take on a busy machine.
const patience = 3 * time.Minute

func TestMain(m *testing.M) {
	code := m.Run()
	if dir := built.dir; dir != "" {
		if err := os.RemoveAll(dir); err != nil && code == 0 {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// built is the program "longrun", made once.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func program(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "longrun-worker-python-"); built.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-o", filepath.Join(built.dir, "longrun"), "./cmd/longrun")
		cmd.Dir = "../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "longrun")
}

// interpreter is a Python that has what the worker needs, "" if there is none.
var interpreter = sync.OnceValue(func() string {
	for _, python := range []string{os.Getenv("PYTHON"), "python3", "/usr/bin/python3"} {
		if python != "" && exec.Command(python, "-c", "import grpc, google.protobuf").Run() == nil {
			return python
		}
	}
	return ""
})

// needPython skips a test for which there is no interpreter, or fails it in CI.
func needPython(t *testing.T) {
	t.Helper()
	if interpreter() != "" {
		return
	}
	const missing = "there is no Python 3 with grpcio and protobuf (Debian: apt-get install python3-grpcio; or PYTHON=...)"
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip("skipped: " + missing)
}

// A process is a program that a test has started.
type process struct {
	cmd  *exec.Cmd
	read sync.WaitGroup
	over bool

	mu   sync.Mutex // guards said
	said []string
}

// start starts a program, which the end of the test kills.
func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(name, args...)}
	p.cmd.Env = append(os.Environ(), "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1")
	out, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.read.Go(func() { p.listen(out) })
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s has said:\n%s", filepath.Base(name), p.output())
		}
	})
	return p
}

func (p *process) listen(out io.Reader) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		p.mu.Lock()
		p.said = append(p.said, lines.Text())
		p.mu.Unlock()
	}
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.said, "\n")
}

// says waits until the program has said something that matches, and returns the
// first group of the match.
func (p *process) says(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	var m []string
	eventually(t, "the program says "+pattern, func() bool {
		m = re.FindStringSubmatch(p.output())
		return m != nil
	})
	return m[len(m)-1]
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// kill ends the program as a crash would.
func (p *process) kill() {
	if p.over {
		return
	}
	_ = p.cmd.Process.Kill() // it may have ended by itself
	_ = p.wait()
}

// wait waits for the end of the program.
func (p *process) wait() error {
	p.over = true
	p.read.Wait()
	return p.cmd.Wait()
}

// eventually waits until f reports true. These are real processes: there is no clock
// that jumps.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %v it is not so that %s", patience, what)
		}
	}
}
