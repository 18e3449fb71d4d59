package longrun_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// starters are what a starter may set in the metadata, as large as can be.
func starters() longrun.StartOptions {
	long := strings.Repeat("s", longrun.MaxTargetBytes)
	return longrun.StartOptions{Target: long, Verb: long, APIVersion: long}
}

// messaged is metadata whose encoding, in an Any, has n bytes.
func messaged(t *testing.T, n int) *longrunpb.OperationMetadata {
	t.Helper()
	m := &longrunpb.OperationMetadata{}
	for size := n; size > 0; size-- {
		m.StatusMessage = strings.Repeat("m", size)
		switch got := proto.Size(packed(t, m)); {
		case got == n:
			return m
		case got-n > 64:
			size -= got - n - 64
		}
	}
	t.Fatal("no metadata of this size")
	return nil
}

// What is kept of metadata has its limit with what the starter has set in it, also in
// the commit that ends a run: at the limit it is taken, and one byte past it refused,
// and the run goes on.
func TestFinish_MetadataWithTheStarters(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	op := sys.running(t, starters())
	room := longrun.MaxMetadataBytes - proto.Size(sys.get(t, op.Name()).Metadata) + proto.Size(packed(t, &longrunpb.OperationMetadata{}))
	fits := room - 4 // the lengths that grow with what is in them
	for proto.Size(merged(t, sys.get(t, op.Name()).Metadata, messaged(t, fits))) < longrun.MaxMetadataBytes {
		fits++
	}
	past := longrun.Result{Metadata: packed(t, messaged(t, fits+1))}
	_, err := sys.work.Finish(t.Context(), op.Name(), op.Claim, past)
	wantError(t, err, codes.InvalidArgument, longrun.ReasonPayloadTooLarge)
	_, err = sys.work.Release(t.Context(), op.Name(), op.Claim, longrun.Release{Metadata: past.Metadata})
	wantError(t, err, codes.InvalidArgument, longrun.ReasonPayloadTooLarge)
	if got := sys.get(t, op.Name()); got.State != longrun.Running {
		t.Fatalf("State = %v after a refused end, want RUNNING", got.State)
	}
	done := sys.finish(t, op, longrun.Result{Metadata: packed(t, messaged(t, fits))})
	if got := proto.Size(done.Metadata); got != longrun.MaxMetadataBytes {
		t.Errorf("metadata of %d bytes was kept, want %d", got, longrun.MaxMetadataBytes)
	}
}

// merged is m with what the starter has set in before.
func merged(t *testing.T, before *anypb.Any, m *longrunpb.OperationMetadata) *anypb.Any {
	t.Helper()
	old := &longrunpb.OperationMetadata{}
	if err := before.UnmarshalTo(old); err != nil {
		t.Fatal(err)
	}
	m.Target, m.Verb, m.ApiVersion = old.Target, old.Verb, old.ApiVersion
	return packed(t, m)
}

// A handler whose metadata does not fit with what the starter has set loses the
// metadata, not the end of its run.
func TestTask_MetadataWithTheStarters(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	large := messaged(t, longrun.MaxMetadataBytes)
	sys.handle(func(_ context.Context, r *run) (*wrapperspb.Int64Value, error) {
		r.Progress(large)
		return wrapperspb.Int64(1), nil
	})
	if op, _ := sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{}); op.State != longrun.Succeeded || proto.Size(op.Metadata) < longrun.MaxMetadataBytes-100 {
		t.Errorf("alone: %v, metadata of %d bytes, want SUCCEEDED and all of it", op.State, proto.Size(op.Metadata))
	}
	if op, _ := sys.do(t, starters(), longrun.TaskOptions{}); op.State != longrun.Succeeded || sys.metadata(t, op).StatusMessage != "" {
		t.Errorf("with the starter's: %v, metadata of %d bytes, want SUCCEEDED without the handler's", op.State, proto.Size(op.Metadata))
	}
}
