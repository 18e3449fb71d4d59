package dispatch_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

func progressOf(session string, op *longrunpb.AcquiredOperation, p *longrunpb.Progress) *longrunpb.ReportProgressRequest {
	return &longrunpb.ReportProgressRequest{Name: op.GetOperation(), Session: session, Attempt: op.GetAttempt(),
		Report: &longrunpb.ReportProgressRequest_Progress{Progress: p}}
}

func (x *system) progress(n longrun.Name) *longrunpb.Progress {
	x.t.Helper()
	md := &longrunpb.OperationMetadata{}
	if err := x.svc.Proto(x.get(n)).GetMetadata().UnmarshalTo(md); err != nil {
		x.t.Fatal(err)
	}
	return md.GetProgress()
}

// OP-14, CON-06: the latest report wins, and units done do not go back.
func TestReport_Progress(t *testing.T) {
	bubble(t, func(x *system) {
		name := x.start(resize)
		session := x.open()
		op := x.acquireOne(session, 1)
		end := timestamppb.New(time.Now().Add(time.Minute))
		for _, tt := range []struct{ report, want *longrunpb.Progress }{
			{&longrunpb.Progress{CompletedUnits: 3, TotalUnits: 9, Phase: "reading", EstimatedEndTime: end},
				&longrunpb.Progress{CompletedUnits: 3, TotalUnits: 9, Phase: "reading", EstimatedEndTime: end}},
			{&longrunpb.Progress{CompletedUnits: 2, TotalUnits: 9}, &longrunpb.Progress{CompletedUnits: 3, TotalUnits: 9}},
			{&longrunpb.Progress{CompletedUnits: 5, CompletedSteps: 99}, &longrunpb.Progress{CompletedUnits: 5}}, // steps are the engine's
			{nil, &longrunpb.Progress{CompletedUnits: 5}},
		} {
			for range 2 { // it may be repeated
				if _, err := x.ReportProgress(x.ctx, progressOf(session, op, tt.report)); err != nil {
					x.t.Fatalf("ReportProgress(%v): %v", tt.report, err)
				}
			}
			if got := x.progress(name); !proto.Equal(got, tt.want) {
				x.t.Errorf("after %v: progress = %v, want %v", tt.report, got, tt.want)
			}
		}
	})
}

func TestReport_Metadata(t *testing.T) {
	bubble(t, func(x *system) {
		name := x.start(resize)
		session := x.open()
		op := x.acquireOne(session, 1)
		r := progressOf(session, op, nil)
		r.Report = &longrunpb.ReportProgressRequest_Metadata{Metadata: text("half")}
		if _, err := x.ReportProgress(x.ctx, r); err != nil {
			x.t.Fatal(err)
		}
		if got := x.get(name).Metadata; !proto.Equal(got, text("half")) {
			x.t.Errorf("metadata = %v, want %v", got, text("half"))
		}
		// A method with metadata of its own has no place for our progress.
		_, err := x.ReportProgress(x.ctx, progressOf(session, op, &longrunpb.Progress{CompletedUnits: 1}))
		wantInvalid(x.t, err, "progress")
		r.Report = &longrunpb.ReportProgressRequest_Metadata{Metadata: sized(longrun.MaxMetadataBytes)}
		if _, err := x.ReportProgress(x.ctx, r); err != nil {
			x.t.Errorf("metadata of 256 KiB: %v", err)
		}
		r.Report = &longrunpb.ReportProgressRequest_Metadata{Metadata: sized(longrun.MaxMetadataBytes + 200)}
		_, err = x.ReportProgress(x.ctx, r)
		wantError(x.t, err, codes.InvalidArgument, longrun.ReasonPayloadTooLarge, "metadata")
	})
}

func TestReport_Invalid(t *testing.T) {
	bubble(t, func(x *system) {
		x.start(resize)
		session := x.open()
		op := x.acquireOne(session, 1)
		for field, p := range map[string]*longrunpb.Progress{
			"progress.completed_units":    {CompletedUnits: -1},
			"progress.total_units":        {TotalUnits: -1},
			"progress.estimated_end_time": {EstimatedEndTime: &timestamppb.Timestamp{Nanos: -1}},
		} {
			_, err := x.ReportProgress(x.ctx, progressOf(session, op, p))
			wantInvalid(x.t, err, field)
		}
		r := progressOf(session, op, nil)
		r.Report = nil
		_, err := x.ReportProgress(x.ctx, r)
		wantInvalid(x.t, err, "report")
		r.Report = &longrunpb.ReportProgressRequest_Metadata{Metadata: &anypb.Any{}}
		_, err = x.ReportProgress(x.ctx, r)
		wantInvalid(x.t, err, "metadata")
	})
}

