package longrun

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// StartOptions says how an operation is started. The zero StartOptions starts a
// new operation under no parent.
type StartOptions struct {
	// Parent is the resource that the operation lives under. Where there is a
	// Method.Parent it may be left out, and must not be another one.
	Parent string
	// RequestID makes a repeated start return the same operation (AIP-155): a
	// UUID4. Ids count per parent and method, for as long as the operation is
	// kept. Empty means no such protection.
	RequestID string
	// ValidateOnly checks everything and stores nothing (AIP-163): the operation
	// that comes back is done, with an empty response and no name (VAL-03).
	ValidateOnly bool
	// ConflictKey and OnConflict: see Method. A key here is used instead of
	// Method.ConflictKey's, together with OnConflict.
	ConflictKey string
	OnConflict  ConflictPolicy
	// Target, Verb and APIVersion are shown in the metadata (OP-25).
	Target, Verb, APIVersion string
	// Labels, at most 64, are for filters (AIP-148).
	Labels map[string]string
	// Metadata is the first metadata. Nil means an empty message of the method's
	// type, and OperationMetadata where it has none.
	Metadata proto.Message
	// In starts the operation inside a transaction of the author's: it is
	// durable when that commits, and Service.Wake or the next poll finds it.
	// Nil means the service's store.
	In Creator
}

// StartRequest asks for an operation whose method may be unknown to this
// process. Of a method that is known (Handle, Begin), the request must be of its
// type, its hook runs, and zero options are taken from it.
type StartRequest struct {
	StartOptions
	// Method is a full gRPC method or a short word.
	Method string
	// Request is what the handler gets. Nil is an empty message.
	Request *anypb.Any
	// ExecutionTimeout, MaxFailures, AtMostOnce: see Method.
	ExecutionTimeout time.Duration
	MaxFailures      int
	AtMostOnce       bool
	// Session, if set, creates the operation claimed by this session as attempt
	// 1, by its call number Call, and offers it to nobody else. It implies
	// AtMostOnce and excludes a conflict key.
	Session SessionID
	Call    int64

	message proto.Message // Request, decoded
	within  string        // the path of message in what the caller has sent: "" or "request."
	policy  *policy       // of a Method value
	parent  func(proto.Message) string
	key     func(proto.Message) string
	promise Promise
}

// Start starts an operation of m. The same request id again returns the same
// operation, whatever has become of it (IDM-01, IDM-02); with another request it
// is INVALID_ARGUMENT (IDM-04), and so is a request that lacks a field whose
// google.api.field_behavior is REQUIRED (AIP-203), with a BadRequest that names it.
// When Start returns, the operation is on disk.
// ctx limits this call alone: it never reaches the run.
func Start[Req, Resp, Meta proto.Message](ctx context.Context, svc *Service, m Method[Req, Resp, Meta], req Req, o StartOptions) (*Operation, error) {
	if err := m.check(); err != nil {
		return nil, svc.fault("start", Name{}, &Error{Code: codes.Internal, Reason: ReasonInternal, Msg: "method " + err.Error()})
	}
	body, err := pack(req)
	if err != nil {
		return nil, svc.fault("start", Name{}, &Error{Code: codes.InvalidArgument, Reason: ReasonInvalidField, Field: "request", Msg: "request cannot be encoded", Err: err})
	}
	p := m.policy()
	r := StartRequest{StartOptions: o, Method: m.Name, Request: body, message: present(req), policy: &p, promise: m.promise()}
	if m.Parent != nil {
		r.parent = func(req proto.Message) string { return m.Parent(req.(Req)) }
	}
	if m.ConflictKey != nil {
		r.key = func(req proto.Message) string { return m.ConflictKey(req.(Req)) }
	}
	return svc.Start(ctx, r)
}

// Wait waits for the operation, over and over, until it is done or ctx ends, and
// returns its response or its error.
func Wait[Req, Resp, Meta proto.Message](ctx context.Context, svc *Service, m Method[Req, Resp, Meta], name Name) (Resp, error) {
	var zero Resp
	for {
		op, err := svc.Wait(ctx, name, MaxWait)
		switch {
		case err == nil && op.State.Done():
			return m.Response(op)
		case ctx.Err() != nil:
			return zero, svc.fault("wait", name, ctx.Err())
		case err != nil:
			return zero, err
		}
		if svc.hub.isDraining() {
			return zero, svc.fault("wait", name, &Error{Code: codes.Unavailable, Reason: ReasonUnavailable, Msg: "the service is stopping", Delay: time.Second})
		}
	}
}

// Start starts an operation by the name of its method. See the function Start.
func (s *Service) Start(ctx context.Context, r StartRequest) (*Operation, error) {
	op, err := s.start(ctx, r)
	return op, s.fault("start", Name{}, err)
}

