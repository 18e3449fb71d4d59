package longrun_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// hooked is a system with a Begin hook for resize.
func hooked(t *testing.T, hook func(*longrun.Draft) error) *system {
	t.Helper()
	sys := newSystem(t, longrun.Options{})
	longrun.Begin(sys.svc, resize, func(_ context.Context, r *wrapperspb.StringValue, d *longrun.Draft) error {
		if r.Value != "x" {
			t.Errorf("the hook's request = %v, want x", r)
		}
		return hook(d)
	})
	return sys
}

func (s *system) startX(t *testing.T, o longrun.StartOptions) (*longrun.Operation, error) {
	t.Helper()
	return longrun.Start(t.Context(), s.svc, resize, wrapperspb.String("x"), o)
}

// What the hook says of the operation is what is stored.
func TestBegin_Draft(t *testing.T) {
	t.Parallel()
	var named longrun.Name
	sys := hooked(t, func(d *longrun.Draft) error {
		if d.Target != "images/a" || d.Labels["env"] != "prod" || d.ConflictKey != "from options" || d.OnConflict != longrun.Reject || d.ValidateOnly() {
			t.Errorf("draft = %+v, want what StartOptions have set", d)
		}
		named = d.Name()
		d.Target, d.Verb, d.APIVersion = "images/b", "resize", "v2"
		d.ConflictKey, d.OnConflict = "images/b", longrun.Queue
		d.Labels = map[string]string{"by": "hook"}
		d.Metadata = &longrunpb.OperationMetadata{StatusMessage: "accepted"}
		return nil
	})
	op, err := sys.startX(t, longrun.StartOptions{Parent: "projects/p", Target: "images/a", Labels: map[string]string{"env": "prod"}, ConflictKey: "from options", OnConflict: longrun.Reject})
	if err != nil {
		t.Fatal(err)
	}
	if op.Name() != named || op.ConflictKey != "images/b" || op.OnConflict != longrun.Queue || len(op.Labels) != 1 || op.Labels["by"] != "hook" {
		t.Errorf("stored %+v as %v, want what the hook has said", op, named)
	}
	md := sys.metadata(t, op)
	if md.StatusMessage != "accepted" || md.Target != "images/b" || md.Verb != "resize" || md.ApiVersion != "v2" {
		t.Errorf("metadata = %v", md)
	}
}

// The hook works on its own copy: what the starter has handed over stays as it is.
func TestBegin_DraftIsACopy(t *testing.T) {
	t.Parallel()
	sys := hooked(t, func(d *longrun.Draft) error {
		d.Labels["by"] = "hook"
		d.Metadata.(*longrunpb.OperationMetadata).StatusMessage = "changed"
		return nil
	})
	o := longrun.StartOptions{Labels: map[string]string{"env": "prod"}, Metadata: &longrunpb.OperationMetadata{StatusMessage: "mine"}}
	op, err := sys.startX(t, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(op.Labels) != 2 || sys.metadata(t, op).StatusMessage != "changed" {
		t.Errorf("labels %v, metadata %v; want the hook's", op.Labels, sys.metadata(t, op))
	}
	if len(o.Labels) != 1 || o.Metadata.(*longrunpb.OperationMetadata).StatusMessage != "mine" {
		t.Errorf("the hook has changed StartOptions: %v, %v", o.Labels, o.Metadata)
	}
}

// What the hook has said is checked like what the starter has said.
func TestBegin_DraftIsChecked(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*longrun.Draft){
		"labels":       func(d *longrun.Draft) { d.Labels = map[string]string{"UP": ""} },
		"target":       func(d *longrun.Draft) { d.Target = strings.Repeat("t", longrun.MaxTargetBytes+1) },
		"conflict_key": func(d *longrun.Draft) { d.ConflictKey = "\xff" },
		"on_conflict":  func(d *longrun.Draft) { d.OnConflict = 9 },
		"metadata":     func(d *longrun.Draft) { d.Metadata = sized(longrun.MaxMetadataBytes + 1) },
	} {
		sys := hooked(t, func(d *longrun.Draft) error { change(d); return nil })
		if _, err := sys.startX(t, longrun.StartOptions{}); fieldOf(err) != field {
			t.Errorf("Start = %v, want field %q", err, field)
		}
	}
}

// OP-19, ERR-07: the hook's error is the starting call's: an *Error or a Status
// as it is, and nothing of any other.
func TestBegin_Errors(t *testing.T) {
	t.Parallel()
	detailed, err := status.New(codes.AlreadyExists, "book exists").WithDetails(&errdetails.ErrorInfo{Reason: "BOOK_EXISTS", Domain: "library.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		err    error
		code   codes.Code
		reason string
	}{
		{"a Status", detailed.Err(), codes.AlreadyExists, "BOOK_EXISTS"},
		{"a wrapped Status", fmt.Errorf("hunter2: %w", detailed.Err()), codes.AlreadyExists, "BOOK_EXISTS"},
		{"an Error", &longrun.Error{Code: codes.FailedPrecondition, Reason: "CLOSED", Msg: "closed", Err: errors.New("hunter2")}, codes.FailedPrecondition, "CLOSED"},
		{"a wrapped Error", fmt.Errorf("hunter2: %w", &longrun.Error{Code: codes.FailedPrecondition, Reason: "CLOSED"}), codes.FailedPrecondition, "CLOSED"},
		{"a plain error", errors.New("hunter2"), codes.Internal, longrun.ReasonInternal},
		{"the caller's end", fmt.Errorf("hunter2: %w", context.Canceled), codes.Canceled, longrun.ReasonCallerGone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sys := hooked(t, func(*longrun.Draft) error { return tt.err })
			_, err := sys.startX(t, longrun.StartOptions{})
			wantError(t, err, tt.code, tt.reason)
			if st, _ := status.FromError(err); strings.Contains(fmt.Sprint(st.Proto()), "hunter2") {
				t.Errorf("the starting call tells %v", st)
			}
			if page := sys.list(t, longrun.ListRequest{}); len(page.Operations) != 0 {
				t.Errorf("%d operations are stored, want none", len(page.Operations))
			}
		})
	}
}

