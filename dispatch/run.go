package dispatch

import (
	"context"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// ReportProgress keeps how far a run is; the latest wins.
func (s *server) ReportProgress(ctx context.Context, r *longrunpb.ReportProgressRequest) (_ *longrunpb.ReportProgressResponse, err error) {
	defer s.inDomain(&err)
	run, err := s.run(ctx, "report", r.GetName(), r.GetSession(), r.GetAttempt())
	if err != nil {
		return nil, err
	}
	report, err := reported(r)
	if err != nil {
		return nil, err
	}
	if err := s.work.Report(ctx, run.name, run.claim, report); err != nil {
		return nil, err
	}
	return &longrunpb.ReportProgressResponse{}, nil
}

func reported(r *longrunpb.ReportProgressRequest) (longrun.Report, error) {
	switch x := r.GetReport().(type) {
	case *longrunpb.ReportProgressRequest_Metadata:
		metadata, err := payload("report", "metadata", x.Metadata)
		if err == nil && metadata == nil {
			err = invalid("report", "metadata", "is empty")
		}
		return longrun.Report{Metadata: metadata}, err
	case *longrunpb.ReportProgressRequest_Progress:
		p, err := progress(x.Progress)
		return longrun.Report{Progress: p}, err
	}
	return longrun.Report{}, invalid("report", "report", "needs progress or metadata")
}

// progress returns p without what is the engine's to say.
func progress(p *longrunpb.Progress) (*longrunpb.Progress, error) {
	switch {
	case p.GetCompletedUnits() < 0:
		return nil, invalid("report", "progress.completed_units", "must not be negative")
	case p.GetTotalUnits() < 0:
		return nil, invalid("report", "progress.total_units", "must not be negative")
	case p.GetEstimatedEndTime() != nil && p.GetEstimatedEndTime().CheckValid() != nil:
		return nil, invalid("report", "progress.estimated_end_time", "is not a valid time")
	}
	own := &longrunpb.Progress{}
	if p != nil {
		own = proto.CloneOf(p)
	}
	own.CompletedSteps = 0
	return own, nil
}

// FinishOperation ends a run by the rules of longrun.Work.Finish.
func (s *server) FinishOperation(ctx context.Context, r *longrunpb.FinishOperationRequest) (_ *longrunpb.FinishOperationResponse, err error) {
	defer s.inDomain(&err)
	run, err := s.run(ctx, "finish", r.GetName(), r.GetSession(), r.GetAttempt())
	if err != nil {
		return nil, err
	}
	result, err := finished(r)
	if err != nil {
		return nil, err
	}
	if _, err := s.work.Finish(ctx, run.name, run.claim, result); err != nil {
		return nil, err
	}
	return &longrunpb.FinishOperationResponse{}, nil
}

func finished(r *longrunpb.FinishOperationRequest) (longrun.Result, error) {
	var out longrun.Result
	var err error
	if out.Metadata, err = payload("finish", "metadata", r.GetMetadata()); err != nil {
		return out, err
	}
	switch x := r.GetResult().(type) {
	case *longrunpb.FinishOperationRequest_Response:
		if r.GetRetryDelay() != nil {
			return out, invalid("finish", "retry_delay", "needs an error")
		}
		out.Response, err = payload("finish", "response", x.Response)
	case *longrunpb.FinishOperationRequest_Error:
		out.Err, err = failure(x.Error, r.GetRetryDelay())
	default:
		err = invalid("finish", "result", "needs a response or an error")
	}
	return out, err
}

// failure is the error of a run as Work.Finish takes it. A code that is none is
// refused: it would read as success, or as nothing, in every client (OP-08).
func failure(st *statuspb.Status, delay *durationpb.Duration) (error, error) {
	if c := codes.Code(st.GetCode()); st.GetCode() < 1 || c > codes.Unauthenticated {
		return nil, invalid("finish", "error.code", "must be from 1 to 16")
	}
	err := status.ErrorProto(st)
	if delay != nil {
		err = longrun.RetryAfter(duration(delay), err)
	}
	return err, nil
}

// ReleaseOperation gives a run back undone. Nobody knows what the worker has done
// of it, so it counts as begun.
func (s *server) ReleaseOperation(ctx context.Context, r *longrunpb.ReleaseOperationRequest) (_ *longrunpb.ReleaseOperationResponse, err error) {
	defer s.inDomain(&err)
	run, err := s.run(ctx, "release", r.GetName(), r.GetSession(), r.GetAttempt())
	if err != nil {
		return nil, err
	}
	if _, err := s.work.Release(ctx, run.name, run.claim, longrun.Release{Delay: duration(r.GetRetryDelay()), Begun: true}); err != nil {
		return nil, err
	}
	return &longrunpb.ReleaseOperationResponse{}, nil
}
