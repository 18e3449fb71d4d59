package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/structpb"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"

	"github.com/longrun-dev/longrun/longrunpb"
)

// BenchmarkWorkerScript is what a run of a worker's command costs, side by side:
//
//	bare      fork, exec and wait, with a pipe to write to and one to read from
//	script    the same command as a worker runs it: four pipes, limits, group, guard
//	worker    operations of a real server, acquired, run and ended, one at a time
//	worker/4  four at a time
//
// cpu-us/op is the processor time of this process and of the commands; it says more
// than the time on a machine that has other work. The server's is not in it; the time
// of worker has the server's in it, and two writes to its disk.
//
// The command is cat, which reads a request and prints it as the response.
func BenchmarkWorkerScript(b *testing.B) {
	const request = `{"directory":"/srv/thumbnails","size":128}` + "\n"
	b.Run("bare", func(b *testing.B) {
		begin := processor(b)
		for b.Loop() {
			cmd := exec.Command("cat")
			cmd.Stdin = strings.NewReader(request)
			if out, err := cmd.Output(); err != nil || string(out) != request {
				b.Fatalf("%q, %v", out, err)
			}
		}
		since(b, begin)
	})
	b.Run("script", func(b *testing.B) {
		g, err := startGuard(func() { b.Error("the guard is lost") })
		if err != nil {
			b.Fatal(err)
		}
		defer g.close()
		begin := processor(b)
		for b.Loop() {
			s := &script{args: []string{"cat"}, in: []byte(request), err: io.Discard, guard: g, grace: killGrace, report: func(line) {}, drop: func(error) {}}
			if e, err := s.run(); err != nil || !bytes.Equal(e.out, []byte(request)) {
				b.Fatalf("%+v, %v", e, err)
			}
		}
		since(b, begin)
	})
	b.Run("worker", func(b *testing.B) { benchmarkWorker(b, 1) })
	b.Run("worker/4", func(b *testing.B) { benchmarkWorker(b, 4) })
}

// processor is the processor time that we and our children have taken.
func processor(b *testing.B) time.Duration {
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

// since reports the processor time of each operation since begin.
func since(b *testing.B, begin time.Duration) {
	b.ReportMetric(float64((processor(b)-begin).Microseconds())/float64(b.N), "cpu-us/op")
}

// benchmarkWorker runs b.N operations that wait already when the worker begins.
func benchmarkWorker(b *testing.B, concurrency int) {
	addr := benchServer(b)
	d, conn, err := dispatcher(addr)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	body := packed(b, &structpb.Struct{})
	var last string
	for range b.N {
		op, err := d.StartOperation(b.Context(), &longrunpb.StartOperationRequest{Method: "m", Request: body})
		if err != nil {
			b.Fatal(err)
		}
		last = op.GetName()
	}
	var done atomic.Int64
	all := make(chan struct{})
	a := &app{err: counter{"succeeded", func() {
		if done.Add(1) == int64(b.N) {
			close(all)
		}
	}}, env: func(string) string { return "" }}
	ctx, stop := context.WithCancel(b.Context())
	b.ResetTimer()
	begin := processor(b)
	ended := make(chan error, 1)
	cmd := a.workerCmd()
	if err := cmd.Flags().Set("server", addr); err != nil {
		b.Fatal(err)
	}
	w := &worker{a: a, method: "m", args: []string{"cat"}, concurrency: concurrency, ttl: 30 * time.Second, grace: time.Second, kill: killGrace}
	if w.c, err = a.dial(cmd); err != nil {
		b.Fatal(err)
	}
	defer w.c.close()
	go func() { ended <- w.run(ctx, nil) }()
	select {
	case <-all:
	case <-time.After(time.Minute):
		b.Fatalf("%d operations of %d were worked in a minute", done.Load(), b.N)
	}
	b.StopTimer()
	since(b, begin)
	op, err := longrunningpb.NewOperationsClient(w.c.conn).GetOperation(b.Context(), &longrunningpb.GetOperationRequest{Name: last}, grpc.WaitForReady(true))
	if err != nil || op.GetResponse() == nil {
		b.Errorf("the last operation = %v, %v", op, err)
	}
	stop()
	<-ended
}

// counter is a log that counts the lines with a text.
type counter struct {
	text string
	seen func()
}

func (c counter) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(c.text)) {
		c.seen()
	}
	return len(p), nil
}

// benchServer runs a server in a process of its own, so that what it costs is not
// counted here, and returns its address.
func benchServer(b *testing.B) string {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	talk := newScreen()
	cmd := &exec.Cmd{Path: self, Args: []string{"longrun", "serve", "--grpc", "127.0.0.1:0", "--http", "off", "--store", "sqlite:" + filepath.Join(b.TempDir(), "longrun.db")}, Stderr: talk}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			b.Errorf("serve: %v\n%s", err, talk)
		}
	})
	talk.await(b, "longrun: and: ")
	return regexp.MustCompile(`serving gRPC on (\S+)`).FindStringSubmatch(talk.String())[1]
}
