package cli

import (
	"context"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/longrun-dev/longrun/internal/server"
)

// serveFlags are the flags of serve.
type serveFlags struct {
	store, grpc, http      string
	sets                   []string
	logFormat, logLevel    string
	simulator, allowRemote bool
	retention              time.Duration
	serviceConfig          string
	hosts, origins         []string
}

func (a *app) serveCmd() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve [flags]",
		Short: "Run a server",
		Long: `Run a server: google.longrunning.Operations and longrun.v1.Dispatcher over gRPC
and HTTP/JSON, /healthz and /readyz over HTTP. It stops at SIGTERM or Ctrl-C after its runs have
been given back; a second one stops it at once. Either way nothing that it has
acknowledged is lost.`,
		Example: `  longrun serve
  longrun serve --store sqlite:/var/lib/longrun/longrun.db --grpc 127.0.0.1:9151`,
		Args:                  exactly(0, "no arguments"),
		DisableFlagsInUseLine: true,
		RunE:                  func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.store, "store", server.DefaultStore, "where operations are kept: sqlite:FILE")
	cmd.Flags().StringVar(&f.grpc, "grpc", server.DefaultGRPC, "address for gRPC; port 0 takes a free one")
	cmd.Flags().StringVar(&f.http, "http", server.DefaultHTTP, `address for HTTP; "off" for none`)
	cmd.Flags().StringArrayVar(&f.sets, "descriptor-set", nil, "a `FILE` with types of payloads, from protoc or buf; may be repeated")
	cmd.Flags().BoolVar(&f.simulator, "simulator", false, "serve longrun.v1.Simulator, for testing clients")
	cmd.Flags().DurationVar(&f.retention, "retention", 30*24*time.Hour, "how long finished operations are kept")
	cmd.Flags().BoolVar(&f.allowRemote, "allow-remote", false, "allow addresses that others can reach; there is no authentication")
	cmd.Flags().StringVar(&f.logFormat, "log-format", logText, "how the log is written: text or json")
	cmd.Flags().StringVar(&f.logLevel, "log-level", "info", "what is logged at least: debug, info, warn or error")
	cmd.Flags().StringVar(&f.serviceConfig, "service-config", "", "file with HTTP rules: a google.api.Service in YAML")
	cmd.Flags().StringSliceVar(&f.hosts, "allow-host", nil, "name by which HTTP may be asked, beside localhost; * for any")
	cmd.Flags().StringSliceVar(&f.origins, "allow-origin", nil, "web origin whose pages may call HTTP")
	return cmd
}

func (a *app) serve(ctx context.Context, f serveFlags) error {
	if f.grpc == "" || f.http == "" {
		return usageProblem("an address must not be empty", "an address is a host and a port, such as "+server.DefaultGRPC)
	}
	if f.store == "" {
		return usageProblem("--store names no store", "a store is sqlite:FILE, such as "+server.DefaultStore)
	}
	if f.retention <= 0 {
		return usageProblem("--retention must be positive", "30 days: --retention 720h")
	}
	log, err := newLog(a.err, f.logFormat, f.logLevel)
	if err != nil {
		return err
	}
	o := server.Options{
		Store: f.store, GRPC: f.grpc, HTTP: f.http, Retention: f.retention,
		Simulator: position(f.simulator), Remote: position(f.allowRemote),
		DescriptorSets: f.sets, ServiceConfig: f.serviceConfig, Hosts: f.hosts, Origins: f.origins, Log: log,
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	s, err := server.Open(ctx, o)
	if err != nil {
		return err
	}
	if f.logFormat == logJSON {
		a.herald(log, s, f.store)
	} else {
		a.welcome(s, f.store)
	}
	return a.runUntil(ctx, stop, s.Run)
}

// runUntil runs a server until a signal ends ctx, and says so. unhook makes a signal
// do what it does by default: it ends the process.
func (a *app) runUntil(ctx context.Context, unhook func(), run func(context.Context) error) error {
	said := make(chan struct{})
	unsaid := context.AfterFunc(ctx, func() {
		defer close(said)
		unhook()
		a.talk("stopping; once more stops at once")
	})
	err := run(ctx)
	if !unsaid() {
		<-said
	}
	if err != nil {
		return err
	}
	a.talk("stopped")
	return nil
}

// welcome says where the server listens and what to try. The addresses are in lines
// of their own, "serving gRPC on ADDR", for scripts that asked for port 0.
func (a *app) welcome(s *server.Server, store string) {
	a.talk("operations are kept in %s", store)
	if addr := s.HTTPAddr(); addr != "" {
		a.talk("serving HTTP on %s", addr)
	}
	a.talk("serving gRPC on %s", s.GRPCAddr())
	at := ""
	if s.GRPCAddr() != server.DefaultGRPC {
		at = " --server " + s.GRPCAddr()
	}
	a.talk("try: longrun run%s -- sleep 10", at)
	a.talk("and: longrun list%s", at)
}

func position(on bool) server.Switch {
	if on {
		return server.On
	}
	return server.Off
}
