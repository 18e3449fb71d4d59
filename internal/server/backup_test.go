package server_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun/internal/server"
	"github.com/longrun-dev/longrun/longrunpb"
)

func named(dir string) (names []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return []string{err.Error()}
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// wantProblem checks that err is one line for people with a hint.
func wantProblem(t *testing.T, err error, says string) {
	t.Helper()
	var p *server.Problem
	if !errors.As(err, &p) || !strings.Contains(p.Msg, says) || strings.Contains(p.Msg, "\n") || p.Hint == "" {
		t.Errorf("%v (%T), want a problem with %q and a hint", err, err, says)
	}
}

// CON-02: copies of a server under load from many clients, also one that is killed
// in the middle, are sound and hold everything that was acknowledged before they were
// asked for; the server loses nothing by being copied.
func TestBackup_UnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startProcess(t, filepath.Join(dir, "longrun.db"))
	h := newHistory()
	conn := connect(t, p.addr)
	l := newLoad(conn, h)
	chaos, calm := context.WithCancel(t.Context())
	defer calm()
	done, finish := context.WithCancel(t.Context())
	defer finish()
	clients := l.run(t, chaos, done)

	copies := map[string][]string{}
	for i := range 6 {
		sleep(t.Context(), 500*time.Millisecond)
		l.mu.Lock()
		var known []string // those that nobody deletes
		for _, s := range l.kept {
			known = append(known, s.name)
		}
		l.mu.Unlock()
		file := filepath.Join(dir, "copies", "copy"+string(rune('0'+i)))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		killed := make(chan struct{})
		if i%3 == 2 { // at some moment of the copy
			go func() {
				defer close(killed)
				sleep(t.Context(), time.Duration(rand.IntN(10))*time.Millisecond)
				p.kill()
			}()
		} else {
			close(killed)
		}
		err := server.BackupServer(t.Context(), conn, file, server.BackupOptions{})
		<-killed
		if err == nil {
			copies[file] = known
		} else if i%3 != 2 {
			t.Fatalf("backup of a server that runs: %v", err)
		}
		if i%3 == 2 {
			p.start(t)
		}
	}
	calm()
	l.settle(t)
	finish()
	clients.Wait()
	p.stop(t)
	if err := l.wrong.Load(); err != nil {
		t.Errorf("an answer that no server may give: %v", *err)
	}
	h.check(t)
	if got, want := len(named(filepath.Join(dir, "copies"))), len(copies); got != want {
		t.Errorf("there are %v, want %d copies and nothing else", named(filepath.Join(dir, "copies")), want)
	}
	if len(copies) < 4 {
		t.Errorf("%d copies were made, want 4 at least", len(copies))
	}
	for file, known := range copies {
		wantCopy(t, file, known)
	}
}

// wantCopy checks a copy, serves it, and finds what was known in it.
func wantCopy(t *testing.T, file string, known []string) {
	t.Helper()
	if found, err := server.Check(t.Context(), file); err != nil || len(found) > 0 {
		t.Errorf("longrun check: %v, %v; want nothing", found, err)
	}
	o := options(t)
	o.Store = "sqlite:" + file
	t.Run(filepath.Base(file), func(t *testing.T) {
		ops := longrunningpb.NewOperationsClient(dial(t, serve(t, o).GRPCAddr()))
		for _, name := range known {
			if _, err := ops.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: name}); err != nil {
				t.Errorf("%s was acknowledged before the copy was asked for: %v", name, err)
			}
		}
		t.Logf("%d operations were known", len(known))
	})
}

// fakeAdmin streams what a test says.
type fakeAdmin struct {
	longrunpb.UnimplementedAdminServer
	pieces []*longrunpb.BackUpStoreResponse
	err    error
}

func (f *fakeAdmin) BackUpStore(_ *longrunpb.BackUpStoreRequest, stream grpc.ServerStreamingServer[longrunpb.BackUpStoreResponse]) error {
	for _, p := range f.pieces {
		if err := stream.Send(p); err != nil {
			return err
		}
	}
	return f.err
}

