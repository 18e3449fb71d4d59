package clienttest

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// slow is a pace at which the shipped text takes more than two minutes: tests see the middle of a
// batch, and end it otherwise.
const slow = "2s"

// builtTranslation is the file of examples/translation, built from this tree.
var builtTranslation = sync.OnceValues(func() (string, error) {
	file := filepath.Join(builds, "translation")
	cmd := exec.Command("go", "build", "-o", file, "./translation")
	cmd.Dir = filepath.Join("..", "examples")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return file, nil
})

// translation is examples/translation as a process of its own, that can be killed, and started
// again on the same addresses, buckets and store.
type translation struct {
	grpc, http string
	dir        string // of the store and the buckets
	cmd        *exec.Cmd
	ended      chan struct{} // closed when the process has said all
}

// newTranslation makes a translation that is not started, with the shipped text and its glossary
// in the bucket "texts", and an empty bucket "out".
func newTranslation(t *testing.T) *translation {
	t.Helper()
	s := &translation{dir: t.TempDir(), grpc: ownAddress(t), http: ownAddress(t)}
	for _, bucket := range []string{"texts", "out"} {
		if err := os.MkdirAll(filepath.Join(s.dir, "buckets", bucket), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	shipped := filepath.Join("..", "examples", "translation", "testdata")
	glossary, err := os.ReadFile(filepath.Join(shipped, "glossary.csv"))
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "texts/glossary.csv", glossary)
	f, err := os.Open(filepath.Join(shipped, "octateuch.txt.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "texts/octateuch.txt", text)
	t.Cleanup(s.kill)
	return s
}

func (s *translation) write(t *testing.T, name string, body []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "buckets", name), body, 0o644); err != nil {
		t.Fatal(err)
	}
}

// given has the addresses that ownAddress has returned.
var given sync.Map

// ownAddress returns an address that stays free while nobody listens there: its port is not of
// those that the system hands out, and of no other test.
func ownAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000)))
		if err != nil {
			continue
		}
		defer l.Close()
		address := l.Addr().String()
		if _, taken := given.LoadOrStore(address, true); !taken {
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// start runs the program, and returns when it serves.
func (s *translation) start(t *testing.T, pace string) {
	t.Helper()
	file, err := builtTranslation()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), file, "-addr", s.grpc, "-http", s.http,
		"-store", filepath.Join(s.dir, "translation.db"), "-bucket", filepath.Join(s.dir, "buckets"), "-pace", pace)
	talk, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, ended := make(chan string, 64), make(chan struct{})
	s.ended = ended
	go func() {
		defer close(ended)
		defer close(lines)
		for scan := bufio.NewScanner(talk); scan.Scan(); {
			select {
			case lines <- scan.Text():
			default: // nobody reads the log of a server that serves
			}
		}
	}()
	awaitAddresses(t, lines)
}

// kill ends the process as a crash does.
func (s *translation) kill() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		<-s.ended
		s.cmd.Wait()
		s.cmd = nil
	}
}

// firstLine is what a batch that has written below "out/first/" has made of the text's first
// line.
func (s *translation) firstLine(t *testing.T) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(s.dir, "buckets", "out", "first", "texts_octateuch_de_glossary_translations.txt"))
	if err != nil {
		t.Error(err)
	}
	line, _, _ := strings.Cut(string(body), "\n")
	return line
}

// patient is a context that ends long after a test should have.
func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// empty removes what was written to the bucket "out".
func (s *translation) empty(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(s.dir, "buckets", "out", "first")); err != nil {
		t.Fatal(err)
	}
}
