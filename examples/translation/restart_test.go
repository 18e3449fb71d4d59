package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/translate/apiv3/translatepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/longrun-dev/longrun"
)

const translated = "out/a/texts_kjv_de_glossary_translations.txt"

// process is the program as a process of its own.
type process struct {
	cmd  *exec.Cmd
	addr string        // of gRPC
	read chan struct{} // closed when it has said all
}

// newProcess runs the program on the buckets and the store of s, which is stopped.
func newProcess(t *testing.T, s *system, pace time.Duration) *process {
	t.Helper()
	file, err := built()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{read: make(chan struct{}), cmd: exec.CommandContext(context.WithoutCancel(t.Context()), file,
		"-addr", "127.0.0.1:0", "-http", "127.0.0.1:0", "-store", s.opts.store, "-bucket", s.dir, "-pace", pace.String())}
	talk, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	addresses := make(chan string, 1)
	go func() {
		defer close(p.read)
		defer close(addresses)
		for lines := bufio.NewScanner(talk); lines.Scan(); {
			if _, addr, ok := strings.Cut(lines.Text(), "serving gRPC on "); ok {
				addresses <- addr
			}
		}
	}()
	if p.addr = <-addresses; p.addr == "" {
		t.Fatal("the program has ended")
	}
	return p
}

// kill ends the process as a crash does.
func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		p.cmd.Process.Kill()
		<-p.read
		p.cmd.Wait()
	}
}

