package longrun

import (
	"context"
	"math"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// FailRequest notes that entry i, from 0, of a batch has failed, and with what the
// call for it alone would have answered (BAT-02): in the metadata's field
// "map<int32, google.rpc.Status> failed_requests". It replaces what was noted of the
// entry before; nil and a Status of code OK take that back, as a run does that tries
// again and succeeds. An entry that will be tried again has not failed yet, so a run
// begins with none: what an earlier run has noted is dropped, and is noted again by
// whoever notes outside of steps, which are not done again. The map counts with the rest
// of the metadata to 256 KiB: of those that come when 192 KiB are taken, the code alone
// is noted.
//
// When the run returns a response and every entry of the request's "repeated
// requests", or of its "repeated string names", has failed, the operation ends
// ABORTED instead, with a message that points to failed_requests (BAT-03). With some
// failed, or none, it ends with the response (BAT-04).
//
// It reports false, and notes nothing, where Meta has no such map, or i is not the
// number of an entry.
func (r *Run[Meta]) FailRequest(i int, st *status.Status) bool {
	field := failedRequests(newMessage[Meta]().ProtoReflect())
	if field == nil || i < 0 || i > math.MaxInt32 || r.t.entries >= 0 && i >= r.t.entries {
		return false
	}
	r.t.edit(newMessage[Meta](), func(m proto.Message) proto.Message {
		failed := m.ProtoReflect().Mutable(field).Map()
		key := protoreflect.ValueOfInt32(int32(i)).MapKey()
		if st.Code() == codes.OK {
			failed.Clear(key)
			return m
		}
		noted := st.Proto()
		if proto.Size(m)+proto.Size(noted) > maxNoted {
			noted = &statuspb.Status{Code: noted.Code}
		}
		v := failed.NewValue()
		proto.Merge(v.Message().Interface(), noted)
		failed.Set(key, v)
		return m
	})
	return true
}

// maxNoted is how large metadata becomes by the errors of entries. What is left is for
// the codes of some thousand more, and for what the starter and the run say.
const maxNoted = MaxMetadataBytes / 4 * 3

// failedRequests returns m's field "map<int32, google.rpc.Status> failed_requests",
// and nil where it has none.
func failedRequests(m protoreflect.Message) protoreflect.FieldDescriptor {
	f := m.Descriptor().Fields().ByName("failed_requests")
	if f == nil || !f.IsMap() || f.MapKey().Kind() != protoreflect.Int32Kind || f.MapValue().Message() == nil ||
		f.MapValue().Message().FullName() != "google.rpc.Status" {
		return nil
	}
	return f
}

// entriesOf returns how many requests or names a batch has, and -1 where req is none.
func entriesOf(req proto.Message) int {
	m := req.ProtoReflect()
	fields := m.Descriptor().Fields()
	if f := fields.ByName("requests"); f != nil && f.IsList() && f.Message() != nil {
		return m.Get(f).List().Len()
	}
	if f := fields.ByName("names"); f != nil && f.IsList() && f.Kind() == protoreflect.StringKind {
		return m.Get(f).List().Len()
	}
	return -1
}

// dropFailed drops what an earlier run has noted.
func (t *Task) dropFailed() {
	field := failedRequests(t.m.metadata().ProtoReflect())
	if !t.current(t.m.metadata()).ProtoReflect().Has(field) {
		return
	}
	t.edit(t.m.metadata(), func(m proto.Message) proto.Message {
		m.ProtoReflect().Clear(field)
		return m
	})
}

// judgeBatch returns an error when every entry of the batch has failed.
func (t *Task) judgeBatch() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.entries <= 0 {
		return nil
	}
	m := t.metadataLocked(t.m.metadata())
	failed := m.ProtoReflect().Get(failedRequests(m.ProtoReflect())).Map()
	for i := range t.entries {
		if !failed.Has(protoreflect.ValueOfInt32(int32(i)).MapKey()) {
			return nil
		}
	}
	return &allFailed{metadata: m.ProtoReflect().Descriptor().Name()}
}

// allFailed is the end of a batch of which nothing has succeeded. It is final, also
// for a method that retries what is ABORTED.
type allFailed struct{ metadata protoreflect.Name }

// Error is for interceptors and the log.
func (e *allFailed) Error() string { return e.GRPCStatus().Message() }

// GRPCStatus says what AIP-233 wants said.
func (e *allFailed) GRPCStatus() *status.Status {
	return status.Newf(codes.Aborted, "none of the requests succeeded: %s.failed_requests has the error of each", e.metadata)
}

// batch returns handle, of a method whose metadata has failed_requests, with the
// judgement of what has failed.
func batch(handle Handler) Handler {
	return func(ctx context.Context, req proto.Message, run AnyRun) (proto.Message, error) {
		t := run.task()
		t.entries = entriesOf(req)
		t.dropFailed()
		resp, err := handle(ctx, req, run)
		if err == nil {
			err = t.judgeBatch()
		}
		if err != nil {
			return nil, err
		}
		return resp, nil
	}
}
