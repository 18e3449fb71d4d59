package server

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/httpapi"
	"github.com/longrun-dev/longrun/runner"
)

// A Switch turns something on. The zero Switch is off.
type Switch uint8

// The positions of a Switch.
const (
	Off Switch = iota
	On
)

// NoHTTP as Options.HTTP means that there is no HTTP face.
const NoHTTP = "off"

// StopTimeout is how long calls that are under way when the runner has drained may
// take; then they are cut off.
const StopTimeout = 5 * time.Second

// Options configures a Server. The zero Options is ready for use.
type Options struct {
	// Store is the address of the store: "sqlite:FILE". Empty means
	// DefaultStore.
	Store string
	// GRPC and HTTP are the addresses to listen on, a host and a port; port 0 is a
	// free one. Empty means DefaultGRPC and DefaultHTTP; HTTP may be NoHTTP.
	GRPC, HTTP string
	// DescriptorSets are files with the types of payloads, which reflection then
	// shows (LoadTypes), and whose operation_info workers are held to
	// (Types.Promised). None by default.
	DescriptorSets []string
	// Simulator serves longrun.v1.Simulator. Off by default.
	Simulator Switch
	// Retention is how long operations are kept after their end. Zero means 30
	// days; negative is an error.
	Retention time.Duration
	// Remote allows addresses that are not loopback. Off by default, because there
	// is no authentication.
	Remote Switch
	// ServiceConfig is the file of a service configuration (google.api.Service, in
	// YAML): what HTTP paths there are, and which methods of
	// google.longrunning.Operations. Empty means none.
	ServiceConfig string
	// Hosts are the names by which the HTTP face may be asked, beside those of
	// loopback and that in HTTP; "*" allows any. Nil means no others.
	Hosts []string
	// Origins are web origins whose pages may call the HTTP face. Nil means none
	// but its own.
	Origins []string
	// Log gets what callers must not see. Nil means slog.Default().
	Log *slog.Logger
}

// Server is a running server: its store is open and its listeners listen. Make one
// with Open, use it with one call of Run.
type Server struct {
	store  longrun.Store
	svc    *longrun.Service
	runner *runner.Runner
	types  *Types
	log    *slog.Logger

	admission *admission
	grpc      *grpc.Server
	web       *httpapi.Handler
	http      *http.Server
	readiness *readiness
	grpcL     net.Listener
	httpL     net.Listener // nil: no HTTP
	doors     []*door      // on the listeners, while Run serves
}

