package dispatch_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/dispatch"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/longrunpb"
)

// AUT-02: who may not do it learns nothing of what else is wrong with the call.
func TestAuthorize_BeforeValidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faulty{Store: inmem.New()}
		t.Cleanup(func() { store.Close() })
		deny := func(context.Context, longrun.Verb, string) error { return errors.New("not this one") }
		x := serve(t, store, longrun.Options{Authorize: deny}, dispatch.Options{})

		errs := x.everyCall("no token", longrun.Name{ID: longrun.NewID()}.String())
		_, errs["open"] = x.OpenSession(x.ctx, &longrunpb.OpenSessionRequest{Worker: string(make([]byte, 1000))})
		_, errs["start"] = x.StartOperation(x.ctx, &longrunpb.StartOperationRequest{Method: "", MaxFailures: -1})
		for call, err := range errs {
			if got := status.Code(err); got != codes.PermissionDenied {
				t.Errorf("%s = %v, want PERMISSION_DENIED", call, err)
			}
		}
	})
}
