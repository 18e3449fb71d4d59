package client_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun/client"
	"github.com/longrun-dev/longrun/grpcapi"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/longruntest"
	"github.com/longrun-dev/longrun/simulator"
)

// simulated is what follows an operation of our own simulator.
type simulated = client.Operation[*wrapperspb.StringValue, *longrunpb.OperationMetadata]

func resumed(cc grpc.ClientConnInterface, name string) *simulated {
	return client.Resume[*wrapperspb.StringValue, *longrunpb.OperationMetadata](cc, name)
}

// simulate starts an operation of the simulator.
func simulate(t *testing.T, cc grpc.ClientConnInterface, r *longrunpb.SimulateRequest) *simulated {
	t.Helper()
	if r.Outcome == nil {
		r.Outcome = &longrunpb.SimulateRequest_Response{Response: packed(t, wrapperspb.String("a book"))}
	}
	op, err := longrunpb.NewSimulatorClient(cc).Simulate(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return client.New[*wrapperspb.StringValue, *longrunpb.OperationMetadata](cc, op)
}

func seconds(n int64) *durationpb.Duration { return &durationpb.Duration{Seconds: n} }

func TestEngine_Wait(t *testing.T) {
	for name, api := range map[string]grpcapi.Options{"WaitOperation": {}, "polling": {NoWait: true}} {
		t.Run(name, bubble(func(t *testing.T) {
			sys := longruntest.New(t, longruntest.Options{Register: simulator.Register, API: api})
			begun := time.Now()
			op := simulate(t, sys.Conn(), &longrunpb.SimulateRequest{RunDuration: seconds(300)})
			if op.Done() || op.Name() == "" {
				t.Errorf("Done, Name = %v, %q; want false and a name", op.Done(), op.Name())
			}
			got, err := op.Wait(t.Context())
			want(t, got, err, "a book")
			took := time.Since(begun)
			late := time.Second
			if api.NoWait {
				late = 80 * time.Second // a minute is the most that a server of ours asks for
			}
			if took < 300*time.Second || took > 300*time.Second+late {
				t.Errorf("took %v, want 5m and %v at most", took, late)
			}
			md, err := op.Metadata()
			if err != nil || md.GetEndTime() == nil || md.GetState() != longrunpb.OperationMetadata_SUCCEEDED {
				t.Errorf("Metadata = %v, %v; want that of the end", md, err)
			}
			again, err := resumed(sys.Conn(), op.Name()).Wait(t.Context())
			want(t, again, err, "a book")
		}))
	}
}

// Metadata shows progress on the way (OP-14).
func TestEngine_Progress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{Register: simulator.Register})
		op := simulate(t, sys.Conn(), &longrunpb.SimulateRequest{RunDuration: seconds(100), ProgressSteps: 10})
		last := int64(-1)
		for {
			got, err := op.Poll(t.Context())
			if op.Done() {
				want(t, got, err, "a book")
				break
			}
			md, missing := op.Metadata()
			if err != nil || missing != nil || md.GetProgress().GetCompletedUnits() < last {
				t.Errorf("Poll, Metadata = %v, %v, %v; want more than %d units", err, md, missing, last)
			}
			last = md.GetProgress().GetCompletedUnits()
			time.Sleep(5 * time.Second)
		}
		if last < 8 {
			t.Errorf("saw %d units, want nearly 10", last)
		}
	})
}

// Cancel returns before the work has stopped; Wait gives CANCELLED when it has
// (CAN-03), and is woken (WAI-12). To cancel what is done is no error (CAN-06).
func TestEngine_Cancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{Register: simulator.Register})
		op := simulate(t, sys.Conn(), &longrunpb.SimulateRequest{RunDuration: seconds(3600), CancelDelay: seconds(2)})
		begun := time.Now()
		time.AfterFunc(10*time.Second, func() {
			if err := resumed(sys.Conn(), op.Name()).Cancel(context.Background()); err != nil {
				t.Errorf("Cancel: %v", err)
			}
		})
		_, err := op.Wait(t.Context())
		wantCode(t, err, codes.Canceled)
		if took := time.Since(begun); !op.Done() || took > 15*time.Second {
			t.Errorf("Done = %v after %v; want true after 12s", op.Done(), took)
		}
		if err := op.Cancel(t.Context()); err != nil {
			t.Errorf("Cancel again = %v, want nil", err)
		}
	})
}

