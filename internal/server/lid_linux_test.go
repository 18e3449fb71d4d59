package server_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// closed is for how long the lid is closed: two of the shortest TTLs, and a little.
const closed = 2*longrun.MinSessionTTL + time.Second

// signal stops a process as a closed lid does, or wakes it.
func signal(t *testing.T, p *os.Process, s syscall.Signal) {
	t.Helper()
	if err := p.Signal(s); err != nil {
		t.Fatalf("signal %v: %v", s, err)
	}
}

// longrunRun plays "longrun run" of a shell script as an operation under parent, and
// returns it when the operation runs, with its name and what it says.
func longrunRun(t *testing.T, ops longrunningpb.OperationsClient, addr, parent, script string) (*exec.Cmd, string, *bytes.Buffer) {
	t.Helper()
	said := &bytes.Buffer{}
	cmd := player(context.Background(), "run", "--server", addr, "--parent", parent, "--session-ttl", fmt.Sprint(longrun.MinSessionTTL), "--", "sh", "-c", script)
	cmd.Stderr = said
	// Stopped processes of a group whose parent's parent has gone are sent SIGHUP.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // the only error is that it has gone
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		page, err := ops.ListOperations(t.Context(), &longrunningpb.ListOperationsRequest{Name: parent})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.GetOperations()) == 1 {
			return cmd, page.GetOperations()[0].GetName(), said
		}
	}
	t.Fatal("longrun run has started no operation")
	return nil, "", nil
}

// exitOf waits for a process to end.
func exitOf(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended: // its exit status is the news
	case <-time.After(patience):
		t.Fatal("the process does not end")
	}
	return cmd.ProcessState.ExitCode()
}

func waitDone(t *testing.T, ops longrunningpb.OperationsClient, name string) *longrunningpb.Operation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		op, err := ops.WaitOperation(ctx, &longrunningpb.WaitOperationRequest{Name: name})
		if err != nil {
			t.Fatalf("wait for %s: %v", name, err)
		}
		if op.GetDone() {
			return op
		}
	}
}

