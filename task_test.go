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
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// run is a *Run of resize.
type run = longrun.Run[*longrunpb.OperationMetadata]

// handle registers a handler for resize.
func (s *system) handle(h func(context.Context, *run) (*wrapperspb.Int64Value, error)) {
	longrun.Handle(s.svc, resize, func(ctx context.Context, _ *wrapperspb.StringValue, r *run) (*wrapperspb.Int64Value, error) {
		return h(ctx, r)
	})
}

// do starts an operation of resize and runs its handler once, as a runner does.
func (s *system) do(t *testing.T, o longrun.StartOptions, to longrun.TaskOptions) (*longrun.Operation, longrun.Result) {
	t.Helper()
	op := s.running(t, o)
	task, err := s.work.Task(op, to)
	if err != nil {
		t.Fatal(err)
	}
	if task.Operation() != op {
		t.Error("Operation() is not what was claimed")
	}
	r := task.Run(t.Context())
	return s.finish(t, op, r), r
}

func TestTask(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	m := resize
	m.RetryOn = []codes.Code{codes.DataLoss}
	longrun.Handle(sys.svc, m, func(ctx context.Context, req *wrapperspb.StringValue, r *run) (*wrapperspb.Int64Value, error) {
		if longrun.CallerOf(ctx) != "alice" || longrun.TraceParentOf(ctx) == "" || r.Caller() != "alice" || r.Attempt() != 1 || !r.Trusted() {
			t.Errorf("run %v of attempt %d by %q, caller %q, trusted %v", r.Name(), r.Attempt(), longrun.CallerOf(ctx), r.Caller(), r.Trusted())
		}
		return int64Value(int64(len(req.Value))), nil
	})
	ctx := longrun.WithTraceParent(longrun.WithCaller(t.Context(), "alice"), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	if _, err := longrun.Start(ctx, sys.svc, m, wrapperspb.String("four"), longrun.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	op := sys.claim(t, sys.session(t, longrun.SessionOptions{}), 1)[0]
	task, err := sys.work.Task(op, longrun.TaskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r := task.Run(t.Context())
	if r.Err != nil || r.Metadata != nil || !slices.Equal(r.RetryOn, m.RetryOn) {
		t.Errorf("result = %+v", r)
	}
	if got, err := m.Response(sys.finish(t, op, r)); err != nil || got.Value != 4 {
		t.Errorf("response = %v, %v; want 4", got, err)
	}
}

func TestTask_NoHandler(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	_, err := sys.work.Task(sys.running(t, longrun.StartOptions{}), longrun.TaskOptions{})
	wantError(t, err, codes.Unimplemented, longrun.ReasonMethodNotSupported)
	longrun.Begin(sys.svc, resize, func(context.Context, *wrapperspb.StringValue, *longrun.Draft) error { return nil })
	_, err = sys.work.Task(sys.running(t, longrun.StartOptions{}), longrun.TaskOptions{})
	wantError(t, err, codes.Unimplemented, longrun.ReasonMethodNotSupported)
	if got := sys.work.Methods(); len(got) != 0 {
		t.Errorf("Methods() = %v, want none", got)
	}
	sys.handle(func(context.Context, *run) (*wrapperspb.Int64Value, error) { return nil, nil })
	other := resize
	other.Name = "another"
	longrun.Handle(sys.svc, other, noWork)
	if got := sys.work.Methods(); !slices.Equal(got, []string{"another", word}) {
		t.Errorf("Methods() = %v, want them sorted", got)
	}
}

// What a handler returns, and what the operation is then.
func TestTask_Results(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		resp   *wrapperspb.Int64Value
		err    error
		code   codes.Code
		reason string
	}{
		{"a response", int64Value(1), nil, 0, ""},
		{"OP-04: no response", nil, nil, 0, ""},
		{"a Status", nil, status.Error(codes.NotFound, "x"), codes.NotFound, longrun.ReasonOperationFailed},
		{"a plain error", nil, errors.New("x"), codes.Internal, longrun.ReasonInternal},
		{"an error too large to be kept", nil, status.Error(codes.NotFound, strings.Repeat("x", longrun.MaxErrorBytes)), codes.Internal, longrun.ReasonPayloadTooLarge},
		{"a delay too long", nil, longrun.RetryAfter(longrun.MaxRetryDelay+time.Hour, nil), codes.Internal, longrun.ReasonInternal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sys := newSystem(t, longrun.Options{})
			sys.handle(func(context.Context, *run) (*wrapperspb.Int64Value, error) { return tt.resp, tt.err })
			op, _ := sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{})
			switch {
			case tt.code == 0 && (op.State != longrun.Succeeded || !op.Response.MessageIs(&wrapperspb.Int64Value{})):
				t.Errorf("OP-06: operation = %v %v, want the type that was promised", op.State, op.Response)
			case tt.code != 0 && (op.Error.GetCode() != int32(tt.code) || reasonOf(op) != tt.reason):
				t.Errorf("operation = %v %v, want %v %s", op.State, op.Error, tt.code, tt.reason)
			}
		})
	}
}

