package longrun_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// Progress replaces, Update changes in place, and the last one is part of the
// terminal write; what the starter has set is kept (OP-15).
func TestRun_Metadata(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	reported := 0
	sys.handle(func(_ context.Context, r *run) (*wrapperspb.Int64Value, error) {
		if got := r.Metadata(); got.Target != "images/a" {
			t.Errorf("Metadata() = %v, want the starter's", got)
		}
		mine := progress(1, 9)
		r.Progress(mine)
		mine.Progress.CompletedUnits = 99 // the handler's own copy
		r.Update(func(m *longrunpb.OperationMetadata) { m.Progress.CompletedUnits++; m.StatusMessage = "half" })
		got := r.Metadata()
		if got.Progress.CompletedUnits != 2 || got.StatusMessage != "half" {
			t.Errorf("Metadata() = %v, want what was written", got)
		}
		got.StatusMessage = "changed" // a copy
		return nil, nil
	})
	op, _ := sys.do(t, longrun.StartOptions{Target: "images/a"}, longrun.TaskOptions{Reported: func() { reported++ }})
	md := sys.metadata(t, op)
	if md.Target != "images/a" || md.Progress.CompletedUnits != 2 || md.StatusMessage != "half" || md.EndTime == nil {
		t.Errorf("metadata = %v", md)
	}
	if reported != 2 {
		t.Errorf("Reported was called %d times, want 2", reported)
	}
}

// What was written is handed out once, and once more with the end: a report may
// have been lost.
func TestTask_Reported(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	var task *longrun.Task
	sys.handle(func(_ context.Context, r *run) (*wrapperspb.Int64Value, error) {
		if got := task.Reported(); got != nil {
			t.Errorf("Reported() = %v before anything was written", got)
		}
		r.Progress(progress(1, 9))
		if got := task.Reported(); got == nil {
			t.Error("Reported() = nil after Progress")
		}
		if got := task.Reported(); got != nil {
			t.Errorf("Reported() = %v a second time", got)
		}
		return nil, nil
	})
	op := sys.running(t, longrun.StartOptions{})
	task, err := sys.work.Task(op, longrun.TaskOptions{Trusted: func() bool { return false }})
	if err != nil {
		t.Fatal(err)
	}
	if r := task.Run(t.Context()); r.Metadata == nil {
		t.Error("the result has no metadata")
	}
}

// Metadata that is too large is not kept, and does not end the run.
func TestRun_MetadataTooLarge(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	sys.handle(func(_ context.Context, r *run) (*wrapperspb.Int64Value, error) {
		r.Update(func(m *longrunpb.OperationMetadata) { m.StatusMessage = strings.Repeat("x", longrun.MaxMetadataBytes) })
		return nil, nil
	})
	op, r := sys.do(t, longrun.StartOptions{Target: "images/a"}, longrun.TaskOptions{})
	if op.State != longrun.Succeeded || r.Metadata != nil || sys.metadata(t, op).Target != "images/a" {
		t.Errorf("operation = %v with %v", op.State, sys.metadata(t, op))
	}
}

// A later run goes on from the metadata of the one before.
func TestRun_MetadataOfAnEarlierRun(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	sys.handle(func(_ context.Context, r *run) (*wrapperspb.Int64Value, error) {
		if got := r.Metadata().StatusMessage; r.Attempt() == 2 && got != "from attempt 1" {
			t.Errorf("Metadata() of attempt 2 = %q", got)
		}
		r.Update(func(m *longrunpb.OperationMetadata) { m.StatusMessage = fmt.Sprint("from attempt ", r.Attempt()) })
		return nil, longrun.RetryAfter(0, nil)
	})
	op, _ := sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{})
	again := sys.claim(t, op.Claim.Session, 1)[0]
	task, err := sys.work.Task(again, longrun.TaskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	task.Run(t.Context())
}

// OP-18: counting does not forget a warning.
func TestRun_WarnAndProgress(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	sys.handle(func(_ context.Context, r *run) (*wrapperspb.Int64Value, error) {
		r.Warn(status.New(codes.NotFound, "one page is missing"))
		r.Progress(progress(1, 2))
		if md := r.Metadata(); len(md.Warnings) != 1 || md.Progress.CompletedUnits != 1 {
			t.Errorf("metadata = %v, want the warning and the progress", md)
		}
		return nil, nil
	})
	sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{})
}

