package grpcapi

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/mask"
)

// maskKey is the metadata that holds the response mask (SYS-06).
const maskKey = "x-goog-fieldmask"

// masked returns the response mask of a call that does this to an operation, or
// why there is none for such a reply. It is asked for before the call does anything;
// a caller who may not make the call hears of that instead (AUT-02).
func (s *server) masked(ctx context.Context, verb longrun.Verb, name longrun.Name, reply proto.Message) (mask.Mask, error) {
	m, wrong := s.readMask(ctx, reply)
	if wrong == nil {
		return m, nil
	}
	return mask.Mask{}, cmp.Or(s.denied(ctx, verb, name), wrong)
}

// readMask returns the mask in the metadata of a call, which several values make up
// together. The zero Mask keeps all of the reply.
func (s *server) readMask(ctx context.Context, reply proto.Message) (mask.Mask, error) {
	text := metadata.ValueFromIncomingContext(ctx, maskKey)
	if len(text) == 0 {
		return mask.Mask{}, nil
	}
	m, err := mask.Parse(strings.Join(text, ","))
	if err == nil {
		err = m.Validate(reply.ProtoReflect().Descriptor())
	}
	return m, s.describeMask(err)
}

// prune returns what m keeps of reply.
func prune[M proto.Message](s *server, m mask.Mask, reply M) (M, error) {
	kept, err := m.Apply(reply, s.opts.Types)
	if err != nil {
		var none M
		return none, err
	}
	return kept.(M), nil
}

// describeMask returns the Status of a mask that is refused, and any other error as
// it is.
func (s *server) describeMask(err error) error {
	e, ok := errors.AsType[*mask.Error](err)
	if !ok {
		return err
	}
	info := &errdetails.ErrorInfo{Reason: mask.Reason, Domain: s.svc.Domain(), Metadata: map[string]string{"offset": strconv.Itoa(e.Offset)}}
	if e.Segment != "" {
		info.Metadata["segment"] = e.Segment
	}
	st, err := status.New(codes.InvalidArgument, e.Error()).WithDetails(info, &errdetails.BadRequest{
		FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: maskKey, Description: e.Error(), Reason: mask.Reason}},
	})
	if err != nil {
		return err
	}
	return st.Err()
}
