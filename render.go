package longrun

import (
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/longrun-dev/longrun/longrunpb"
)

// Proto returns op as it is on the wire, and nil for nil (section 1 of the spec).
func (s *Service) Proto(op *Operation) *longrunningpb.Operation {
	if op == nil {
		return nil
	}
	p := &longrunningpb.Operation{Name: op.Name().String(), Done: op.State.Done()}
	if p.Name != "" {
		p.Metadata = metadataOf(op)
	}
	switch {
	case op.State == Succeeded:
		p.Result = &longrunningpb.Operation_Response{Response: op.Response}
	case op.State.Done():
		p.Result = &longrunningpb.Operation_Error{Error: s.withDomain(op.Error)}
	}
	return p
}

// withDomain gives the errors of our own making the domain of this service.
func (s *Service) withDomain(st *statuspb.Status) *statuspb.Status {
	for i, d := range st.GetDetails() {
		info := &errdetails.ErrorInfo{}
		if !d.MessageIs(info) || d.UnmarshalTo(info) != nil || info.Domain != "" {
			continue
		}
		info.Domain = s.opts.Domain
		filled, err := pack(info)
		if err != nil {
			continue
		}
		with := proto.Clone(st).(*statuspb.Status)
		with.Details[i] = filled
		return with
	}
	return st
}

// renderedBytes is not less than the size of op on the wire, and not much more.
func renderedBytes(op *Operation) int {
	n := 512 + len(op.Parent) + len(op.Method) + proto.Size(op.Response) + proto.Size(op.Error) + proto.Size(op.Metadata)
	for k, v := range op.Labels {
		n += len(k) + len(v) + 8
	}
	return n
}

// stamp is t on the wire; the zero time is absent.
func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

const (
	minPollDelay = time.Second
	maxPollDelay = time.Minute
)

// PollDelay suggests how long a client may wait before it asks for op again, a
// second to a minute, by its progress and its age; 0 when it is done (POL-01,
// POL-02).
func PollDelay(op *Operation, now time.Time) time.Duration {
	if op.State.Done() {
		return 0
	}
	age := now.Sub(op.CreateTime)
	delay := age / 4
	md := &longrunpb.OperationMetadata{}
	if op.Metadata.MessageIs(md) && op.Metadata.UnmarshalTo(md) == nil {
		p := md.GetProgress()
		if end := p.GetEstimatedEndTime(); end.IsValid() && end.AsTime().After(now) {
			delay = end.AsTime().Sub(now) / 2
		} else if done, total := p.GetCompletedUnits(), p.GetTotalUnits(); done > 0 && total > done {
			ran := now.Sub(op.ClaimTime)
			delay = time.Duration(min(float64(ran)*float64(total-done)/float64(done)/2, float64(maxPollDelay)))
		}
	}
	return min(max(delay, minPollDelay), maxPollDelay)
}
