package longruntest_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/longruntest"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/sqlite"
)

func TestStart_Typed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{Register: register})
		op := longruntest.Start(t, sys, translate, wrapperspb.Int64(90))
		time.Sleep(time.Hour)
		if got := sys.Get(t, op); got.State != longrun.Running || got.CompletedSteps < 59 {
			t.Errorf("after an hour %v, %d steps; want RUNNING, 59 or 60", got.State, got.CompletedSteps)
		}
		response, err := translate.Response(sys.Done(t, op))
		if got, want := response.GetValue(), "90 pages in 1 runs"; err != nil || got != want {
			t.Errorf("response = %q, %v; want %q", got, err, want)
		}
	})
}

// Outside a bubble everything works in real time.
func TestStart_WithoutBubble(t *testing.T) {
	t.Parallel()
	sys := longruntest.New(t, longruntest.Options{Register: register})
	op := longruntest.Start(t, sys, translate, wrapperspb.Int64(0))
	if got := sys.Done(t, op).State; got != longrun.Succeeded {
		t.Errorf("State = %v, want SUCCEEDED", got)
	}
	if got := sys.Start(t, "by-hand").State; got != longrun.Pending {
		t.Errorf("State = %v, want PENDING: nobody handles it", got)
	}
}

// What the test leaves unfinished is stopped when it ends.
func TestNew_EndsWithTheTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{Register: register})
		longruntest.Start(t, sys, translate, wrapperspb.Int64(1_000_000))
		time.Sleep(time.Hour)
	})
}

// The options reach the Service, the runner and the API; the store is the
// caller's.
func TestNew_Options(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := inmem.New()
		drained := false
		t.Cleanup(func() {
			if _, err := store.Secret(context.Background(), "still open"); err != nil || !drained {
				t.Errorf("after the end: %v, drained = %v; want an open store, true", err, drained)
			}
		})
		o := longruntest.Options{Store: store, Register: register,
			Service: longrun.Options{Domain: "books.example.com"},
			Runner:  runner.Options{Concurrency: -1, OnDrain: func() { drained = true }}}
		o.API.NoCancel = true
		sys := longruntest.New(t, o)
		op := longruntest.Start(t, sys, translate, wrapperspb.Int64(1))
		time.Sleep(time.Hour)
		if got := sys.Get(t, op).State; got != longrun.Pending {
			t.Errorf("State = %v, want PENDING: the runner only sweeps", got)
		}
		client := longrunningpb.NewOperationsClient(sys.Conn())
		_, err := client.CancelOperation(t.Context(), &longrunningpb.CancelOperationRequest{Name: op.Name().String()})
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("CancelOperation = %v, want UNIMPLEMENTED", err)
		}
	})
}

// A store in a file works in the bubble, and through a crash.
func TestNew_SQLite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := sqlite.Open(filepath.Join(t.TempDir(), "longrun.db"), sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
		sys := longruntest.New(t, longruntest.Options{Store: store, Register: register})
		op := longruntest.Start(t, sys, translate, wrapperspb.Int64(3))
		sys.Until(t, op, func(op *longrun.Operation) bool { return op.CompletedSteps == 1 })
		sys.Crash(t)
		got := longruntest.Response(t, translate, sys.Done(t, op)).GetValue()
		if want := "3 pages in 2 runs"; got != want {
			t.Errorf("response = %q, want %q", got, want)
		}
	})
}

// A real gRPC connection works in the bubble: the author's services and
// google.longrunning.Operations are on it (GRPC-02).
func TestConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{Register: register})
		op, err := longrunpb.NewSimulatorClient(sys.Conn()).Simulate(t.Context(), &longrunpb.SimulateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		operations := longrunningpb.NewOperationsClient(sys.Conn())
		for !op.GetDone() {
			op, err = operations.WaitOperation(t.Context(), &longrunningpb.WaitOperationRequest{Name: op.GetName(), Timeout: durationpb.New(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
		}
		response := &wrapperspb.StringValue{}
		if err := op.GetResponse().UnmarshalTo(response); err != nil || response.Value != "3 pages in 1 runs" {
			t.Errorf("response = %v, %v; want 3 pages in 1 runs", response, err)
		}
		if took := time.Since(began); took != 3*time.Minute {
			t.Errorf("it took %v, want 3m0s by the bubble's clock", took)
		}
	})
}

// CON-02, CON-04: after a crash the work goes on in a new process, from the step
// where it was, and clients of the old one connect to the new one.
func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var registered atomic.Int32
		sys := longruntest.New(t, longruntest.Options{Register: func(r grpc.ServiceRegistrar, svc *longrun.Service) {
			registered.Add(1)
			register(r, svc)
		}})
		operations := longrunningpb.NewOperationsClient(sys.Conn())
		op := longruntest.Start(t, sys, translate, wrapperspb.Int64(10))
		time.Sleep(5*time.Minute + time.Second)
		before := sys.Service()
		sys.Crash(t)
		if registered.Load() != 2 || sys.Service() == before {
			t.Errorf("registered %d times, same Service: %v; want 2, false", registered.Load(), sys.Service() == before)
		}
		if got := sys.Get(t, op); got.State != longrun.Running || got.Claim.Attempt != 1 {
			t.Errorf("after the crash %v, attempt %d; want RUNNING, 1: nothing was given back", got.State, got.Claim.Attempt)
		}
		got := sys.Done(t, op)
		response, err := translate.Response(got)
		if err != nil || response.Value != "10 pages in 2 runs" {
			t.Errorf("response = %v, %v; want 10 pages in 2 runs", response, err)
		}
		if took := got.EndTime.Sub(op.CreateTime); took < 10*time.Minute || took > 12*time.Minute {
			t.Errorf("it took %v, want 10 minutes and the time to find out", took)
		}
		wire, err := operations.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: op.Name().String()}, grpc.WaitForReady(true))
		if err != nil || !wire.GetDone() {
			t.Errorf("GetOperation = %v, %v; want it done", wire, err)
		}
	})
}

