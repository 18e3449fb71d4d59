package runner

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/longrun-dev/longrun"
)

const (
	// DefaultConcurrency is how many operations run at once where nothing else is
	// said.
	DefaultConcurrency = 100
	// DefaultGrace is how long handlers may go on after a drain has begun.
	DefaultGrace = 5 * time.Second
	// StopGrace is how long a drain waits for runs to return after their contexts
	// were cancelled.
	StopGrace = 5 * time.Second
)

// Options configures a Runner. The zero Options is ready for use.
type Options struct {
	// Concurrency is how many operations run at once. Handlers of slow operations
	// mostly wait for other systems, so the default is not the number of CPUs; set
	// runtime.GOMAXPROCS(0) where they compute. Zero means 100. Negative means
	// none: the runner beats and sweeps, and claims nothing.
	Concurrency int

	// Methods are the methods to run, of those that have a handler. Run returns an
	// error when one of them has none. Nil means all that have one when Run is
	// called.
	Methods []string

	// Grace is how long handlers may go on after a drain has begun, before their
	// contexts are cancelled. Then they have StopGrace to return. Zero means 5
	// seconds; negative cancels at once.
	Grace time.Duration

	// SessionTTL is how long the runner's claims last without a beat, from 5
	// seconds to 10 minutes. A shorter one finds dead processes sooner. Zero means
	// 30 seconds.
	SessionTTL time.Duration

	// Worker says who runs, for people who look at sessions. At most 128 bytes.
	// Empty means "host/pid".
	Worker string

	// OnDrain, if not nil, is called once when a drain begins, before anything
	// else: the place to tell load balancers. The drain goes on when it returns.
	OnDrain func()

	// Log gets what nobody is there to return to. Nil means slog.Default().
	Log *slog.Logger
}

// withDefaults returns o with its zeros filled in, or what is wrong with it.
func (o Options) withDefaults() (Options, error) {
	if o.Concurrency == 0 {
		o.Concurrency = DefaultConcurrency
	}
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	if o.SessionTTL == 0 {
		o.SessionTTL = longrun.DefaultSessionTTL
	}
	if o.Worker == "" {
		o.Worker = thisProcess()
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	o.Methods = slices.Clone(o.Methods)
	slices.Sort(o.Methods)
	o.Methods = slices.Compact(o.Methods)
	switch {
	case o.SessionTTL < longrun.MinSessionTTL || o.SessionTTL > longrun.MaxSessionTTL:
		return o, fmt.Errorf("runner: SessionTTL is %v, and must be from %v to %v", o.SessionTTL, longrun.MinSessionTTL, longrun.MaxSessionTTL)
	case len(o.Worker) > longrun.MaxWorkerBytes || !utf8.ValidString(o.Worker):
		return o, errors.New("runner: Worker is longer than 128 bytes or not valid UTF-8")
	case o.Methods != nil && len(o.Methods) == 0:
		return o, errors.New("runner: Methods is empty; a runner that only sweeps has Concurrency -1")
	}
	return o, nil
}

// thisProcess names this process as "host/pid".
func thisProcess() string {
	pid := fmt.Sprintf("/%d", os.Getpid())
	host, err := os.Hostname()
	if err != nil || !utf8.ValidString(host) || len(host)+len(pid) > longrun.MaxWorkerBytes {
		host = "unknown-host"
	}
	return host + pid
}