// The calls of a run check whose run it is before anything is written.
func TestRun_Invalid(t *testing.T) {
	bubble(t, func(x *system) {
		x.start(resize)
		session := x.open()
		op := x.acquireOne(session, 1)
		for _, attempt := range []int64{0, -1} {
			_, err := x.FinishOperation(x.ctx, succeed(session, &longrunpb.AcquiredOperation{Operation: op.GetOperation(), Attempt: attempt}))
			wantInvalid(x.t, err, "attempt")
		}
		for _, name := range []string{"", "image-1", "operations/", strings.Repeat("x", longrun.MaxNameBytes) + "/operations/1"} {
			_, err := x.FinishOperation(x.ctx, succeed(session, &longrunpb.AcquiredOperation{Operation: name, Attempt: 1}))
			wantError(x.t, err, codes.InvalidArgument, longrun.ReasonInvalidOperationName, "name")
		}
		for _, not := range []*longrunpb.AcquiredOperation{
			{Operation: op.GetOperation(), Attempt: 2},
			{Operation: "operations/none", Attempt: 1},
			{Operation: "operations/00000000-0000-7000-8000-000000000000", Attempt: 1},
			{Operation: "projects/p/" + op.GetOperation(), Attempt: 1},
		} {
			_, err := x.FinishOperation(x.ctx, succeed(session, not))
			wantClaimLost(x.t, err)
			_, err = x.ReportProgress(x.ctx, progressOf(session, not, nil))
			wantClaimLost(x.t, err)
		}
		_, err := x.FinishOperation(x.ctx, succeed(x.open(), op)) // another session's
		wantClaimLost(x.t, err)
		x.finish(succeed(session, op))
	})
}

func TestFinish_Response(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		for call, tt := range []struct{ response, want *anypb.Any }{
			{text("done"), text("done")},
			{&anypb.Any{TypeUrl: "type.googleapis.com/images.v1.Unknown", Value: []byte{8, 1}}, &anypb.Any{TypeUrl: "type.googleapis.com/images.v1.Unknown", Value: []byte{8, 1}}},
			{&anypb.Any{}, pack(&emptypb.Empty{})}, // OP-04
		} {
			name := x.start(resize)
			r := finishOf(session, x.acquireOne(session, int64(call+1)))
			r.Result = &longrunpb.FinishOperationRequest_Response{Response: tt.response}
			r.Metadata = text("all")
			x.finish(r)
			if op := x.get(name); !proto.Equal(op.Response, tt.want) || !proto.Equal(op.Metadata, text("all")) {
				x.t.Errorf("response = %v, metadata = %v, want %v, %v", op.Response, op.Metadata, tt.want, text("all"))
			}
		}
	})
}

// OP-11: the error is kept as the worker gave it, with an ErrorInfo.
func TestFinish_Error(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
			if code == codes.Unavailable {
				continue // is retried
			}
			name := x.start(resize)
			x.finish(fail(session, x.acquireOne(session, int64(code)), code))
			op := x.get(name)
			if codes.Code(op.Error.GetCode()) != code || op.Error.GetMessage() != "no such image" || len(op.Error.GetDetails()) != 1 {
				x.t.Errorf("error = %v, want code %d, the message and an ErrorInfo", op.Error, code)
			}
		}
	})
}

