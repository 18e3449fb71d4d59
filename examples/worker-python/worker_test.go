package workerpython

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/longrun-dev/longrun/longrunpb"
)

// arrives makes the file for which await-file waits.
func arrives(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("seven b"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// response returns the fields of a response.
func response(t *testing.T, op *longrunningpb.Operation) map[string]any {
	t.Helper()
	var s structpb.Struct
	if err := op.GetResponse().UnmarshalTo(&s); err != nil {
		t.Fatalf("the response of %v: %v", op, err)
	}
	return s.AsMap()
}

// Real work, from the request to the response, with its progress.
func TestWorker_Checksum(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	folder, sums := t.TempDir(), ""
	for i := range 5 {
		body := []byte(strings.Repeat("x", 1000*i))
		name := fmt.Sprintf("file-%d", i)
		if err := os.WriteFile(filepath.Join(folder, name), body, 0o600); err != nil {
			t.Fatal(err)
		}
		sums += fmt.Sprintf("%x  %s\n", sha256.Sum256(body), name)
	}
	s.work(2)
	op, md := s.done(s.start("checksum", folder))
	got := response(t, op)
	if want := fmt.Sprintf("%x", sha256.Sum256([]byte(sums))); got["files"] != 5.0 || got["bytes"] != 10000.0 || got["sha256"] != want {
		t.Errorf("response = %v, want 5 files, 10000 bytes, sha256 %s", got, want)
	}
	if p := md.GetProgress(); p.GetCompletedUnits() != 5 || p.GetTotalUnits() != 5 || md.GetAttempt() != 1 {
		t.Errorf("progress = %v, attempt %d; want 5 of 5, attempt 1", p, md.GetAttempt())
	}
}

// What a handler raises is what its caller gets; what it did not mean to raise stays
// in the worker's log.
func TestWorker_Failures(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	w := s.work(2)
	unreadable := filepath.Join(t.TempDir(), "folder")
	if err := os.Mkdir(unreadable, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(unreadable, "dangling")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path, message string
		code          codes.Code
	}{
		{"", "path is required", codes.InvalidArgument},
		{"/nowhere", "path is not a folder", codes.InvalidArgument},
		{unreadable, "internal error of the worker", codes.Internal},
	} {
		op, _ := s.done(s.start("checksum", tt.path))
		if got := op.GetError(); codes.Code(got.GetCode()) != tt.code || got.GetMessage() != tt.message {
			t.Errorf("path %q: error = %v, want %v: %s", tt.path, got, tt.code, tt.message)
		}
	}
	w.says(t, "FileNotFoundError")
}

// A cancel reaches the handler in the middle of its work (CAN-01, CAN-03).
func TestWorker_Cancel(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.work(2)
	name := s.start("await-file", filepath.Join(t.TempDir(), "never"))
	s.running(name)
	if _, err := s.ops.CancelOperation(t.Context(), &longrunningpb.CancelOperationRequest{Name: name}); err != nil {
		t.Fatal(err)
	}
	op, md := s.done(name)
	if codes.Code(op.GetError().GetCode()) != codes.Canceled || md.GetState() != longrunpb.OperationMetadata_CANCELLED {
		t.Errorf("error = %v, state %v; want CANCELLED", op.GetError(), md.GetState())
	}
}

// A worker that is asked to stop gives back what it runs, at once and not as a
// failure; the next one begins it anew.
func TestWorker_Terminated(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	w := s.work(2)
	path := filepath.Join(t.TempDir(), "file")
	name := s.start("await-file", path)
	s.running(name)
	w.signal(t, syscall.SIGTERM)
	late := time.AfterFunc(patience, func() { w.cmd.Process.Kill() })
	if err := w.wait(); err != nil {
		t.Errorf("the worker ended with %v, want exit status 0", err)
	}
	late.Stop()
	if _, md := s.get(name); md.GetState() != longrunpb.OperationMetadata_PENDING {
		t.Errorf("state = %v, want PENDING", md.GetState())
	}
	for _, call := range []string{"ReleaseOperation", "CloseSession"} {
		if s.proxy.count(call) == 0 {
			t.Errorf("there was no %s, want one", call)
		}
	}
	s.work(2)
	arrives(t, path)
	op, md := s.done(name)
	if got := response(t, op)["bytes"]; got != 7.0 || md.GetAttempt() != 2 {
		t.Errorf("response: %v bytes, attempt %d; want 7, attempt 2", got, md.GetAttempt())
	}
}

// A server that is killed and comes back finds its worker where it was: the session
// holds, and the run goes on as the same attempt (CON-02).
func TestWorker_ServerKilled(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.ttl = 2 * time.Minute // the server may take a while to come back
	w := s.work(2)
	path := filepath.Join(t.TempDir(), "file")
	name := s.start("await-file", path)
	s.running(name)
	s.server.kill()
	arrives(t, path) // the end of the run meets no server
	time.Sleep(time.Second)
	s.serve()
	op, md := s.done(name)
	if got := response(t, op)["bytes"]; got != 7.0 || md.GetAttempt() != 1 {
		t.Errorf("response: %v bytes, attempt %d; want 7, attempt 1", got, md.GetAttempt())
	}
	if strings.Contains(w.output(), "session lost") {
		t.Errorf("the worker has lost its session:\n%s", w.output())
	}
}

// A worker that stands still for two TTLs finds out by itself that it has lost what
// it ran, drops it, and works on under another session. Its answers of before would be
// refused.
func TestWorker_StoodStill(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	w := s.work(2)
	path := filepath.Join(t.TempDir(), "file")
	name := s.start("await-file", path)
	s.running(name)
	first := s.proxy.token(0)
	w.signal(t, syscall.SIGSTOP)
	other := s.work(2)
	eventually(t, "the other worker has it as attempt 2", func() bool {
		_, md := s.get(name)
		return md.GetAttempt() == 2
	})
	wantReason(t, s.answer(first, name, 1), "CLAIM_LOST")
	other.signal(t, syscall.SIGSTOP)
	w.signal(t, syscall.SIGCONT)
	w.says(t, "session lost")
	eventually(t, "the first worker has another session, and the operation as attempt 3", func() bool {
		_, md := s.get(name)
		return md.GetAttempt() == 3 && s.proxy.token(2) != ""
	})
	other.signal(t, syscall.SIGCONT)
	other.says(t, "session lost")
	arrives(t, path)
	op, md := s.done(name)
	if got := response(t, op)["bytes"]; got != 7.0 || md.GetAttempt() != 3 {
		t.Errorf("response: %v bytes, attempt %d; want 7, attempt 3", got, md.GetAttempt())
	}
}

// A token that this server has not issued is a lost session, for a client of any
// language.
func TestSession_Foreign(t *testing.T) {
	t.Parallel()
	s, other := newSystem(t), newSystem(t)
	other.work(1)
	s.work(1)
	name := s.start("await-file", filepath.Join(t.TempDir(), "never"))
	s.running(name)
	for _, token := range []string{other.proxy.token(0), "x", s.proxy.token(0) + "x"} {
		wantReason(t, s.answer(token, name, 1), "SESSION_LOST")
	}
	if _, md := s.get(name); md.GetState() != longrunpb.OperationMetadata_RUNNING {
		t.Errorf("state = %v, want RUNNING", md.GetState())
	}
}
