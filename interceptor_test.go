package longrun_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

const traceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// intercepted is a system whose handlers have these interceptors.
func intercepted(t *testing.T, i ...longrun.Interceptor) *system {
	t.Helper()
	return newSystem(t, longrun.Options{Interceptors: i})
}

// The first interceptor is the outermost, and each sees every run.
func TestInterceptors_Order(t *testing.T) {
	t.Parallel()
	var log []string
	named := func(name string) longrun.Interceptor {
		return func(ctx context.Context, req proto.Message, run longrun.AnyRun, next longrun.Handler) (proto.Message, error) {
			log = append(log, fmt.Sprint(name, " before ", run.Attempt()))
			resp, err := next(ctx, req, run)
			log = append(log, fmt.Sprint(name, " after ", run.Attempt()))
			return resp, err
		}
	}
	sys := intercepted(t, named("outer"), named("inner"))
	sys.handle(func(_ context.Context, r *run) (*wrapperspb.Int64Value, error) {
		log = append(log, "handler")
		if r.Attempt() == 1 {
			return nil, longrun.RetryAfter(0, nil)
		}
		return int64Value(7), nil
	})
	op, _ := sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{})
	op = sys.claim(t, op.Claim.Session, 1)[0]
	task, err := sys.work.Task(op, longrun.TaskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	op = sys.finish(t, op, task.Run(t.Context()))
	wantLog(t, log, "outer before 1", "inner before 1", "handler", "inner after 1", "outer after 1",
		"outer before 2", "inner before 2", "handler", "inner after 2", "outer after 2")
	if got, err := resize.Response(op); err != nil || got.Value != 7 {
		t.Errorf("response = %v, %v; want 7", got, err)
	}
}