// OP-08: a code that is none is refused, and the run goes on.
func TestFinish_Invalid(t *testing.T) {
	bubble(t, func(x *system) {
		name := x.start(resize)
		session := x.open()
		op := x.acquireOne(session, 1)
		withCode := func(c int32) *longrunpb.FinishOperationRequest {
			r := finishOf(session, op)
			r.Result = &longrunpb.FinishOperationRequest_Error{Error: &statuspb.Status{Code: c}}
			return r
		}
		delayed := succeed(session, op)
		delayed.RetryDelay = durationpb.New(time.Second)
		untyped := finishOf(session, op)
		untyped.Result = &longrunpb.FinishOperationRequest_Response{Response: &anypb.Any{Value: []byte{1}}}
		badMetadata := succeed(session, op)
		badMetadata.Metadata = &anypb.Any{Value: []byte{1}}
		after := func(d *durationpb.Duration) *longrunpb.FinishOperationRequest {
			r := fail(session, op, codes.Aborted)
			r.RetryDelay = d
			return r
		}
		for _, tt := range []struct {
			field string
			r     *longrunpb.FinishOperationRequest
		}{
			{"result", finishOf(session, op)},
			{"error.code", withCode(0)}, {"error.code", withCode(17)}, {"error.code", withCode(-1)}, {"error.code", withCode(99)},
			{"retry_delay", delayed}, {"retry_delay", after(negative)}, {"retry_delay", after(endless)}, {"retry_delay", after(torn)},
			{"retry_delay", after(durationpb.New(longrun.MaxRetryDelay + time.Microsecond))},
			{"response", untyped}, {"metadata", badMetadata},
		} {
			_, err := x.FinishOperation(x.ctx, tt.r)
			wantInvalid(x.t, err, tt.field)
		}
		x.wantState(name, longrun.Running, 0)
	})
}

// Each payload at its limit, and just past it; past it the run goes on.
func TestFinish_Limits(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		for call, tt := range []struct {
			field string
			limit int
			set   func(r *longrunpb.FinishOperationRequest, size int)
		}{
			{"response", longrun.MaxResponseBytes, func(r *longrunpb.FinishOperationRequest, size int) {
				r.Result = &longrunpb.FinishOperationRequest_Response{Response: sized(size)}
			}},
			{"error", longrun.MaxErrorBytes - 100, func(r *longrunpb.FinishOperationRequest, size int) {
				r.Result = &longrunpb.FinishOperationRequest_Error{Error: &statuspb.Status{Code: 3, Message: strings.Repeat("x", size-20)}}
			}},
			{"metadata", longrun.MaxMetadataBytes, func(r *longrunpb.FinishOperationRequest, size int) {
				r.Result = &longrunpb.FinishOperationRequest_Response{Response: text("done")}
				r.Metadata = sized(size)
			}},
		} {
			name := x.start(resize)
			r := finishOf(session, x.acquireOne(session, int64(call+1)))
			tt.set(r, tt.limit+300)
			_, err := x.FinishOperation(x.ctx, r)
			wantError(x.t, err, codes.InvalidArgument, longrun.ReasonPayloadTooLarge, tt.field)
			x.wantState(name, longrun.Running, 0)
			tt.set(r, tt.limit)
			x.finish(r)
		}
	})
}

// UNAVAILABLE is a failure and is retried; with retry_delay any code is, and that
// is no failure.
func TestFinish_Retried(t *testing.T) {
	bubble(t, func(x *system) {
		name := x.start(resize)
		session := x.open()
		r := fail(session, x.acquireOne(session, 1), codes.InvalidArgument)
		r.RetryDelay = durationpb.New(3 * time.Second)
		x.finish(r)
		op := x.get(name)
		if op.State != longrun.Pending || op.Failures != 0 || !op.ReadyTime.Equal(op.UpdateTime.Add(3*time.Second)) {
			x.t.Errorf("State = %v, Failures = %d, ready in %v, want PENDING, 0, 3s", op.State, op.Failures, op.ReadyTime.Sub(op.UpdateTime))
		}
		time.Sleep(4 * time.Second)
		x.finish(fail(session, x.acquireOne(session, 2), codes.Unavailable))
		if op := x.get(name); op.State != longrun.Pending || op.Failures != 1 {
			x.t.Errorf("State = %v, Failures = %d, want PENDING, 1", op.State, op.Failures)
		}
	})
}

func TestRelease(t *testing.T) {
	bubble(t, func(x *system) {
		name := x.start(resize)
		session := x.open()
		op := x.acquireOne(session, 1)
		r := &longrunpb.ReleaseOperationRequest{Name: op.GetOperation(), Session: session, Attempt: 1, RetryDelay: durationpb.New(time.Minute)}
		for range 2 { // it may be repeated
			if _, err := x.ReleaseOperation(x.ctx, r); err != nil {
				x.t.Fatal(err)
			}
		}
		got := x.get(name)
		if got.State != longrun.Pending || got.Failures != 0 || !got.ReadyTime.Equal(got.UpdateTime.Add(time.Minute)) {
			x.t.Errorf("State = %v, Failures = %d, ready in %v, want PENDING, 0, 1m", got.State, got.Failures, got.ReadyTime.Sub(got.UpdateTime))
		}
		for _, d := range []*durationpb.Duration{negative, endless, torn, durationpb.New(longrun.MaxRetryDelay + 1)} {
			r.RetryDelay = d
			_, err := x.ReleaseOperation(x.ctx, r)
			wantInvalid(x.t, err, "retry_delay")
		}
	})
}