// A response that is too large cannot be asked to be smaller: the operation ends.
func TestTask_ResponseTooLarge(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	m := longrun.Method[*anypb.Any, *anypb.Any, *longrunpb.OperationMetadata]{Name: word}
	longrun.Handle(sys.svc, m, func(context.Context, *anypb.Any, *run) (*anypb.Any, error) {
		return sized(longrun.MaxResponseBytes + 1), nil
	})
	op, _ := sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{})
	if op.Error.GetCode() != int32(codes.Internal) || reasonOf(op) != longrun.ReasonPayloadTooLarge {
		t.Errorf("operation = %v %v, want INTERNAL %s", op.State, op.Error, longrun.ReasonPayloadTooLarge)
	}
}

// A *anypb.Any promises no type: payloads are packed as they are.
func TestTask_Any(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ in, out *anypb.Any }{
		"a type that is not linked in": {sized(100), sized(100)},
		"none":                         {nil, packed(t, &emptypb.Empty{})},
	} {
		sys := newSystem(t, longrun.Options{})
		m := longrun.Method[*anypb.Any, *anypb.Any, *anypb.Any]{Name: word}
		longrun.Handle(sys.svc, m, func(_ context.Context, req *anypb.Any, r *longrun.Run[*anypb.Any]) (*anypb.Any, error) {
			r.Progress(sized(200))
			if tt.in == nil {
				return nil, nil
			}
			return req, nil
		})
		if _, err := longrun.Start(t.Context(), sys.svc, m, tt.in, longrun.StartOptions{}); err != nil {
			t.Fatal(err)
		}
		op := sys.claim(t, sys.session(t, longrun.SessionOptions{}), 1)[0]
		task, err := sys.work.Task(op, longrun.TaskOptions{})
		if err != nil {
			t.Fatal(err)
		}
		done := sys.finish(t, op, task.Run(t.Context()))
		if got, err := m.Response(done); err != nil || got.TypeUrl != tt.out.TypeUrl || string(got.Value) != string(tt.out.Value) {
			t.Errorf("%s: response = %v, %v; want %v", name, got, err, tt.out)
		}
		if got, err := m.Metadata(done); err != nil || got.TypeUrl != sized(200).TypeUrl {
			t.Errorf("%s: metadata = %v, %v", name, got, err)
		}
	}
}

