package longrun

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// oddStatus is an error whose status has a code that no error may have.
type oddStatus codes.Code

func (o oddStatus) Error() string { return "odd" }
func (o oddStatus) GRPCStatus() *status.Status {
	return status.FromProto(&statuspb.Status{Code: int32(o), Message: "a secret"})
}

// What a handler's error means.
func TestFailureOf(t *testing.T) {
	t.Parallel()
	plain := errors.New("password is hunter2")
	for _, tt := range []struct {
		name string
		err  error
		want failure // status: code and message only; id: "id" where there is one
	}{
		{"a plain error is INTERNAL", plain, failure{kind: RunReturned, id: "id", status: st(13, "")}},
		{"a Status is kept", status.Error(codes.NotFound, "no such file"), failure{kind: RunReturned, status: st(5, "no such file")}},
		{"a wrapped Status counts, without the wrapper", fmt.Errorf("hunter2: %w", status.Error(codes.NotFound, "no such file")),
			failure{kind: RunReturned, status: st(5, "no such file")}},
		{"a Status joined to others counts", errors.Join(plain, status.Error(codes.DataLoss, "torn")), failure{kind: RunReturned, status: st(15, "torn")}},
		{"our Error counts as its Status", &Error{Code: codes.FailedPrecondition, Msg: "not now", Err: plain}, failure{kind: RunReturned, status: st(9, "not now")}},
		{"UNAVAILABLE is tried again", status.Error(codes.Unavailable, "away"), failure{kind: RunRetryable, status: st(14, "away")}},
		{"so is what RetryOn names", status.Error(codes.ResourceExhausted, "slow down"), failure{kind: RunRetryable, status: st(8, "slow down")}},
		{"OP-08 code 0 is INTERNAL", oddStatus(0), failure{kind: RunReturned, id: "id", status: st(13, "")}},
		{"OP-08 code 99 is INTERNAL", oddStatus(99), failure{kind: RunReturned, id: "id", status: st(13, "")}},
		{"OP-08 code 17 is INTERNAL", oddStatus(17), failure{kind: RunReturned, id: "id", status: st(13, "")}},
		{"code 16 is the last", oddStatus(16), failure{kind: RunReturned, status: st(16, "a secret")}},
		{"code 1", status.Error(codes.Canceled, "stopped"), failure{kind: RunReturned, status: st(1, "stopped")}},
		{"ErrCancelled is code 1", fmt.Errorf("hunter2: %w", ErrCancelled), failure{kind: RunReturned, status: st(1, "operation was cancelled")}},
		{"a bare context.Canceled", fmt.Errorf("read: %w", context.Canceled), failure{kind: RunReturned, id: "id", bareCancel: true, status: st(13, "")}},
		{"a bare deadline", fmt.Errorf("read: %w", context.DeadlineExceeded), failure{kind: RunReturned, id: "id", timeout: true, status: st(13, "")}},
		{"the cause of the deadline", ErrDeadline, failure{kind: RunReturned, id: "id", timeout: true, status: st(13, "")}},
		{"code 4", status.Error(codes.DeadlineExceeded, "too slow"), failure{kind: RunReturned, timeout: true, status: st(4, "too slow")}},
		{"RetryAfter", RetryAfter(time.Minute, plain), failure{kind: RunDelayed, delay: time.Minute}},
		{"RetryAfter, wrapped", fmt.Errorf("x: %w", RetryAfter(time.Second, nil)), failure{kind: RunDelayed, delay: time.Second}},
		{"RetryAfter comes before what it wraps", RetryAfter(time.Second, status.Error(codes.NotFound, "x")), failure{kind: RunDelayed, delay: time.Second}},
		{"ErrCancelled comes before a Status", errors.Join(status.Error(codes.NotFound, "x"), ErrCancelled), failure{kind: RunReturned, status: st(1, "operation was cancelled")}},
		{"a Status comes before context.Canceled", errors.Join(context.Canceled, status.Error(codes.NotFound, "x")), failure{kind: RunReturned, status: st(5, "x")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := failureOf(tt.err, []codes.Code{codes.ResourceExhausted})
			if (got.id != "") != (tt.want.id != "") {
				t.Errorf("id = %q, want one: %v", got.id, tt.want.id != "")
			}
			if got.id != "" {
				tt.want.status.Message = "internal error " + got.id
			}
			if got.kind != tt.want.kind || got.delay != tt.want.delay || got.bareCancel != tt.want.bareCancel || got.timeout != tt.want.timeout {
				t.Errorf("failureOf = %+v, want %+v", got, tt.want)
			}
			if got.status.GetCode() != tt.want.status.GetCode() || got.status.GetMessage() != tt.want.status.GetMessage() {
				t.Errorf("status = %v, want %v", got.status, tt.want.status)
			}
			if strings.Contains(fmt.Sprint(got.status), "hunter2") {
				t.Errorf("ERR-07: the cause is in the status: %v", got.status)
			}
			if n := len(infos(got.status)); got.status != nil && n != 1 {
				t.Errorf("OP-11: %d ErrorInfos, want 1", n)
			}
		})
	}
}

