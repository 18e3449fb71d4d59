package simulator_test

import (
	"testing"
	"testing/synctest"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/longrunpb"
)

func failing(code codes.Code) *longrunpb.SimulateRequest_Error {
	return &longrunpb.SimulateRequest_Error{Error: &statuspb.Status{Code: int32(code), Message: "as asked"}}
}

// OP-02, OP-03, OP-04: it runs for as long as was asked, and then ends as asked.
func TestSimulate_Outcome(t *testing.T) {
	bubble(t, func(x *system) {
		unknown := &anypb.Any{TypeUrl: "type.googleapis.com/books.v1.Book", Value: []byte{8, 1}}
		for _, tt := range []struct {
			response, want *anypb.Any
		}{
			{text("done"), text("done")}, {unknown, unknown}, {&anypb.Any{}, pack(&emptypb.Empty{})},
		} {
			n := x.simulate(&longrunpb.SimulateRequest{RunDuration: seconds(10), Outcome: &longrunpb.SimulateRequest_Response{Response: tt.response}})
			if op := x.wantEnd(n, longrun.Succeeded, codes.OK, 10*time.Second); !proto.Equal(op.Response, tt.want) {
				x.t.Errorf("response = %v, want %v", op.Response, tt.want)
			}
		}
		n := x.simulate(&longrunpb.SimulateRequest{RunDuration: seconds(0.5)})
		if op := x.wantEnd(n, longrun.Succeeded, codes.OK, 500*time.Millisecond); !proto.Equal(op.Response, pack(&emptypb.Empty{})) {
			x.t.Errorf("response = %v, want Empty", op.Response)
		}
		for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
			n := x.simulate(&longrunpb.SimulateRequest{RunDuration: seconds(2), Outcome: failing(code)})
			state := longrun.Failed
			if code == codes.Canceled {
				state = longrun.Cancelled
			}
			if op := x.wantEnd(n, state, code, 2*time.Second); op.Error.GetMessage() != "as asked" || len(op.Error.GetDetails()) != 1 {
				x.t.Errorf("error = %v, want the message and an ErrorInfo (OP-11)", op.Error)
			}
		}
	})
}

// OP-21: what takes no time ends at once.
func TestSimulate_NoDuration(t *testing.T) {
	bubble(t, func(x *system) {
		x.wantEnd(x.simulate(&longrunpb.SimulateRequest{}), longrun.Succeeded, codes.OK, 0)
		x.wantEnd(x.simulate(&longrunpb.SimulateRequest{Outcome: failing(codes.DataLoss)}), longrun.Failed, codes.DataLoss, 0)
	})
}

// OP-14: progress is reported so many times, spread over the run, and never goes
// back.
func TestSimulate_Progress(t *testing.T) {
	bubble(t, func(x *system) {
		n := x.simulate(&longrunpb.SimulateRequest{RunDuration: seconds(40), ProgressSteps: 4})
		time.Sleep(5 * time.Second) // between the reports, which are saved soon
		for want := range int64(4) {
			p := x.metadata(n).GetProgress()
			if p.GetCompletedUnits() != want || want > 0 && p.GetTotalUnits() != 4 {
				x.t.Errorf("progress = %v, want %d of 4", p, want)
			}
			if end := p.GetEstimatedEndTime(); want > 0 && end.AsTime().Sub(x.get(n).StartTime).Round(time.Millisecond) != 40*time.Second {
				x.t.Errorf("estimated_end_time = %v, want 40s after the start", end.AsTime())
			}
			time.Sleep(10 * time.Second)
		}
		x.wantEnd(n, longrun.Succeeded, codes.OK, 40*time.Second)
		if p := x.metadata(n).GetProgress(); p.GetCompletedUnits() != 4 {
			x.t.Errorf("progress at the end = %v, want 4 of 4 (OP-15)", p)
		}
	})
}

