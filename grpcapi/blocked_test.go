package grpcapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/grpcapi"
	"github.com/longrun-dev/longrun/inmem"
)

// blockedServer, in the environment, makes the test binary a server whose memory
// is measured, instead of a test.
const blockedServer = "GRPCAPI_BLOCKED_SERVER"

const (
	blockedWaits = 10_000
	blockedConns = 20
)

// BenchmarkBlockedWait reports what a blocked WaitOperation keeps resident in the
// server, in bytes, and as a multiple of what it costs a bare grpc-go server whose
// handler blocks on a channel. Every server is a process of its own.
//
// The waits are for as many operations ("each") or for a single one ("one"),
// behind ServerOptions or, "plain", without.
func BenchmarkBlockedWait(b *testing.B) {
	for b.Loop() {
		bare := measureBlocked(b, "bare")
		b.ReportMetric(bare, "bare-B/wait")
		for _, kind := range []string{"each", "one", "plain"} {
			bytes := measureBlocked(b, kind)
			b.ReportMetric(bytes, kind+"-B/wait")
			b.ReportMetric(bytes/bare, kind+"-ratio")
		}
	}
}

// measureBlocked starts a server, blocks all waits in it, and returns the
// resident bytes that each has added.
func measureBlocked(b *testing.B, kind string) float64 {
	b.Helper()
	server := exec.Command(os.Args[0])
	server.Env = append(os.Environ(), blockedServer+"="+kind)
	server.Stderr = os.Stderr
	in, err := server.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		in.Close()
		if err := server.Wait(); err != nil {
			b.Errorf("server: %v", err)
		}
	}()
	lines := bufio.NewScanner(out)
	read := func() string {
		b.Helper()
		if !lines.Scan() {
			b.Fatalf("server %q ended early", kind)
		}
		return lines.Text()
	}
	addr := read()
	var names []string
	for name := read(); name != ""; name = read() {
		names = append(names, name)
	}
	resident := func(goroutines int) (bytes float64) {
		b.Helper()
		fmt.Fprintln(in, goroutines)
		if _, err := fmt.Sscan(read(), &bytes); err != nil {
			b.Fatal(err)
		}
		return bytes
	}
	ctx, cancel := context.WithCancel(context.Background())
	var waits sync.WaitGroup
	defer waits.Wait()
	defer cancel()
	clients := dialBlocked(b, ctx, addr)
	before := resident(0)
	for i := range blockedWaits {
		waits.Go(func() {
			r := &longrunningpb.WaitOperationRequest{Name: names[i%len(names)]}
			clients[i%len(clients)].WaitOperation(ctx, r) // ends by cancel
		})
	}
	return (resident(blockedWaits) - before) / blockedWaits
}

// dialBlocked opens connections that have been used once: their buffers are not
// what a wait costs.
func dialBlocked(b *testing.B, ctx context.Context, addr string) []longrunningpb.OperationsClient {
	b.Helper()
	var clients []longrunningpb.OperationsClient
	for range blockedConns {
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		c := longrunningpb.NewOperationsClient(conn)
		if _, err := c.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: "operations/none"}); err == nil {
			b.Fatal("GetOperation of an unknown name succeeded")
		}
		clients = append(clients, c)
	}
	return clients
}

// serveBlocked is the server of the benchmark. It prints its address, the names to
// wait for and an empty line; then it answers each line of input, a number of
// goroutines to await, with the bytes it keeps resident.
func serveBlocked(kind string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server, names, err := newBlocked(kind)
	if err != nil {
		return err
	}
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(listener) })
	defer serving.Wait()
	defer server.Stop()
	fmt.Printf("%s\n%s\n\n", listener.Addr(), strings.Join(names, "\n"))
	idle := 0
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var blocked int
		if _, err := fmt.Sscan(lines.Text(), &blocked); err != nil {
			return err
		}
		if blocked == 0 {
			idle = runtime.NumGoroutine()
		}
		for runtime.NumGoroutine() < idle+blocked {
			time.Sleep(10 * time.Millisecond)
		}
		bytes, err := residentBytes()
		if err != nil {
			return err
		}
		fmt.Println(bytes)
	}
	return nil
}

// newBlocked returns the server to measure and the names that can be waited for.
func newBlocked(kind string) (*grpc.Server, []string, error) {
	if kind == "bare" {
		server := grpc.NewServer()
		longrunningpb.RegisterOperationsServer(server, &bareServer{end: make(chan struct{})})
		return server, []string{longrun.Name{ID: longrun.NewID()}.String()}, nil
	}
	svc, err := longrun.New(inmem.New(), longrun.Options{})
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for range map[string]int{"each": blockedWaits, "one": 1, "plain": blockedWaits}[kind] {
		op, err := svc.Start(context.Background(), longrun.StartRequest{Method: "sleep"})
		if err != nil {
			return nil, nil, err
		}
		names = append(names, op.Name().String())
	}
	var opts []grpc.ServerOption
	if kind != "plain" {
		opts = grpcapi.ServerOptions(svc, grpcapi.Options{})
	}
	server := grpc.NewServer(opts...)
	grpcapi.Register(server, svc, grpcapi.Options{})
	return server, names, nil
}

// bareServer blocks every wait on a channel.
type bareServer struct {
	longrunningpb.UnimplementedOperationsServer
	end chan struct{}
}

func (s *bareServer) WaitOperation(ctx context.Context, _ *longrunningpb.WaitOperationRequest) (*longrunningpb.Operation, error) {
	select {
	case <-s.end:
	case <-ctx.Done():
	}
	return &longrunningpb.Operation{}, nil
}

// residentBytes returns the resident set of this process after all that can be
// freed was freed.
func residentBytes() (int, error) {
	for range 3 { // stacks shrink by half in one collection
		runtime.GC()
	}
	debug.FreeOSMemory()
	f, err := os.Open("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return 0, err
	}
	var size, resident int
	_, err = fmt.Sscan(string(text), &size, &resident)
	return resident * os.Getpagesize(), err
}
