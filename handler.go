package longrun

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// A Method is a kind of operation: what it is called, the types of its request,
// response and metadata, and how its runs are treated. A *anypb.Any for one of
// the types promises none: the payload is packed as it is.
//
// The same Method is used to handle, to start and to read. A Method without
// types, for work that another process does, is Method[*anypb.Any, *anypb.Any,
// *longrunpb.OperationMetadata].
type Method[Req, Resp, Meta proto.Message] struct {
	// Name is a full gRPC method, "/pkg.Service/Method", or a short word.
	Name string
	// Parent gives the resource that the operation lives under, a pure function
	// of the request. Nil means StartOptions.Parent.
	Parent func(Req) string
	// ConflictKey gives a key of which only one operation is claimed at a time;
	// "" for none. Nil means StartOptions.ConflictKey.
	ConflictKey func(Req) string
	// OnConflict says what happens when the key is held. Zero means Queue.
	OnConflict ConflictPolicy
	// ExecutionTimeout is how long all runs together may take, from the first
	// claim. Zero means for ever.
	ExecutionTimeout time.Duration
	// MaxFailures is how many runs may fail before the operation does. Zero
	// means 20.
	MaxFailures int
	// AtMostOnce says that a run that was lost is never repeated: the operation
	// ends ABORTED instead.
	AtMostOnce bool
	// RetryOn are the codes, beside UNAVAILABLE, after which a run is repeated.
	RetryOn []codes.Code
}

// Response returns the response of a succeeded operation, and the error of one
// that has failed or was cancelled, as a Status. One that is not done is an error.
func (m Method[Req, Resp, Meta]) Response(op *Operation) (Resp, error) {
	var zero Resp
	switch op.State {
	case Succeeded:
		return unpack[Resp](op.Response)
	case Failed, Cancelled:
		return zero, status.ErrorProto(op.Error)
	}
	return zero, &Error{Code: codes.Unavailable, Reason: ReasonUnavailable, Verb: "read", Name: op.Name(), Msg: "operation is not done"}
}

// Metadata returns the metadata as the starter and the runs have written it; an
// empty message where they have written none.
func (m Method[Req, Resp, Meta]) Metadata(op *Operation) (Meta, error) {
	if op.Metadata == nil {
		return newMessage[Meta](), nil
	}
	return unpack[Meta](op.Metadata)
}

// Handle registers the handler of a method: svc's runners in this process will
// run it. It panics when the method has a handler already or a wrong option, and
// when handler is nil, like http.Handle. Register before runners run.
//
// The handler's ctx ends when the run must stop, with a cause: ErrCancelled,
// ErrPreempted, ErrDeadline, ErrDraining or ErrClaimLost. It returns a response
// or an error: a Status is kept whole, UNAVAILABLE is tried again, RetryAfter
// asks for another run, anything else ends as INTERNAL and goes to the log. A run
// may repeat after a crash: use Run.Step, or make the work idempotent.
func Handle[Req, Resp, Meta proto.Message](svc *Service, m Method[Req, Resp, Meta], handler func(context.Context, Req, *Run[Meta]) (Resp, error)) {
	svc.register(m.Name, func(e *method) error {
		switch {
		case handler == nil:
			return errors.New("has a nil handler")
		case e.handle != nil:
			return errors.New("is handled already")
		}
		e.begun = func(t *Task) AnyRun { return &Run[Meta]{t: t} }
		e.handle = func(ctx context.Context, req proto.Message, run AnyRun) (proto.Message, error) {
			r, ok := req.(Req)
			if !ok {
				return nil, fmt.Errorf("request is a %T, and the handler takes a %T", req, r)
			}
			resp, err := handler(ctx, r, &Run[Meta]{t: run.task()})
			if err != nil {
				return nil, err
			}
			return present(resp), nil
		}
		if failedRequests(newMessage[Meta]().ProtoReflect()) != nil {
			e.handle = batch(e.handle)
		}
		return m.describe(e)
	})
}

