package dispatch

import (
	"context"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// AuthorizeCall says for package httpapi whether the caller may make a call whose
// request is faulty: that comes before what is wrong with it (AUT-02). Without a name
// that can be read there is nothing to ask about, and nil.
func (s *server) AuthorizeCall(ctx context.Context, _ string, r any) (err error) {
	defer s.inDomain(&err)
	switch r := r.(type) {
	case *longrunpb.StartOperationRequest:
		return s.svc.Authorize(ctx, longrun.VerbStart, r.GetParent())
	case interface{ GetName() string }: // about a run
		name, err := longrun.ParseName(r.GetName())
		if err != nil {
			return nil // the request is refused for it, or for what else is wrong
		}
		return s.svc.Authorize(ctx, longrun.VerbWork, name.Parent)
	}
	return s.svc.Authorize(ctx, longrun.VerbWork, "")
}