// The lid is closed over the server, with a run of its own and a worker elsewhere that
// goes on beating: neither is lost, and neither begins again.
func TestLid_Server(t *testing.T) {
	t.Parallel()
	p := startProcess(t, filepath.Join(t.TempDir(), "longrun.db"))
	conn := connect(t, p.addr)
	ops, work := longrunningpb.NewOperationsClient(conn), longrunpb.NewDispatcherClient(conn)
	own, err := longrunpb.NewSimulatorClient(conn).Simulate(t.Context(), &longrunpb.SimulateRequest{RunDuration: durationpb.New(8 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	session, err := work.OpenSession(t.Context(), &longrunpb.OpenSessionRequest{Ttl: durationpb.New(longrun.MinSessionTTL)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := work.StartOperation(t.Context(), &longrunpb.StartOperationRequest{Method: "elsewhere"}); err != nil {
		t.Fatal(err)
	}
	acquire := func(session string) []*longrunpb.AcquiredOperation {
		r, err := work.AcquireOperations(t.Context(), &longrunpb.AcquireOperationsRequest{Session: session, Methods: []string{"elsewhere"}, Call: 1})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetOperations()
	}
	got := acquire(session.GetSession())
	if len(got) != 1 {
		t.Fatalf("acquired %v, want one operation", got)
	}
	beat := &longrunpb.BeatSessionRequest{Session: session.GetSession(), ClosedCall: 1,
		Held: []*longrunpb.HeldOperation{{Operation: got[0].GetOperation(), Attempt: 1}}}
	beats := func(d time.Duration) {
		for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
			if r, err := work.BeatSession(t.Context(), beat); err != nil || len(r.GetStop()) != 0 {
				t.Errorf("beat = %v, %v, want that it holds what it held", r.GetStop(), err)
			}
		}
	}
	beats(3 * time.Second)
	signal(t, p.cmd.Process, syscall.SIGSTOP)
	time.Sleep(closed)
	signal(t, p.cmd.Process, syscall.SIGCONT)
	time.Sleep(time.Second) // the server sweeps, and has not heard the worker
	beats(longrun.MinSessionTTL + 2*time.Second)

	other, err := work.OpenSession(t.Context(), &longrunpb.OpenSessionRequest{Ttl: durationpb.New(longrun.MinSessionTTL)})
	if err != nil {
		t.Fatal(err)
	}
	if got := acquire(other.GetSession()); len(got) != 0 {
		t.Errorf("another worker has got %v, want nothing: it runs", got)
	}
	_, err = work.FinishOperation(t.Context(), &longrunpb.FinishOperationRequest{
		Name: got[0].GetOperation(), Session: session.GetSession(), Attempt: 1,
		Result: &longrunpb.FinishOperationRequest_Response{Response: mustPack(t)},
	})
	if err != nil {
		t.Errorf("finish: %v", err)
	}
	for _, name := range []string{own.GetName(), got[0].GetOperation()} {
		op := waitDone(t, ops, name)
		if md := stateOf(t, op); md.GetAttempt() != 1 || op.GetError() != nil {
			t.Errorf("%s has ended as attempt %d: %v, want success of the first", name, md.GetAttempt(), op.GetError())
		}
	}
	p.stop(t)
}

// The lid is closed over everything: what ran goes on when it opens, once.
func TestLid_ServerAndWorker(t *testing.T) {
	t.Parallel()
	p := startProcess(t, filepath.Join(t.TempDir(), "longrun.db"))
	ops := longrunningpb.NewOperationsClient(connect(t, p.addr))
	ran := filepath.Join(t.TempDir(), "ran")
	cmd, name, said := longrunRun(t, ops, p.addr, "projects/lid", "sleep 3; echo once >>"+ran)
	time.Sleep(time.Second)
	signal(t, cmd.Process, syscall.SIGSTOP)
	signal(t, p.cmd.Process, syscall.SIGSTOP)
	time.Sleep(closed)
	signal(t, p.cmd.Process, syscall.SIGCONT)
	signal(t, cmd.Process, syscall.SIGCONT)
	if exit := exitOf(t, cmd); exit != 0 {
		t.Errorf("longrun run: exit status %d, want 0:\n%s", exit, said)
	}
	op := waitDone(t, ops, name)
	if md := stateOf(t, op); md.GetAttempt() != 1 || op.GetError() != nil {
		t.Errorf("it has ended as attempt %d: %v, want success of the first", md.GetAttempt(), op.GetError())
	}
	wantRuns(t, ran, 1)
	p.stop(t)
}

// The lid is closed over the worker alone, which the server hears no more: what it ran
// ends for its callers, nobody runs it again, and the worker is told when it wakes.
func TestLid_Worker(t *testing.T) {
	t.Parallel()
	p := startProcess(t, filepath.Join(t.TempDir(), "longrun.db"))
	ops := longrunningpb.NewOperationsClient(connect(t, p.addr))
	time.Sleep(longrun.MinSessionTTL) // the server has heard its store for a TTL
	ran := filepath.Join(t.TempDir(), "ran")
	cmd, name, said := longrunRun(t, ops, p.addr, "projects/lid", "sleep 13; echo once >>"+ran)
	signal(t, cmd.Process, syscall.SIGSTOP)
	begin := time.Now()
	op := waitDone(t, ops, name)
	if md := stateOf(t, op); codes.Code(op.GetError().GetCode()) != codes.Aborted || md.GetAttempt() != 1 {
		t.Errorf("it has ended as attempt %d: %v, want ABORTED of the first", md.GetAttempt(), op.GetError())
	}
	time.Sleep(time.Until(begin.Add(closed)))
	signal(t, cmd.Process, syscall.SIGCONT)
	if exit := exitOf(t, cmd); exit != 124 || !strings.Contains(said.String(), "given operation") {
		t.Errorf("longrun run: exit status %d, want 124 and why:\n%s", exit, said)
	}
	wantRuns(t, ran, 1)
	p.stop(t)
}

// wantRuns checks how often a command has run to its end.
func wantRuns(t *testing.T, file string, want int) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(b), "once"); got != want {
		t.Errorf("the command has run %d times, want %d", got, want)
	}
}
