package grpcapi

import (
	"context"
	"errors"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"

	"github.com/longrun-dev/longrun"
)

// denied returns why the caller may not do this to an operation, as the verb itself
// says it (AUT-03); nil if he may.
func (s *server) denied(ctx context.Context, verb longrun.Verb, name longrun.Name) error {
	err := s.svc.Authorize(ctx, verb, name.Parent)
	if e, ok := errors.AsType[*longrun.Error](err); ok {
		about := *e
		about.Name = name
		return &about
	}
	return err
}

// AuthorizeCall says for package httpapi whether the caller may make a call whose
// request is faulty: that comes before what is wrong with it (AUT-02). Without a name
// that can be read there is nothing to ask about, and nil.
func (s *server) AuthorizeCall(ctx context.Context, method string, r any) (err error) {
	defer s.faults.leave(method, &err)
	switch r := r.(type) {
	case *longrunningpb.GetOperationRequest:
		return s.deniedByName(ctx, longrun.VerbGet, r.GetName())
	case *longrunningpb.CancelOperationRequest:
		return s.deniedByName(ctx, longrun.VerbCancel, r.GetName())
	case *longrunningpb.DeleteOperationRequest:
		return s.deniedByName(ctx, longrun.VerbDelete, r.GetName())
	case *longrunningpb.WaitOperationRequest:
		return s.deniedByName(ctx, longrun.VerbWait, r.GetName())
	case *longrunningpb.ListOperationsRequest:
		parent, err := longrun.ParseListParent(r.GetName())
		if err != nil {
			return nil // the request is refused for it, or for what else is wrong
		}
		return s.svc.Authorize(ctx, longrun.VerbList, parent)
	}
	return nil
}

func (s *server) deniedByName(ctx context.Context, verb longrun.Verb, text string) error {
	name, err := longrun.ParseName(text)
	if err != nil {
		return nil // the request is refused for it, or for what else is wrong
	}
	return s.denied(ctx, verb, name)
}
