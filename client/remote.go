package client

import (
	"context"
	"reflect"
	"sync"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// remote is an operation on a server, without its types: what is known of it, and
// how to ask. It is safe for concurrent use.
type remote struct {
	ops  longrunningpb.OperationsClient // nil: no connection
	name string

	mu sync.Mutex               // guards op
	op *longrunningpb.Operation // replaced, never changed
}

func (r *remote) init(cc grpc.ClientConnInterface, op *longrunningpb.Operation) {
	if !isNil(cc) {
		r.ops = longrunningpb.NewOperationsClient(cc)
	}
	r.name, r.op = op.GetName(), op
}

// isNil reports whether cc is nil or a nil pointer, such as a *grpc.ClientConn whose
// NewClient failed.
func isNil(cc grpc.ClientConnInterface) bool {
	v := reflect.ValueOf(cc)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

func (r *remote) latest() *longrunningpb.Operation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.op
}

// adopt takes over an answer. What was done stays so: a slower answer to an earlier
// question cannot undo it (OP-16).
func (r *remote) adopt(op *longrunningpb.Operation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.op.GetDone() {
		r.op = op
	}
}

// reachable returns an error if the server cannot be asked about the operation.
func (r *remote) reachable() error {
	switch {
	case r.name == "":
		return status.Error(codes.InvalidArgument, "operation has no name")
	case r.ops == nil:
		return status.Errorf(codes.FailedPrecondition, "operation %q: no connection", r.name)
	}
	return nil
}

// unstored reports whether the operation was answered at once and never stored
// (VAL-03), so that there is nothing to cancel or to delete.
func (r *remote) unstored() bool { return r.name == "" && r.latest().GetDone() }

func (r *remote) poll(ctx context.Context, opts []grpc.CallOption) error {
	if err := r.reachable(); err != nil {
		return err
	}
	op, err := r.ops.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: r.name}, opts...)
	if err != nil {
		return err
	}
	r.adopt(op)
	return nil
}

func (r *remote) cancel(ctx context.Context, opts []grpc.CallOption) error {
	if r.unstored() {
		return nil
	}
	if err := r.reachable(); err != nil {
		return err
	}
	_, err := r.ops.CancelOperation(ctx, &longrunningpb.CancelOperationRequest{Name: r.name}, opts...)
	return err
}

func (r *remote) delete(ctx context.Context, opts []grpc.CallOption) error {
	if r.unstored() {
		return nil
	}
	if err := r.reachable(); err != nil {
		return err
	}
	_, err := r.ops.DeleteOperation(ctx, &longrunningpb.DeleteOperationRequest{Name: r.name}, opts...)
	return err
}
