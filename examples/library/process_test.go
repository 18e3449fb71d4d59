package main

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

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/longrun-dev/longrun/examples/library/librarypb"
)

// program is the built program, made once.
var program = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "library")
	if err != nil {
		return "", err
	}
	built = folder
	file := filepath.Join(folder, "library")
	if out, err := exec.Command("go", "build", "-o", file, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return file, nil
})

var built string // the folder of the program, "" if it was not made

func removeProgram() {
	if built != "" {
		os.RemoveAll(built)
	}
}

// A process is the program at work.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	read sync.WaitGroup
	end  func() error // waits for the end

	mu  sync.Mutex // guards log
	log strings.Builder

	lib  pb.LibraryServiceClient
	lro  *pb.LibraryServiceOperations
	ops  longrunningpb.OperationsClient
	http string // its address
}

// begin starts the program on a folder and connects to it.
func begin(t *testing.T, folder, pace string) *process {
	t.Helper()
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(folder, "bucket"), 0o777); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(file, "-addr", "127.0.0.1:0", "-http", "127.0.0.1:0",
		"-store", filepath.Join(folder, "library.db"), "-bucket", filepath.Join(folder, "bucket"), "-pace", pace)}
	out, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.read.Go(func() { p.listen(out) })
	p.end = sync.OnceValue(func() error {
		p.read.Wait()
		return p.cmd.Wait()
	})
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended by itself
		_ = p.end()
		if t.Failed() {
			t.Logf("the program has said:\n%s", p.said())
		}
	})
	p.connect()
	return p
}

func (p *process) listen(out io.Reader) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		p.mu.Lock()
		p.log.WriteString(lines.Text() + "\n")
		p.mu.Unlock()
	}
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// connect waits for the addresses.
func (p *process) connect() {
	p.t.Helper()
	var m []string
	eventually(p.t, "the program serves", func() bool {
		m = regexp.MustCompile(`serving gRPC on (\S+), HTTP on (\S+)`).FindStringSubmatch(p.said())
		return m != nil
	})
	conn, err := grpc.NewClient(m[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	p.lib, p.lro, p.ops, p.http = pb.NewLibraryServiceClient(conn), pb.NewLibraryServiceOperations(conn), longrunningpb.NewOperationsClient(conn), "http://"+m[2]
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// chunks is how many chunks of lines runs of this attempt say they have imported.
func (p *process) chunks(attempt int) int {
	return len(regexp.MustCompile(fmt.Sprintf(`lines imported.* attempt=%d\n`, attempt)).FindAllString(p.said(), -1))
}

// importing makes a shelf, and begins to import n novels.
func (p *process) importing(folder string, n int) (name string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(folder, "bucket", "novels.jsonl"), []byte(strings.Join(novels(n), "\n")), 0o666); err != nil {
		p.t.Fatal(err)
	}
	shelf, err := p.lro.CreateShelf(p.t.Context(), newShelf("novels"))
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := shelf.Wait(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	op, err := p.lro.ImportBooks(p.t.Context(), from("shelves/novels", "novels.jsonl"))
	if err != nil {
		p.t.Fatal(err)
	}
	return op.Name()
}

// wantImported waits for the import, which another process has begun, and checks that
// nothing is missing and nothing was done twice.
func (p *process) wantImported(name string, n int) {
	p.t.Helper()
	resp, err := p.lro.ImportBooksOperation(name).Wait(p.t.Context())
	if err != nil || int(resp.GetImportedBooks()) != n || resp.GetFailedLines() != 0 {
		p.t.Errorf("ImportBooks = %v, %v; want %d books, no failed lines", resp, err, n)
	}
	page, err := p.lib.ListBooks(p.t.Context(), &pb.ListBooksRequest{Parent: "shelves/novels", PageSize: maxPage})
	if err != nil || len(page.GetBooks()) != n {
		p.t.Errorf("ListBooks: %d books, %v; want %d", len(page.GetBooks()), err, n)
	}
}

// CON-02: a process that is killed in the middle of an import has lost nothing. The
// next goes on behind the last step: what was remembered is not done again, and the chunk
// that was under way, which may have been, adds no book twice.
func TestProcess_KilledInTheMiddle(t *testing.T) {
	t.Parallel()
	const books = 1000
	folder := t.TempDir()
	first := begin(t, folder, "1s")
	name := first.importing(folder, books)
	eventually(t, "some of it is imported", func() bool { return first.chunks(1) >= 2 })
	first.signal(syscall.SIGKILL)
	if err := first.end(); err == nil {
		t.Fatal("the program has ended by itself")
	}
	done := first.chunks(1) // of which the last may not have been remembered

	second := begin(t, folder, "0")
	second.wantImported(name, books)
	second.signal(syscall.SIGTERM)
	if err := second.end(); err != nil { // and then it has said all
		t.Errorf("the program has ended with %v, want nothing to say", err)
	}
	if got, want := second.chunks(2), books/chunkLines-done; got != want && got != want+1 {
		t.Errorf("the second run has imported %d chunks after %d, want %d in all, and one twice at most", got, done, books/chunkLines)
	}
}

// WAI-15: a process that is told to stop answers those who wait, with the latest state,
// gives back what it runs, and ends well. The next goes on with it.
func TestProcess_Drained(t *testing.T) {
	t.Parallel()
	const books = 1000
	folder := t.TempDir()
	first := begin(t, folder, "1s")
	name := first.importing(folder, books)
	waited := make(chan error, 1)
	go func() {
		_, err := first.ops.WaitOperation(t.Context(), &longrunningpb.WaitOperationRequest{Name: name, Timeout: durationpb.New(time.Minute)})
		waited <- err
	}()
	eventually(t, "some of it is imported", func() bool { return first.chunks(1) > 0 })
	first.signal(syscall.SIGTERM)
	if err := <-waited; err != nil {
		t.Errorf("WAI-15: WaitOperation: %v, want the latest state", err)
	}
	if err := first.end(); err != nil {
		t.Errorf("the program has ended with %v, want nothing to say", err)
	}
	begin(t, folder, "0").wantImported(name, books)
}

func TestRun_Mistakes(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	inside := filepath.Join(folder, "bucket", "library.db")
	if err := os.Mkdir(filepath.Join(folder, "bucket"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"-addr", "nowhere:x"},
		{"-addr", "127.0.0.1:0", "-http", "nowhere:x"},
		{"-addr", "127.0.0.1:0", "-http", "127.0.0.1:0", "-store", inside, "-bucket", filepath.Dir(inside)},
		{"-addr", "127.0.0.1:0", "-http", "127.0.0.1:0", "-store", filepath.Join(folder, "x.db"), "-bucket", filepath.Join(folder, "none")},
		{"-addr", "127.0.0.1:0", "-http", "127.0.0.1:0", "-store", filepath.Join(folder, "none", "x.db"), "-bucket", filepath.Dir(inside)},
		{"more"},
	} {
		if err := run(t.Context(), args); err == nil {
			t.Errorf("run %q: no error", args)
		}
	}
}
