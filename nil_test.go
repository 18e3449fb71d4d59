package longrun_test

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// A nil message stands for an empty one, wherever an author may hand one over.
func TestNilMessages(t *testing.T) {
	t.Parallel()
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("panic: %v", p)
		}
	}()
	var none *longrunpb.OperationMetadata
	sys := newSystem(t, longrun.Options{})
	longrun.Handle(sys.svc, resize, func(ctx context.Context, req *wrapperspb.StringValue, r *run) (*wrapperspb.Int64Value, error) {
		if req == nil || r.Metadata() == nil || r.Name().ID.IsZero() {
			t.Errorf("request = %v, metadata = %v of %v; want empty messages", req, r.Metadata(), r.Name())
		}
		r.Progress(none)
		r.Update(func(m *longrunpb.OperationMetadata) { m.StatusMessage = "x" })
		n, err := longrun.StepResult(ctx, r, "k", func(context.Context) (*wrapperspb.Int64Value, error) { return nil, nil })
		if n == nil || err != nil {
			t.Errorf("StepResult = %v, %v; want an empty message", n, err)
		}
		return nil, err
	})
	if _, err := longrun.Start(t.Context(), sys.svc, resize, nil, longrun.StartOptions{Metadata: none, Target: "images/a"}); err != nil {
		t.Fatal(err)
	}
	op := sys.claim(t, sys.session(t, longrun.SessionOptions{}), 1)[0]
	task, err := sys.work.Task(op, longrun.TaskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	done := sys.finish(t, op, task.Run(t.Context()))
	if md := sys.metadata(t, done); done.State != longrun.Succeeded || md.StatusMessage != "x" || md.Target != "images/a" {
		t.Errorf("operation = %v %v, metadata %v", done.State, done.Error, md)
	}
}

// A store that is away is told by every verb as UNAVAILABLE.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	op := sys.running(t, longrun.StartOptions{})
	if err := sys.store.Close(); err != nil {
		t.Fatal(err)
	}
	calls := map[string]func() error{
		"start":      func() error { _, err := sys.svc.Start(t.Context(), longrun.StartRequest{Method: word}); return err },
		"start, id":  func() error { _, err := sys.startX(t, longrun.StartOptions{RequestID: requestID}); return err },
		"list":       func() error { _, err := sys.svc.List(t.Context(), longrun.ListRequest{}); return err },
		"list, page": func() error { _, err := sys.svc.List(t.Context(), longrun.ListRequest{PageToken: "x"}); return err },
		"open":       func() error { _, err := sys.work.OpenSession(t.Context(), longrun.SessionOptions{}); return err },
		"held":       func() error { _, err := sys.work.Held(t.Context(), op.Claim.Session); return err },
		"steps":      func() error { _, err := sys.work.Steps(t.Context(), op.Name(), "", 1); return err },
		"step":       func() error { _, err := sys.work.Step(t.Context(), op.Name(), op.Claim, "k", nil); return err },
		"finish": func() error {
			_, err := sys.work.Finish(t.Context(), op.Name(), op.Claim, longrun.Result{})
			return err
		},
		"sweep": func() error { return sys.work.Sweep(t.Context()) },
	}
	for verb, call := range sys.verbs(t.Context(), op.Name()) {
		calls[string(verb)] = call
	}
	for verb, call := range calls {
		err := call()
		if e := asError(t, err); e.Code != codes.Unavailable || e.Delay <= 0 {
			t.Errorf("%s = %v with delay %v, want UNAVAILABLE with one", verb, err, e.Delay)
		}
	}
}

// The beat that fails because the caller has gone says nothing about the store.
func TestBeat_CallerGone(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	session := sys.session(t, longrun.SessionOptions{})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sys.work.Beat(gone, longrun.BeatRequest{Session: session}); err == nil {
		t.Error("Beat of a caller that has gone: no error")
	}
	if _, err := sys.work.Beat(t.Context(), longrun.BeatRequest{Session: session}); err != nil {
		t.Error(err)
	}
}