// The caller's identity and trace context travel from the start to the run; its
// deadline and its cancellation never do.
func TestInterceptors_Context(t *testing.T) {
	t.Parallel()
	seen := false
	sys := intercepted(t, func(ctx context.Context, req proto.Message, run longrun.AnyRun, next longrun.Handler) (proto.Message, error) {
		seen = true
		if got := longrun.CallerOf(ctx); got != "alice" || run.Caller() != "alice" {
			t.Errorf("caller = %q and %q, want alice", got, run.Caller())
		}
		if got := longrun.TraceParentOf(ctx); got != traceParent {
			t.Errorf("trace context = %q, want that of the starting call", got)
		}
		if _, ok := ctx.Deadline(); ok || ctx.Err() != nil {
			t.Errorf("the run has the deadline or the cancellation of the starting call: %v", ctx.Err())
		}
		if got, ok := req.(*wrapperspb.StringValue); !ok || got.Value != "a.png" {
			t.Errorf("request = %v, want the method's", req)
		}
		if run.Method() != word || run.Name() == (longrun.Name{}) || !run.Trusted() {
			t.Errorf("run = %q of %v", run.Method(), run.Name())
		}
		return next(ctx, req, run)
	})
	sys.handle(func(context.Context, *run) (*wrapperspb.Int64Value, error) { return int64Value(1), nil })
	ctx, cancel := context.WithTimeout(longrun.WithTraceParent(longrun.WithCaller(t.Context(), "alice"), traceParent), time.Hour)
	if _, err := longrun.Start(ctx, sys.svc, resize, wrapperspb.String("a.png"), longrun.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	cancel()
	op := sys.claim(t, sys.session(t, longrun.SessionOptions{}), 1)[0]
	task, err := sys.work.Task(op, longrun.TaskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if op = sys.finish(t, op, task.Run(context.Background())); op.State != longrun.Succeeded || !seen {
		t.Errorf("operation = %v %v, intercepted %v", op.State, op.Error, seen)
	}
}

// What an interceptor may do with a run.
func TestInterceptors_Results(t *testing.T) {
	t.Parallel()
	type i = longrun.Interceptor
	for name, tt := range map[string]struct {
		i      i
		value  int64
		code   codes.Code
		secret string // in the log, and nowhere else
	}{
		"another request": {i: func(ctx context.Context, _ proto.Message, r longrun.AnyRun, next longrun.Handler) (proto.Message, error) {
			return next(ctx, wrapperspb.String("four"), r)
		}, value: 4},
		"another response": {i: func(context.Context, proto.Message, longrun.AnyRun, longrun.Handler) (proto.Message, error) {
			return int64Value(9), nil
		}, value: 9},
		"no response": {i: func(context.Context, proto.Message, longrun.AnyRun, longrun.Handler) (proto.Message, error) {
			return nil, nil
		}},
		"a typed nil": {i: func(context.Context, proto.Message, longrun.AnyRun, longrun.Handler) (proto.Message, error) {
			return (*wrapperspb.Int64Value)(nil), nil
		}},
		"packed by itself": {i: func(context.Context, proto.Message, longrun.AnyRun, longrun.Handler) (proto.Message, error) {
			return packed(t, int64Value(5)), nil
		}, value: 5},
		"an error": {i: func(context.Context, proto.Message, longrun.AnyRun, longrun.Handler) (proto.Message, error) {
			return nil, status.Error(codes.ResourceExhausted, "no more today")
		}, code: codes.ResourceExhausted},
		"OP-06: a response of another type": {i: func(context.Context, proto.Message, longrun.AnyRun, longrun.Handler) (proto.Message, error) {
			return wrapperspb.Bool(true), nil
		}, code: codes.Internal, secret: "BoolValue"},
		"OP-06: another type in an Any": {i: func(context.Context, proto.Message, longrun.AnyRun, longrun.Handler) (proto.Message, error) {
			return packed(t, wrapperspb.Bool(true)), nil
		}, code: codes.Internal, secret: "BoolValue"},
		"a request of another type": {i: func(ctx context.Context, _ proto.Message, r longrun.AnyRun, next longrun.Handler) (proto.Message, error) {
			return next(ctx, wrapperspb.Bool(true), r)
		}, code: codes.Internal, secret: "BoolValue"},
		"ERR-15: a panic": {i: func(context.Context, proto.Message, longrun.AnyRun, longrun.Handler) (proto.Message, error) {
			panic("hunter2")
		}, code: codes.Internal, secret: "hunter2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sys := intercepted(t, tt.i)
			longrun.Handle(sys.svc, resize, func(_ context.Context, req *wrapperspb.StringValue, _ *run) (*wrapperspb.Int64Value, error) {
				return int64Value(int64(len(req.Value))), nil
			})
			op, r := sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{})
			if tt.code != 0 {
				if op.State != longrun.Failed || codes.Code(op.Error.GetCode()) != tt.code {
					t.Errorf("operation = %v %v, want %v", op.State, op.Error, tt.code)
				}
				if !strings.Contains(r.Err.Error(), tt.secret) || tt.secret != "" && strings.Contains(fmt.Sprint(op.Error), tt.secret) {
					t.Errorf("%q is to be in the log alone: logged %v, shown %v", tt.secret, r.Err, op.Error)
				}
				return
			}
			if got, err := resize.Response(op); err != nil || got.Value != tt.value {
				t.Errorf("response = %v, %v; want %d", got, err, tt.value)
			}
		})
	}
}

// An interceptor that tries again calls next more than once; a panic of the handler
// passes through it.
func TestInterceptors_CallNextAgain(t *testing.T) {
	t.Parallel()
	unwound := false
	sys := intercepted(t,
		func(ctx context.Context, req proto.Message, run longrun.AnyRun, next longrun.Handler) (proto.Message, error) {
			defer func() { unwound = recover() != nil; panic("again") }()
			return next(ctx, req, run)
		},
		func(ctx context.Context, req proto.Message, run longrun.AnyRun, next longrun.Handler) (proto.Message, error) {
			if _, err := next(ctx, req, run); err == nil {
				t.Error("the first call has succeeded")
			}
			return next(ctx, req, run)
		})
	calls := 0
	sys.handle(func(context.Context, *run) (*wrapperspb.Int64Value, error) {
		if calls++; calls == 2 {
			panic("twice")
		}
		return nil, errors.New("once")
	})
	op, _ := sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{})
	if calls != 2 || !unwound || op.Error.GetCode() != int32(codes.Internal) {
		t.Errorf("calls = %d, unwound %v, operation = %v", calls, unwound, op.Error)
	}
}

