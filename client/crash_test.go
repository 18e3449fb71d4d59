package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/grpcapi"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/simulator"
	"github.com/longrun-dev/longrun/sqlite"
)

// In the environment, mortalAddr makes the test binary a server at this socket, on
// the file of mortalFile. mortalIdle keeps it from running what it stores.
const (
	mortalAddr = "CLIENT_MORTAL_ADDR"
	mortalFile = "CLIENT_MORTAL_FILE"
	mortalIdle = "CLIENT_MORTAL_IDLE"
)

// The server is killed with SIGKILL in the middle of a Wait and another begins on
// the same file and socket: the same Wait ends well (CON-02).
func TestWait_ServerIsKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir, err := os.MkdirTemp("", "mortal") // short: the path of a socket is limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	conn, err := grpc.NewClient("unix://"+filepath.Join(dir, "socket"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()

	first := startMortal(t, dir, mortalIdle+"=yes")
	first.await(t, "serving")
	op := simulate(t, conn, &longrunpb.SimulateRequest{})
	var waited sync.WaitGroup
	defer waited.Wait()
	waited.Go(func() {
		got, err := op.Wait(ctx)
		want(t, got, err, "a book")
	})
	first.await(t, "waited for")
	first.kill(t)
	_, err = op.Poll(ctx)
	if err == nil || op.Done() {
		t.Errorf("Poll of a dead server = %v, Done = %v; want an error, false", err, op.Done())
	}
	startMortal(t, dir).await(t, "serving")
}

// mortal is a server in a process of its own.
type mortal struct {
	cmd *exec.Cmd
	out *bufio.Scanner
}

func startMortal(t *testing.T, dir string, env ...string) *mortal {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), mortalAddr+"="+filepath.Join(dir, "socket"), mortalFile+"="+filepath.Join(dir, "longrun.db")), env...)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m := &mortal{cmd: cmd, out: bufio.NewScanner(out)}
	t.Cleanup(func() { m.kill(t) })
	return m
}

// await reads what the server says until it says this.
func (m *mortal) await(t *testing.T, line string) {
	t.Helper()
	for m.out.Scan() {
		if m.out.Text() == line {
			return
		}
	}
	t.Fatalf("the server has ended without saying %q", line)
}

func (m *mortal) kill(t *testing.T) {
	t.Helper()
	if m.cmd.ProcessState != nil {
		return
	}
	if err := m.cmd.Process.Kill(); err != nil {
		t.Errorf("kill: %v", err)
	}
	if _, ok := errors.AsType[*exec.ExitError](m.cmd.Wait()); !ok {
		t.Error("the server has ended by itself")
	}
}

// serveMortal serves until it is killed, and says when it serves and when somebody
// waits for an operation.
func serveMortal(addr, file string) error {
	store, err := sqlite.Open(file, sqlite.Options{})
	if err != nil {
		return err
	}
	svc, err := longrun.New(store, longrun.Options{})
	if err != nil {
		return err
	}
	server := grpc.NewServer(append(grpcapi.ServerOptions(svc, grpcapi.Options{}), grpc.ChainUnaryInterceptor(sayWaits))...)
	grpcapi.Register(server, svc, grpcapi.Options{})
	simulator.Register(server, svc)
	opts := runner.Options{}
	if os.Getenv(mortalIdle) != "" {
		opts.Concurrency = -1
	}
	r, err := runner.New(svc, opts)
	if err != nil {
		return err
	}
	if err := os.Remove(addr); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", addr)
	if err != nil {
		return err
	}
	fmt.Println("serving")
	go server.Serve(listener) // until this process is killed
	return r.Run(context.Background())
}

func sayWaits(ctx context.Context, r any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if strings.HasSuffix(info.FullMethod, longrunningpb.Operations_WaitOperation_FullMethodName) {
		time.AfterFunc(100*time.Millisecond, func() { fmt.Println("waited for") })
	}
	return handler(ctx, r)
}
