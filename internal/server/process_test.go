package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/longrun-dev/longrun/internal/server"
)

// process is a server in a process of its own, which can be killed.
type process struct {
	store string
	addr  string

	cmd   *exec.Cmd
	leash io.Closer // its standard input; it ends with it
	talk  sync.WaitGroup

	mu  sync.Mutex // guards err
	err []string   // what it has said
}

// patience is how long anything that must happen may take on a busy machine.
const patience = 2 * time.Minute

// quietPorts are the ports that tests have had.
var quietPorts sync.Map

// quietPort returns an address on a port that the system gives to nobody by itself, nor
// another test, so that it is still free when a server that was killed comes back.
func quietPort(t *testing.T) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(10_000))
		if _, had := quietPorts.LoadOrStore(addr, true); had {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// startProcess starts a server and waits until it listens.
func startProcess(t *testing.T, store string) *process {
	t.Helper()
	p := &process{store: store, addr: quietPort(t)}
	p.start(t)
	t.Cleanup(func() { p.kill() })
	return p
}

var listening = regexp.MustCompile(`serving gRPC on (\S+)`)

// start starts the server again, and waits until it listens.
func (p *process) start(t *testing.T) {
	t.Helper()
	select {
	case <-p.launch(t):
	case <-time.After(patience):
		t.Fatalf("the server does not listen:\n%s", p.said())
	}
}

// launch starts the server. The channel is closed when it listens.
func (p *process) launch(t *testing.T) <-chan struct{} {
	t.Helper()
	p.cmd = player(context.Background(), "serve", "--store", "sqlite:"+p.store, "--grpc", p.addr, "--http", "off", "--simulator")
	p.cmd.Env = append(os.Environ(), server.PlayEnv+"="+server.PlayLeashed)
	leash, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.leash = leash
	up := make(chan struct{})
	p.talk.Go(func() {
		told := sync.OnceFunc(func() { close(up) })
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.mu.Lock()
			p.err = append(p.err, lines.Text())
			p.mu.Unlock()
			if listening.MatchString(lines.Text()) {
				told()
			}
		}
	})
	return up
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.err, "\n")
}

// kill ends it by SIGKILL, and waits until it is gone.
func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill() // the only error is that it has gone already
	p.gone()
}

// stop ends it by the signal that asks, and waits until it is gone.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Errorf("stop the server: %v", err)
	}
	if err := p.gone(); err != nil {
		t.Errorf("the server stopped with %v, want exit status 0:\n%s", err, p.said())
	}
}

func (p *process) gone() error {
	p.talk.Wait() // before Wait, which closes the pipe
	err := p.cmd.Wait()
	p.leash.Close()
	p.cmd = nil
	return err
}

// connect returns a connection that looks for its server often.
func connect(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.5, MaxDelay: 200 * time.Millisecond},
			MinConnectTimeout: time.Second,
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