// Beside an error there is no response, and where a handler returns none the
// interceptor sees an empty message.
func TestInterceptors_SeeMessages(t *testing.T) {
	t.Parallel()
	var got []proto.Message
	see := func(ctx context.Context, req proto.Message, run longrun.AnyRun, next longrun.Handler) (proto.Message, error) {
		resp, err := next(ctx, req, run)
		got = append(got, resp)
		return resp, err
	}
	for _, err := range []error{nil, errors.New("no")} {
		sys := intercepted(t, see)
		sys.handle(func(context.Context, *run) (*wrapperspb.Int64Value, error) { return nil, err })
		sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{})
	}
	if got[0] == nil || !got[0].ProtoReflect().IsValid() || got[1] != nil {
		t.Errorf("responses = %#v, want an empty message and nil", got)
	}
}

// A helper for all methods uses the run as any run, and one for a method as its own.
func TestInterceptors_UseTheRun(t *testing.T) {
	t.Parallel()
	sys := intercepted(t, func(ctx context.Context, req proto.Message, r longrun.AnyRun, next longrun.Handler) (proto.Message, error) {
		if _, err := longrun.StepResult(ctx, r, "greet", func(context.Context) (*emptypb.Empty, error) { return &emptypb.Empty{}, nil }); err != nil {
			t.Error(err)
		}
		r.(*run).Update(func(m *longrunpb.OperationMetadata) { m.StatusMessage = "watched" })
		type wrapped struct{ longrun.AnyRun }
		return next(ctx, req, wrapped{r})
	})
	sys.handle(func(_ context.Context, r *run) (*wrapperspb.Int64Value, error) {
		if got := r.Metadata().StatusMessage; got != "watched" {
			t.Errorf("the handler sees %q", got)
		}
		return int64Value(1), nil
	})
	op, _ := sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{})
	if op.State != longrun.Succeeded || op.CompletedSteps != 1 || sys.metadata(t, op).StatusMessage != "watched" {
		t.Errorf("operation = %v with %d steps, %v", op.State, op.CompletedSteps, sys.metadata(t, op))
	}
}

// A method without types goes through interceptors as Anys.
func TestInterceptors_Any(t *testing.T) {
	t.Parallel()
	var seen []string
	sys := intercepted(t, func(ctx context.Context, req proto.Message, run longrun.AnyRun, next longrun.Handler) (proto.Message, error) {
		resp, err := next(ctx, req, run)
		seen = append(seen, req.(*anypb.Any).TypeUrl)
		if resp.(*anypb.Any).TypeUrl != "" {
			t.Errorf("response = %v, want an empty Any", resp)
		}
		return wrapperspb.Bool(true), err // no type is promised
	})
	m := longrun.Method[*anypb.Any, *anypb.Any, *longrunpb.OperationMetadata]{Name: word}
	longrun.Handle(sys.svc, m, func(context.Context, *anypb.Any, *run) (*anypb.Any, error) { return nil, nil })
	if _, err := longrun.Start(t.Context(), sys.svc, m, packed(t, int64Value(1)), longrun.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	op := sys.claim(t, sys.session(t, longrun.SessionOptions{}), 1)[0]
	task, err := sys.work.Task(op, longrun.TaskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	op = sys.finish(t, op, task.Run(t.Context()))
	if !op.Response.MessageIs(&wrapperspb.BoolValue{}) || !slices.Equal(seen, []string{"type.googleapis.com/google.protobuf.Int64Value"}) {
		t.Errorf("response = %v, requests %v", op.Response, seen)
	}
}

// A deadline of the operation is the run's to see.
func TestRun_Deadline(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{0, time.Hour} {
		sys := newSystem(t, longrun.Options{})
		m := resize
		m.ExecutionTimeout = timeout
		var deadline time.Time
		var limited bool
		longrun.Handle(sys.svc, m, func(_ context.Context, _ *wrapperspb.StringValue, r *run) (*wrapperspb.Int64Value, error) {
			deadline, limited = r.Deadline()
			return nil, nil
		})
		op, _ := sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{})
		if limited != (timeout > 0) || limited && !deadline.Equal(op.StartTime.Add(timeout)) || !limited && !deadline.IsZero() {
			t.Errorf("Deadline() = %v, %v with a timeout of %v from %v", deadline, limited, timeout, op.StartTime)
		}
	}
}
