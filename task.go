package longrun

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// A Task is one run of a handler of this process, as its runner sees it: the
// runner begins it, saves what it reports and brings its Result to Finish.
type Task struct {
	w    *Work
	op   *Operation
	m    *method
	opts TaskOptions

	entries int // of the batch that is the request; -1 where it is none

	mu       sync.Mutex // guards what follows
	metadata proto.Message
	written  bool              // metadata was written
	dirty    bool              // metadata was written since Reported
	carried  *anypb.Any        // metadata as it is in the record once it was reported
	steps    map[string][]byte // remembered by earlier runs and this one; nil until loaded
}

// TaskOptions is what a runner lends to a run.
type TaskOptions struct {
	// Trusted reports whether the session still trusts its claims. Nil means yes.
	Trusted func() bool
	// Reported, if not nil, is called after metadata was written. It must not
	// block.
	Reported func()
}

// Methods returns the names of all methods that have a handler here, sorted.
func (w *Work) Methods() []string {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	var names []string
	for name, m := range w.s.methods {
		if m.handle != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Task prepares a run of op, which the caller has claimed. It is an error when op's
// method has no handler here.
func (w *Work) Task(op *Operation, o TaskOptions) (*Task, error) {
	m := w.s.method(op.Method)
	if m == nil || m.handle == nil {
		return nil, w.s.fault("run", op.Name(), &Error{Code: codes.Unimplemented, Reason: ReasonMethodNotSupported, Msg: "the method has no handler here"})
	}
	return &Task{w: w, op: op, m: m, opts: o, entries: -1, carried: op.Metadata}, nil
}

// Operation returns the record as it was claimed.
func (t *Task) Operation() *Operation { return t.op }

// Run calls the handler and returns what became of it, a panic too. It returns
// when the handler does, whatever happens to ctx.
func (t *Task) Run(ctx context.Context) Result {
	ctx = WithCaller(WithTraceParent(ctx, t.op.TraceParent), t.op.Caller)
	resp, err := recovered(ctx, t.op.Request, t.m.begun(t), t.perform)
	r := Result{Err: err, RetryOn: t.m.policy.retryOn}
	if err == nil {
		r.Response = resp.(*anypb.Any)
	} else if _, final := errors.AsType[*allFailed](err); final {
		r.RetryOn = nil
	}
	r = t.fit(r)
	r.Metadata = t.last()
	return r
}

// fit replaces a result that is too large to be kept: the run cannot be asked to
// make it smaller.
func (t *Task) fit(r Result) Result {
	if _, _, err := runEnd(Claim{}, r); err != nil {
		e := err.(*Error)
		if e.Field == "retry_delay" {
			return Result{Err: errors.New(e.Msg), RetryOn: r.RetryOn}
		}
		st, detailErr := status.New(codes.Internal, e.Msg).WithDetails(&errdetails.ErrorInfo{Reason: e.Reason, Domain: t.w.s.opts.Domain})
		if detailErr != nil {
			return Result{Err: errors.Join(err, detailErr)}
		}
		return Result{Err: st.Err()}
	}
	return r
}

// Reported returns the metadata that was written since the last call, and nil
// where there is none.
func (t *Task) Reported() *anypb.Any {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.dirty {
		return nil
	}
	t.dirty = false
	return t.packLocked()
}

// last returns the metadata if this run has written any, whatever was reported:
// a report may have been lost. It is checked with all that carry adds to it when it is
// stored: the end of a run must not be refused for what the run has not written.
func (t *Task) last() *anypb.Any {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.written {
		return nil
	}
	a := t.packLocked()
	if err := checkMetadata(t.carried); a != nil && err != nil {
		t.logUnkept(err)
		return nil
	}
	return a
}

// packLocked returns the metadata as it is to be reported, and notes what becomes of it
// then.
func (t *Task) packLocked() *anypb.Any {
	a, err := pack(t.metadata)
	if err == nil {
		err = checkMetadata(a)
	}
	if err != nil {
		t.logUnkept(err)
		return nil
	}
	t.carried = carry(t.carried, a)
	return a
}

func (t *Task) logUnkept(err error) {
	t.w.s.log.Error("metadata is not kept", "operation", t.op.Name().String(), "method", t.op.Method, "attempt", t.op.Claim.Attempt, "err", err)
}

// edit lets f change the metadata, of which it gets its own copy.
func (t *Task) edit(empty proto.Message, f func(m proto.Message) proto.Message) {
	func() {
		t.mu.Lock()
		defer t.mu.Unlock() // f is the handler's and may panic
		t.metadata = f(t.metadataLocked(empty))
		t.written, t.dirty = true, true
	}()
	if t.opts.Reported != nil {
		t.opts.Reported()
	}
}

// current returns a copy of the metadata.
func (t *Task) current(empty proto.Message) proto.Message {
	t.mu.Lock()
	defer t.mu.Unlock()
	return proto.Clone(t.metadataLocked(empty))
}

// metadataLocked returns the metadata as last written, by this or an earlier
// run, or empty.
func (t *Task) metadataLocked(empty proto.Message) proto.Message {
	if t.metadata == nil {
		t.metadata = empty
		if _, raw := empty.(*anypb.Any); raw && t.op.Metadata != nil {
			t.metadata = proto.Clone(t.op.Metadata)
		} else if t.op.Metadata.MessageIs(empty) {
			if err := t.op.Metadata.UnmarshalTo(empty); err != nil {
				proto.Reset(empty)
			}
		}
	}
	return t.metadata
}

// step runs f unless key is remembered, and remembers what it returns.
func (t *Task) step(ctx context.Context, key string, f func(context.Context) ([]byte, error)) ([]byte, error) {
	if err := checkStep(key, nil); err != nil {
		return nil, t.w.s.fault("step", t.op.Name(), err)
	}
	if err := t.loadSteps(ctx); err != nil {
		return nil, err
	}
	t.mu.Lock()
	result, ok := t.steps[key]
	t.mu.Unlock()
	if ok {
		return result, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	result, err := f(ctx)
	if err != nil {
		return nil, err
	}
	return t.remember(ctx, key, result)
}

// rememberGrace is how long a step that was done is still being remembered after its
// run was told to stop.
const rememberGrace = 5 * time.Second

// remember keeps the result of a step that was done. A store that is away is
// asked again until ctx ends, and a write that is under way then has its time: the step
// should not be done twice for that.
func (t *Task) remember(ctx context.Context, key string, result []byte) ([]byte, error) {
	write, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(rememberGrace, cancel) })()
	for delay := insistDelay; ; delay = min(2*delay, time.Second) {
		kept, err := t.w.Step(write, t.op.Name(), t.op.Claim, key, result)
		if err == nil {
			t.mu.Lock()
			t.steps[key] = kept
			t.mu.Unlock()
			return kept, nil
		}
		if CodeOf(err) != codes.Unavailable || !pause(ctx, delay) {
			return nil, err
		}
	}
}

// loadSteps reads what earlier runs have remembered, once.
func (t *Task) loadSteps(ctx context.Context) error {
	t.mu.Lock()
	loaded := t.steps != nil
	t.mu.Unlock()
	if loaded {
		return nil
	}
	steps := map[string][]byte{}
	for after, more := "", t.op.Claim.Attempt > 1; more; {
		part, err := t.w.Steps(ctx, t.op.Name(), after, stepsPage)
		if err != nil {
			return err
		}
		for _, s := range part {
			steps[s.Key] = s.Result
			after = s.Key
		}
		more = len(part) == stepsPage
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.steps == nil {
		t.steps = steps
	}
	return nil
}

const stepsPage = 1000

func (t *Task) trusted() bool { return t.opts.Trusted == nil || t.opts.Trusted() }