// Nobody knows what a worker has done of what it releases: at most once is once.
func TestRelease_AtMostOnce(t *testing.T) {
	bubble(t, func(x *system) {
		name := x.startWith(&longrunpb.StartOperationRequest{Method: resize, AtMostOnce: true})
		session := x.open()
		op := x.acquireOne(session, 1)
		_, err := x.ReleaseOperation(x.ctx, &longrunpb.ReleaseOperationRequest{Name: op.GetOperation(), Session: session, Attempt: 1})
		if err != nil {
			x.t.Fatal(err)
		}
		x.wantState(name, longrun.Failed, codes.Aborted)
	})
}

// CAN-02: a worker may finish what was cancelled; CAN-05, CAN-10: exactly one end.
func TestFinish_AfterCancel(t *testing.T) {
	bubble(t, func(x *system) {
		name := x.start(resize)
		session := x.open()
		op := x.acquireOne(session, 1)
		x.cancel(op)
		x.finish(succeed(session, op))
		x.wantState(name, longrun.Succeeded, 0)
		x.cancel(op) // CAN-06
		x.wantState(name, longrun.Succeeded, 0)
	})
}

// CAN-12: what waits ends by a cancel, and is acquired by nobody.
func TestCancel_BeforeAcquire(t *testing.T) {
	bubble(t, func(x *system) {
		name := x.start(resize)
		if err := x.svc.Cancel(x.ctx, name); err != nil {
			x.t.Fatal(err)
		}
		if got := x.acquire(x.open(), 1, 1); len(got) != 0 {
			x.t.Errorf("acquired %v, want none", got)
		}
		x.wantState(name, longrun.Cancelled, codes.Canceled)
	})
}

// DEL-02: the work of a deleted operation goes on, also at a worker.
func TestFinish_AfterDelete(t *testing.T) {
	bubble(t, func(x *system) {
		name := x.start(resize)
		session := x.open()
		op := x.acquireOne(session, 1)
		if err := x.svc.Delete(x.ctx, name); err != nil {
			x.t.Fatal(err)
		}
		if stop := x.beat(session, 1, op); len(stop) != 0 {
			x.t.Errorf("stop = %v, want none", stop)
		}
		x.finish(succeed(session, op))
	})
}

// Calls that carry a claim may be repeated; a later end changes nothing (OP-16).
func TestFinish_Again(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		ends := map[string]func(op *longrunpb.AcquiredOperation) *longrunpb.FinishOperationRequest{
			"response": func(op *longrunpb.AcquiredOperation) *longrunpb.FinishOperationRequest { return succeed(session, op) },
			"error": func(op *longrunpb.AcquiredOperation) *longrunpb.FinishOperationRequest {
				return fail(session, op, codes.NotFound)
			},
			"UNAVAILABLE": func(op *longrunpb.AcquiredOperation) *longrunpb.FinishOperationRequest {
				return fail(session, op, codes.Unavailable)
			},
		}
		for i, how := range slices.Sorted(maps.Keys(ends)) {
			name := x.start(resize)
			op := x.acquireOne(session, int64(i+1))
			x.finish(ends[how](op))
			want := x.get(name)
			x.finish(ends[how](op))
			if got := x.get(name); got.Revision != want.Revision || got.State != want.State {
				x.t.Errorf("%s again: %+v, want %+v", how, got, want)
			}
			_, err := x.ReportProgress(x.ctx, progressOf(session, op, nil))
			wantClaimLost(x.t, err)
			if st := status.Convert(err); strings.Contains(st.String(), session) {
				x.t.Errorf("the token is in %v", st)
			}
			if got := x.get(name); got.State == longrun.Pending {
				time.Sleep(time.Second)
				x.finish(succeed(session, x.acquireOne(session, int64(i+100))))
			}
		}
	})
}
