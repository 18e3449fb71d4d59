package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/longrun-dev/longrun"
)

// A Runner claims operations of a Service and runs their handlers in this
// process. Make one with New. Its methods are safe for concurrent use.
type Runner struct {
	svc  *longrun.Service
	opts Options
	now  func() moment
}

// New returns a Runner for the handlers of svc. It starts nothing and asks the
// store nothing. The error says which option is wrong.
func New(svc *longrun.Service, opts Options) (*Runner, error) {
	if svc == nil {
		return nil, errors.New("runner: New needs a Service")
	}
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Runner{svc: svc, opts: opts, now: clockFrom(time.Now())}, nil
}

// Run works until ctx ends, and then drains: see the package comment for the
// order. It returns nil when everything was brought to its end or given back, and
// otherwise an error that names the operations whose runs did not return, whose
// goroutines are left behind, or says that the session was not ended because calls
// that may claim for it were not answered.
//
// An error before ctx ends says that the runner could not begin: a method without
// a handler, or a session that the service refuses. A store that is away is no
// error; Run waits for it.
//
// The values of ctx, but neither its end nor its deadline, are those of the runs'
// contexts. Every call of Run is a session of its own.
func (r *Runner) Run(ctx context.Context) error {
	methods, err := r.methods()
	if err != nil {
		return err
	}
	return newEngine(r, methods).run(ctx)
}

// methods returns what to claim, sorted.
func (r *Runner) methods() ([]string, error) {
	if r.opts.Concurrency < 0 {
		return nil, nil
	}
	handled := r.svc.Work().Methods()
	if r.opts.Methods == nil {
		return handled, nil
	}
	for _, m := range r.opts.Methods {
		if !slices.Contains(handled, m) {
			return nil, fmt.Errorf("runner: method %q has no handler", m)
		}
	}
	return r.opts.Methods, nil
}