// calls makes s call the process.
func (p *process) calls(t *testing.T, s *system) {
	t.Helper()
	conn, err := grpc.NewClient(p.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s.translate, s.operations = translatepb.NewTranslationServiceClient(conn), longrunningpb.NewOperationsClient(conn)
}

// OP-16, CON-04, CON-06: killed twice in the middle, the operation ends, with the output of an
// undisturbed run, to the byte; and its progress never goes back.
func TestKill_OutputIsTheSame(t *testing.T) {
	t.Parallel()
	s := newSystem(t, 0)
	text := octateuch(t)
	s.write(t, "texts/kjv.txt", text)
	s.createGlossary(t, "God,Gott\nand,und\nthe,die\n")
	s.stop()

	p := newProcess(t, s, 2*time.Second)
	p.calls(t, s)
	name := s.begin(t, batch("gs://out/a/", "gs://texts/kjv.txt"))
	var seen int64
	for range 2 {
		m := s.until(t, name, func(m *translatepb.BatchTranslateMetadata) bool { return m.GetTranslatedCharacters() > seen })
		if seen = m.GetTranslatedCharacters(); seen >= m.GetTotalCharacters() {
			t.Fatalf("%d characters are translated, and the test wants to see the middle", seen)
		}
		p.kill()
		p = newProcess(t, s, 2*time.Second)
		p.calls(t, s)
		again := s.until(t, name, func(*translatepb.BatchTranslateMetadata) bool { return true })
		if again.GetTranslatedCharacters() < seen {
			t.Errorf("progress went from %d to %d characters", seen, again.GetTranslatedCharacters())
		}
	}
	p.kill()
	newProcess(t, s, 0).calls(t, s)
	resp := responseOf(t, s.wait(t, name), &translatepb.BatchTranslateResponse{})
	if resp.GetTranslatedCharacters() != int64(len(text)) { // it is ASCII
		t.Errorf("response = %v, want %d characters", resp, len(text))
	}
	if got := s.read(t, translated); got != parse(t, "God,Gott\nand,und\nthe,die\n").apply(text) {
		t.Error("the output is not that of an undisturbed run")
	}
	if left := s.files(t); len(left) != 2 {
		t.Errorf("files = %v, want the index and the output", left)
	}
}

// A run goes on from the steps of the one before: what that has written is not written again.
// (A letter that was spoiled in between stays so.)
func TestRestart_GoesOnFromItsSteps(t *testing.T) {
	t.Parallel()
	s := newSystem(t, 2*time.Second)
	text := octateuch(t)
	s.write(t, "texts/kjv.txt", text)
	s.createGlossary(t, "God,Gott\n")
	name := s.begin(t, batch("gs://out/a/", "gs://texts/kjv.txt"))
	s.until(t, name, func(m *translatepb.BatchTranslateMetadata) bool { return m.GetTranslatedCharacters() > 0 })
	s.stop()

	id, err := longrun.ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	spoiled, err := os.OpenFile(filepath.Join(s.dir, partial(id), "000-de"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := spoiled.WriteAt([]byte("X"), 0); err != nil {
		t.Fatal(err)
	}
	if err := spoiled.Close(); err != nil {
		t.Fatal(err)
	}
	s.opts.pace = 0
	s.start(t)
	responseOf(t, s.wait(t, name), &translatepb.BatchTranslateResponse{})
	if got, want := s.read(t, translated), "X"+parse(t, "God,Gott\n").apply(text)[1:]; got != want {
		t.Errorf("the output begins %q, want it spoiled, and otherwise whole", got[:20])
	}
}

// A glossary that has gone while the program was down ends the batch, with the API's error.
func TestRestart_GlossaryHasGone(t *testing.T) {
	t.Parallel()
	s := newSystem(t, time.Hour)
	s.write(t, "texts/a.txt", "God")
	s.createGlossary(t, "God,Gott\n")
	name := s.begin(t, batch("gs://out/a/", "gs://texts/a.txt"))
	s.until(t, name, func(m *translatepb.BatchTranslateMetadata) bool { return m.GetTotalCharacters() > 0 })
	if err := s.program.service.glossaries.remove(t.Context(), glossary); err != nil {
		t.Fatal(err)
	}
	s.stop()
	s.opts.pace = 0
	s.start(t)
	op := s.wait(t, name)
	if op.GetError().GetMessage() != glossary+" does not exist" {
		t.Errorf("error = %v, want that of an unknown glossary", op.GetError())
	}
}

// What a batch has left that was cancelled when its program had died is removed at the next
// start, and what belongs to others is not.
func TestSweep(t *testing.T) {
	t.Parallel()
	s := newSystem(t, time.Hour)
	s.write(t, "texts/a.txt", "God")
	s.createGlossary(t, "God,Gott\n")
	running := s.begin(t, batch("gs://out/a/", "gs://texts/a.txt"))
	ended := s.begin(t, batch("gs://out/b/", "gs://texts/a.txt"))
	if _, err := s.operations.CancelOperation(bounded(t), &longrunningpb.CancelOperationRequest{Name: ended}); err != nil {
		t.Fatal(err)
	}
	s.wait(t, ended)
	for _, name := range []string{running, ended, location + "/operations/" + longrun.NewID().String(), location + "/operations/other-"} {
		s.write(t, partials+"/"+name+"/000-de", "left")
	}
	s.stop()
	s.start(t)
	left := strings.Join(s.files(t), " ")
	if strings.Contains(left, ended) || !strings.Contains(left, running) || strings.Count(left, "000-de") != 3 {
		t.Errorf("left = %v, want all but those of %s", left, ended)
	}
}

// A client that never closes its stream does not keep the program from ending.
func TestStop_OpenStream(t *testing.T) {
	t.Parallel()
	s := newSystem(t, 0)
	stream, err := reflectionpb.NewServerReflectionClient(s.conn).ServerReflectionInfo(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	s.stop()
}

// What cannot be opened is said, and nothing is left open.
func TestOpen_Fails(t *testing.T) {
	t.Parallel()
	s := newSystem(t, 0)
	s.stop()
	for name, spoil := range map[string]func(o *options){
		"bucket": func(o *options) { o.bucket = filepath.Join(s.dir, "none") },
		"store":  func(o *options) { o.store = s.dir },
		"addr":   func(o *options) { o.addr = "nowhere" },
		"http":   func(o *options) { o.http = "nowhere" },
	} {
		o := s.opts
		spoil(&o)
		if p, err := open(t.Context(), o); err == nil {
			t.Errorf("%s: opened, want an error", name)
			t.Error(p.close())
		}
	}
	s.start(t) // the file is locked by nobody
}
