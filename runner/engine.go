package runner

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/longrun-dev/longrun"
)

const (
	// beatInterval is the longest time between two beats. It is much shorter than
	// a TTL needs, because the answers are also what this process judges others
	// by: a session with a TTL of 5 seconds can be judged by those only who heard
	// the store every 5/3 seconds.
	beatInterval = time.Second
	// callTimeout limits one call of the store.
	callTimeout = 10 * time.Second
	// firstDelay and lastDelay bound the pauses between tries of a call that
	// fails.
	firstDelay = 100 * time.Millisecond
	lastDelay  = 2 * time.Second
)

// An engine is one call of Run: a session at a time, its claims, their runs.
//
// Its goroutines are one for each of: beats, lists of claims, claims, reports,
// sweeps; one for each run, and one for each report that is under way.
type engine struct {
	svc     *longrun.Service
	work    *longrun.Work
	opts    Options
	log     *slog.Logger
	now     func() moment
	methods []string
	handles map[string]bool

	claimable  chan struct{} // holds one: it may be worth while to claim
	listable   chan struct{} // holds one: a list of the session's claims may begin
	reportable chan struct{} // holds one: there is a new report
	eased      chan struct{} // holds one: a run, a call or all lists have ended
	over       chan struct{} // closed when the drain has ended: nothing is tried again

	mu       sync.Mutex // guards what follows, and sessions and runs
	current  *session   // nil while there is none
	free     int        // slots for runs
	hungry   bool       // more may be ready than there were slots
	turn     int        // which of methods is asked first
	draining bool
	calls    int           // Claim and Create calls under way, of every session
	runs     map[*run]bool // whose goroutine has not ended
	dirty    map[*run]bool // with something to report
}

func newEngine(r *Runner, methods []string) *engine {
	e := &engine{
		svc: r.svc, work: r.svc.Work(), opts: r.opts, log: r.opts.Log, now: r.now,
		methods: methods, handles: map[string]bool{}, free: max(r.opts.Concurrency, 0),
		claimable: make(chan struct{}, 1), listable: make(chan struct{}, 1),
		reportable: make(chan struct{}, 1), eased: make(chan struct{}, 1), over: make(chan struct{}),
		runs: map[*run]bool{}, dirty: map[*run]bool{},
	}
	for _, m := range methods {
		e.handles[m] = true
	}
	return e
}

// run is Run. What it starts has ended when it returns, apart from runs whose
// handlers do not return.
func (e *engine) run(ctx context.Context) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	s, err := e.open(ctx, life)
	if err != nil {
		return err
	}
	begin, stop := context.WithCancel(life) // ends when the drain begins
	defer stop()
	listing, unlist := context.WithCancel(life) // ends before the last list of the drain
	defer unlist()
	unlisted := make(chan struct{})

	var loops sync.WaitGroup
	withdraw := func() {}
	loops.Go(func() { e.keepSession(begin, life, s) })
	loops.Go(func() {
		e.keepListing(listing, life)
		close(unlisted)
		raise(e.eased)
	})
	loops.Go(func() { e.keepReporting(life) })
	loops.Go(func() { e.keepSweeping(begin) })
	if len(e.methods) > 0 {
		loops.Go(func() { e.keepClaiming(begin, life) })
		withdraw = e.work.Offer(func(method string) *longrun.Slot { return e.slot(life, method) })
	}

	<-ctx.Done()
	e.drain(func() { withdraw(); stop() })
	left := e.settle(context.WithoutCancel(ctx), unlist, unlisted)
	end()
	loops.Wait()
	close(e.over)
	return e.leave(context.WithoutCancel(ctx), left)
}

// call runs f with a context that limits one call of the store.
func call(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return f(ctx)
}
