package client

import (
	"context"
	"errors"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// ErrNoMetadata is returned by Metadata while nothing is known: the server has
// sent no metadata, or the operation was resumed and has not been asked for yet.
// Poll, and look again.
var ErrNoMetadata = errors.New("operation has no metadata")

// An Operation follows one operation that runs elsewhere. It holds what the server
// answered last, and asks again when it is told to. Resp and Meta are the types
// that the starting method promises, such as *librarypb.ImportBooksResponse.
// *anypb.Any promises none: what was packed is returned as it is. An interface
// type, such as proto.Message, stands for any type that is linked in.
//
// Make one with New or Resume. It is safe for concurrent use: of several answers
// the one that came last counts, and one that says "done" counts for good.
// Messages that it returns are the caller's own.
type Operation[Resp, Meta proto.Message] struct {
	remote remote
}

// New returns a handle on op, which the starting method has just returned over cc
// or another connection to the same service. It calls nobody. It keeps op, which
// must not change any more.
//
// A done op needs neither a name nor a connection (VAL-03): its result is there.
// Otherwise a nil cc makes the methods that would call the server return
// FAILED_PRECONDITION, and a missing name INVALID_ARGUMENT; a nil op is an
// operation without a name.
func New[Resp, Meta proto.Message](cc grpc.ClientConnInterface, op *longrunningpb.Operation) *Operation[Resp, Meta] {
	o := &Operation[Resp, Meta]{}
	o.remote.init(cc, op)
	return o
}

// Resume returns a handle on the operation with this name, started by whoever, in
// this process or another. It calls nobody, so that it does not know yet whether
// there is such an operation: Done is false until Poll or Wait has asked.
//
// A nil cc and an empty name are as with New.
func Resume[Resp, Meta proto.Message](cc grpc.ClientConnInterface, name string) *Operation[Resp, Meta] {
	return New[Resp, Meta](cc, &longrunningpb.Operation{Name: name})
}

// Name returns the operation's name as it was first heard. It never changes, and is
// all that Resume needs. It is empty where a validate_only request was answered at
// once (VAL-03).
func (o *Operation[Resp, Meta]) Name() string { return o.remote.name }

// Done reports whether the last answer said that the operation has ended. It calls
// nobody. After an error of Poll or Wait it tells whose error that is: if Done, the
// operation's own, or of its result; if not, of the call.
func (o *Operation[Resp, Meta]) Done() bool { return o.remote.latest().GetDone() }

// Metadata returns the metadata of the last answer; it calls nobody. The error is
// ErrNoMetadata where there is none, and INTERNAL where it is not a Meta, naming
// both types.
func (o *Operation[Resp, Meta]) Metadata() (Meta, error) {
	var none Meta
	md := o.remote.latest().GetMetadata()
	if md == nil {
		return none, ErrNoMetadata
	}
	return unpack[Meta](md, "metadata", o.remote.name)
}

// Poll asks for the latest state once. It returns
//
//   - the response, if the operation has succeeded;
//   - the operation's own error, if it has failed or was cancelled: its Status with
//     all details, for status.FromError. CANCELLED is codes.Canceled;
//   - a zero Resp and no error, if it has not ended: Done tells this from a response;
//   - the error of the call, if that failed. The last state stays known.
//
// A done operation is not asked for again. One that is done but has no result, or an
// error whose code is OK, or a response that is not a Resp (both types are named),
// is INTERNAL, never a success.
func (o *Operation[Resp, Meta]) Poll(ctx context.Context, opts ...grpc.CallOption) (Resp, error) {
	var none Resp
	if o.Done() {
		return o.result()
	}
	if err := o.remote.poll(ctx, opts); err != nil {
		return none, err
	}
	if !o.Done() {
		return none, nil
	}
	return o.result()
}

// Wait blocks until the operation has ended and returns its result, as Poll does,
// or until ctx ends. It asks by WaitOperation, again and again; where the server has
// none it polls GetOperation, at a pace that grows to 20 seconds, or the one that
// the server asks for by "retry-after" (POL-02).
//
// It waits through UNAVAILABLE, a server that is killed and begun again, and calls
// that take too long (DEADLINE_EXCEEDED), with growing pauses, not shorter than the
// server asks for. So an address where no server has ever been ends only with ctx.
// Every other error of a call is returned at once, NOT_FOUND for an operation that
// was deleted or has expired.
//
// When ctx ends first the error wraps ctx.Err() and its cause, has the code CANCELLED
// or DEADLINE_EXCEEDED, and says what the last call failed with. The operation goes
// on; Wait may be called again.
//
// opts are for each call. Deadlines of single calls are Wait's own.
func (o *Operation[Resp, Meta]) Wait(ctx context.Context, opts ...grpc.CallOption) (Resp, error) {
	if err := o.remote.wait(ctx, opts); err != nil {
		var none Resp
		return none, err
	}
	return o.result()
}

// Cancel asks the server to cancel the operation. It returns when the server has
// heard, not when the work has stopped: Wait then gives CANCELLED, or whatever came
// first (CAN-02). To cancel an operation that is done is no error; one without a
// name is not asked about. UNIMPLEMENTED means that the service cancels nothing.
func (o *Operation[Resp, Meta]) Cancel(ctx context.Context, opts ...grpc.CallOption) error {
	return o.remote.cancel(ctx, opts)
}

// Delete tells the server that nobody needs the operation any more. It does not
// stop the work (DEL-02). Afterwards the server knows no such name: a Wait that goes
// on gives NOT_FOUND, and so does a second Delete. A done operation without a name
// was never stored, and is not asked about. UNIMPLEMENTED means that the service
// deletes nothing by request.
func (o *Operation[Resp, Meta]) Delete(ctx context.Context, opts ...grpc.CallOption) error {
	return o.remote.delete(ctx, opts)
}
