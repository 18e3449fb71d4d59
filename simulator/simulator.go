package simulator

import (
	"context"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// Limits on what may be asked for.
const (
	// MaxDuration is the longest run_duration and the longest cancel_delay.
	MaxDuration = 30 * 24 * time.Hour
	// MaxProgressSteps is how many progress reports a run may make.
	MaxProgressSteps = 1000
	// MaxFailures is how many runs may fail.
	MaxFailures = 100
	// MaxErrorBytes is the size of an error, with room for the ErrorInfo that
	// every operation's error carries.
	MaxErrorBytes = longrun.MaxErrorBytes - 1024
)

// method is what simulated operations are operations of.
var method = longrun.Method[*longrunpb.SimulateRequest, *anypb.Any, *longrunpb.OperationMetadata]{
	Name:   longrunpb.Simulator_Simulate_FullMethodName,
	Parent: (*longrunpb.SimulateRequest).GetParent,
}

// Register serves longrun.v1.Simulator of svc on r, and handles its method: svc's
// runners in this process run simulated operations. It starts nothing. Like
// longrun.Handle it panics the second time for the same svc, and comes before
// runners run.
func Register(r grpc.ServiceRegistrar, svc *longrun.Service) {
	s := &server{svc: svc, domain: svc.Domain()}
	longrun.Begin(svc, method, s.begin)
	longrun.Handle(svc, method, simulate)
	longrunpb.RegisterSimulatorServer(r, s)
}

// server is the Simulator. It is safe for concurrent use.
type server struct {
	longrunpb.UnimplementedSimulatorServer
	svc    *longrun.Service
	domain string // of svc's errors
}

// Simulate starts an operation that behaves as asked.
func (s *server) Simulate(ctx context.Context, r *longrunpb.SimulateRequest) (*longrunningpb.Operation, error) {
	request, err := stored(r)
	if err != nil {
		return nil, err
	}
	op, err := s.svc.Start(ctx, longrun.StartRequest{
		StartOptions: longrun.StartOptions{
			Parent:       r.GetParent(),
			RequestID:    r.GetRequestId(),
			ValidateOnly: r.GetValidateOnly(),
			ConflictKey:  r.GetConflictKey(),
			OnConflict:   policy(r.GetOnConflict()),
		},
		Method:      method.Name,
		Request:     request,
		MaxFailures: maxFailures(r),
	})
	return s.svc.Proto(op), err
}

// AuthorizeCall says for package httpapi whether the caller may make a call whose
// request is faulty: that comes before what is wrong with it (AUT-02).
func (s *server) AuthorizeCall(ctx context.Context, _ string, r any) error {
	if r, ok := r.(*longrunpb.SimulateRequest); ok {
		return s.svc.Authorize(ctx, longrun.VerbStart, r.GetParent())
	}
	return nil
}

// stored is the request as the operation keeps it: without the fields that say how
// it was sent, so that the same behaviour is always the same request (IDM-01).
func stored(r *longrunpb.SimulateRequest) (*anypb.Any, error) {
	bare := proto.CloneOf(r)
	bare.RequestId, bare.ValidateOnly = "", false
	request := new(anypb.Any)
	if err := anypb.MarshalFrom(request, bare, proto.MarshalOptions{Deterministic: true}); err != nil {
		return nil, &longrun.Error{Code: codes.InvalidArgument, Reason: longrun.ReasonInvalidField, Verb: "start",
			Msg: "the request cannot be encoded", Err: err}
	}
	return request, nil
}

// maxFailures allows for the failures that are asked for, beside those that
// happen. An operation that is to end UNAVAILABLE ends with the first run that
// was not asked to fail: the engine would go on trying.
func maxFailures(r *longrunpb.SimulateRequest) int {
	asked := min(max(int(r.GetFailures()), 0), MaxFailures)
	if codes.Code(r.GetError().GetCode()) == codes.Unavailable {
		return asked + 1
	}
	return asked + longrun.DefaultMaxFailures
}

// policy reads a policy; one that is unknown stays so, for Start to refuse.
func policy(p longrunpb.ConflictPolicy) longrun.ConflictPolicy {
	switch p {
	case longrunpb.ConflictPolicy_CONFLICT_POLICY_UNSPECIFIED, longrunpb.ConflictPolicy_QUEUE:
		return longrun.Queue
	case longrunpb.ConflictPolicy_REJECT:
		return longrun.Reject
	case longrunpb.ConflictPolicy_PREEMPT:
		return longrun.Preempt
	}
	return longrun.ConflictPolicy(255)
}