// ERR-15: a panic ends the operation as INTERNAL, whatever the handler was doing.
func TestTask_Panics(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]func(ctx context.Context, r *run){
		"in the handler": func(context.Context, *run) { panic("hunter2") },
		"with an error":  func(context.Context, *run) { panic(status.Error(codes.NotFound, "hunter2")) },
		"in Update":      func(_ context.Context, r *run) { r.Update(func(*longrunpb.OperationMetadata) { panic("hunter2") }) },
		"in a step": func(ctx context.Context, r *run) {
			_ = r.Step(ctx, "k", func(context.Context) error { panic("hunter2") })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sys := newSystem(t, longrun.Options{})
			sys.handle(func(ctx context.Context, r *run) (*wrapperspb.Int64Value, error) {
				r.Progress(progress(1, 2))
				h(ctx, r)
				return nil, nil
			})
			op, r := sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{})
			if op.State != longrun.Failed || op.Error.Code != int32(codes.Internal) || strings.Contains(fmt.Sprint(op.Error), "hunter2") {
				t.Errorf("operation = %v %v, want INTERNAL and no more", op.State, op.Error)
			}
			if !strings.Contains(r.Err.Error(), "hunter2") || !strings.Contains(r.Err.Error(), "task_test.go") {
				t.Errorf("for the log: %v, want the panic and its stack", r.Err)
			}
			if got := sys.metadata(t, op).Progress.GetCompletedUnits(); got != 1 {
				t.Errorf("units done = %d, want what was reported before", got)
			}
		})
	}
}

// Register mistakes show at once.
func TestHandle_Panics(t *testing.T) {
	t.Parallel()
	change := func(f func(*longrun.Method[*wrapperspb.StringValue, *wrapperspb.Int64Value, *longrunpb.OperationMetadata])) func(*longrun.Service) {
		return func(svc *longrun.Service) {
			m := resize
			m.Name = "other"
			f(&m)
			longrun.Handle(svc, m, noWork)
		}
	}
	type method = longrun.Method[*wrapperspb.StringValue, *wrapperspb.Int64Value, *longrunpb.OperationMetadata]
	for name, register := range map[string]func(*longrun.Service){
		"handled already": func(svc *longrun.Service) { longrun.Handle(svc, resize, noWork) },
		"hooked already": func(svc *longrun.Service) {
			hook := func(context.Context, *wrapperspb.StringValue, *longrun.Draft) error { return nil }
			longrun.Begin(svc, resize, hook)
			longrun.Begin(svc, resize, hook)
		},
		"no handler": func(svc *longrun.Service) {
			m := resize
			m.Name = "other"
			longrun.Handle[*wrapperspb.StringValue, *wrapperspb.Int64Value](svc, m, nil)
		},
		"no hook":     func(svc *longrun.Service) { longrun.Begin(svc, resize, nil) },
		"no name":     change(func(m *method) { m.Name = "" }),
		"bad name":    change(func(m *method) { m.Name = "/x" }),
		"timeout":     change(func(m *method) { m.ExecutionTimeout = -1 }),
		"failures":    change(func(m *method) { m.MaxFailures = longrun.MaxFailuresLimit + 1 }),
		"policy":      change(func(m *method) { m.OnConflict = 9 }),
		"no failures": change(func(m *method) { m.MaxFailures = -1 }),
	} {
		sys := newSystem(t, longrun.Options{})
		longrun.Handle(sys.svc, resize, noWork)
		func() {
			defer func() {
				if p := fmt.Sprint(recover()); !strings.Contains(p, "longrun: method") {
					t.Errorf("%s: panic = %v, want one that names the method", name, p)
				}
			}()
			register(sys.svc)
		}()
	}
}

func TestMethod_Response(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	op := sys.running(t, longrun.StartOptions{})
	_, err := resize.Response(op)
	wantError(t, err, codes.Unavailable, longrun.ReasonUnavailable)
	failed := sys.finish(t, op, longrun.Result{Err: status.Error(codes.NotFound, "no file")})
	_, err = resize.Response(failed)
	wantError(t, err, codes.NotFound, longrun.ReasonOperationFailed)
	if md, err := resize.Metadata(failed); err != nil || md == nil {
		t.Errorf("Metadata = %v, %v; want an empty message", md, err)
	}
}