// Begin registers the hook of the moment of starting: it runs in the starting
// call, after the request id was found new and before anything is stored, also
// for a ValidateOnly start. Its error is the starting call's, and nothing is
// stored (OP-19). It panics when the method has a hook already or a wrong option, and
// when hook is nil.
func Begin[Req, Resp, Meta proto.Message](svc *Service, m Method[Req, Resp, Meta], hook func(context.Context, Req, *Draft) error) {
	svc.register(m.Name, func(e *method) error {
		switch {
		case hook == nil:
			return errors.New("has a nil Begin hook")
		case e.begin != nil:
			return errors.New("has a Begin hook already")
		}
		e.begin = func(ctx context.Context, req proto.Message, d *Draft) error {
			r, ok := req.(Req)
			if !ok {
				return fmt.Errorf("request is a %T, and the hook takes a %T", req, r)
			}
			return hook(ctx, r, d)
		}
		return m.describe(e)
	})
}

// Declare makes a method known to svc without handling it: for a process that starts
// operations whose runners are elsewhere. Starts of it by name, such as those of
// package dispatch, are then held to its types, its Parent and its policy, and so are
// the workers that end its runs (OP-06). It may be called again, and before and after
// Handle and Begin of the same method: the latest of all of them says what the policy
// is. It panics when the method has a wrong option, or is known with other types.
func Declare[Req, Resp, Meta proto.Message](svc *Service, m Method[Req, Resp, Meta]) {
	svc.register(m.Name, m.describe)
}

// method is what a Service knows of a Method. It is not changed once it is known.
type method struct {
	name        string
	request     protoreflect.FullName
	promise     Promise
	handle      Handler            // nil: handled elsewhere
	begun       func(*Task) AnyRun // nil: handled elsewhere
	begin       func(context.Context, proto.Message, *Draft) error
	decode      func(*anypb.Any) (proto.Message, error)
	parent      func(proto.Message) string
	conflictKey func(proto.Message) string
	metadata    func() proto.Message // an empty one; nil: of any type
	policy      policy
}

// policy is how runs of a method are treated.
type policy struct {
	onConflict       ConflictPolicy
	executionTimeout time.Duration
	maxFailures      int
	atMostOnce       bool
	retryOn          []codes.Code
}

func (m Method[Req, Resp, Meta]) policy() policy {
	return policy{m.OnConflict, m.ExecutionTimeout, m.MaxFailures, m.AtMostOnce, slices.Clone(m.RetryOn)}
}

// describe fills in what handling and starting share.
func (m Method[Req, Resp, Meta]) describe(e *method) error {
	request, promise := nameOf[Req](), m.promise()
	if e.decode != nil && (e.request != request || e.promise != promise) {
		return errors.New("is known with other types already")
	}
	e.request, e.promise, e.policy = request, promise, m.policy()
	e.decode = func(a *anypb.Any) (proto.Message, error) { return unpack[Req](a) }
	if meta := newMessage[Meta](); !isAny(meta) {
		e.metadata = func() proto.Message { return newMessage[Meta]() }
	}
	if m.Parent != nil {
		e.parent = func(req proto.Message) string { return m.Parent(req.(Req)) }
	}
	if m.ConflictKey != nil {
		e.conflictKey = func(req proto.Message) string { return m.ConflictKey(req.(Req)) }
	}
	return m.check()
}

// promise is of the types that m has.
func (m Method[Req, Resp, Meta]) promise() Promise {
	return Promise{Response: promised(nameOf[Resp]()), Metadata: promised(nameOf[Meta]())}
}

func (m Method[Req, Resp, Meta]) check() error {
	switch {
	case m.ExecutionTimeout < 0 || m.ExecutionTimeout > MaxExecutionTimeout:
		return errors.New("has an ExecutionTimeout out of range")
	case m.MaxFailures < 0 || m.MaxFailures > MaxFailuresLimit:
		return errors.New("has MaxFailures out of range")
	case !m.OnConflict.Valid():
		return errors.New("has an unknown OnConflict")
	}
	return checkMethod(m.Name)
}

func (s *Service) register(name string, fill func(*method) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := method{name: name}
	if known := s.methods[name]; known != nil {
		e = *known // which calls may be reading
	}
	if err := fill(&e); err != nil {
		panic(fmt.Sprintf("longrun: method %q: %v", name, err))
	}
	s.methods[name] = &e
	s.filters = nil // it knows the messages of all methods
}

func (s *Service) method(name string) *method {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.methods[name]
}