// Draft.Write runs in the commit that stores the operation, in order, and undoes
// it. Its error is the starting call's.
func TestDraft_Write(t *testing.T) {
	t.Parallel()
	var written []int
	refuse := error(nil)
	sys := hooked(t, func(d *longrun.Draft) error {
		for i := range 3 {
			d.Write(func(_ context.Context, tx any) error {
				if tx == nil {
					t.Error("tx = nil, want the store's own")
				}
				if i == 2 && refuse != nil {
					return refuse
				}
				written = append(written, i)
				return nil
			})
		}
		return nil
	})
	if _, err := sys.startX(t, longrun.StartOptions{}); err != nil || fmt.Sprint(written) != "[0 1 2]" {
		t.Errorf("written %v, %v; want 0 1 2 in order", written, err)
	}
	refuse = status.Error(codes.AlreadyExists, "row exists")
	if _, err := sys.startX(t, longrun.StartOptions{}); longrun.CodeOf(err) != codes.AlreadyExists {
		t.Errorf("Start = %v, want the error of Write", err)
	}
	if page := sys.list(t, longrun.ListRequest{}); len(page.Operations) != 1 {
		t.Errorf("%d operations are stored, want 1", len(page.Operations))
	}
}

// VAL-01, VAL-02, VAL-03: all is checked, nothing is stored, and the operation
// that comes back is done and has no name.
func TestValidateOnly(t *testing.T) {
	t.Parallel()
	refuse, asked, wrote := error(nil), 0, 0
	sys := hooked(t, func(d *longrun.Draft) error {
		asked++
		if !d.ValidateOnly() {
			t.Error("ValidateOnly() = false in a trial")
		}
		d.Write(func(context.Context, any) error { wrote++; return nil })
		return refuse
	})
	o := longrun.StartOptions{ValidateOnly: true, RequestID: requestID, ConflictKey: "k"}
	for range 2 {
		op, err := sys.startX(t, o)
		if err != nil {
			t.Fatal(err)
		}
		p := sys.svc.Proto(op)
		if p.Name != "" || !p.Done || !p.GetResponse().MessageIs(&wrapperspb.Int64Value{}) || p.Metadata != nil {
			t.Errorf("VAL-03: reply = %v, want done, an empty Int64Value and no name", p)
		}
	}
	if asked != 2 || wrote != 2 {
		t.Errorf("hook asked %d times, statements run %d times; want 2 and 2", asked, wrote)
	}
	refuse = status.Error(codes.FailedPrecondition, "no")
	if _, err := sys.startX(t, o); longrun.CodeOf(err) != codes.FailedPrecondition {
		t.Errorf("VAL-01: Start = %v, want what the live call would say", err)
	}
	o.RequestID = "x"
	if _, err := sys.startX(t, o); fieldOf(err) != "request_id" {
		t.Errorf("VAL-01: Start = %v, want what the live call would say", err)
	}
	if page := sys.list(t, longrun.ListRequest{}); len(page.Operations) != 0 {
		t.Errorf("%d operations are stored, want none", len(page.Operations))
	}
}

// VAL-02, OP-04: where nobody knows the type of the response, it is Empty.
func TestValidateOnly_UnknownMethod(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	op := sys.start(t, longrun.StartOptions{ValidateOnly: true})
	if p := sys.svc.Proto(op); !p.Done || !p.GetResponse().MessageIs(&emptypb.Empty{}) {
		t.Errorf("reply = %v, want done with Empty", p)
	}
}

// VAL-01: a trial with a request id that is known fails where the live call would,
// and starts nothing.
func TestValidateOnly_KnownRequestID(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	sys.start(t, longrun.StartOptions{RequestID: requestID})
	op := sys.start(t, longrun.StartOptions{RequestID: requestID, ValidateOnly: true})
	if p := sys.svc.Proto(op); p.Name != "" || !p.Done {
		t.Errorf("reply = %v, want done and no name", p)
	}
	_, err := sys.svc.Start(t.Context(), longrun.StartRequest{Method: word, Request: packed(t, int64Value(1)),
		StartOptions: longrun.StartOptions{RequestID: requestID, ValidateOnly: true}})
	wantError(t, err, codes.InvalidArgument, longrun.ReasonRequestIDReused)
}

// The hook is not asked about a request that is known, and gets no request of
// another type.
func TestBegin_WrongType(t *testing.T) {
	t.Parallel()
	sys := hooked(t, func(*longrun.Draft) error { t.Error("the hook was asked"); return nil })
	other := longrun.Method[*wrapperspb.BoolValue, *wrapperspb.Int64Value, *longrunpb.OperationMetadata]{Name: word}
	_, err := longrun.Start(t.Context(), sys.svc, other, wrapperspb.Bool(true), longrun.StartOptions{})
	wantError(t, err, codes.Internal, longrun.ReasonInternal)
}
