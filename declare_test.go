package longrun_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// A process that declares a method holds starts by name to it, and runs none.
func TestDeclare(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	m := resize
	m.ExecutionTimeout = time.Hour
	m.Parent = func(req *wrapperspb.StringValue) string { return longrun.UnderParent(req.Value) }
	m.ConflictKey = func(req *wrapperspb.StringValue) string { return "resize " + req.Value }
	longrun.Declare(sys.svc, m)

	start := func(req *anypb.Any, o longrun.StartOptions) (*longrun.Operation, error) {
		return sys.svc.Start(t.Context(), longrun.StartRequest{StartOptions: o, Method: word, Request: req})
	}
	op, err := start(packed(t, wrapperspb.String("projects/p/locations/l/images/i")), longrun.StartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if op.Parent != "projects/p/locations/l" || op.ExecutionTimeout != time.Hour || op.ConflictKey != "resize projects/p/locations/l/images/i" {
		t.Errorf("operation = %+v, want what the method says", op)
	}
	_, err = start(packed(t, int64Value(1)), longrun.StartOptions{})
	if wantError(t, err, codes.InvalidArgument, longrun.ReasonInvalidField); fieldOf(err) != "request" {
		t.Errorf("field = %q, want request", fieldOf(err))
	}
	_, err = start(packed(t, wrapperspb.String("shelves/s")), longrun.StartOptions{Parent: "shelves/other"})
	if wantError(t, err, codes.InvalidArgument, longrun.ReasonInvalidField); fieldOf(err) != "parent" {
		t.Errorf("field = %q, want parent", fieldOf(err))
	}
	if got := sys.work.Methods(); len(got) != 0 {
		t.Errorf("Methods() = %v, want none to run", got)
	}
	_, err = sys.work.Task(op, longrun.TaskOptions{})
	wantError(t, err, codes.Unimplemented, longrun.ReasonMethodNotSupported)
}

// It goes with Handle and Begin in any order; the latest says what the policy is.
func TestDeclare_BesideTheOthers(t *testing.T) {
	t.Parallel()
	later := resize
	later.MaxFailures = 3
	hook := func(_ context.Context, _ *wrapperspb.StringValue, d *longrun.Draft) error {
		d.Verb = "hooked"
		return nil
	}
	for name, register := range map[string]func(*longrun.Service){
		"first": func(svc *longrun.Service) {
			longrun.Declare(svc, resize)
			longrun.Handle(svc, resize, noWork)
			longrun.Begin(svc, later, hook)
		},
		"last": func(svc *longrun.Service) {
			longrun.Begin(svc, resize, hook)
			longrun.Handle(svc, resize, noWork)
			longrun.Declare(svc, later)
		},
		"again": func(svc *longrun.Service) {
			longrun.Handle(svc, resize, noWork)
			longrun.Declare(svc, resize)
			longrun.Begin(svc, resize, hook)
			longrun.Declare(svc, later)
		},
	} {
		sys := newSystem(t, longrun.Options{})
		register(sys.svc)
		op := sys.start(t, longrun.StartOptions{})
		if op.MaxFailures != 3 || sys.metadata(t, op).Verb != "hooked" || len(sys.work.Methods()) != 1 {
			t.Errorf("%s: operation = %+v, methods %v", name, op, sys.work.Methods())
		}
	}
}

// Declaring while calls are under way is safe: they see the method as it was or as it
// is then.
func TestDeclare_WhileServing(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	longrun.Declare(sys.svc, resize)
	declared := make(chan struct{})
	go func() {
		defer close(declared)
		for i := range 100 {
			m := resize
			m.MaxFailures = i
			longrun.Declare(sys.svc, m)
		}
	}()
	for range 100 {
		sys.start(t, longrun.StartOptions{})
	}
	<-declared
}

// One name is one method: other types, and wrong options, show at once.
func TestDeclare_Panics(t *testing.T) {
	t.Parallel()
	for name, register := range map[string]func(*longrun.Service){
		"another request": func(svc *longrun.Service) {
			longrun.Declare(svc, longrun.Method[*emptypb.Empty, *wrapperspb.Int64Value, *longrunpb.OperationMetadata]{Name: word})
		},
		"another response": func(svc *longrun.Service) {
			longrun.Declare(svc, longrun.Method[*wrapperspb.StringValue, *emptypb.Empty, *longrunpb.OperationMetadata]{Name: word})
		},
		"other metadata": func(svc *longrun.Service) {
			longrun.Declare(svc, longrun.Method[*wrapperspb.StringValue, *wrapperspb.Int64Value, *emptypb.Empty]{Name: word})
		},
		"no name": func(svc *longrun.Service) {
			longrun.Declare(svc, longrun.Method[*emptypb.Empty, *emptypb.Empty, *emptypb.Empty]{})
		},
		"a timeout out of range": func(svc *longrun.Service) {
			m := resize
			m.ExecutionTimeout = -1
			longrun.Declare(svc, m)
		},
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
		if op := sys.start(t, longrun.StartOptions{}); op.MaxFailures != longrun.DefaultMaxFailures {
			t.Errorf("%s: a registration that was refused has changed the method: %+v", name, op)
		}
	}
}

// A nil interceptor is refused where it is named.
func TestNew_NilInterceptor(t *testing.T) {
	t.Parallel()
	if _, err := longrun.New(&spoiled{}, longrun.Options{Interceptors: []longrun.Interceptor{nil}}); err == nil {
		t.Error("New = nil, want an error")
	}
}
