package simulator

import (
	"context"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// begin is the starting hook: it refuses what cannot be simulated, and fails with
// start_error. It runs through whatever door the operation is started.
func (s *server) begin(_ context.Context, r *longrunpb.SimulateRequest, _ *longrun.Draft) error {
	if err := check(r); err != nil {
		return err
	}
	if st := r.GetStartError(); st != nil {
		return startError(st, s.domain)
	}
	return nil
}

// check reports what is wrong with a request.
func check(r *longrunpb.SimulateRequest) error {
	if err := checkDuration("run_duration", r.GetRunDuration()); err != nil {
		return err
	}
	if err := checkDuration("cancel_delay", r.GetCancelDelay()); err != nil {
		return err
	}
	if err := checkCount("progress_steps", r.GetProgressSteps(), MaxProgressSteps); err != nil {
		return err
	}
	if err := checkCount("failures", r.GetFailures(), MaxFailures); err != nil {
		return err
	}
	if a := r.GetResponse(); a.GetTypeUrl() == "" && len(a.GetValue()) > 0 {
		return invalid("response", "has a value and no type")
	}
	if _, ok := r.GetOutcome().(*longrunpb.SimulateRequest_Error); ok {
		if err := checkStatus("error", r.GetError()); err != nil {
			return err
		}
	}
	if r.StartError != nil {
		return checkStatus("start_error", r.StartError)
	}
	return nil
}

func checkDuration(field string, d *durationpb.Duration) error {
	if d == nil {
		return nil
	}
	if d.CheckValid() != nil || d.AsDuration() < 0 || d.AsDuration() > MaxDuration {
		return invalid(field, "must be from 0 to 30 days")
	}
	return nil
}

func checkCount(field string, n, limit int32) error {
	if n < 0 || n > limit {
		return invalid(field, fmt.Sprintf("must be from 0 to %d", limit))
	}
	return nil
}

// checkStatus refuses a code that would read as success, or as nothing, in every
// client (OP-08).
func checkStatus(field string, st *statuspb.Status) error {
	if code := st.GetCode(); code < 1 || codes.Code(code) > codes.Unauthenticated {
		return invalid(field+".code", "must be from 1 to 16")
	}
	if proto.Size(st) > MaxErrorBytes {
		return &longrun.Error{Code: codes.InvalidArgument, Reason: longrun.ReasonPayloadTooLarge, Field: field, Msg: field + " is larger than 63 KiB"}
	}
	return nil
}

func invalid(field, msg string) error {
	return &longrun.Error{Code: codes.InvalidArgument, Reason: longrun.ReasonInvalidField, Field: field, Msg: field + " " + msg}
}

// startError is st as an error, with the ErrorInfo that every error carries
// (ERR-02) where it has none.
func startError(st *statuspb.Status, domain string) error {
	info := &errdetails.ErrorInfo{Reason: longrun.ReasonOperationFailed, Domain: domain}
	for _, d := range st.GetDetails() {
		if d.MessageIs(info) {
			return status.ErrorProto(st)
		}
	}
	detail, err := anypb.New(info)
	if err != nil {
		return status.ErrorProto(st)
	}
	st = proto.CloneOf(st)
	st.Details = append(st.Details, detail)
	return status.ErrorProto(st)
}