// A stream that is cut off or garbled leaves nothing, and says so in a line.
func TestBackup_BadStream(t *testing.T) {
	t.Parallel()
	data := func(b ...byte) *longrunpb.BackUpStoreResponse { return &longrunpb.BackUpStoreResponse{Data: b} }
	total := &longrunpb.BackUpStoreResponse{TotalBytes: 3}
	sum := &longrunpb.BackUpStoreResponse{Sha256: make([]byte, 32)}
	for name, tt := range map[string]struct {
		fake fakeAdmin
		says string
	}{
		"empty":       {fakeAdmin{}, "has not arrived as it was sent"},
		"short":       {fakeAdmin{pieces: []*longrunpb.BackUpStoreResponse{total, data(1), sum}}, "has not arrived as it was sent"},
		"long":        {fakeAdmin{pieces: []*longrunpb.BackUpStoreResponse{total, data(1, 2, 3, 4), sum}}, "has not arrived as it was sent"},
		"no sum":      {fakeAdmin{pieces: []*longrunpb.BackUpStoreResponse{total, data(1, 2, 3)}}, "has not arrived as it was sent"},
		"another sum": {fakeAdmin{pieces: []*longrunpb.BackUpStoreResponse{total, data(1, 2, 3), sum}}, "has not arrived as it was sent"},
		"gone":        {fakeAdmin{pieces: []*longrunpb.BackUpStoreResponse{total, data(1)}, err: status.Error(codes.Unavailable, "closing")}, "gone in the middle"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			g := grpc.NewServer()
			longrunpb.RegisterAdminServer(g, &tt.fake)
			served := make(chan error, 1)
			go func() { served <- g.Serve(l) }()
			defer func() { g.Stop(); <-served }()
			dir := t.TempDir()
			err = server.BackupServer(t.Context(), dial(t, l.Addr().String()), filepath.Join(dir, "copy"), server.BackupOptions{})
			wantProblem(t, err, tt.says)
			if names := named(dir); len(names) > 0 {
				t.Errorf("there is %v, want nothing", names)
			}
		})
	}
}

// What a backup refuses is one line with a hint.
func TestBackup_Problems(t *testing.T) {
	t.Parallel()
	o := options(t)
	store := strings.TrimPrefix(o.Store, "sqlite:")
	conn := dial(t, serve(t, o).GRPCAddr())
	taken := filepath.Join(t.TempDir(), "taken")
	if err := server.BackupServer(t.Context(), conn, taken, server.BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		err  error
		says string
	}{
		{server.BackupServer(t.Context(), conn, taken, server.BackupOptions{}), "is there already"},
		{server.BackupServer(t.Context(), conn, store, server.BackupOptions{Replace: server.On}), "in use by another server"},
		{server.BackupServer(t.Context(), conn, filepath.Join(taken+"no", "x"), server.BackupOptions{}), "its directory does not exist"},
		{server.BackupStore(t.Context(), o.Store, taken+"2", server.BackupOptions{}), "in use by another server"},
		{server.BackupStore(t.Context(), store, taken+"2", server.BackupOptions{}), "is not the address of a store"},
		{server.BackupStore(t.Context(), "sqlite:"+taken+"3", taken+"2", server.BackupOptions{}), "does not exist"},
	} {
		wantProblem(t, tt.err, tt.says)
	}
	if err := server.BackupServer(t.Context(), conn, taken, server.BackupOptions{Replace: server.On}); err != nil {
		t.Errorf("with --replace: %v", err)
	}
	if err := server.BackupStore(t.Context(), "sqlite:"+taken, taken+"2", server.BackupOptions{}); err != nil {
		t.Errorf("of a store that nobody has open: %v", err)
	}
	if names := named(filepath.Dir(taken)); !slices.Equal(names, []string{"taken", "taken2"}) {
		t.Errorf("there is %v, want the two copies", names)
	}
}

// How far it is, is told from nothing to all.
func TestBackup_Progress(t *testing.T) {
	t.Parallel()
	conn := dial(t, serve(t, options(t)).GRPCAddr())
	file := filepath.Join(t.TempDir(), "copy")
	var told [][2]int64
	o := server.BackupOptions{Progress: func(done, total int64) { told = append(told, [2]int64{done, total}) }}
	if err := server.BackupServer(t.Context(), conn, file, o); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if first, last := told[0], told[len(told)-1]; first != [2]int64{0, info.Size()} || last != [2]int64{info.Size(), info.Size()} {
		t.Errorf("told from %v to %v, want from 0 to %d", first, last, info.Size())
	}
}

// A server that is asked to stop does not wait for whoever takes a copy slowly, and
// stops in order.
func TestBackup_Drain(t *testing.T) {
	t.Parallel()
	s, err := server.Open(t.Context(), options(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	conn := dial(t, s.GRPCAddr())
	body, err := anypb.New(wrapperspb.String(strings.Repeat("x", 16<<10)))
	if err != nil {
		t.Fatal(err)
	}
	for range 100 { // more than a connection holds back
		_, err := longrunpb.NewDispatcherClient(conn).StartOperation(t.Context(), &longrunpb.StartOperationRequest{Method: "m", Request: body})
		if err != nil {
			t.Fatal(err)
		}
	}
	stream, err := longrunpb.NewAdminClient(conn).BackUpStore(t.Context(), &longrunpb.BackUpStoreRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := stream.Recv(); err != nil || first.GetTotalBytes() < 1<<20 {
		t.Fatalf("first message: %v, %v, want the size", first.GetTotalBytes(), err)
	}
	stop()
	if err := <-ran; err != nil {
		t.Errorf("Run = %v, want that it stopped in order", err)
	}
	for err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("the copy ended with %v, want UNAVAILABLE", err)
	}
}
