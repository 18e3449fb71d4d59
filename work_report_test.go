package longrun_test

import (
	"strings"
	"testing"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

func progress(done, total int64) *longrunpb.OperationMetadata {
	return &longrunpb.OperationMetadata{Progress: &longrunpb.Progress{CompletedUnits: done, TotalUnits: total}}
}

func (s *system) report(t *testing.T, op *longrun.Operation, r longrun.Report) *longrunpb.OperationMetadata {
	t.Helper()
	if err := s.work.Report(t.Context(), op.Name(), op.Claim, r); err != nil {
		t.Fatal(err)
	}
	return s.metadata(t, s.get(t, op.Name()))
}

// The latest report wins; what the starter has said stays.
func TestReport(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	op := sys.running(t, longrun.StartOptions{Target: "images/a", Verb: "resize", APIVersion: "v1"})
	md := sys.report(t, op, longrun.Report{Metadata: packed(t, progress(1, 9))})
	if md.Target != "images/a" || md.Verb != "resize" || md.ApiVersion != "v1" || md.Progress.CompletedUnits != 1 {
		t.Errorf("metadata = %v, want the starter's kept", md)
	}
	md = sys.report(t, op, longrun.Report{Progress: &longrunpb.Progress{CompletedUnits: 2, TotalUnits: 9, Phase: "crop"}})
	if md.Target != "images/a" || md.Progress.CompletedUnits != 2 || md.Progress.Phase != "crop" {
		t.Errorf("metadata = %v, want the new progress", md)
	}
	if got := sys.get(t, op.Name()); got.Revision != op.Revision {
		t.Errorf("Revision = %d, want %d: progress is no revision", got.Revision, op.Revision)
	}
	// Nothing said is nothing changed, or refused; never what there is lost.
	_ = sys.work.Report(t.Context(), op.Name(), op.Claim, longrun.Report{})
	if md := sys.metadata(t, sys.get(t, op.Name())); md.Target != "images/a" || md.Progress.GetCompletedUnits() != 2 {
		t.Errorf("after an empty report: %v, want it unchanged", md)
	}
}

// OP-14, CON-06: units done never go back in what callers see, not in a later
// attempt either; nor does update_time.
func TestReport_NeverGoesBack(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	op := sys.running(t, longrun.StartOptions{})
	sys.report(t, op, longrun.Report{Metadata: packed(t, progress(5, 9))})
	for name, r := range map[string]longrun.Report{
		"metadata":    {Metadata: packed(t, progress(3, 9))},
		"no progress": {Metadata: packed(t, &longrunpb.OperationMetadata{StatusMessage: "x"})},
		"progress":    {Progress: &longrunpb.Progress{CompletedUnits: 4}},
	} {
		if md := sys.report(t, op, r); md.Progress.CompletedUnits != 5 {
			t.Errorf("%s: units done = %d, want 5", name, md.Progress.CompletedUnits)
		}
	}
	back, err := sys.work.Release(t.Context(), op.Name(), op.Claim, longrun.Release{Metadata: packed(t, progress(0, 9))})
	if err != nil || sys.metadata(t, back).Progress.CompletedUnits != 5 {
		t.Errorf("released: %v, %v", sys.metadata(t, back), err)
	}
	next := sys.claim(t, op.Claim.Session, 1)[0]
	sys.report(t, next, longrun.Report{Metadata: packed(t, progress(1, 9))})
	done := sys.finish(t, next, longrun.Result{Metadata: packed(t, progress(2, 9))})
	if got := sys.metadata(t, done); got.Progress.CompletedUnits != 5 || got.UpdateTime.AsTime().Before(back.UpdateTime) {
		t.Errorf("at the end: %v, want 5 units", got)
	}
}

// OP-18: the first warnings are kept, to a limit.
func TestReport_Warnings(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	op := sys.running(t, longrun.StartOptions{Target: "x"})
	m := &longrunpb.OperationMetadata{}
	for i := range longrun.MaxWarnings + 1 {
		m.Warnings = append(m.Warnings, &statuspb.Status{Code: int32(1 + i%16)})
	}
	if md := sys.report(t, op, longrun.Report{Metadata: packed(t, m)}); len(md.Warnings) != longrun.MaxWarnings {
		t.Errorf("%d warnings, want %d", len(md.Warnings), longrun.MaxWarnings)
	}
}

// Metadata of the method's own type takes no Progress, and is kept as it is.
func TestReport_OwnMetadata(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	op := sys.running(t, longrun.StartOptions{Metadata: int64Value(1)})
	err := sys.work.Report(t.Context(), op.Name(), op.Claim, longrun.Report{Progress: &longrunpb.Progress{CompletedUnits: 1}})
	wantError(t, err, codes.InvalidArgument, longrun.ReasonInvalidField)
	if got := fieldOf(err); got != "progress" {
		t.Errorf("field = %q, want progress", got)
	}
	unknown := &anypb.Any{TypeUrl: "type.googleapis.com/acme.Progress", Value: []byte{8, 1}}
	if err := sys.work.Report(t.Context(), op.Name(), op.Claim, longrun.Report{Metadata: unknown}); err != nil {
		t.Fatal(err)
	}
	if got := sys.svc.Proto(sys.get(t, op.Name())).Metadata; got.TypeUrl != unknown.TypeUrl || string(got.Value) != string(unknown.Value) {
		t.Errorf("metadata = %v, want it untouched", got)
	}
}

// What would be stored past its limit is refused, by whatever way it came.
func TestReport_Limits(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	op := sys.running(t, longrun.StartOptions{})
	for name, r := range map[string]longrun.Report{
		"metadata": {Metadata: sized(longrun.MaxMetadataBytes + 1)},
		"progress": {Progress: &longrunpb.Progress{Phase: strings.Repeat("x", longrun.MaxMetadataBytes)}},
	} {
		err := sys.work.Report(t.Context(), op.Name(), op.Claim, r)
		if longrun.CodeOf(err) != codes.InvalidArgument {
			t.Errorf("%s past the limit: Report = %v, want INVALID_ARGUMENT", name, err)
		}
	}
	if err := sys.work.Report(t.Context(), op.Name(), op.Claim, longrun.Report{Metadata: sized(longrun.MaxMetadataBytes)}); err != nil {
		t.Errorf("at the limit: %v", err)
	}
}
