package longrun

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/longrun-dev/longrun/longrunpb"
)

// Metadata has three owners. The engine owns the times, state, attempt, method
// and requested_cancellation, and fills them in whenever an operation is shown.
// The starter owns target, verb, api_version and the labels; they are kept
// through whatever a run writes. The rest is the handler's.

// firstMetadata is what an operation is stored with; nil where the starter has
// said nothing.
func firstMetadata(d *Draft) (*anypb.Any, error) {
	m := d.Metadata
	if m != nil {
		m = present(m) // the hook may have set it
	}
	said := d.Target != "" || d.Verb != "" || d.APIVersion != ""
	switch {
	case m == nil && d.promise != "" && d.promise != ownMetadata:
		m = emptyAny(d.promise) // it has this type from the first on (OP-06)
	case m == nil && !said:
		return nil, nil
	case m == nil:
		m = &longrunpb.OperationMetadata{}
	}
	if raw, ok := m.(*anypb.Any); ok {
		inner, err := raw.UnmarshalNew()
		if err != nil || !said {
			return raw, nil
		}
		m = inner
	} else {
		m = proto.Clone(m)
	}
	setEmpty(m.ProtoReflect(), "target", protoreflect.ValueOfString(d.Target))
	setEmpty(m.ProtoReflect(), "verb", protoreflect.ValueOfString(d.Verb))
	setEmpty(m.ProtoReflect(), "api_version", protoreflect.ValueOfString(d.APIVersion))
	a, err := pack(m)
	if err != nil {
		return nil, fieldError("metadata", "metadata cannot be encoded")
	}
	return a, nil
}

// ownMetadata is the type of metadata that is rendered where none was written.
var ownMetadata = nameOf[*longrunpb.OperationMetadata]()

// carry returns what a run has written, with what is the starter's kept from
// before, and units done that do not go back (OP-14, CON-06). Metadata of types
// that are not linked in is kept as it is.
func carry(before, written *anypb.Any) *anypb.Any {
	if before == nil || written == nil || before.GetTypeUrl() != written.GetTypeUrl() {
		return written
	}
	old, err := before.UnmarshalNew()
	if err != nil {
		return written
	}
	m, err := written.UnmarshalNew()
	if err != nil {
		return written
	}
	for _, field := range []protoreflect.Name{"target", "verb", "api_version"} {
		if f := old.ProtoReflect().Descriptor().Fields().ByName(field); f != nil && f.Kind() == protoreflect.StringKind && !f.IsList() {
			setEmpty(m.ProtoReflect(), field, old.ProtoReflect().Get(f))
		}
	}
	if o, ok := old.(*longrunpb.OperationMetadata); ok {
		n := m.(*longrunpb.OperationMetadata)
		if o.GetProgress().GetCompletedUnits() > n.GetProgress().GetCompletedUnits() {
			if n.Progress == nil {
				n.Progress = &longrunpb.Progress{}
			}
			n.Progress.CompletedUnits = o.Progress.CompletedUnits
		}
		if extra := len(n.Warnings) - MaxWarnings; extra > 0 {
			n.Warnings = n.Warnings[:MaxWarnings]
		}
	}
	a, err := pack(m)
	if err != nil {
		return written
	}
	return a
}

// withProgress returns metadata with its progress replaced.
func withProgress(before *anypb.Any, p *longrunpb.Progress) (*anypb.Any, error) {
	m := &longrunpb.OperationMetadata{}
	if before != nil {
		if err := before.UnmarshalTo(m); err != nil {
			return nil, fieldError("progress", "the method has metadata of its own: report metadata")
		}
	}
	m.Progress = p
	return pack(m)
}

// metadataOf is the metadata as callers see it: what was written, and what the
// engine knows.
func metadataOf(op *Operation) *anypb.Any {
	m := proto.Message(&longrunpb.OperationMetadata{})
	if op.Metadata != nil {
		written, err := op.Metadata.UnmarshalNew()
		if err != nil {
			return op.Metadata
		}
		m = written
	}
	if own, ok := m.(*longrunpb.OperationMetadata); ok {
		fillOwn(op, own)
	} else {
		fillConventional(op, m.ProtoReflect())
	}
	a, err := pack(m)
	if err != nil {
		return op.Metadata
	}
	return a
}

func fillOwn(op *Operation, m *longrunpb.OperationMetadata) {
	m.CreateTime, m.StartTime = stamp(op.CreateTime), stamp(op.StartTime)
	m.UpdateTime, m.EndTime, m.ExpireTime = stamp(op.UpdateTime), stamp(op.EndTime), stamp(op.ExpireTime)
	m.RequestedCancellation = op.CancelRequested
	m.State = longrunpb.OperationMetadata_State(op.State)
	m.Attempt = op.Claim.Attempt
	m.Method = op.Method
	m.Labels = op.Labels
	if op.CompletedSteps > 0 {
		if m.Progress == nil {
			m.Progress = &longrunpb.Progress{}
		}
		m.Progress.CompletedSteps = int32(op.CompletedSteps)
	}
}

// fillConventional fills the fields that most Google APIs share, by name and
// type, where the message has them and nobody has set them (OP-25).
func fillConventional(op *Operation, m protoreflect.Message) {
	for field, t := range map[protoreflect.Name]*timestamppb.Timestamp{
		"create_time": stamp(op.CreateTime), "start_time": stamp(op.StartTime), "update_time": stamp(op.UpdateTime),
		"end_time": stamp(op.EndTime), "expire_time": stamp(op.ExpireTime),
	} {
		if t != nil {
			setEmpty(m, field, protoreflect.ValueOfMessage(t.ProtoReflect()))
		}
	}
	for _, field := range []protoreflect.Name{"requested_cancellation", "cancel_requested"} {
		setEmpty(m, field, protoreflect.ValueOfBool(op.CancelRequested))
	}
}

// setEmpty sets a singular field of m that has v's type and is not set.
func setEmpty(m protoreflect.Message, field protoreflect.Name, v protoreflect.Value) {
	f := m.Descriptor().Fields().ByName(field)
	if f == nil || f.IsList() || f.IsMap() || m.Has(f) {
		return
	}
	switch x := v.Interface().(type) {
	case string:
		if f.Kind() == protoreflect.StringKind && x != "" {
			m.Set(f, v)
		}
	case bool:
		if f.Kind() == protoreflect.BoolKind && x {
			m.Set(f, v)
		}
	case protoreflect.Message:
		if f.Message() != nil && f.Message().FullName() == x.Descriptor().FullName() {
			dst := m.NewField(f)
			proto.Merge(dst.Message().Interface(), x.Interface())
			m.Set(f, dst)
		}
	}
}
