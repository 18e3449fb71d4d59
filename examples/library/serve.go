package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"github.com/longrun-dev/longrun"
	pb "github.com/longrun-dev/longrun/examples/library/librarypb"
	"github.com/longrun-dev/longrun/grpcapi"
	"github.com/longrun-dev/longrun/httpapi"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/sqlite"
)

// domain is the one of our errors.
const domain = "library.longrun.dev"

// stopTimeout is how long calls that are under way when the runner has drained may take.
const stopTimeout = 5 * time.Second

// options say what to serve.
type options struct {
	store, bucket string        // a file and a folder
	pace          time.Duration // before each piece of work
}

// serve serves the API on two listeners, which it closes, until ctx ends; then it gives
// back what it is working on, for the next start to go on with. What was opened last is
// closed first.
func serve(ctx context.Context, o options, grpcL, httpL net.Listener) (err error) {
	bucket, err := os.OpenRoot(o.bucket)
	if err != nil {
		return err
	}
	defer bucket.Close()
	store, err := sqlite.Open(o.store, sqlite.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	svc, err := longrun.New(store, longrun.Options{Domain: domain, Interceptors: []longrun.Interceptor{longrun.LogRuns(slog.Default())}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, svc.Close()) }()
	library, err := newLibrary(ctx, svc, store, bucket)
	if err != nil {
		return err
	}
	library.pause = pace(o.pace)
	faces, err := newFaces(svc, library)
	if err != nil {
		return err
	}
	r, err := runner.New(svc, runner.Options{OnDrain: faces.health.Shutdown})
	if err != nil {
		return err
	}
	return faces.serve(ctx, r, grpcL, httpL)
}

// faces are the two ways to call the API.
type faces struct {
	grpc   *grpc.Server
	web    *httpapi.Handler
	http   *http.Server
	health *health.Server
}

// newFaces registers the API and google.longrunning.Operations with both.
func newFaces(svc *longrun.Service, library *library) (*faces, error) {
	api := grpcapi.Options{}
	f := &faces{grpc: grpc.NewServer(grpcapi.ServerOptions(svc, api)...), health: health.NewServer()}
	var err error
	f.web, err = httpapi.New(httpapi.Options{
		Interceptors: []grpc.UnaryServerInterceptor{grpcapi.UnaryInterceptor(svc, api)},
		Domain:       domain,
	})
	if err != nil {
		return nil, err
	}
	f.http = &http.Server{Handler: f.web, ReadHeaderTimeout: 10 * time.Second}
	for _, face := range []grpc.ServiceRegistrar{f.grpc, f.web} {
		grpcapi.Register(face, svc, api)
		pb.RegisterLibraryServiceServer(face, library)
	}
	healthpb.RegisterHealthServer(f.grpc, f.health)
	reflection.Register(f.grpc)
	return f, f.web.Check()
}

// serve serves, and runs operations, until ctx ends or one of the three does. The runner
// comes to its end first: its drain takes nothing more on and answers whoever waits for
// an operation, so that the servers do not have to wait for them.
func (f *faces) serve(ctx context.Context, r *runner.Runner, grpcL, httpL net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 2)
	go func() {
		defer cancel()
		served <- f.grpc.Serve(grpcL)
	}()
	go func() {
		defer cancel()
		served <- f.http.Serve(f.web.Listener(httpL))
	}()
	errs := []error{r.Run(ctx), f.stop()}
	// Each says that it was stopped, the one for gRPC where that was before it began.
	for range cap(served) {
		if err := <-served; !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, grpc.ErrServerStopped) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// stop lets the calls that are under way end, and cuts off those that take too long.
func (f *faces) stop() error {
	late := time.AfterFunc(stopTimeout, f.grpc.Stop)
	defer late.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	err := f.http.Shutdown(ctx)
	if err != nil {
		err = f.http.Close()
	}
	f.grpc.GracefulStop()
	return err
}

// pace returns a function that waits for d, or until its context ends.
func pace(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(d):
			return nil
		}
	}
}
