package longrun

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/longrun-dev/longrun/filter"
)

// A Verb is what a caller wants to do, as Options.Authorize is asked.
type Verb string

// The verbs of callers, and VerbWork for everything that those who do the work
// do. Whoever may get may wait (WAI-16): a policy treats VerbWait as VerbGet.
const (
	VerbStart  Verb = "start"
	VerbGet    Verb = "get"
	VerbList   Verb = "list"
	VerbWait   Verb = "wait"
	VerbCancel Verb = "cancel"
	VerbDelete Verb = "delete"
	VerbWork   Verb = "work"
)

// Options configures a Service. The zero Options is ready for use.
type Options struct {
	// Retention is how long an operation is kept after its end (EXP-01). It is
	// fixed when the operation is started. Zero means 30 days; negative is an
	// error.
	Retention time.Duration

	// Authorize is asked by every verb before anything else, with the caller in
	// ctx (CallerOf) and the parent of the operation, which may hold wildcards
	// in a list and is empty for sessions. An error refuses: an *Error or a
	// Status as it is, any other as PERMISSION_DENIED (AUT-02, AUT-03). Nil
	// allows everything.
	Authorize func(ctx context.Context, verb Verb, parent string) error

	// Interceptors stand around every handler of this process, the first outermost.
	// See Interceptor. Nil means none; a nil Interceptor is an error.
	Interceptors []Interceptor

	// MaxWaiters is how many calls of Wait may wait at a time; beyond, they are
	// UNAVAILABLE. Zero means 20,000; negative is an error.
	MaxWaiters int

	// Types are the messages that filters look into, in metadata, responses and
	// the details of errors (FLT-28); those of the methods handled here are always
	// among them. They are read at the first filter that needs them. Nil means all
	// that are linked in (protoregistry.GlobalTypes).
	Types filter.Types

	// Promised says what a method that is not known here (Handle, Begin, Declare)
	// promises of its operations, such as by operation_info in a descriptor set. It
	// is called with the full name of the method, by many goroutines, and with the
	// locks of the store held: it must be quick, and call nothing of the Service.
	// Nil promises nothing.
	Promised func(method string) Promise

	// Domain is the ErrorInfo domain of our errors, normally the name of the
	// API's service (ERR-05). Empty means "longrun.dev".
	Domain string

	// Log gets what callers must not see. Nil means slog.Default().
	Log *slog.Logger
}

// A Service keeps the promise of operations: it has the verbs of callers, and by
// Work those of whoever does the work. All methods are safe for concurrent use.
//
// The verbs return an *Error, or the Status of the author's own hook, never
// anything else.
type Service struct {
	store Store
	opts  Options
	log   *slog.Logger
	hub   *hub

	contact contact

	mu      sync.Mutex // guards what follows
	methods map[string]*method
	filters *filter.Schema // nil until the first filter, and after a method was added
	offers  []*offer
	secrets map[string][]byte
}