// Done waits on, whatever process there is.
func TestDone_AcrossCrashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{Register: register})
		op := longruntest.Start(t, sys, translate, wrapperspb.Int64(5))
		ended := make(chan *longrun.Operation)
		go func() { ended <- sys.Done(t, op) }()
		for range 3 {
			time.Sleep(2*time.Minute + 10*time.Second)
			sys.Crash(t)
		}
		if got := <-ended; got.State != longrun.Succeeded || got.Claim.Attempt < 2 {
			t.Errorf("%v, attempt %d; want SUCCEEDED, 2 or more", got.State, got.Claim.Attempt)
		}
	})
}

// Session walks through the protocol by hand.
func TestSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{})
		sys.Start(t, "resize-image")
		sys.Start(t, "resize-image")
		sys.Start(t, "crop-image")
		a := sys.Session(t, "a")
		ops := a.Claim(t, 2)
		rest := a.Claim(t, 10)
		if len(ops) != 2 || len(rest) != 1 {
			t.Fatalf("claimed %d and %d, want 2 and 1", len(ops), len(rest))
		}
		if _, err := a.Finish(t, ops[0], longrun.Result{}); err != nil {
			t.Errorf("Finish: %v", err)
		}
		if err := a.Report(t, ops[1], longrun.Report{Progress: &longrunpb.Progress{CompletedUnits: 1}}); err != nil {
			t.Errorf("Report: %v", err)
		}
		if _, err := a.Release(t, rest[0], longrun.Release{}); err != nil {
			t.Errorf("Release: %v", err)
		}
		if err := sys.Service().Cancel(t.Context(), ops[1].Name()); err != nil {
			t.Fatal(err)
		}
		b, err := a.Beat(t, ops[1], rest[0])
		if err != nil || len(b.Stop) != 2 {
			t.Errorf("Beat = %v, %v; want a cancelled run and a lost claim", b.Stop, err)
		}
		if err := a.Close(t); err != nil {
			t.Errorf("Close: %v", err)
		}
		if _, err := a.TryClaim(t, 1); !errors.Is(err, longrun.ErrSessionLost) {
			t.Errorf("TryClaim = %v, want %v", err, longrun.ErrSessionLost)
		}
		if got := sys.Done(t, ops[1]).State; got != longrun.Cancelled {
			t.Errorf("State = %v, want CANCELLED", got)
		}
	})
}

// A session that falls silent dies, and its operation is another's as the next
// attempt; the late finisher changes nothing.
func TestRunLost_NextAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{})
		op := sys.Start(t, "resize-image")
		first := sys.Session(t, "a")
		lost := first.Claim(t, 1)
		if len(lost) != 1 {
			t.Fatalf("first claim: got %d operations, want 1", len(lost))
		}
		time.Sleep(2 * longrun.DefaultSessionTTL)

		again := sys.Session(t, "b").Claim(t, 1)
		if len(again) != 1 || again[0].ID != op.ID {
			t.Fatalf("claim after the session died = %v; want %v", again, op)
		}
		if got, want := again[0].Claim.Attempt, int64(2); got != want {
			t.Errorf("Attempt = %d, want %d", got, want)
		}
		if _, err := first.Finish(t, lost[0], longrun.Result{}); !errors.Is(err, longrun.ErrClaimLost) {
			t.Errorf("late Finish = %v, want %v", err, longrun.ErrClaimLost)
		}
		if _, err := first.Beat(t); !errors.Is(err, longrun.ErrSessionLost) {
			t.Errorf("late Beat = %v, want %v", err, longrun.ErrSessionLost)
		}
	})
}
