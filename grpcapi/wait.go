package grpcapi

import (
	"context"
	"errors"
	"math"
	"strconv"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun"
)

// WaitOperation returns the operation when it is done, or its latest state when
// the time is over (WAI-01, WAI-03).
//
// A blocked call is a goroutine whose stack should not double: nothing here may
// need a large frame, or come between grpc-go and Service.Wait.
func (s *server) WaitOperation(ctx context.Context, r *longrunningpb.WaitOperationRequest) (_ *longrunningpb.Operation, err error) {
	defer s.faults.leave(longrunningpb.Operations_WaitOperation_FullMethodName, &err)
	if s.opts.NoWait {
		return nil, off
	}
	name, err := longrun.ParseName(r.GetName())
	if err != nil {
		return nil, err
	}
	m, err := s.masked(ctx, longrun.VerbWait, name, (*longrunningpb.Operation)(nil))
	if err != nil {
		return nil, err
	}
	op, err := s.svc.Wait(ctx, name, waitTimeout(r.GetTimeout()))
	if err != nil {
		return nil, describeTimeout(r.GetTimeout(), err)
	}
	return prune(s, m, s.render(ctx, op))
}

// waitTimeout is how long a caller is willing to wait: as long as is permitted
// if it does not say (WAI-04). What is not a Duration is negative, so that the
// Service refuses it after it has asked who is calling (WAI-08).
func waitTimeout(d *durationpb.Duration) time.Duration {
	switch {
	case d == nil:
		return math.MaxInt64
	case d.CheckValid() != nil:
		return -1
	}
	return d.AsDuration() // cut to what a time.Duration holds
}

// describeTimeout says what is wrong with a timeout that is not a Duration.
func describeTimeout(d *durationpb.Duration, err error) error {
	if e, ok := errors.AsType[*longrun.Error](err); ok && e.Reason == longrun.ReasonInvalidTimeout && d.CheckValid() != nil {
		described := *e
		described.Msg = "timeout is not a valid duration"
		return &described
	}
	return err
}

// render returns op for the wire. If it is not done, the caller is told in the
// header retry-after when to ask again (POL-02).
func (s *server) render(ctx context.Context, op *longrun.Operation) *longrunningpb.Operation {
	if delay := longrun.PollDelay(op, time.Now()); delay > 0 {
		seconds := int64((delay + time.Second - 1) / time.Second)
		// The header is a hint. It cannot be set, and is not missed, when the
		// method is called by no server.
		_ = grpc.SetHeader(ctx, metadata.Pairs("retry-after", strconv.FormatInt(seconds, 10)))
	}
	return s.svc.Proto(op)
}
