package longrun_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// OP-02, OP-03, OP-08 to OP-13, OP-15, OP-17: an operation on the wire, in every
// state it may be in.
func TestProto(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	if sys.svc.Proto(nil) != nil {
		t.Error("Proto(nil) != nil")
	}
	cancelled := sys.running(t, longrun.StartOptions{Parent: "projects/p"})
	if err := sys.svc.Cancel(t.Context(), cancelled.Name()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		op    *longrun.Operation
		done  bool
		code  codes.Code
		state string
	}{
		{"pending", sys.start(t, longrun.StartOptions{Parent: "projects/q", ConflictKey: "k"}), false, 0, "PENDING"},
		{"running", sys.running(t, longrun.StartOptions{}), false, 0, "RUNNING"},
		{"succeeded", sys.finish(t, sys.running(t, longrun.StartOptions{}), longrun.Result{}), true, 0, "SUCCEEDED"},
		{"failed", sys.finish(t, sys.running(t, longrun.StartOptions{}), longrun.Result{Err: status.Error(9, "x")}), true, 9, "FAILED"},
		{"cancelled", sys.finish(t, cancelled, longrun.Result{Err: longrun.ErrCancelled}), true, 1, "CANCELLED"},
	} {
		p := sys.svc.Proto(tt.op)
		if p.Name != tt.op.Name().String() || p.Name == "" || p.Done != tt.done {
			t.Errorf("OP-17: %s: name %q, done %v", tt.name, p.Name, p.Done)
		}
		if hasResult := p.Result != nil; hasResult != tt.done || tt.done && (p.GetError() != nil) != (tt.code != 0) {
			t.Errorf("OP-02, OP-03: %s: result %v", tt.name, p.Result)
		}
		if got := codes.Code(p.GetError().GetCode()); got != tt.code {
			t.Errorf("OP-08, OP-10: %s: code %v, want %v", tt.name, got, tt.code)
		}
		if p.GetError() != nil {
			if info := infoOf(status.FromProto(p.GetError())); info.GetReason() == "" || info.GetDomain() != "longrun.dev" {
				t.Errorf("OP-11, ERR-05: %s: ErrorInfo = %v", tt.name, info)
			}
		}
		md := sys.metadata(t, tt.op)
		if md.State.String() != tt.state || md.Method != word || (md.EndTime != nil) != tt.done || (md.ExpireTime != nil) != tt.done || md.CreateTime == nil {
			t.Errorf("OP-15, OP-26: %s: metadata = %v", tt.name, md)
		}
		if json := protojson.Format(p); strings.Contains(json, "_UNSPECIFIED") {
			t.Errorf("OP-27: %s: %s", tt.name, json)
		}
	}
}

// OP-26: create_time never changes, end_time is set once, and not before it.
func TestProto_Times(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{Retention: time.Hour})
		start := time.Now()
		sys.start(t, longrun.StartOptions{Labels: map[string]string{"env": "prod"}})
		time.Sleep(time.Minute)
		op := sys.claim(t, sys.session(t, longrun.SessionOptions{}), 1)[0]
		time.Sleep(time.Minute)
		md := sys.metadata(t, sys.finish(t, op, longrun.Result{}))
		for name, tt := range map[string]struct {
			got  *timestamppb.Timestamp
			want time.Duration
		}{
			"create_time": {md.CreateTime, 0}, "start_time": {md.StartTime, time.Minute}, "end_time": {md.EndTime, 2 * time.Minute},
			"update_time": {md.UpdateTime, 2 * time.Minute}, "expire_time": {md.ExpireTime, 2*time.Minute + time.Hour},
		} {
			if got := tt.got.AsTime().Sub(start); got != tt.want {
				t.Errorf("%s is %v after the start, want %v", name, got, tt.want)
			}
		}
		if md.Attempt != 1 || md.Labels["env"] != "prod" {
			t.Errorf("attempt %d, labels %v", md.Attempt, md.Labels)
		}
	})
}

// What the engine owns in the metadata is the engine's, whatever was written.
func TestProto_EngineOwns(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	forged := &longrunpb.OperationMetadata{
		CreateTime: timestamppb.New(time.Unix(1, 0)), EndTime: timestamppb.New(time.Unix(2, 0)), State: longrunpb.OperationMetadata_SUCCEEDED,
		Attempt: 99, Method: "forged", RequestedCancellation: true, Labels: map[string]string{"a": "b"}, StatusMessage: "mine",
	}
	op := sys.start(t, longrun.StartOptions{Metadata: forged})
	md := sys.metadata(t, op)
	if md.CreateTime.AsTime().Unix() == 1 || md.EndTime != nil || md.State != longrunpb.OperationMetadata_PENDING || md.Attempt != 0 || md.Method != word || md.RequestedCancellation || len(md.Labels) != 0 {
		t.Errorf("metadata = %v, want the engine's fields", md)
	}
	if md.StatusMessage != "mine" {
		t.Errorf("metadata = %v, want the handler's fields kept", md)
	}
	kept := &longrunpb.OperationMetadata{}
	if err := op.Metadata.UnmarshalTo(kept); err != nil || !proto.Equal(kept, forged) {
		t.Errorf("rendering has changed the record: %v, %v", kept, err)
	}
}