// New returns a Service on store. It starts nothing and asks the store nothing;
// Close ends what its calls have started. The store stays the caller's to close.
func New(store Store, opts Options) (*Service, error) {
	switch {
	case store == nil:
		return nil, errors.New("longrun: a Service needs a Store")
	case opts.Retention < 0:
		return nil, errors.New("longrun: Retention is negative")
	case opts.MaxWaiters < 0:
		return nil, errors.New("longrun: MaxWaiters is negative")
	case slices.ContainsFunc(opts.Interceptors, func(i Interceptor) bool { return i == nil }):
		return nil, errors.New("longrun: an Interceptor is nil")
	}
	opts.Interceptors = slices.Clone(opts.Interceptors)
	if opts.MaxWaiters == 0 {
		opts.MaxWaiters = DefaultMaxWaiters
	}
	if opts.Retention == 0 {
		opts.Retention = DefaultRetention
	}
	if opts.Domain == "" {
		opts.Domain = DefaultDomain
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	return &Service{store: store, opts: opts, log: opts.Log, hub: newHub(store, opts.Log, opts.MaxWaiters),
		methods: map[string]*method{}, secrets: map[string][]byte{}}, nil
}

// Domain returns the ErrorInfo domain of the service's errors, for faces that make
// errors of their own.
func (s *Service) Domain() string { return s.opts.Domain }

// Authorize asks Options.Authorize. Every verb does so by itself, before it
// validates anything; a face that validates first asks here before (AUT-02).
func (s *Service) Authorize(ctx context.Context, verb Verb, parent string) error {
	return s.authorizeParent(ctx, verb, parent, Name{})
}

// Work returns the verbs of whoever does the work.
func (s *Service) Work() *Work { return &Work{s: s} }

// Drain answers everyone who waits, now and from now on, with the latest state
// (WAI-15), and hands new operations to no runner of this process. A runner
// calls it when it stops.
func (s *Service) Drain() { s.hub.drain() }

// Draining returns a channel that is closed by Drain, for whoever answers long
// calls of their own.
func (s *Service) Draining() <-chan struct{} { return s.hub.draining }

// Close is Drain, and ends what the Service has started. It does not close the
// store. A second Close does nothing.
func (s *Service) Close() error {
	s.hub.close()
	return nil
}

// Wake tells the runners of this process that there may be new operations of
// these methods, as after the commit of an author's transaction that started
// some. It is a hint: without it they are found at the next poll.
func (s *Service) Wake(methods ...string) { s.hub.ready(methods...) }

// Get returns an operation. One that is unknown, deleted or expired is NOT_FOUND
// (GET-01, GET-06, NM-09).
func (s *Service) Get(ctx context.Context, name Name) (*Operation, error) {
	if err := s.authorize(ctx, VerbGet, name); err != nil {
		return nil, err
	}
	op, err := s.read(ctx, name)
	return op, s.fault("get", name, err)
}

// Cancel asks the operation to stop and returns at once. It may still succeed
// (CAN-02). Cancel of a done one, and a second Cancel, do nothing (CAN-06,
// CAN-07).
func (s *Service) Cancel(ctx context.Context, name Name) error {
	if err := s.authorize(ctx, VerbCancel, name); err != nil {
		return err
	}
	_, err := s.update(ctx, name, func(op *Operation, now time.Time) (*Operation, error) {
		if !visible(op, name) {
			return op, s.notFound(name)
		}
		return op.RequestCancel(now), nil
	})
	return s.fault("cancel", name, err)
}

// Delete makes the operation unknown to callers; whoever waits for it gets
// NOT_FOUND. Its work goes on (DEL-01, DEL-02). A second Delete is NOT_FOUND
// (DEL-04).
func (s *Service) Delete(ctx context.Context, name Name) error {
	if err := s.authorize(ctx, VerbDelete, name); err != nil {
		return err
	}
	var again atomic.Bool // an earlier try may have hidden it
	_, err := s.update(ctx, name, func(op *Operation, now time.Time) (*Operation, error) {
		if op.Parent != name.Parent || op.Hidden && !again.Load() {
			return op, s.notFound(name)
		}
		return op.Hide(now), nil
	}, func() { again.Store(true) })
	return s.fault("delete", name, err)
}

// read returns a visible operation.
func (s *Service) read(ctx context.Context, name Name) (*Operation, error) {
	if name.ID.IsZero() {
		return nil, s.notFound(name)
	}
	ops, err := s.store.Get(ctx, name.ID)
	if err != nil {
		return nil, err
	}
	if !visible(ops[0], name) {
		return nil, s.notFound(name)
	}
	return ops[0], nil
}

// visible reports whether callers who ask by this name find op.
func visible(op *Operation, name Name) bool {
	return op != nil && !op.Hidden && op.Parent == name.Parent
}

func (s *Service) notFound(name Name) error {
	return &Error{Code: codes.NotFound, Reason: ReasonOperationNotFound, Name: name, Msg: "not found"}
}

// update applies f to the operation, again where the outcome was unknown, and
// tells who waits for it. Before each repetition it calls the functions of
// repeat.
func (s *Service) update(ctx context.Context, name Name, f func(*Operation, time.Time) (*Operation, error), repeat ...func()) (*Operation, error) {
	if name.ID.IsZero() {
		return nil, s.notFound(name)
	}
	op, err := s.insist(ctx, func() (*Operation, error) {
		op, err := s.store.Update(ctx, Change{ID: name.ID, Apply: f})
		if IsUnknown(err) {
			for _, r := range repeat {
				r()
			}
		}
		return op, err
	})
	if CodeOf(err) == codes.NotFound {
		return nil, s.notFound(name) // a store knows the ID alone
	}
	if err == nil {
		s.hub.changed(op)
	}
	return op, err
}

const (
	insistTries = 8
	insistDelay = 20 * time.Millisecond
)

// insist makes an idempotent call again while its outcome is unknown, for as
// long as ctx lasts and some seconds at most. A call that did not happen, after one
// that may have, leaves that as unknown as it was.
func (s *Service) insist(ctx context.Context, call func() (*Operation, error)) (*Operation, error) {
	delay, unknown := insistDelay, false
	for try := 1; ; try++ {
		op, err := call()
		if unknown && !IsUnknown(err) && CodeOf(err) == codes.Unavailable {
			err = stillUnknown(err)
		}
		unknown = IsUnknown(err)
		if !unknown || try == insistTries || !pause(ctx, delay) {
			return op, err
		}
		delay *= 2
	}
}

// stillUnknown is err after a call of unknown outcome.
func stillUnknown(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		f := *e
		f.Err = errors.Join(ErrUnknown, e.Err)
		return &f
	}
	return errors.Join(ErrUnknown, err)
}