// WAI-11: an operation that is deleted meanwhile is NOT_FOUND, promptly.
func TestEngine_Delete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{Register: simulator.Register})
		op := simulate(t, sys.Conn(), &longrunpb.SimulateRequest{RunDuration: seconds(60)})
		begun := time.Now()
		time.AfterFunc(10*time.Second, func() {
			if err := op.Delete(context.Background()); err != nil {
				t.Errorf("Delete: %v", err)
			}
		})
		_, err := op.Wait(t.Context())
		wantCode(t, err, codes.NotFound)
		if took := time.Since(begun); op.Done() || took > 12*time.Second {
			t.Errorf("Done = %v after %v; want false after 10s", op.Done(), took)
		}
		wantCode(t, op.Delete(t.Context()), codes.NotFound)
	})
}

// OP-11: the error of a failed operation arrives whole.
func TestEngine_Failure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{Register: simulator.Register})
		op := simulate(t, sys.Conn(), &longrunpb.SimulateRequest{RunDuration: seconds(5), Outcome: &longrunpb.SimulateRequest_Error{
			Error: &statuspb.Status{Code: int32(codes.FailedPrecondition), Message: "the shelf is full"},
		}})
		_, err := op.Wait(t.Context())
		st, ok := status.FromError(err)
		if !ok || st.Code() != codes.FailedPrecondition || st.Message() != "the shelf is full" || len(st.Details()) == 0 || !op.Done() {
			t.Errorf("error = %v, details %v, Done = %v; want FAILED_PRECONDITION with an ErrorInfo, true", err, st.Details(), op.Done())
		}
	})
}

// A response that is not what this client was generated for.
func TestEngine_AnotherType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{Register: simulator.Register})
		op := simulate(t, sys.Conn(), &longrunpb.SimulateRequest{RunDuration: seconds(1), Outcome: &longrunpb.SimulateRequest_Response{Response: packed(t, wrapperspb.Int64(1))}})
		_, err := op.Wait(t.Context())
		wantCode(t, err, codes.Internal)
	})
}

// VAL-02: what a validate_only request is answered with is a handle like others.
func TestEngine_ValidateOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{Register: simulator.Register})
		raw, err := longrunpb.NewSimulatorClient(sys.Conn()).Simulate(t.Context(), &longrunpb.SimulateRequest{ValidateOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		op := client.New[*anypb.Any, *anypb.Any](sys.Conn(), raw)
		if _, err := op.Wait(t.Context()); err != nil || !op.Done() {
			t.Errorf("Wait = %v, Done = %v; want nil, true", err, op.Done())
		}
	})
}

// The process that served and worked dies, another goes on: the same Wait ends well.
func TestEngine_Crash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{Register: simulator.Register})
		op := simulate(t, sys.Conn(), &longrunpb.SimulateRequest{RunDuration: seconds(600), ProgressSteps: 10})
		go func() {
			time.Sleep(100 * time.Second)
			sys.Crash(t)
		}()
		got, err := op.Wait(t.Context())
		want(t, got, err, "a book")
		md, err := op.Metadata()
		if err != nil || md.GetAttempt() != 2 {
			t.Errorf("Attempt = %d, %v; want 2", md.GetAttempt(), err)
		}
	})
}

// WAI-15: a server that shuts down answers who waits; the next one is asked.
func TestEngine_Drain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{Register: simulator.Register})
		op := simulate(t, sys.Conn(), &longrunpb.SimulateRequest{RunDuration: seconds(120)})
		go func() {
			time.Sleep(10 * time.Second)
			sys.Service().Drain()
			time.Sleep(10 * time.Second)
			sys.Crash(t)
		}()
		got, err := op.Wait(t.Context())
		want(t, got, err, "a book")
	})
}