// Open checks the options, opens the store and listens. It serves nothing before
// Run. What it refuses is a *Problem, and leaves nothing open.
func Open(ctx context.Context, o Options) (*Server, error) {
	o.Log = cmp.Or(o.Log, slog.Default())
	s := &Server{log: o.Log}
	if err := s.open(ctx, o); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

func (s *Server) open(ctx context.Context, o Options) (err error) {
	if o.Retention < 0 {
		return &Problem{Msg: "the retention must not be negative", Hint: "30 days: --retention 720h", Usage: true}
	}
	if s.types, err = LoadTypes(o.DescriptorSets...); err != nil {
		return err
	}
	if s.grpcL, err = listen(ctx, "--grpc", cmp.Or(o.GRPC, DefaultGRPC), o.Remote); err != nil {
		return err
	}
	if addr := cmp.Or(o.HTTP, DefaultHTTP); addr != NoHTTP {
		if s.httpL, err = listen(ctx, "--http", addr, o.Remote); err != nil {
			return err
		}
	}
	config, err := readServiceConfig(o.ServiceConfig)
	if err != nil {
		return err
	}
	if s.store, err = openStore(o.Store, o.Log); err != nil {
		return err
	}
	return s.assemble(o, config)
}

// assemble puts the parts on the store.
func (s *Server) assemble(o Options, config *httpapi.ServiceConfig) (err error) {
	if s.svc, err = longrun.New(s.store, longrun.Options{Retention: o.Retention, Types: s.types, Promised: s.types.Promised, Log: o.Log}); err != nil {
		return err
	}
	api := s.apiOptions(config, o)
	s.admission = newAdmission(s.svc)
	s.grpc = newGRPC(s.svc, s.admission, api)
	if s.web, err = s.newWeb(config, api, o); err != nil {
		return err
	}
	register(both{s.grpc, s.web}, s.svc, api, o.Simulator)
	registerAdmin(s.grpc, s.store, o.Log)
	s.types.reflect(s.grpc)
	if err := s.checkWeb(o); err != nil {
		return err
	}
	s.readiness = newReadiness(s.grpc)
	s.http = newHTTP(s.face())
	s.runner, err = runner.New(s.svc, runner.Options{Log: o.Log})
	return err
}

// GRPCAddr returns the address that gRPC is served on.
func (s *Server) GRPCAddr() string { return s.grpcL.Addr().String() }

// HTTPAddr returns the address that HTTP is served on, "" if it is not.
func (s *Server) HTTPAddr() string {
	if s.httpL == nil {
		return ""
	}
	return s.httpL.Addr().String()
}

// Run serves until ctx ends, drains, and closes everything. It returns nil after a
// drain, also of one that has cut calls off after StopTimeout, and an error when
// something ended by itself, or did not close in order.
func (s *Server) Run(wanted context.Context) error {
	ctx, stop := context.WithCancelCause(wanted)
	defer stop(nil)
	serving := make(chan error, 2)
	serve := func(f func(net.Listener) error, d *door) {
		err := f(d)
		if errors.Is(err, http.ErrServerClosed) || errors.Is(err, grpc.ErrServerStopped) {
			err = nil // it was stopped before it began to serve, perhaps
		}
		if err != nil {
			stop(err)
		}
		serving <- err
	}
	s.doors = []*door{newDoor(s.grpcL, nil, writeTimeout)}
	if s.httpL != nil {
		s.doors = append(s.doors, newDoor(s.httpL, s.web.Busy("too many connections"), 0))
		go serve(func(l net.Listener) error { return s.http.Serve(s.web.Listener(l)) }, s.doors[1])
	}
	go serve(s.grpc.Serve, s.doors[0])
	ran := make(chan error, 1)
	running, stopRunner := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRunner()
	go func() {
		err := s.runner.Run(running)
		if running.Err() == nil {
			stop(cmp.Or(err, errors.New("the runner has ended")))
		}
		ran <- err
	}()
	s.readiness.begin(s.grpc)

	<-ctx.Done()
	s.readiness.end()
	stopRunner()
	errs := []error{<-ran}
	if wanted.Err() == nil {
		errs = append(errs, context.Cause(ctx))
	}
	s.svc.Drain() // the runner has, unless it ended by itself
	s.stopServing()
	errs = append(errs, <-serving)
	if s.httpL != nil {
		errs = append(errs, <-serving)
	}
	return errors.Join(append(errs, s.release())...)
}

// stopServing lets the calls that are under way end, for StopTimeout at most. What is
// cut off then is no failure: whoever has sent half a request can hold up a drain,
// and must not be able to spoil it. Who has sent nothing at all does not hold it up.
func (s *Server) stopServing() {
	ctx, cancel := context.WithTimeout(context.Background(), StopTimeout)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.grpc.GracefulStop()
	}()
	for _, d := range s.doors {
		d.closeSilent()
	}
	if err := s.http.Shutdown(ctx); err != nil {
		s.log.Warn("requests were cut off", "err", errors.Join(err, s.http.Close()))
	}
	select {
	case <-done:
	case <-ctx.Done():
		s.log.Warn("calls were cut off", "err", ctx.Err())
		for _, d := range s.doors { // also those whose handshake has not ended, which Stop waits for
			d.closeAll()
		}
		s.grpc.Stop()
		<-done
	}
}

// release closes what is open.
func (s *Server) release() error {
	var errs []error
	for _, l := range []net.Listener{s.grpcL, s.httpL} {
		if l == nil {
			continue
		}
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if s.svc != nil {
		errs = append(errs, s.svc.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	return errors.Join(errs...)
}
