package grpcapi

import (
	"context"
	"log/slog"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/longrun-dev/longrun"
)

// Options configures how operations are served. The zero Options serves all
// methods. GetOperation cannot be switched off (GET-01).
type Options struct {
	// NoList, NoCancel, NoDelete and NoWait switch a method off: it answers
	// UNIMPLEMENTED (LST-04, CAN-09, DEL-06, WAI-17, MIX-02).
	NoList, NoCancel, NoDelete, NoWait bool

	// Types finds the messages inside an Any that a response mask reaches into
	// (SYS-12), beside those that are linked into the program. It is asked first,
	// and is safe for concurrent use. Nil means no others.
	Types interface {
		protoregistry.MessageTypeResolver
		protoregistry.ExtensionTypeResolver
	}

	// Log gets what callers must not see, such as the stack of a panic. Nil
	// means slog.Default().
	Log *slog.Logger
}

// Register serves google.longrunning.Operations with the operations of svc on r.
// Like every registration it comes before r serves, and panics when the service
// is registered already. The methods are safe for concurrent use, and every error
// of theirs is a Status with an ErrorInfo (ERR-02).
func Register(r grpc.ServiceRegistrar, svc *longrun.Service, o Options) {
	longrunningpb.RegisterOperationsServer(r, &server{svc: svc, opts: o, faults: newFaults(svc, o.Log)})
}

// server is google.longrunning.Operations on the verbs of a Service.
type server struct {
	svc    *longrun.Service
	opts   Options
	faults *faults
}

var _ longrunningpb.OperationsServer = (*server)(nil)

// GetOperation returns the latest state (GET-01).
func (s *server) GetOperation(ctx context.Context, r *longrunningpb.GetOperationRequest) (_ *longrunningpb.Operation, err error) {
	defer s.faults.leave(longrunningpb.Operations_GetOperation_FullMethodName, &err)
	name, err := longrun.ParseName(r.GetName())
	if err != nil {
		return nil, err
	}
	m, err := s.masked(ctx, longrun.VerbGet, name, (*longrunningpb.Operation)(nil))
	if err != nil {
		return nil, err
	}
	op, err := s.svc.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	return prune(s, m, s.render(ctx, op))
}

// ListOperations returns a page of the operations under a parent (LST-02).
func (s *server) ListOperations(ctx context.Context, r *longrunningpb.ListOperationsRequest) (_ *longrunningpb.ListOperationsResponse, err error) {
	defer s.faults.leave(longrunningpb.Operations_ListOperations_FullMethodName, &err)
	if s.opts.NoList {
		return nil, off
	}
	list := longrun.ListRequest{Parent: r.GetName(), Filter: r.GetFilter(), PageSize: int(r.GetPageSize()), PageToken: r.GetPageToken()}
	reply := &longrunningpb.ListOperationsResponse{}
	m, wrong := s.readMask(ctx, reply)
	if wrong != nil || r.GetReturnPartialSuccess() {
		// Only List knows who may ask here and what is a valid request, and both
		// come before what is not implemented. The page is thrown away.
		list.PageSize = min(list.PageSize, 1)
	}
	page, err := s.svc.List(ctx, list)
	switch {
	case err != nil:
		return nil, err
	case wrong != nil:
		return nil, wrong
	case r.GetReturnPartialSuccess():
		return nil, &longrun.Error{Code: codes.Unimplemented, Reason: longrun.ReasonPartialSuccess, Verb: "list",
			Field: "return_partial_success", Msg: "return_partial_success is not supported"}
	}
	reply.NextPageToken = page.NextPageToken
	for _, op := range page.Operations {
		reply.Operations = append(reply.Operations, s.svc.Proto(op))
	}
	return prune(s, m, reply)
}

// CancelOperation asks the operation to stop and returns at once (CAN-01).
func (s *server) CancelOperation(ctx context.Context, r *longrunningpb.CancelOperationRequest) (_ *emptypb.Empty, err error) {
	defer s.faults.leave(longrunningpb.Operations_CancelOperation_FullMethodName, &err)
	if s.opts.NoCancel {
		return nil, off
	}
	name, err := longrun.ParseName(r.GetName())
	if err != nil {
		return nil, err
	}
	if _, err := s.masked(ctx, longrun.VerbCancel, name, (*emptypb.Empty)(nil)); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, s.svc.Cancel(ctx, name)
}

// DeleteOperation forgets the operation and lets its work go on (DEL-01, DEL-02).
func (s *server) DeleteOperation(ctx context.Context, r *longrunningpb.DeleteOperationRequest) (_ *emptypb.Empty, err error) {
	defer s.faults.leave(longrunningpb.Operations_DeleteOperation_FullMethodName, &err)
	if s.opts.NoDelete {
		return nil, off
	}
	name, err := longrun.ParseName(r.GetName())
	if err != nil {
		return nil, err
	}
	if _, err := s.masked(ctx, longrun.VerbDelete, name, (*emptypb.Empty)(nil)); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, s.svc.Delete(ctx, name)
}