// CAN-01, CAN-03: it stops cancel_delay after it was asked to.
func TestSimulate_Cancel(t *testing.T) {
	bubble(t, func(x *system) {
		for _, tt := range []struct {
			name  string
			r     *longrunpb.SimulateRequest
			state longrun.State
			code  codes.Code
			after time.Duration
		}{
			{"at once", &longrunpb.SimulateRequest{}, longrun.Cancelled, codes.Canceled, 5 * time.Second},
			{"later", &longrunpb.SimulateRequest{CancelDelay: seconds(10)}, longrun.Cancelled, codes.Canceled, 15 * time.Second},
			{"too late", &longrunpb.SimulateRequest{CancelDelay: seconds(100)}, longrun.Succeeded, codes.OK, 60 * time.Second}, // CAN-02
			{"never", &longrunpb.SimulateRequest{IgnoreCancel: true}, longrun.Succeeded, codes.OK, 60 * time.Second},           // CAN-09
			{"never, and fails", &longrunpb.SimulateRequest{IgnoreCancel: true, CancelDelay: seconds(1), Outcome: failing(codes.Aborted)},
				longrun.Failed, codes.Aborted, 60 * time.Second},
		} {
			tt.r.RunDuration, tt.r.ProgressSteps = seconds(60), 60
			n := x.simulate(tt.r)
			time.Sleep(5 * time.Second)
			x.cancel(n)
			if op := x.get(n); op.State == longrun.Running && !x.metadata(n).GetRequestedCancellation() {
				x.t.Errorf("%s: requested_cancellation = false, want true (CAN-05)", tt.name)
			}
			x.t.Log(tt.name)
			x.wantEnd(n, tt.state, tt.code, tt.after)
		}
	})
}

// CAN-14, PAR-05: one that is preempted ends ABORTED, also if it ignores that.
func TestSimulate_Conflict(t *testing.T) {
	bubble(t, func(x *system) {
		keyed := func(p longrunpb.ConflictPolicy) *longrunpb.SimulateRequest {
			return &longrunpb.SimulateRequest{ConflictKey: "disk-1", OnConflict: p, RunDuration: seconds(10)}
		}
		first := x.simulate(keyed(longrunpb.ConflictPolicy_CONFLICT_POLICY_UNSPECIFIED))
		second := x.simulate(keyed(longrunpb.ConflictPolicy_QUEUE))
		_, err := x.Simulate(x.ctx, keyed(longrunpb.ConflictPolicy_REJECT)) // PAR-02
		wantError(x.t, err, codes.Aborted, longrun.ReasonConcurrentOperation, "")
		x.wantEnd(first, longrun.Succeeded, codes.OK, 10*time.Second)
		x.wantEnd(second, longrun.Succeeded, codes.OK, 20*time.Second) // PAR-04, PAR-06

		stubborn := keyed(longrunpb.ConflictPolicy_QUEUE)
		stubborn.IgnoreCancel = true
		third := x.simulate(stubborn)
		fourth := x.simulate(keyed(longrunpb.ConflictPolicy_PREEMPT))
		x.wantEnd(third, longrun.Failed, codes.Aborted, 10*time.Second)
		x.wantEnd(fourth, longrun.Succeeded, codes.OK, 20*time.Second)
	})
}

// The first runs fail and are retried; the run after them takes its time.
func TestSimulate_Failures(t *testing.T) {
	bubble(t, func(x *system) {
		for _, failures := range []int32{1, 3, 25} {
			n := x.simulate(&longrunpb.SimulateRequest{Failures: failures, RunDuration: seconds(30)})
			op := x.end(n)
			if op.State != longrun.Succeeded || op.Failures != int(failures) || op.Claim.Attempt != int64(failures)+1 {
				x.t.Errorf("ended %v after %d failures as attempt %d, want SUCCEEDED, %d, %d", op.State, op.Failures, op.Claim.Attempt, failures, failures+1)
			}
			if got := op.EndTime.Sub(op.ClaimTime).Round(time.Millisecond); got != 30*time.Second {
				x.t.Errorf("the last run took %v, want 30s", got)
			}
		}
		n := x.simulate(&longrunpb.SimulateRequest{Failures: 2, Outcome: failing(codes.Unavailable)})
		if op := x.end(n); op.State != longrun.Failed || op.Claim.Attempt != 3 || op.Error.GetMessage() != "as asked" {
			x.t.Errorf("ended %v, attempt %d, %v, want UNAVAILABLE as asked by attempt 3", op.State, op.Claim.Attempt, op.Error)
		}
	})
}