// OP-11: an ErrorInfo is added where there is none, and what there is is kept.
func TestFailureOf_Details(t *testing.T) {
	t.Parallel()
	own, err := status.New(codes.NotFound, "x").WithDetails(&errdetails.Help{}, &errdetails.ErrorInfo{Reason: "NO_SUCH_FILE", Domain: "files.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	kept := failureOf(fmt.Errorf("wrapped: %w", own.Err()), nil).status
	if !proto.Equal(kept, own.Proto()) {
		t.Errorf("status = %v, want %v", kept, own.Proto())
	}
	bare, err := status.New(codes.NotFound, "x").WithDetails(&errdetails.Help{})
	if err != nil {
		t.Fatal(err)
	}
	filled := failureOf(bare.Err(), nil).status
	if got := infos(filled); len(got) != 1 || got[0].Reason != ReasonOperationFailed || got[0].Domain != "" {
		t.Errorf("ErrorInfo = %v, want %s without a domain yet", got, ReasonOperationFailed)
	}
	if len(filled.Details) != 2 || len(bare.Proto().Details) != 1 {
		t.Errorf("details = %d, and the handler's own now has %d; want 2 and 1", len(filled.Details), len(bare.Proto().Details))
	}
}

// The id of an INTERNAL error is in the message and in the ErrorInfo.
func TestFailureOf_ID(t *testing.T) {
	t.Parallel()
	a, b := failureOf(errors.New("x"), nil), failureOf(errors.New("x"), nil)
	if a.id == b.id {
		t.Errorf("id = %q twice, want two", a.id)
	}
	if got := infos(a.status)[0]; got.Reason != ReasonInternal || got.Metadata["id"] != a.id {
		t.Errorf("ErrorInfo = %v, want the id %s", got, a.id)
	}
}

func TestRetryAfter_Text(t *testing.T) {
	t.Parallel()
	cause := errors.New("quota")
	if got := RetryAfter(time.Second, cause); got.Error() != "retry after 1s: quota" || !errors.Is(got, cause) {
		t.Errorf("RetryAfter = %q", got)
	}
	if got := RetryAfter(time.Second, nil).Error(); got != "retry after 1s" {
		t.Errorf("RetryAfter = %q", got)
	}
}

func st(code int32, msg string) *statuspb.Status { return &statuspb.Status{Code: code, Message: msg} }

func infos(s *statuspb.Status) (found []*errdetails.ErrorInfo) {
	for _, d := range s.GetDetails() {
		info := &errdetails.ErrorInfo{}
		if d.MessageIs(info) && d.UnmarshalTo(info) == nil {
			found = append(found, info)
		}
	}
	return found
}
