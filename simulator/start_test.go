package simulator_test

import (
	"strings"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/simulator"
)

const requestID = "0d5a3f3c-91a5-4d0e-9b6e-0c5a6f3d1e42"

// Simulated operations live under a parent and are of the Simulator's method.
func TestSimulate_Parent(t *testing.T) {
	bubble(t, func(x *system) {
		n := x.simulate(&longrunpb.SimulateRequest{Parent: "projects/p"})
		if n.Parent != "projects/p" {
			x.t.Errorf("name = %s, want it under projects/p", n)
		}
		if got := x.get(n).Method; got != "/longrun.v1.Simulator/Simulate" {
			x.t.Errorf("Method = %q, want the Simulator's", got)
		}
		_, err := x.Simulate(x.ctx, &longrunpb.SimulateRequest{Parent: "projects/-"})
		wantError(x.t, err, codes.InvalidArgument, longrun.ReasonInvalidField, "parent")
	})
}

// IDM-01, IDM-04, IDM-05: one request, one operation; per parent.
func TestSimulate_RequestID(t *testing.T) {
	bubble(t, func(x *system) {
		r := &longrunpb.SimulateRequest{RequestId: requestID, RunDuration: seconds(5)}
		first := x.simulate(r)
		r.RequestId = strings.ToUpper(requestID) // IDM-06
		if again := x.simulate(r); again != first {
			x.t.Errorf("the same request again is %s, want %s", again, first)
		}
		x.end(first)
		op, err := x.Simulate(x.ctx, r) // IDM-02
		if err != nil || op.GetName() != first.String() || !op.GetDone() {
			x.t.Errorf("after the end: %v, %v, want %s, done", op, err, first)
		}
		_, err = x.Simulate(x.ctx, &longrunpb.SimulateRequest{RequestId: requestID, RunDuration: seconds(6)})
		wantError(x.t, err, codes.InvalidArgument, longrun.ReasonRequestIDReused, "request_id")
		r.Parent = "projects/p"
		if other := x.simulate(r); other.ID == first.ID {
			x.t.Error("the same id under another parent is the same operation")
		}
		_, err = x.Simulate(x.ctx, &longrunpb.SimulateRequest{RequestId: "again"})
		wantError(x.t, err, codes.InvalidArgument, longrun.ReasonInvalidField, "request_id")
	})
}

// What is stored is how to behave, and not how the request was sent.
func TestSimulate_StoredRequest(t *testing.T) {
	bubble(t, func(x *system) {
		n := x.simulate(&longrunpb.SimulateRequest{RequestId: requestID, RunDuration: seconds(5), IgnoreCancel: true})
		got := &longrunpb.SimulateRequest{}
		if err := x.get(n).Request.UnmarshalTo(got); err != nil {
			x.t.Fatal(err)
		}
		if want := (&longrunpb.SimulateRequest{RunDuration: seconds(5), IgnoreCancel: true}); !proto.Equal(got, want) {
			x.t.Errorf("stored %v, want %v", got, want)
		}
	})
}

// VAL-01, VAL-03: everything is checked, nothing is stored.
func TestSimulate_ValidateOnly(t *testing.T) {
	bubble(t, func(x *system) {
		op, err := x.Simulate(x.ctx, &longrunpb.SimulateRequest{ValidateOnly: true, RunDuration: seconds(5), RequestId: requestID})
		want := &longrunningpb.Operation{Done: true, Result: &longrunningpb.Operation_Response{Response: pack(&emptypb.Empty{})}}
		if err != nil || !proto.Equal(op, want) {
			x.t.Errorf("Simulate = %v, %v, want %v", op, err, want)
		}
		_, err = x.Simulate(x.ctx, &longrunpb.SimulateRequest{ValidateOnly: true, RunDuration: seconds(-5)})
		wantError(x.t, err, codes.InvalidArgument, longrun.ReasonInvalidField, "run_duration")
		if got := x.count(); got != 0 {
			x.t.Errorf("%d operations, want none", got)
		}
	})
}

// OP-19, IDM-03: the starting call itself fails, nothing is stored, and the id is
// not used up.
func TestSimulate_StartError(t *testing.T) {
	bubble(t, func(x *system) {
		info := pack(&errdetails.ErrorInfo{Reason: "DISK_FULL", Domain: "disks.example.com"})
		for _, details := range [][]*anypb.Any{nil, {info}} {
			st := &statuspb.Status{Code: int32(codes.FailedPrecondition), Message: "no disk", Details: details}
			for _, validate := range []bool{false, true} {
				_, err := x.Simulate(x.ctx, &longrunpb.SimulateRequest{StartError: st, RequestId: requestID, ValidateOnly: validate})
				got := status.Convert(err)
				if got.Code() != codes.FailedPrecondition || got.Message() != "no disk" || len(got.Details()) != 1 {
					x.t.Errorf("error = %v, want FAILED_PRECONDITION, the message and an ErrorInfo (ERR-02)", got.Proto())
				}
				if details == nil {
					wantError(x.t, err, codes.FailedPrecondition, longrun.ReasonOperationFailed, "")
				} else if !proto.Equal(got.Proto(), st) {
					x.t.Errorf("error = %v, want %v", got.Proto(), st)
				}
			}
		}
		if got := x.count(); got != 0 {
			x.t.Errorf("%d operations, want none", got)
		}
		x.simulate(&longrunpb.SimulateRequest{RequestId: requestID})
	})
}