// OP-18: errors that do not end the operation are Status values in the metadata,
// where there is a place for them.
func TestRun_Warn(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	sys.handle(func(_ context.Context, r *run) (*wrapperspb.Int64Value, error) {
		for range longrun.MaxWarnings + 5 {
			if !r.Warn(status.New(codes.NotFound, "one page is missing")) {
				t.Error("Warn() = false")
			}
		}
		return nil, nil
	})
	op, _ := sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{})
	warnings := sys.metadata(t, op).Warnings
	if len(warnings) != longrun.MaxWarnings || warnings[0].Code != int32(codes.NotFound) || warnings[0].Message != "one page is missing" {
		t.Errorf("%d warnings, the first %v", len(warnings), warnings[0])
	}

	other := newSystem(t, longrun.Options{})
	m := longrun.Method[*wrapperspb.StringValue, *wrapperspb.Int64Value, *statuspb.Status]{Name: word}
	longrun.Handle(other.svc, m, func(_ context.Context, _ *wrapperspb.StringValue, r *longrun.Run[*statuspb.Status]) (*wrapperspb.Int64Value, error) {
		if r.Warn(status.New(codes.NotFound, "x")) {
			t.Error("Warn() = true, and there is no place for it")
		}
		return nil, nil
	})
	if _, r := other.do(t, longrun.StartOptions{}, longrun.TaskOptions{}); r.Metadata != nil {
		t.Errorf("metadata = %v, want none", r.Metadata)
	}
}

// A step that is done is not done again by a later run; one that has failed is.
func TestRun_Step(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	var log []string
	sys.handle(func(ctx context.Context, r *run) (*wrapperspb.Int64Value, error) {
		for _, key := range []string{"fetch", "fetch", "crop"} {
			err := r.Step(ctx, key, func(context.Context) error {
				log = append(log, fmt.Sprint(key, r.Attempt()))
				if key == "crop" && r.Attempt() == 1 {
					return status.Error(codes.Unavailable, "away")
				}
				return nil
			})
			if err != nil {
				return nil, longrun.RetryAfter(0, err)
			}
		}
		n, err := longrun.StepResult(ctx, r, "count", func(context.Context) (*wrapperspb.Int64Value, error) { return int64Value(r.Attempt()), nil })
		if err == nil && r.Attempt() < 3 {
			err = longrun.RetryAfter(0, nil)
		}
		return n, err
	})
	op, _ := sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{})
	for range 2 {
		op = sys.claim(t, op.Claim.Session, 1)[0]
		task, err := sys.work.Task(op, longrun.TaskOptions{})
		if err != nil {
			t.Fatal(err)
		}
		op = sys.finish(t, op, task.Run(t.Context()))
	}
	wantLog(t, log, "fetch1", "crop1", "crop2")
	if got, err := resize.Response(op); err != nil || got.Value != 2 {
		t.Errorf("response = %v, %v; want what attempt 2 has counted", got, err)
	}
}

// One step, and what goes wrong around it.
func TestRun_StepErrors(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	sys.handle(func(ctx context.Context, r *run) (*wrapperspb.Int64Value, error) {
		none := func(context.Context) error { return nil }
		for name, key := range map[string]string{"no key": "", "a long key": strings.Repeat("k", longrun.MaxStepKeyBytes+1)} {
			done := false
			err := r.Step(ctx, key, func(context.Context) error { done = true; return nil })
			if longrun.CodeOf(err) != codes.InvalidArgument || done {
				t.Errorf("%s: Step = %v, done %v; want INVALID_ARGUMENT before it is done", name, err, done)
			}
		}
		mine := errors.New("mine")
		if err := r.Step(ctx, "k", func(context.Context) error { return mine }); err != mine {
			t.Errorf("Step = %v, want its own error", err)
		}
		stopped, stop := context.WithCancelCause(ctx)
		stop(longrun.ErrDraining)
		if err := r.Step(stopped, "k", none); !errors.Is(err, longrun.ErrDraining) {
			t.Errorf("Step = %v, want the cause why the run must stop", err)
		}
		_, err := longrun.StepResult(ctx, r, "large", func(context.Context) (*wrapperspb.BytesValue, error) {
			return wrapperspb.Bytes(make([]byte, longrun.MaxStepBytes)), nil
		})
		wantError(t, err, codes.InvalidArgument, longrun.ReasonPayloadTooLarge)
		return nil, r.Step(ctx, "k", none)
	})
	if op, _ := sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{}); op.State != longrun.Succeeded || op.CompletedSteps != 1 {
		t.Errorf("operation = %v %v with %d steps", op.State, op.Error, op.CompletedSteps)
	}
}

