package runner_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/storetest"
)

// The types that tests use for what they run.
type (
	text    = wrapperspb.StringValue
	meta    = longrunpb.OperationMetadata
	method  = longrun.Method[*text, *text, *meta]
	handler = func(ctx context.Context, req *text, run *longrun.Run[*meta]) (*text, error)
)

var work = method{Name: "work"}

// retention is how long the processes of tests keep operations.
const retention = 2 * time.Hour

// system is a store and the processes that work on it. All of it lives in a
// synctest bubble: time costs nothing.
type system struct {
	t       *testing.T
	records *inmem.Store // what the processes talk to, without faults
	log     *logs
	*process
}

// process is a Service as one process has it, with faults of its own.
type process struct {
	*longrun.Service
	t     *testing.T
	store *storetest.Faulty
	calls *counted
	log   *logs
}

// counted counts calls that reach the store. After slow, in nanoseconds, Claim
// answers. A test that sets order or lag does so before anything begins.
type counted struct {
	longrun.Store
	claims, updates, beats, dues, slow atomic.Int64
	beatSent                           atomic.Int64         // when the last beat set out, in nanoseconds
	beatLag                            time.Duration        // how long its answer travels
	order                              *events              // if not nil, notes releases and ended sessions
	lag                                func() time.Duration // if not nil, how long requests and replies travel
}

func (c *counted) travel() {
	if c.lag != nil {
		time.Sleep(c.lag())
	}
}

func (c *counted) Create(ctx context.Context, n longrun.NewOperation) (*longrun.Operation, error) {
	c.travel()
	defer c.travel()
	return c.Store.Create(ctx, n)
}

func (c *counted) List(ctx context.Context, q longrun.Query) (longrun.Page, error) {
	c.travel()
	defer c.travel()
	return c.Store.List(ctx, q)
}

func (c *counted) Claim(ctx context.Context, r longrun.ClaimRequest) (longrun.Claimed, error) {
	c.claims.Add(1)
	c.travel()
	defer c.travel()
	claimed, err := c.Store.Claim(ctx, r)
	time.Sleep(time.Duration(c.slow.Load()))
	return claimed, err
}

func (c *counted) Update(ctx context.Context, u longrun.Change) (*longrun.Operation, error) {
	c.updates.Add(1)
	c.travel()
	defer c.travel()
	op, err := c.Store.Update(ctx, u)
	if err == nil && op.State == longrun.Pending && c.order != nil {
		c.order.note("released")
	}
	return op, err
}

func (c *counted) Beat(ctx context.Context, s longrun.Session) (longrun.Beat, error) {
	c.beats.Add(1)
	if s.TTL == 0 && c.order != nil {
		c.order.note("session ended")
	}
	c.beatSent.Store(time.Now().UnixNano())
	defer time.Sleep(c.beatLag)
	return c.Store.Beat(ctx, s)
}

func (c *counted) Due(ctx context.Context, u longrun.Contact, n int) ([]longrun.Overdue, error) {
	c.dues.Add(1)
	return c.Store.Due(ctx, u, n)
}

// inBubble runs f with a fresh system whose clock is the bubble's.
func inBubble(t *testing.T, f func(t *testing.T, s *system)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &system{t: t, records: inmem.New(), log: &logs{}}
		s.process = s.newProcess()
		t.Cleanup(func() {
			if t.Failed() {
				t.Log(s.log.String())
			}
		})
		f(t, s)
	})
}

// newProcess returns another process on the same store.
func (s *system) newProcess() *process {
	p := &process{t: s.t, calls: &counted{Store: s.records}, log: s.log}
	p.store = storetest.NewFaulty(p.calls)
	svc, err := longrun.New(p.store, longrun.Options{Retention: retention, Log: slog.New(slog.NewTextHandler(s.log, nil))})
	if err != nil {
		s.t.Fatal(err)
	}
	p.Service = svc
	s.t.Cleanup(func() { svc.Close() })
	return p
}

// begin starts a runner and returns how to drain it; it is drained when the test
// ends.
func (p *process) begin(o runner.Options) (drain func() error) {
	p.t.Helper()
	o.Log = slog.New(slog.NewTextHandler(p.log, nil))
	r, err := runner.New(p.Service, o)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	drain = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	p.t.Cleanup(func() { drain() })
	synctest.Wait()
	return drain
}

