package longrun

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// A Handler does the work of one run, of any method: what Handle was given, and all
// interceptors within. req is of the method's request type, and so is the response
// that it returns of its response type, unless the method's is *anypb.Any. Beside an
// error the response is nil and of no use; without one it is never nil.
type Handler func(ctx context.Context, req proto.Message, run AnyRun) (proto.Message, error)

// An Interceptor stands around the handlers of all methods (Options.Interceptors):
// it does what it likes before and after, calls next, once or, to try again, more
// than once, or returns without it. It is called for every run of a handler of this
// process, also for those that repeat an earlier run, by many goroutines at a time.
//
// ctx is that of the run: it ends when the run must stop, and it has the caller
// (CallerOf) and the trace context (TraceParentOf) of whoever started the operation,
// but neither the deadline nor the cancellation of the starting call. A ctx that is
// handed to next should be made of it. run is the *Run of the method, which
// StepResult and a type assertion to *Run[Meta] take.
//
// An interceptor may give next another request of the same type, and return another
// response. A response of another type than the method's ends the operation as
// INTERNAL (OP-06); a nil one is an empty message of the type. What errors mean is
// said at Handle; an interceptor sees the one that the handler has returned, and the
// one that it returns counts. A panic goes through all interceptors, and becomes
// INTERNAL outside of them (ERR-15).
type Interceptor func(ctx context.Context, req proto.Message, run AnyRun, next Handler) (proto.Message, error)

// within returns next with the interceptors around it, of which the first is the
// outermost.
func within(interceptors []Interceptor, next Handler) Handler {
	for _, i := range slices.Backward(interceptors) {
		inner := next
		next = func(ctx context.Context, req proto.Message, run AnyRun) (proto.Message, error) {
			return i(ctx, req, run, inner)
		}
	}
	return next
}

// recovered is the outermost interceptor: it makes a panic an error, whose text is
// for the log alone.
func recovered(ctx context.Context, req proto.Message, run AnyRun, next Handler) (resp proto.Message, err error) {
	defer func() {
		if p := recover(); p != nil {
			resp, err = nil, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return next(ctx, req, run)
}

// perform does all that a run does which may panic: it takes the request out of its
// Any, calls the interceptors and the handler, and packs the response.
func (t *Task) perform(ctx context.Context, packed proto.Message, run AnyRun) (proto.Message, error) {
	req, err := t.m.decode(packed.(*anypb.Any))
	if err != nil {
		return nil, err
	}
	resp, err := within(t.w.s.opts.Interceptors, t.m.handle)(ctx, req, run)
	if err != nil {
		return nil, err
	}
	return t.m.packResponse(resp)
}

// packResponse packs what a run returns; nil is an empty message of the method's
// type. One of another type is an error (OP-06).
func (m *method) packResponse(resp proto.Message) (*anypb.Any, error) {
	if resp == nil {
		return emptyAny(m.promise.Response), nil
	}
	a, err := pack(present(resp))
	if err != nil {
		return nil, err
	}
	if want := m.promise.Response; want != "" && a.MessageName() != want {
		return nil, fmt.Errorf("the response is a %q, and the method promises a %q", a.MessageName(), want)
	}
	return a, nil
}
