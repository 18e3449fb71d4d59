package longrun

import (
	"context"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Run is one run of a handler, for the handler. Its methods are safe for
// concurrent use, and of no use after the handler has returned.
type Run[Meta proto.Message] struct{ t *Task }

// AnyRun is a *Run of any Meta, for helpers and interceptors that do not care. What
// its methods return is said at those of Run.
type AnyRun interface {
	Name() Name
	Method() string
	Caller() string
	Attempt() int64
	Deadline() (time.Time, bool)
	Trusted() bool
	task() *Task
}

func (r *Run[Meta]) task() *Task { return r.t }

// Name returns the operation's name.
func (r *Run[Meta]) Name() Name { return r.t.op.Name() }

// Method returns what started the operation: a full gRPC method or a short word.
func (r *Run[Meta]) Method() string { return r.t.op.Method }

// Deadline returns when the runs of the operation must have ended, by the store's
// clock (Method.ExecutionTimeout), and whether there is such a time. The handler's
// ctx has no deadline of its own: it ends then, with the cause ErrDeadline.
func (r *Run[Meta]) Deadline() (time.Time, bool) {
	return r.t.op.DeadlineTime, !r.t.op.DeadlineTime.IsZero()
}

// Attempt returns which attempt this run is, from 1. It never repeats for one
// operation: use it as the fence of what the run writes elsewhere.
func (r *Run[Meta]) Attempt() int64 { return r.t.op.Claim.Attempt }

// Caller returns who started the operation.
func (r *Run[Meta]) Caller() string { return r.t.op.Caller }

// Trusted reports whether this process may still believe that nobody else runs
// the operation. It is false when the store was not heard for a session's TTL;
// the run goes on, and may look here before it does what must not be done twice.
func (r *Run[Meta]) Trusted() bool { return r.t.trusted() }

// Metadata returns a copy of the metadata as last written by this or an earlier
// run or by the starter, without what an earlier run has noted by FailRequest; an
// empty message where there is none of the type.
func (r *Run[Meta]) Metadata() Meta { return r.t.current(newMessage[Meta]()).(Meta) }

// Progress replaces the metadata. It is saved soon, the latest wins, and the last
// one is saved together with the run's end. What the starter has set is kept, and so is
// what Warn and FailRequest have noted, where m has none of it: who counts need not know
// who notes.
func (r *Run[Meta]) Progress(m Meta) {
	copied := proto.Clone(present(m))
	r.t.edit(newMessage[Meta](), func(before proto.Message) proto.Message {
		keepNoted(copied.ProtoReflect(), before.ProtoReflect())
		return copied
	})
}

// keepNoted moves what Warn and FailRequest have noted from before, which nobody needs
// any more, to m.
func keepNoted(m, before protoreflect.Message) {
	for _, field := range []protoreflect.FieldDescriptor{warningsOf(m), failedRequests(m)} {
		if field != nil && !m.Has(field) && before.Has(field) {
			m.Set(field, before.Get(field))
		}
	}
}

// Update changes the metadata in place: as Progress of what f makes of Metadata.
// f must not keep its argument.
func (r *Run[Meta]) Update(f func(Meta)) {
	r.t.edit(newMessage[Meta](), func(m proto.Message) proto.Message {
		next := proto.Clone(m).(Meta)
		f(next)
		return next
	})
}

// Warn adds an error that does not end the operation to the metadata's warnings
// (OP-18): to the first 100, in OperationMetadata and in every message that has a
// field "repeated google.rpc.Status warnings". Other metadata has no place for it,
// and Warn then reports false.
func (r *Run[Meta]) Warn(st *status.Status) bool {
	field := warningsOf(newMessage[Meta]().ProtoReflect())
	if field == nil {
		return false
	}
	r.t.edit(newMessage[Meta](), func(m proto.Message) proto.Message {
		next := proto.Clone(m)
		list := next.ProtoReflect().Mutable(field).List()
		if list.Len() < MaxWarnings {
			v := list.NewElement()
			proto.Merge(v.Message().Interface(), st.Proto())
			list.Append(v)
		}
		return next
	})
	return true
}

// warningsOf returns m's field "repeated google.rpc.Status warnings", and nil where it has
// none.
func warningsOf(m protoreflect.Message) protoreflect.FieldDescriptor {
	f := m.Descriptor().Fields().ByName("warnings")
	if f == nil || !f.IsList() || f.Message() == nil || f.Message().FullName() != "google.rpc.Status" {
		return nil
	}
	return f
}

// Step runs f once in the life of the operation: when it returns nil, that is
// remembered before Step returns, and later runs skip it. A crash in between
// runs it again: what is remembered is one result, and what f does happens at least
// once. Keys are chosen by the handler, at most 256 bytes, one for each step; the order
// of steps is free. f's error is returned and not remembered. When ctx has ended, f is
// not begun, and the error is the cause; one that was begun is remembered all the same.
// It costs one write; docs/steps.md says how to choose steps.
func (r *Run[Meta]) Step(ctx context.Context, key string, f func(context.Context) error) error {
	_, err := r.t.step(ctx, key, func(ctx context.Context) ([]byte, error) { return []byte{}, f(ctx) })
	return err
}

// StepResult is Run.Step for a step with a result, at most 256 KiB: later runs
// get what the first has returned.
func StepResult[T proto.Message](ctx context.Context, r AnyRun, key string, f func(context.Context) (T, error)) (T, error) {
	var zero T
	body, err := r.task().step(ctx, key, func(ctx context.Context) ([]byte, error) {
		m, err := f(ctx)
		if err != nil {
			return nil, err
		}
		return proto.MarshalOptions{Deterministic: true}.Marshal(m)
	})
	if err != nil {
		return zero, err
	}
	m := newMessage[T]()
	return m, proto.Unmarshal(body, m)
}
