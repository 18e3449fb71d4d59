package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"cloud.google.com/go/translate/apiv3/translatepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/examples/translation/translationlongrun"
	"github.com/longrun-dev/longrun/grpcapi"
	"github.com/longrun-dev/longrun/httpapi"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/sqlite"
)

// domain is that of the errors, as the API's own have it.
const domain = "translate.googleapis.com"

//go:embed service.yaml
var serviceConfig []byte

// program is everything that serves, in the order in which it is made.
type program struct {
	opts    options
	closers []func() error // in the order of making: to be closed backwards

	store   *sqlite.Store
	files   *storage
	svc     *longrun.Service
	service *service
	runner  *runner.Runner

	grpcListener, httpListener net.Listener
	grpc                       *grpc.Server
	http                       *http.Server
	web                        *httpapi.Handler
}

// open makes the parts of a program. It listens, and serves nothing yet. What it has made when
// a later part fails is closed.
func open(ctx context.Context, o options) (*program, error) {
	p := &program{opts: o}
	for _, make := range []func(context.Context) error{p.openStores, p.openService, p.openServers, p.listen} {
		if err := make(ctx); err != nil {
			return nil, errors.Join(err, p.close())
		}
	}
	return p, nil
}

func (p *program) close() error {
	var err error
	for i := len(p.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, p.closers[i]())
	}
	p.closers = nil
	return err
}

func (p *program) openStores(context.Context) error {
	root, err := os.OpenRoot(p.opts.bucket)
	if err != nil {
		return fmt.Errorf("open the directory of buckets: %w", err)
	}
	p.closers = append(p.closers, root.Close)
	p.files = &storage{root: root}
	if p.store, err = sqlite.Open(p.opts.store, sqlite.Options{Log: p.opts.log}); err != nil {
		return err
	}
	p.closers = append(p.closers, p.store.Close)
	return nil
}

func (p *program) openService(ctx context.Context) error {
	var err error
	if p.svc, err = longrun.New(p.store, longrun.Options{Domain: domain, Log: p.opts.log,
		Interceptors: []longrun.Interceptor{longrun.LogRuns(p.opts.log)}}); err != nil {
		return err
	}
	p.closers = append(p.closers, p.svc.Close)
	kept := &glossaries{store: p.store, files: p.files}
	if err := kept.createTable(ctx); err != nil {
		return fmt.Errorf("create the table of glossaries: %w", err)
	}
	batch := &batches{files: p.files, glossaries: kept, pace: p.opts.pace, log: p.opts.log}
	setPolicies()
	p.service = &service{glossaries: kept, TranslationServiceStarter: translationlongrun.HandleTranslationService(p.svc, translationlongrun.TranslationServiceHandlers{
		BatchTranslateText:      batch.run,
		BeginBatchTranslateText: batch.begin,
		CreateGlossary:          kept.create,
		BeginCreateGlossary:     kept.beginCreate,
		DeleteGlossary:          kept.delete,
		BeginDeleteGlossary:     kept.beginDelete,
	})}
	if err := p.files.sweep(ctx, p.svc); err != nil {
		return fmt.Errorf("remove what cancelled operations have left: %w", err)
	}
	p.runner, err = runner.New(p.svc, runner.Options{Grace: time.Second, Log: p.opts.log})
	return err
}

// service is the API: what the starter does not have is UNIMPLEMENTED.
type service struct {
	*translationlongrun.TranslationServiceStarter
	*glossaries
}

func (p *program) openServers(context.Context) error {
	config, err := httpapi.ParseServiceConfig(serviceConfig)
	if err != nil {
		return err
	}
	o := grpcapi.Options{Log: p.opts.log}
	p.web, err = httpapi.New(httpapi.Options{Config: config, Domain: domain, Log: p.opts.log,
		Interceptors: []grpc.UnaryServerInterceptor{grpcapi.UnaryInterceptor(p.svc, o)}})
	if err != nil {
		return err
	}
	p.grpc = grpc.NewServer(grpcapi.ServerOptions(p.svc, o)...)
	for _, face := range []grpc.ServiceRegistrar{p.grpc, p.web} {
		grpcapi.Register(face, p.svc, o)
		translatepb.RegisterTranslationServiceServer(face, p.service)
	}
	reflection.Register(p.grpc)
	p.http = &http.Server{Handler: p.web, ReadHeaderTimeout: 10 * time.Second}
	return p.web.Check()
}

func (p *program) listen(context.Context) error {
	var err error
	if p.grpcListener, err = net.Listen("tcp", p.opts.addr); err != nil {
		return err
	}
	p.closers = append(p.closers, func() error { return ignoreClosed(p.grpcListener.Close()) })
	if p.httpListener, err = net.Listen("tcp", p.opts.http); err != nil {
		return err
	}
	p.closers = append(p.closers, func() error { return ignoreClosed(p.httpListener.Close()) })
	return nil
}

// ignoreClosed drops the error of a listener that its server has closed.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// run serves and works until ctx ends, and closes everything. The order of the end is: the
// runner drains, which also answers everyone who waits; then the servers stop, the Service, and
// the stores. What was not done goes on at the next start.
func (p *program) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 2)
	go func() {
		err := p.grpc.Serve(p.grpcListener)
		if errors.Is(err, grpc.ErrServerStopped) { // before it has begun
			err = nil
		}
		served <- err
		cancel() // a server that cannot serve ends the program
	}()
	go func() {
		err := p.http.Serve(p.web.Listener(p.httpListener))
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		served <- err
		cancel()
	}()
	ran := p.runner.Run(ctx)
	stopped := p.stop()
	return errors.Join(ran, stopped, <-served, <-served, p.close())
}

// stopTimeout is how long calls that are under way when the runner has drained may take.
const stopTimeout = 5 * time.Second

// stop lets the calls that are under way end, and cuts off those that take too long: who has
// opened a stream may never close it.
func (p *program) stop() error {
	late := time.AfterFunc(stopTimeout, p.grpc.Stop)
	defer late.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	err := p.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = p.http.Close()
	}
	p.grpc.GracefulStop()
	return err
}
