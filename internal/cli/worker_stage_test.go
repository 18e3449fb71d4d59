package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/longrun-dev/longrun/longrunpb"
)

// dispatcher connects to the server at addr.
func dispatcher(addr string) (longrunpb.DispatcherClient, io.Closer, error) {
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, nil, err
	}
	return longrunpb.NewDispatcherClient(conn), conn, nil
}

// structOf packs a JSON object as a Struct.
func structOf(text string) (*anypb.Any, error) {
	st := &structpb.Struct{}
	if err := protojson.Unmarshal([]byte(text), st); err != nil {
		return nil, err
	}
	return anypb.New(st)
}

func cmdStartop(ts *testscript.TestScript, _ bool, args []string) {
	d, conn, err := dispatcher(ts.Getenv("GRPC"))
	ts.Check(err)
	defer conn.Close()
	if !json.Valid([]byte(args[2])) {
		args[2] = ts.ReadFile(args[2])
	}
	body, err := structOf(args[2])
	ts.Check(err)
	req := &longrunpb.StartOperationRequest{Method: args[1], Request: body}
	if len(args) > 3 {
		timeout, err := time.ParseDuration(args[3])
		ts.Check(err)
		req.ExecutionTimeout = durationpb.New(timeout)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	op, err := d.StartOperation(ctx, req, grpc.WaitForReady(true))
	ts.Check(err)
	ts.Setenv(args[0], op.GetName())
}

func cmdGone(ts *testscript.TestScript, _ bool, files []string) {
	for _, file := range files {
		pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(file)))
		ts.Check(err)
		poll(ts, "the end of "+file, func() (bool, string) {
			return hasEnded(pid), "it runs"
		})
	}
}

// hasEnded reports whether a process has ended, or is a zombie that nobody has reaped.
func hasEnded(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err == nil {
		return strings.Contains(string(stat), ") Z ")
	}
	return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

func cmdWire(ts *testscript.TestScript, _ bool, _ []string) {
	s := stageOf(ts)
	w, err := newWire(strings.TrimPrefix(ts.Getenv(serverEnv), s.scheme))
	ts.Check(err)
	s.wire = w
	ts.Setenv("WIRE", s.scheme+w.l.Addr().String())
}

// wire is a network that a test can cut: what is under way is dropped, without a word
// to either side, and nothing new gets through.
type wire struct {
	l    net.Listener
	to   string
	work sync.WaitGroup

	mu    sync.Mutex // guards what follows
	whole *sync.Cond // over mu
	isCut bool
	done  bool
	conns []net.Conn
}

func newWire(to string) (*wire, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wire{l: l, to: to}
	w.whole = sync.NewCond(&w.mu)
	w.work.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			w.work.Go(func() { w.join(near) })
		}
	})
	return w, nil
}

// join passes on what comes from either side.
func (w *wire) join(near net.Conn) {
	defer near.Close()
	if !w.add(near) {
		return
	}
	far, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer far.Close()
	if !w.add(far) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { w.pass(far, near) })
	both.Go(func() { w.pass(near, far) })
	both.Wait()
}

func (w *wire) add(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.isCut && !w.done {
		w.whole.Wait()
	}
	w.conns = append(w.conns, c)
	return !w.done
}

func (w *wire) pass(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		w.mu.Lock()
		for w.isCut && !w.done {
			w.whole.Wait()
		}
		w.mu.Unlock()
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = true
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = false
	w.whole.Broadcast()
}

func (w *wire) close() {
	_ = w.l.Close()
	w.mu.Lock()
	w.done = true
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.whole.Broadcast()
	w.mu.Unlock()
	w.work.Wait()
}

// A wire passes on, holds what comes while it is cut, and passes it on when mended.
func TestWire(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w, err := newWire(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	near, err := net.Dial("tcp", w.l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	b := make([]byte, 1)
	hears := func(want string) {
		t.Helper()
		far.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadFull(far, b); err != nil || string(b) != want {
			t.Errorf("heard %q, %v; want %q", b, err, want)
		}
	}
	io.WriteString(near, "a")
	hears("a")
	w.cut()
	io.WriteString(near, "b")
	far.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := far.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("heard %q, %v through a wire that is cut", b, err)
	}
	w.mend()
	hears("b")
}