// start goes in this order: parse enough to find the parent, authorize, validate,
// required fields, look for the request id, ask the hook, create.
func (s *Service) start(ctx context.Context, r StartRequest) (*Operation, error) {
	malformed := s.complete(&r)
	if err := s.authorizeParent(ctx, VerbStart, r.Parent, Name{}); err != nil {
		return nil, err
	}
	if err := cmp.Or(malformed, r.validate(), r.required(), checkCaller(CallerOf(ctx))); err != nil {
		return nil, err
	}
	op := s.newOperation(ctx, &r)
	if earlier, err := s.earlier(ctx, op); earlier != nil || err != nil {
		return s.replay(op, earlier, err, r)
	}
	d := &Draft{
		Target: r.Target, Verb: r.Verb, APIVersion: r.APIVersion, ConflictKey: r.ConflictKey, OnConflict: r.OnConflict,
		Labels: maps.Clone(r.Labels), Metadata: r.Metadata, name: op.Name(), promise: r.promise.Metadata, validateOnly: r.ValidateOnly,
	}
	if d.Labels == nil {
		d.Labels = map[string]string{}
	}
	if d.Metadata != nil {
		d.Metadata = proto.Clone(present(d.Metadata))
	}
	if m := s.method(r.Method); m != nil && m.begin != nil {
		if err := m.begin(ctx, r.message, d); err != nil {
			return nil, err
		}
	}
	if err := d.apply(op); err != nil {
		return nil, err
	}
	stored, err := s.create(ctx, r, NewOperation{Operation: op, Write: d.write(), DryRun: r.ValidateOnly})
	if errors.Is(err, ErrExists) {
		return s.replay(op, stored, nil, r)
	}
	if err != nil {
		return nil, err
	}
	if r.ValidateOnly {
		return &Operation{Method: op.Method, State: Succeeded, Response: emptyAny(r.promise.Response)}, nil
	}
	if r.In == nil {
		s.hub.changed(stored)
	}
	return stored, nil
}

// newOperation is the record that r asks for, before the hook has seen it.
func (s *Service) newOperation(ctx context.Context, r *StartRequest) *Operation {
	op := &Operation{
		ID: NewID(), Parent: r.Parent, Method: r.Method, Request: r.Request,
		AtMostOnce: r.AtMostOnce, ExecutionTimeout: r.ExecutionTimeout, MaxFailures: r.MaxFailures, Retention: s.opts.Retention,
		RequestID: r.RequestID, Caller: CallerOf(ctx), TraceParent: TraceParentOf(ctx),
	}
	if op.RequestID != "" {
		op.RequestHash = r.hash()
	}
	if !r.Session.IsZero() {
		op.Claim = Claim{Session: r.Session, Call: r.Call}
		op.Pinned, op.AtMostOnce = true, true
	}
	return op
}

// earlier returns the operation that was started by the same request.
func (s *Service) earlier(ctx context.Context, op *Operation) (*Operation, error) {
	if op.RequestID == "" {
		return nil, nil
	}
	page, err := s.store.List(ctx, Query{Parent: op.Parent, Method: op.Method, RequestID: op.RequestID, Limit: 1})
	if err != nil || len(page.Operations) == 0 {
		return nil, err
	}
	return page.Operations[0], nil
}

// replay answers a start whose request id is known.
func (s *Service) replay(op, earlier *Operation, err error, r StartRequest) (*Operation, error) {
	switch {
	case err != nil:
		return nil, err
	case earlier.RequestHash != op.RequestHash:
		return nil, &Error{Code: codes.InvalidArgument, Reason: ReasonRequestIDReused, Field: "request_id",
			Msg: "request_id was used for another request"}
	case !r.Session.IsZero() && earlier.Claim.Session != r.Session:
		return nil, &Error{Code: codes.Aborted, Reason: ReasonClaimLost, Name: earlier.Name(), Msg: "the operation is another session's", Err: ErrClaimLost}
	case r.ValidateOnly:
		return &Operation{Method: op.Method, State: Succeeded, Response: emptyAny(r.promise.Response)}, nil
	}
	return earlier, nil
}

// hash is of what a request id stands for: the request, without the fields by
// which AIP-155 and AIP-163 say how it is sent. Of a method that is known here it does not
// matter how a client has encoded the request: maps have no order.
func (r *StartRequest) hash() [32]byte {
	body := r.Request.GetValue()
	if r.message != nil && !isAny(r.message) {
		if b, err := (proto.MarshalOptions{Deterministic: true}).Marshal(withoutRequestID(r.message)); err == nil {
			body = b
		}
	}
	h := sha256.New()
	h.Write([]byte(r.Request.GetTypeUrl()))
	h.Write([]byte{0})
	h.Write(body)
	return [32]byte(h.Sum(nil))
}

// withoutRequestID returns a copy of m without request_id and validate_only, and
// m itself where it has neither.
func withoutRequestID(m proto.Message) proto.Message {
	fields := m.ProtoReflect().Descriptor().Fields()
	var drop []protoreflect.FieldDescriptor
	for _, name := range []protoreflect.Name{"request_id", "validate_only"} {
		if f := fields.ByName(name); f != nil {
			drop = append(drop, f)
		}
	}
	if drop == nil {
		return m
	}
	bare := proto.Clone(m)
	for _, f := range drop {
		bare.ProtoReflect().Clear(f)
	}
	return bare
}
