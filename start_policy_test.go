package longrun_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// How runs are treated is said by the Method, whoever starts it: by the value
// that is started with, and by the registration where only the name is known.
func TestPolicy(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	m := resize
	m.ExecutionTimeout, m.MaxFailures, m.AtMostOnce = time.Hour, 7, true
	m.ConflictKey, m.OnConflict = func(r *wrapperspb.StringValue) string { return r.Value }, longrun.Preempt
	check := func(door string, op *longrun.Operation, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if op.ExecutionTimeout != time.Hour || op.MaxFailures != 7 || !op.AtMostOnce || op.ConflictKey != door || op.OnConflict != longrun.Preempt {
			t.Errorf("%s: started as %+v, want the method's policy", door, op)
		}
	}
	op, err := longrun.Start(t.Context(), sys.svc, m, wrapperspb.String("value"), longrun.StartOptions{})
	check("value", op, err)
	longrun.Handle(sys.svc, m, noWork)
	op, err = sys.svc.Start(t.Context(), longrun.StartRequest{Method: word, Request: packed(t, wrapperspb.String("name"))})
	check("name", op, err)

	op, err = sys.svc.Start(t.Context(), longrun.StartRequest{
		Method: word, Request: packed(t, wrapperspb.String("x")), ExecutionTimeout: time.Minute, MaxFailures: 1,
		StartOptions: longrun.StartOptions{ConflictKey: "mine"},
	})
	if err != nil || op.ExecutionTimeout != time.Minute || op.MaxFailures != 1 || op.ConflictKey != "mine" || op.OnConflict != longrun.Queue {
		t.Errorf("started as %+v, %v; want what the starter has said", op, err)
	}
}

// A method's key may be none for some requests, whatever its policy is.
func TestPolicy_NoKey(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	m := resize
	m.ConflictKey, m.OnConflict = func(*wrapperspb.StringValue) string { return "" }, longrun.Reject
	for range 2 {
		if _, err := longrun.Start(t.Context(), sys.svc, m, nil, longrun.StartOptions{}); err != nil {
			t.Errorf("no key, no conflict: Start = %v", err)
		}
	}
}

func noWork(context.Context, *wrapperspb.StringValue, *longrun.Run[*longrunpb.OperationMetadata]) (*wrapperspb.Int64Value, error) {
	return &wrapperspb.Int64Value{}, nil
}

// PAR-02, PAR-03, PAR-06: a refused start is ABORTED and stores nothing, until
// the holder is done.
func TestConflict_Reject(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	o := longrun.StartOptions{ConflictKey: "k", OnConflict: longrun.Reject}
	first := sys.running(t, o)
	_, err := sys.svc.Start(t.Context(), longrun.StartRequest{StartOptions: o, Method: word})
	wantError(t, err, codes.Aborted, longrun.ReasonConcurrentOperation)
	if page := sys.list(t, longrun.ListRequest{}); len(page.Operations) != 1 {
		t.Errorf("%d operations are stored, want 1", len(page.Operations))
	}
	if err := sys.svc.Cancel(t.Context(), first.Name()); err != nil {
		t.Fatal(err)
	}
	sys.finish(t, first, longrun.Result{Err: longrun.ErrCancelled})
	sys.start(t, o) // PAR-06: at once, whatever the outcome was
	// IDM-01: a start that succeeded is repeated, not refused.
	sys2 := newSystem(t, longrun.Options{})
	o.RequestID = requestID
	if a, b := sys2.start(t, o), sys2.start(t, o); a.ID != b.ID {
		t.Errorf("replay = %v, want %v", b.ID, a.ID)
	}
}

// PAR-04: queued ones wait, first come, first served, also behind a deleted
// holder and one that is between two runs.
func TestConflict_Queue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		session := sys.session(t, longrun.SessionOptions{})
		o := longrun.StartOptions{ConflictKey: "k"}
		first, second, third := sys.start(t, o), sys.start(t, o), sys.start(t, o)
		got := sys.claim(t, session, 10)
		if len(got) != 1 || got[0].ID != first.ID {
			t.Fatalf("claimed %v, want the first alone", got)
		}
		if err := sys.svc.Delete(t.Context(), first.Name()); err != nil {
			t.Fatal(err)
		}
		if more := sys.claim(t, session, 10); len(more) != 0 {
			t.Errorf("claimed %v while the deleted holder runs", more)
		}
		sys.finish(t, got[0], longrun.Result{Err: longrun.RetryAfter(time.Minute, nil)})
		if more := sys.claim(t, session, 10); len(more) != 0 {
			t.Errorf("claimed %v while the holder is between two runs", more)
		}
		time.Sleep(time.Minute + time.Second)
		sys.finish(t, sys.claim(t, session, 10)[0], longrun.Result{})
		for _, want := range []*longrun.Operation{second, third} {
			got := sys.claim(t, session, 10)
			if len(got) != 1 || got[0].ID != want.ID {
				t.Fatalf("claimed %v, want %v", got, want.ID)
			}
			sys.finish(t, got[0], longrun.Result{Err: longrun.ErrCancelled})
		}
	})
}

// PAR-05, CAN-14: the newest goes on; waiting ones end ABORTED at once, a running
// one whatever it returns.
func TestConflict_Preempt(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	o := longrun.StartOptions{ConflictKey: "k"}
	holder := sys.running(t, o)
	waiting := sys.start(t, o)
	o.OnConflict = longrun.Preempt
	newest := sys.start(t, o)
	if got := sys.get(t, waiting.Name()); got.State != longrun.Failed || got.Error.Code != int32(codes.Aborted) || reasonOf(got) != longrun.ReasonOperationPreempted {
		t.Errorf("the waiting one: %v %v, want ABORTED", got.State, got.Error)
	}
	if got := sys.get(t, newest.Name()); !got.ReadyTime.IsZero() {
		t.Error("the newest is ready while the holder runs")
	}
	beat, err := sys.work.Beat(t.Context(), longrun.BeatRequest{Session: holder.Claim.Session})
	if err != nil || len(beat.Stop) != 1 || beat.Stop[0].Why != longrun.ErrPreempted || beat.Stop[0].Attempt != 1 {
		t.Errorf("the holder's session hears %v, %v; want ErrPreempted", beat.Stop, err)
	}
	ended := sys.finish(t, holder, longrun.Result{})
	if ended.Error.GetCode() != int32(codes.Aborted) || reasonOf(ended) != longrun.ReasonOperationPreempted {
		t.Errorf("the holder: %v %v, want ABORTED", ended.State, ended.Error)
	}
	if got := sys.get(t, newest.Name()); got.State != longrun.Pending || got.ReadyTime.IsZero() {
		t.Errorf("the newest: %v, ready %v; want ready", got.State, got.ReadyTime)
	}
}
