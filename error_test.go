package longrun_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun"
)

func TestError_Text(t *testing.T) {
	t.Parallel()
	name := longrun.Name{Parent: "projects/p", ID: longrun.NewID()}
	for _, tt := range []struct {
		err  longrun.Error
		want string
	}{
		{longrun.Error{Verb: "finish", Name: name, Msg: "claim lost"}, `finish "` + name.String() + `": claim lost`},
		{longrun.Error{Verb: "list", Msg: "page_size must not be negative"}, "list: page_size must not be negative"},
		{longrun.Error{Msg: "not found"}, "not found"},
		{longrun.Error{Name: name, Msg: "not found"}, "not found"},
		{longrun.Error{Verb: "get", Code: codes.NotFound}, "get: notfound"},
		{longrun.Error{Code: codes.Unavailable, Err: errors.New("secret")}, "unavailable"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("Error() = %q, want %q", got, tt.want)
		}
	}
}

// ERR-07: nothing of the cause gets outside; the log has it.
func TestError_CauseIsForTheLog(t *testing.T) {
	t.Parallel()
	cause := errors.New("dial 10.0.0.1: password is hunter2")
	e := &longrun.Error{Code: codes.Unavailable, Reason: longrun.ReasonUnavailable, Verb: "get", Msg: "the store has not answered", Err: cause}
	if !errors.Is(e, cause) {
		t.Error("the cause is not in the error's tree")
	}
	outside := []string{e.Error(), fmt.Sprintf("%v|%s|%q|%+v", e, e, e, e), e.GRPCStatus().String(), fmt.Sprint(e.GRPCStatus().Proto())}
	for _, s := range outside {
		if strings.Contains(s, "hunter2") {
			t.Errorf("the cause is in %q", s)
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Error("store", "err", e)
	for _, want := range []string{"hunter2", "code=Unavailable", "reason=UNAVAILABLE", "the store has not answered"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log = %s, want %q in it", &log, want)
		}
	}
}

// ERR-01 to ERR-10: the outside form.
func TestError_GRPCStatus(t *testing.T) {
	t.Parallel()
	name := longrun.Name{Parent: "projects/p", ID: longrun.NewID()}

	t.Run("ERR-02 ERR-05 ErrorInfo", func(t *testing.T) {
		st := (&longrun.Error{Code: codes.Aborted, Reason: longrun.ReasonClaimLost, Verb: "finish", Name: name, Msg: "claim lost"}).GRPCStatus()
		info := infoOf(st)
		if info.GetReason() != "CLAIM_LOST" || info.GetDomain() != "longrun.dev" {
			t.Errorf("ErrorInfo = %v, want CLAIM_LOST of longrun.dev", info)
		}
		// ERR-06: what the message says of the request, the metadata says too.
		if got := info.GetMetadata()["resource"]; got != name.String() || !strings.Contains(st.Message(), got) {
			t.Errorf("resource = %q, message = %q; want %q in both", got, st.Message(), name)
		}
		if len(st.Details()) != 1 {
			t.Errorf("details = %v, want the ErrorInfo alone", st.Details())
		}
	})
	t.Run("ERR-08 BadRequest", func(t *testing.T) {
		st := (&longrun.Error{Code: codes.InvalidArgument, Reason: longrun.ReasonInvalidPageSize, Field: "page_size", Msg: "must not be negative"}).GRPCStatus()
		v := detail[*errdetails.BadRequest](st).GetFieldViolations()
		if len(v) != 1 || v[0].Field != "page_size" || v[0].Description != "must not be negative" || v[0].Reason != "INVALID_PAGE_SIZE" {
			t.Errorf("field violations = %v", v)
		}
	})
	t.Run("ERR-09 ResourceInfo", func(t *testing.T) {
		for code, want := range map[codes.Code]bool{codes.NotFound: true, codes.PermissionDenied: true, codes.Aborted: false, codes.Internal: false} {
			info := detail[*errdetails.ResourceInfo]((&longrun.Error{Code: code, Name: name}).GRPCStatus())
			if (info != nil) != want {
				t.Errorf("%v: ResourceInfo = %v, want one: %v", code, info, want)
			}
			if want && (info.ResourceType != "google.longrunning.Operation" || info.ResourceName != name.String()) {
				t.Errorf("%v: ResourceInfo = %v", code, info)
			}
		}
		if info := detail[*errdetails.ResourceInfo]((&longrun.Error{Code: codes.NotFound}).GRPCStatus()); info != nil {
			t.Errorf("without a name: ResourceInfo = %v, want none", info)
		}
	})
	t.Run("ERR-10 RetryInfo", func(t *testing.T) {
		st := (&longrun.Error{Code: codes.Unavailable, Reason: longrun.ReasonOverloaded, Delay: 1500 * time.Millisecond}).GRPCStatus()
		if got := detail[*errdetails.RetryInfo](st).GetRetryDelay().AsDuration(); got != 1500*time.Millisecond {
			t.Errorf("retry delay = %v, want 1.5s", got)
		}
	})
	t.Run("ERR-03 each detail once", func(t *testing.T) {
		st := (&longrun.Error{Code: codes.NotFound, Field: "name", Delay: time.Second, Name: name}).GRPCStatus()
		seen := map[string]int{}
		for _, d := range st.Proto().Details {
			seen[d.TypeUrl]++
		}
		if len(seen) != 4 || len(st.Details()) != 4 {
			t.Errorf("details = %v, want four, each once", seen)
		}
	})
	t.Run("ERR-01 a code of Google's", func(t *testing.T) {
		for in, want := range map[codes.Code]codes.Code{0: codes.Internal, 1: codes.Canceled, 16: codes.Unauthenticated, 17: codes.Internal, 99: codes.Internal} {
			st := (&longrun.Error{Code: in, Msg: "x"}).GRPCStatus()
			if st.Code() != want || infoOf(st).GetReason() == "" {
				t.Errorf("code %d: %v with reason %q, want %v and a reason", in, st.Code(), infoOf(st).GetReason(), want)
			}
		}
	})
}

// ERR-04: reasons are stable words of one form.
func TestReasons(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[A-Z][A-Z0-9_]+[A-Z0-9]$`)
	seen := map[string]bool{}
	for _, r := range []string{
		longrun.ReasonOperationNotFound, longrun.ReasonInvalidOperationName, longrun.ReasonInvalidFilter, longrun.ReasonInvalidPageSize,
		longrun.ReasonInvalidPageToken, longrun.ReasonPageTokenExpired, longrun.ReasonPageTokenMismatch, longrun.ReasonInvalidTimeout,
		longrun.ReasonInvalidField, longrun.ReasonPermissionDenied, longrun.ReasonOperationCancelled, longrun.ReasonConcurrentOperation,
		longrun.ReasonOperationPreempted, longrun.ReasonRequestIDReused, longrun.ReasonMethodNotSupported, longrun.ReasonPartialSuccess,
		longrun.ReasonClaimLost, longrun.ReasonSessionLost, longrun.ReasonRunLost, longrun.ReasonOperationFailed, longrun.ReasonDeadlinePassed,
		longrun.ReasonCommandFailed, longrun.ReasonOverloaded, longrun.ReasonUnavailable, longrun.ReasonPayloadTooLarge,
		longrun.ReasonInternal, longrun.ReasonCallerGone,
	} {
		if !form.MatchString(r) || len(r) > 63 || seen[r] {
			t.Errorf("reason %q is not a word of its own of at most 63 characters", r)
		}
		seen[r] = true
	}
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want codes.Code
	}{
		{nil, codes.OK},
		{&longrun.Error{Code: codes.NotFound}, codes.NotFound},
		{fmt.Errorf("while starting: %w", &longrun.Error{Code: codes.Aborted}), codes.Aborted},
		{status.Error(codes.DataLoss, "x"), codes.DataLoss},
		{fmt.Errorf("wrapped: %w", status.Error(codes.DataLoss, "x")), codes.DataLoss},
		{context.Canceled, codes.Canceled},
		{fmt.Errorf("read: %w", context.DeadlineExceeded), codes.DeadlineExceeded},
		{errors.New("plain"), codes.Internal},
		{longrun.ErrClaimLost, codes.Internal},
	} {
		if got := longrun.CodeOf(tt.err); got != tt.want {
			t.Errorf("CodeOf(%v) = %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestIsUnknown(t *testing.T) {
	t.Parallel()
	if !longrun.IsUnknown(&longrun.Error{Code: codes.Unavailable, Err: errUnknown}) {
		t.Error("IsUnknown of an error with ErrUnknown in its tree = false")
	}
	if longrun.IsUnknown(nil) || longrun.IsUnknown(&longrun.Error{Code: codes.Unavailable}) {
		t.Error("IsUnknown of an error that says that nothing has happened = true")
	}
}
