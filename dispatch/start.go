package dispatch

import (
	"context"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// StartOperation starts an operation, claimed by the caller's session where it
// names one.
func (s *server) StartOperation(ctx context.Context, r *longrunpb.StartOperationRequest) (_ *longrunningpb.Operation, err error) {
	defer s.inDomain(&err)
	if err := s.svc.Authorize(ctx, longrun.VerbStart, r.GetParent()); err != nil {
		return nil, err
	}
	start, err := startRequest(r)
	if err != nil {
		return nil, err
	}
	if r.GetSession() != "" {
		return s.startClaimed(ctx, start, r)
	}
	if r.GetCall() != 0 {
		return nil, invalid("start", "call", "needs a session")
	}
	op, err := s.svc.Start(ctx, start)
	return s.svc.Proto(op), err
}

// startClaimed starts an operation that the session runs and nobody else.
func (s *server) startClaimed(ctx context.Context, start longrun.StartRequest, r *longrunpb.StartOperationRequest) (*longrunningpb.Operation, error) {
	id, err := s.work.SessionOf(ctx, r.GetSession())
	if err != nil {
		return nil, err
	}
	if r.GetCall() < 1 {
		return nil, invalid("start", "call", "must be at least 1 with a session")
	}
	start.Session, start.Call = id, r.GetCall()
	room, err := s.reserve(ctx, id, start.Call, 1)
	if err != nil {
		return nil, err
	}
	if room.n == 0 && !room.again {
		return nil, unavailable("start", longrun.ReasonOverloaded, "the session holds as many operations as it may")
	}
	op, err := s.svc.Start(ctx, start)
	got := 0
	if op != nil || longrun.IsUnknown(err) {
		got = 1
	}
	s.desk.settle(id, room.n, got)
	return s.svc.Proto(op), s.forget(id, err)
}

func startRequest(r *longrunpb.StartOperationRequest) (longrun.StartRequest, error) {
	request, err := payload("start", "request", r.GetRequest())
	if err != nil {
		return longrun.StartRequest{}, err
	}
	metadata, err := payload("start", "metadata", r.GetMetadata())
	if err != nil {
		return longrun.StartRequest{}, err
	}
	start := longrun.StartRequest{
		StartOptions: longrun.StartOptions{
			Parent:       r.GetParent(),
			RequestID:    r.GetRequestId(),
			ValidateOnly: r.GetValidateOnly(),
			ConflictKey:  r.GetConflictKey(),
			OnConflict:   policy(r.GetOnConflict()),
			Labels:       r.GetLabels(),
		},
		Method:           r.GetMethod(),
		Request:          request,
		ExecutionTimeout: duration(r.GetExecutionTimeout()),
		MaxFailures:      int(r.GetMaxFailures()),
		AtMostOnce:       r.GetAtMostOnce(),
	}
	if metadata != nil {
		start.Metadata = metadata
	}
	return start, nil
}