// start starts an operation.
func (p *process) start(m method, o longrun.StartOptions) *longrun.Operation {
	p.t.Helper()
	op, err := longrun.Start(p.t.Context(), p.Service, m, wrapperspb.String("request"), o)
	if err != nil {
		p.t.Fatalf("Start: %v", err)
	}
	return op
}

// pend stores an operation behind everybody's back: no slot, no hint.
func (s *system) pend(m method) *longrun.Operation {
	s.t.Helper()
	op := &longrun.Operation{ID: longrun.NewID(), Method: m.Name, MaxFailures: 3, Retention: time.Hour, AtMostOnce: m.AtMostOnce}
	op, err := s.records.Create(s.t.Context(), longrun.NewOperation{Operation: op})
	if err != nil {
		s.t.Fatalf("Create: %v", err)
	}
	return op
}

// get returns the record, past all faults and also when it is hidden.
func (s *system) get(op *longrun.Operation) *longrun.Operation {
	s.t.Helper()
	ops, err := s.records.Get(s.t.Context(), op.ID)
	if err != nil || ops[0] == nil {
		s.t.Fatalf("Get = %v, %v", ops, err)
	}
	return ops[0]
}

// done waits until the operation is done.
func (s *system) done(op *longrun.Operation) *longrun.Operation {
	s.t.Helper()
	return s.until(op, "done", func(op *longrun.Operation) bool { return op.State.Done() })
}

// until waits, for two hours at most, until the record is as it shall be.
func (s *system) until(op *longrun.Operation, what string, ok func(*longrun.Operation) bool) *longrun.Operation {
	s.t.Helper()
	for began := time.Now(); time.Since(began) < 2*time.Hour; time.Sleep(10*time.Millisecond + time.Since(began)/1000) {
		if now := s.get(op); ok(now) {
			return now
		}
	}
	s.t.Fatalf("operation is not %s: %v after two hours", what, s.get(op).State)
	return nil
}

// cancel asks the operation to stop.
func (p *process) cancel(op *longrun.Operation) {
	p.t.Helper()
	if err := p.Cancel(p.t.Context(), op.Name()); err != nil {
		p.t.Fatalf("Cancel: %v", err)
	}
}

// cancelQuietly is cancel by another node, of which this one gets no hint.
func (s *system) cancelQuietly(op *longrun.Operation) {
	s.t.Helper()
	_, err := s.records.Update(s.t.Context(), longrun.Change{ID: op.ID, Apply: func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
		return op.RequestCancel(now), nil
	}})
	if err != nil {
		s.t.Fatalf("Update: %v", err)
	}
}

// endSession ends the session that runs op behind its runner's back, as a store
// does that has marked it dead.
func (s *system) endSession(op *longrun.Operation) {
	s.t.Helper()
	if _, err := s.records.Beat(s.t.Context(), longrun.Session{ID: s.get(op).Claim.Session}); err != nil {
		s.t.Fatalf("Beat: %v", err)
	}
}

// reasonOf returns the reason in the operation's error.
func reasonOf(t *testing.T, op *longrun.Operation) string {
	t.Helper()
	for _, d := range op.Error.GetDetails() {
		info := &errdetails.ErrorInfo{}
		if d.MessageIs(info) {
			if err := d.UnmarshalTo(info); err != nil {
				t.Fatal(err)
			}
			return info.Reason
		}
	}
	return ""
}

// logs keeps what was logged.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// lines returns the lines that hold all of these texts.
func (l *logs) lines(texts ...string) (found []string) {
	for line := range strings.Lines(l.String()) {
		all := true
		for _, text := range texts {
			all = all && strings.Contains(line, text)
		}
		if all {
			found = append(found, line)
		}
	}
	return found
}

// events notes what happens in which order.
type events struct {
	mu    sync.Mutex
	names []string
}

func (e *events) note(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.names = append(e.names, name)
}

func (e *events) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.names, ", ")
}

func (e *events) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.names)
}

// succeed is a handler that is done at once.
func succeed(context.Context, *text, *longrun.Run[*meta]) (*text, error) {
	return wrapperspb.String("response"), nil
}

// untilClosed returns a handler that is done when c is closed, whatever happens to its
// context.
func untilClosed(c <-chan struct{}) handler {
	return func(context.Context, *text, *longrun.Run[*meta]) (*text, error) {
		<-c
		return wrapperspb.String("response"), nil
	}
}

// untilStopped is a handler that works until it is stopped.
func untilStopped(ctx context.Context, _ *text, _ *longrun.Run[*meta]) (*text, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
