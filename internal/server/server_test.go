package server_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/longrun-dev/longrun/internal/cli"
	"github.com/longrun-dev/longrun/internal/server"
)

func init() { server.SetPlay(cli.Main) }

// options are for a server on free ports and a store of its own.
func options(t *testing.T) server.Options {
	return server.Options{
		Store: "sqlite:" + filepath.Join(t.TempDir(), "longrun.db"), GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0",
		Simulator: server.On, Log: slog.New(slog.DiscardHandler),
	}
}

// serve runs a server for as long as the test.
func serve(t *testing.T, o server.Options) *server.Server {
	t.Helper()
	s, err := server.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
	return s
}

// dial connects to a server for as long as the test.
func dial(t *testing.T, addr string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))...)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestOpen_Refuses(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { busy.Close() })
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.db")
	if err := os.WriteFile(broken, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	held := options(t)
	serve(t, held)

	config, other := filepath.Join(dir, "config.yaml"), filepath.Join(dir, "other.yaml")
	write(t, config, "http:\n  rules:\n  - selector: a.b.C\n    get: v1/x\n")
	write(t, other, "http:\n  rules:\n  - selector: longrun.v1.Dispatcher.StartOperation\n    get: '/v1/{nothing}'\n")

	for _, tt := range []struct {
		name      string
		change    func(*server.Options)
		msg, hint string
	}{
		{"port in use", func(o *server.Options) { o.GRPC = busy.Addr().String() }, "the address is in use", "--grpc 127.0.0.1:0"},
		{"HTTP port in use", func(o *server.Options) { o.HTTP = busy.Addr().String() }, "the address is in use", "--http 127.0.0.1:0"},
		{"every address", func(o *server.Options) { o.GRPC = ":0" }, "no authentication", "--allow-remote"},
		{"every address, HTTP", func(o *server.Options) { o.HTTP = ":0" }, "no authentication", "--allow-remote"},
		{"not of this machine", func(o *server.Options) { o.GRPC, o.Remote = "192.0.2.1:0", server.On }, "cannot assign", "not one of this machine"},
		{"store held", func(o *server.Options) { o.Store = held.Store }, "in use by another server", "--store"},
		{"store damaged", func(o *server.Options) { o.Store = "sqlite:" + broken }, "not a SQLite database", "name the file of a store"},
		{"no directory", func(o *server.Options) { o.Store = "sqlite:" + filepath.Join(dir, "no", "longrun.db") }, "directory", "directory"},
		{"no scheme", func(o *server.Options) { o.Store = "longrun.db" }, "not the address of a store", "sqlite:longrun.db"},
		{"another scheme", func(o *server.Options) { o.Store = "mysql:x" }, "not the address of a store", "sqlite:FILE"},
		{"no file", func(o *server.Options) { o.Store = "sqlite:" }, "not the address of a store", "sqlite:FILE"},
		{"no service config", func(o *server.Options) { o.ServiceConfig = filepath.Join(dir, "none.yaml") }, "no such file", "google.api.Service"},
		{"wrong service config", func(o *server.Options) { o.ServiceConfig = config }, "config.yaml: service config: line 3: http.rules[0]: path", "google.api.Service"},
		{"service config of other methods", func(o *server.Options) { o.ServiceConfig = other }, `other.yaml: longrun.v1.Dispatcher.StartOperation: service config: line 3`, "must fit"},
		{"host with port", func(o *server.Options) { o.Hosts = []string{"a:1"} }, "is not a host", "--allow-host"},
		{"origin", func(o *server.Options) { o.Origins = []string{"a"} }, "is not an origin", "--allow-origin"},
		{"retention", func(o *server.Options) { o.Retention = -1 }, "must not be negative", "--retention"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			tt.change(&o)
			s, err := server.Open(t.Context(), o)
			if err == nil {
				t.Fatalf("Open = %v, want an error", s)
			}
			p, ok := errors.AsType[*server.Problem](err)
			if !ok {
				t.Fatalf("Open = %v, want a *Problem", err)
			}
			if !strings.Contains(p.Msg, tt.msg) || strings.Contains(p.Msg, "\n") {
				t.Errorf("Msg = %q, want one line with %q", p.Msg, tt.msg)
			}
			if !strings.Contains(p.Hint, tt.hint) {
				t.Errorf("Hint = %q, want %q", p.Hint, tt.hint)
			}
		})
	}
}

// What a refused Open has opened, it has closed: the next one finds the port and the
// store free.
func TestOpen_LeavesNothingOpen(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.GRPC = quietPort(t)
	bad := o
	bad.Store = "nothing"
	if _, err := server.Open(t.Context(), bad); err == nil {
		t.Fatal("Open of no store worked")
	}
	serve(t, o)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	o := options(t)
	file := strings.TrimPrefix(o.Store, "sqlite:")
	if _, err := server.Check(t.Context(), file); err == nil {
		t.Error("Check of no file = nil, want an error")
	}
	s := serve(t, o)
	if _, err := server.Check(t.Context(), file); err == nil {
		t.Errorf("Check while %s has it open = nil, want an error", s.GRPCAddr())
	}
}