// OP-25: metadata of other types has the fields that most Google APIs share
// filled by name and type, where the handler has left them empty.
func TestProto_ConventionalMetadata(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	op := sys.running(t, longrun.StartOptions{Metadata: acme(map[protoreflect.Name]any{"books": int64(3), "verb": "import"}), Target: "shelves/1", Verb: "not this"})
	if err := sys.svc.Cancel(t.Context(), op.Name()); err != nil {
		t.Fatal(err)
	}
	done := sys.finish(t, op, longrun.Result{Metadata: packed(t, acme(map[protoreflect.Name]any{"books": int64(5)}))})
	md := sys.svc.Proto(done).Metadata
	if md.TypeUrl != "type.googleapis.com/acme.ImportMetadata" {
		t.Fatalf("OP-06, OP-07: type = %q", md.TypeUrl)
	}
	want := acme(map[protoreflect.Name]any{
		"create_time": timestamppb.New(done.CreateTime).ProtoReflect(), "end_time": timestamppb.New(done.EndTime).ProtoReflect(),
		"target": "shelves/1", "verb": "import", "cancel_requested": true, "books": int64(5),
	})
	if got, err := md.UnmarshalNew(); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("metadata = %v, %v; want %v", got, err, want)
	}
	ended := timestamppb.New(time.Unix(5, 0))
	own := sys.start(t, longrun.StartOptions{Metadata: acme(map[protoreflect.Name]any{"create_time": ended.ProtoReflect()})})
	got, err := sys.svc.Proto(own).Metadata.UnmarshalNew()
	if err != nil {
		t.Fatal(err)
	}
	field := acmeMetadata.Descriptor().Fields().ByName("create_time")
	if s := fmt.Sprint(got.ProtoReflect().Get(field).Message().Interface()); s != fmt.Sprint(ended) {
		t.Errorf("create_time = %s, want what was set", s)
	}
}

// Metadata of a type that is not linked in, or that cannot be read, passes
// through untouched.
func TestProto_ForeignMetadata(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	for name, a := range map[string]*anypb.Any{
		"unknown type": {TypeUrl: "type.googleapis.com/acme.Unknown", Value: []byte{0xff}},
		"bad bytes":    {TypeUrl: "type.googleapis.com/longrun.v1.OperationMetadata", Value: []byte{0xff}},
		"no type":      {Value: []byte{1}},
	} {
		op := sys.start(t, longrun.StartOptions{Metadata: a, Target: "x"})
		if got := sys.svc.Proto(op).Metadata; !proto.Equal(got, a) {
			t.Errorf("%s: metadata = %v, want %v", name, got, a)
		}
	}
}

// ERR-05: our own errors show the domain of the service that is asked, those of
// handlers keep theirs.
func TestProto_Domain(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{Domain: "images.example.com"})
	other := newSystemOn(t, sys.store, longrun.Options{Domain: "other.example.com"})
	own, err := status.New(codes.NotFound, "x").WithDetails(&errdetails.Help{}, &errdetails.ErrorInfo{Reason: "X", Domain: "files.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	for err, want := range map[error]string{longrun.ErrCancelled: "images.example.com", status.Error(5, "x"): "images.example.com", own.Err(): "files.example.com"} {
		op := sys.finish(t, sys.running(t, longrun.StartOptions{}), longrun.Result{Err: err})
		if got := infoOf(status.FromProto(sys.svc.Proto(op).GetError())).GetDomain(); got != want {
			t.Errorf("%v: domain = %q, want %q", err, got, want)
		}
		if got := infoOf(status.FromProto(other.svc.Proto(op).GetError())).GetDomain(); want != "files.example.com" && got != "other.example.com" {
			t.Errorf("%v: domain by another service = %q: the record has been changed", err, got)
		}
	}
}

// POL-01, POL-02: a second to a minute, by progress and age; 0 when done.
func TestPollDelay(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	md := func(p *longrunpb.Progress) *anypb.Any { return packed(t, &longrunpb.OperationMetadata{Progress: p}) }
	for _, tt := range []struct {
		name     string
		age, ran time.Duration
		metadata *anypb.Any
		want     time.Duration
	}{
		{"new", 0, 0, nil, time.Second},
		{"the clock is behind", -time.Hour, -time.Hour, nil, time.Second},
		{"a quarter of its age", 40 * time.Second, 40 * time.Second, nil, 10 * time.Second},
		{"old", time.Hour, time.Hour, nil, time.Minute},
		{"half of what is left", time.Minute, 20 * time.Second, md(&longrunpb.Progress{CompletedUnits: 1, TotalUnits: 3}), 20 * time.Second},
		{"nearly done", time.Hour, time.Hour, md(&longrunpb.Progress{CompletedUnits: 9999, TotalUnits: 10000}), time.Second},
		{"hardly begun", time.Hour, time.Hour, md(&longrunpb.Progress{CompletedUnits: 1, TotalUnits: 1 << 60}), time.Minute},
		{"more than all", 40 * time.Second, time.Second, md(&longrunpb.Progress{CompletedUnits: 5, TotalUnits: 3}), 10 * time.Second},
		{"it says when", time.Hour, time.Hour, md(&longrunpb.Progress{EstimatedEndTime: timestamppb.New(now.Add(10 * time.Second))}), 5 * time.Second},
		{"it said when", 40 * time.Second, time.Second, md(&longrunpb.Progress{EstimatedEndTime: timestamppb.New(now)}), 10 * time.Second},
		{"in the far future", 0, 0, md(&longrunpb.Progress{EstimatedEndTime: timestamppb.New(now.Add(1e18))}), time.Minute},
		{"other metadata", 40 * time.Second, 0, sized(50), 10 * time.Second},
	} {
		op := &longrun.Operation{State: longrun.Running, CreateTime: now.Add(-tt.age), ClaimTime: now.Add(-tt.ran), Metadata: tt.metadata}
		if got := longrun.PollDelay(op, now); got != tt.want {
			t.Errorf("%s: PollDelay = %v, want %v", tt.name, got, tt.want)
		}
		op.State = longrun.Succeeded
		if got := longrun.PollDelay(op, now); got != 0 {
			t.Errorf("%s, done: PollDelay = %v, want 0", tt.name, got)
		}
	}
}