// A store that is away does not make a step be done twice.
func TestRun_StepWhileTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		done := 0
		sys.handle(func(ctx context.Context, r *run) (*wrapperspb.Int64Value, error) {
			sys.store.onCall("Update", times(20, &longrun.Error{Code: codes.Unavailable, Reason: longrun.ReasonUnavailable, Msg: "away"}))
			return nil, r.Step(ctx, "k", func(context.Context) error { done++; return nil })
		})
		op, _ := sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{})
		if op.State != longrun.Succeeded || done != 1 || op.CompletedSteps != 1 {
			t.Errorf("operation = %v %v, done %d times, remembered %d", op.State, op.Error, done, op.CompletedSteps)
		}
	})
}

// Its methods are safe for concurrent use.
func TestRun_Concurrent(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	sys.handle(func(ctx context.Context, r *run) (*wrapperspb.Int64Value, error) {
		r.Progress(progress(0, 50))
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				r.Update(func(m *longrunpb.OperationMetadata) { m.Progress.CompletedUnits++ })
				if err := r.Step(ctx, fmt.Sprint(i%10), func(context.Context) error { return nil }); err != nil {
					t.Error(err)
				}
				r.Metadata()
			})
		}
		all.Wait()
		return nil, nil
	})
	op, _ := sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{})
	if md := sys.metadata(t, op); md.Progress.CompletedUnits != 50 || md.Progress.CompletedSteps != 10 {
		t.Errorf("progress = %v, want 50 units and 10 steps", md.Progress)
	}
}

// A step that is done when the run is told to stop is remembered: the next run does
// not do it again.
func TestRun_StepDoneWhileStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		done := 0
		sys.handle(func(ctx context.Context, r *run) (*wrapperspb.Int64Value, error) {
			stopping, stop := context.WithCancelCause(ctx)
			defer stop(nil)
			err := r.Step(stopping, "k", func(context.Context) error {
				done++
				stop(longrun.ErrDraining)
				return nil
			})
			if r.Attempt() == 1 {
				return nil, longrun.RetryAfter(0, err)
			}
			return nil, err
		})
		op, _ := sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{})
		if op.CompletedSteps != 1 {
			t.Errorf("%d steps are remembered, want 1", op.CompletedSteps)
		}
		op = sys.claim(t, op.Claim.Session, 1)[0]
		task, err := sys.work.Task(op, longrun.TaskOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if op = sys.finish(t, op, task.Run(t.Context())); op.State != longrun.Succeeded || done != 1 {
			t.Errorf("operation = %v %v, done %d times, want once", op.State, op.Error, done)
		}
	})
}

// Two at a time under one key are both done, and both get the result that is
// remembered.
func TestRun_StepTwiceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		sys.handle(func(ctx context.Context, r *run) (*wrapperspb.Int64Value, error) {
			var all sync.WaitGroup
			var got [2]*wrapperspb.Int64Value
			for i := range got {
				all.Go(func() {
					n, err := longrun.StepResult(ctx, r, "k", func(context.Context) (*wrapperspb.Int64Value, error) {
						time.Sleep(time.Duration(i+1) * time.Second)
						return int64Value(int64(i)), nil
					})
					if err != nil {
						t.Error(err)
					}
					got[i] = n
				})
			}
			all.Wait()
			if got[0].GetValue() != 0 || got[1].GetValue() != 0 {
				t.Errorf("results = %v, want that of the first for both", got)
			}
			return nil, nil
		})
		if op, _ := sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{}); op.CompletedSteps != 1 {
			t.Errorf("%d steps are remembered, want 1", op.CompletedSteps)
		}
	})
}