// CON-04: the process dies in the middle; the next run goes on where time has got
// to, and progress does not go back.
func TestSimulate_Crash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			name      string
			down      time.Duration // after a crash at 5 s of 100
			wantTotal time.Duration
		}{
			{"taken up in time", 60 * time.Second, 100 * time.Second},
			{"taken up late", 150 * time.Second, 155 * time.Second},
		} {
			t.Log(tt.name)
			store := inmem.New()
			x := newSystem(t, store)
			dead, n := x.crashed(&longrunpb.SimulateRequest{RunDuration: seconds(100), ProgressSteps: 10}, 5*time.Second)
			time.Sleep(tt.down)
			x.lose(dead)
			x.work()
			if tt.down < 100*time.Second {
				time.Sleep(2 * time.Second)
				if p := x.metadata(n).GetProgress(); p.GetCompletedUnits() != 6 {
					t.Errorf("progress = %v at 67s, want 6 of 10", p)
				}
			}
			op := x.end(n)
			if got := op.EndTime.Sub(op.CreateTime).Round(time.Second); got != tt.wantTotal || op.Claim.Attempt != 2 {
				t.Errorf("ended after %v as attempt %d, want %v, 2", got, op.Claim.Attempt, tt.wantTotal)
			}
		}
	})
}

// A run of less than a second is not remembered and begins again.
func TestSimulate_CrashOfAShortRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newSystem(t, inmem.New())
		dead, n := x.crashed(&longrunpb.SimulateRequest{RunDuration: seconds(0.9)}, 800*time.Millisecond)
		x.lose(dead)
		x.work()
		op := x.end(n)
		if got := op.EndTime.Sub(op.ClaimTime).Round(time.Millisecond); got != 900*time.Millisecond || op.CompletedSteps != 0 {
			t.Errorf("the second run took %v with %d steps remembered, want 900ms, none", got, op.CompletedSteps)
		}
	})
}

// crashed starts an operation and a run of it, by hand, that is gone after some
// time with all that it knew.
func (x *system) crashed(r *longrunpb.SimulateRequest, after time.Duration) (longrun.SessionID, longrun.Name) {
	x.t.Helper()
	n := x.simulate(r)
	w := x.svc.Work()
	session, err := w.OpenSession(x.ctx, longrun.SessionOptions{})
	if err != nil {
		x.t.Fatal(err)
	}
	c, err := w.Claim(x.ctx, longrun.ClaimRequest{Session: session, Want: []longrun.Want{{Method: longrunpb.Simulator_Simulate_FullMethodName, N: 1}}})
	if err != nil || len(c.Operations) != 1 {
		x.t.Fatalf("Claim = %v, %v, want one operation", c.Operations, err)
	}
	task, err := w.Task(c.Operations[0], longrun.TaskOptions{})
	if err != nil {
		x.t.Fatal(err)
	}
	go task.Run(x.ctx) // nobody hears what it returns
	time.Sleep(after)
	return session, n
}

// lose ends the dead process's session; the next sweep finds what it held.
func (x *system) lose(session longrun.SessionID) {
	x.t.Helper()
	if err := x.svc.Work().CloseSession(x.ctx, session); err != nil {
		x.t.Fatal(err)
	}
	if err := x.svc.Work().Sweep(x.ctx); err != nil {
		x.t.Fatal(err)
	}
}

// A runner that drains gives a simulated run back, and the next goes on with it.
func TestSimulate_Drain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newSystem(t, inmem.New())
		stop := x.work()
		n := x.simulate(&longrunpb.SimulateRequest{RunDuration: seconds(100)})
		time.Sleep(20 * time.Second)
		stop()
		if op := x.get(n); op.State != longrun.Pending || op.Failures != 0 {
			t.Errorf("State = %v, Failures = %d after the drain, want PENDING, 0", op.State, op.Failures)
		}
		next := newSystem(t, x.store)
		next.work()
		next.wantEnd(n, longrun.Succeeded, codes.OK, 100*time.Second)
	})
}

// Its execution deadline stops a simulated run.
func TestSimulate_Deadline(t *testing.T) {
	bubble(t, func(x *system) {
		op, err := x.svc.Start(x.ctx, longrun.StartRequest{Method: longrunpb.Simulator_Simulate_FullMethodName,
			Request: pack(&longrunpb.SimulateRequest{RunDuration: seconds(100)}), ExecutionTimeout: 10 * time.Second})
		if err != nil {
			x.t.Fatal(err)
		}
		if got := x.end(op.Name()); got.State != longrun.Failed || codes.Code(got.Error.GetCode()) != codes.DeadlineExceeded {
			x.t.Errorf("ended %v, %v, want DEADLINE_EXCEEDED", got.State, got.Error)
		}
	})
}