// pause waits for d and reports whether ctx has lasted.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// secret returns the store's secret of this name, and asks for it once.
func (s *Service) secret(ctx context.Context, name string) ([]byte, error) {
	s.mu.Lock()
	secret := s.secrets[name]
	s.mu.Unlock()
	if secret != nil {
		return secret, nil
	}
	secret, err := s.store.Secret(ctx, name)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.secrets[name] = secret
	s.mu.Unlock()
	return secret, nil
}

func (s *Service) authorize(ctx context.Context, verb Verb, name Name) error {
	return s.authorizeParent(ctx, verb, name.Parent, name)
}

func (s *Service) authorizeParent(ctx context.Context, verb Verb, parent string, name Name) error {
	if s.opts.Authorize == nil {
		return nil
	}
	err := s.opts.Authorize(ctx, verb, parent)
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[statusError](err); ok {
		return s.fault(string(verb), name, err)
	}
	return s.fault(string(verb), name, &Error{Code: codes.PermissionDenied, Reason: ReasonPermissionDenied,
		Msg: "the caller may not do this here, or it does not exist", Err: err})
}

// fault turns err into what a verb returns: our *Error with verb, name and
// domain, or an author's Status as it is. The cause of anything without a code
// goes to the log, and its id to the caller.
func (s *Service) fault(verb string, name Name, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		f := *e
		f.Domain = s.opts.Domain
		if f.Verb == "" {
			f.Verb = verb
		}
		if f.Name == (Name{}) {
			f.Name = name
		}
		if f.Code == codes.Unavailable && f.Delay == 0 {
			f.Delay = time.Second
		}
		return &f
	}
	e := &Error{Verb: verb, Name: name, Err: err, Domain: s.opts.Domain}
	switch {
	case errors.Is(err, ErrClaimLost):
		e.Code, e.Reason, e.Msg = codes.Aborted, ReasonClaimLost, "claim lost"
	case errors.Is(err, ErrSessionLost):
		e.Code, e.Reason, e.Msg = codes.Aborted, ReasonSessionLost, "session lost"
	case IsUnknown(err):
		e.Code, e.Reason, e.Msg, e.Delay = codes.Unavailable, ReasonUnavailable, "the store has not answered", time.Second
	case errors.Is(err, context.Canceled):
		e.Code, e.Reason, e.Msg = codes.Canceled, ReasonCallerGone, "the caller stopped waiting"
	case errors.Is(err, context.DeadlineExceeded):
		e.Code, e.Reason, e.Msg = codes.DeadlineExceeded, ReasonCallerGone, "the caller's deadline passed"
	default:
		if st, ok := errors.AsType[statusError](err); ok && validCode(st.GRPCStatus().Code()) {
			return st.GRPCStatus().Err()
		}
		e.id = errorID()
		e.Code, e.Reason, e.Msg = codes.Internal, ReasonInternal, internalText(e.id)
		s.log.Error("internal error", "id", e.id, "operation", name.String(), "err", err)
	}
	return e
}

// errorID names an error for the caller and in the log.
func errorID() string { return rand.Text()[:12] }

func internalText(id string) string { return "internal error " + id }