func TestSimulate_Invalid(t *testing.T) {
	bubble(t, func(x *system) {
		torn := &durationpb.Duration{Seconds: 1, Nanos: -1}
		endless := &durationpb.Duration{Seconds: 1 << 60}
		past := durationpb.New(simulator.MaxDuration + 1)
		fail := func(st *statuspb.Status) *longrunpb.SimulateRequest {
			return &longrunpb.SimulateRequest{Outcome: &longrunpb.SimulateRequest_Error{Error: st}}
		}
		for _, tt := range []struct {
			field string
			r     *longrunpb.SimulateRequest
		}{
			{"run_duration", &longrunpb.SimulateRequest{RunDuration: durationpb.New(-1)}},
			{"run_duration", &longrunpb.SimulateRequest{RunDuration: torn}},
			{"run_duration", &longrunpb.SimulateRequest{RunDuration: endless}},
			{"run_duration", &longrunpb.SimulateRequest{RunDuration: past}},
			{"cancel_delay", &longrunpb.SimulateRequest{CancelDelay: durationpb.New(-1)}},
			{"cancel_delay", &longrunpb.SimulateRequest{CancelDelay: past}},
			{"progress_steps", &longrunpb.SimulateRequest{ProgressSteps: -1}},
			{"progress_steps", &longrunpb.SimulateRequest{ProgressSteps: simulator.MaxProgressSteps + 1}},
			{"failures", &longrunpb.SimulateRequest{Failures: -1}},
			{"failures", &longrunpb.SimulateRequest{Failures: simulator.MaxFailures + 1}},
			{"error.code", fail(&statuspb.Status{})},
			{"error.code", fail(&statuspb.Status{Code: 17})},
			{"error.code", fail(&statuspb.Status{Code: -1})},
			{"start_error.code", &longrunpb.SimulateRequest{StartError: &statuspb.Status{}}},
			{"start_error.code", &longrunpb.SimulateRequest{StartError: &statuspb.Status{Code: 99}}},
			{"response", &longrunpb.SimulateRequest{Outcome: &longrunpb.SimulateRequest_Response{Response: &anypb.Any{Value: []byte{1}}}}},
			{"on_conflict", &longrunpb.SimulateRequest{ConflictKey: "k", OnConflict: 99}},
			{"on_conflict", &longrunpb.SimulateRequest{OnConflict: longrunpb.ConflictPolicy_REJECT}},
			{"conflict_key", &longrunpb.SimulateRequest{ConflictKey: strings.Repeat("k", longrun.MaxConflictKeyBytes+1)}},
		} {
			_, err := x.Simulate(x.ctx, tt.r)
			wantError(x.t, err, codes.InvalidArgument, longrun.ReasonInvalidField, tt.field)
		}
		large := &statuspb.Status{Code: 3, Message: strings.Repeat("x", simulator.MaxErrorBytes)}
		_, err := x.Simulate(x.ctx, fail(large))
		wantError(x.t, err, codes.InvalidArgument, longrun.ReasonPayloadTooLarge, "error")
		if got := x.count(); got != 0 {
			x.t.Errorf("%d operations, want none", got)
		}
	})
}

// Every limit, at the limit.
func TestSimulate_AtTheLimits(t *testing.T) {
	bubble(t, func(x *system) {
		n := x.simulate(&longrunpb.SimulateRequest{
			RunDuration: durationpb.New(simulator.MaxDuration), CancelDelay: durationpb.New(simulator.MaxDuration),
			ProgressSteps: simulator.MaxProgressSteps, Failures: simulator.MaxFailures,
			ConflictKey: strings.Repeat("k", longrun.MaxConflictKeyBytes),
		})
		x.cancel(n)
		large := &statuspb.Status{Code: 3, Message: strings.Repeat("x", simulator.MaxErrorBytes-10)}
		n = x.simulate(&longrunpb.SimulateRequest{Outcome: &longrunpb.SimulateRequest_Error{Error: large}})
		if got := x.end(n).Error; got.GetMessage() != large.GetMessage() || got.GetCode() != 3 {
			x.t.Errorf("error has code %d and %d bytes, want it as it was asked for", got.GetCode(), len(got.GetMessage()))
		}
	})
}

// Through the Dispatcher, or from Go, the same rules hold.
func TestSimulate_ByMethodName(t *testing.T) {
	bubble(t, func(x *system) {
		start := func(r *longrunpb.SimulateRequest) (*longrun.Operation, error) {
			return x.svc.Start(x.ctx, longrun.StartRequest{Method: longrunpb.Simulator_Simulate_FullMethodName, Request: pack(r)})
		}
		_, err := start(&longrunpb.SimulateRequest{RunDuration: seconds(-1)})
		wantError(x.t, err, codes.InvalidArgument, longrun.ReasonInvalidField, "run_duration")
		_, err = start(&longrunpb.SimulateRequest{StartError: &statuspb.Status{Code: 9}})
		wantError(x.t, err, codes.FailedPrecondition, longrun.ReasonOperationFailed, "")
		op, err := start(&longrunpb.SimulateRequest{Parent: "projects/p", Outcome: &longrunpb.SimulateRequest_Response{Response: text("done")}})
		if err != nil {
			x.t.Fatal(err)
		}
		if got := x.end(op.Name()); !proto.Equal(got.Response, text("done")) || got.Parent != "projects/p" {
			x.t.Errorf("ended %+v, want the response, under projects/p", got)
		}
	})
}

// A second Register for the same Service panics, like longrun.Handle.
func TestRegister_Twice(t *testing.T) {
	t.Parallel()
	svc, err := longrun.New(inmem.New(), longrun.Options{})
	if err != nil {
		t.Fatal(err)
	}
	simulator.Register(grpc.NewServer(), svc)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	simulator.Register(grpc.NewServer(), svc)
}
