package grpcapi_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun"
)

// want is the error that a call must return.
type want struct {
	code   codes.Code
	reason string
	field  string // at fault; "" for none
}

var (
	notFound    = want{code: codes.NotFound, reason: longrun.ReasonOperationNotFound}
	denied      = want{code: codes.PermissionDenied, reason: longrun.ReasonPermissionDenied}
	badName     = want{code: codes.InvalidArgument, reason: longrun.ReasonInvalidOperationName, field: "name"}
	badToken    = want{code: codes.InvalidArgument, reason: longrun.ReasonInvalidPageToken, field: "page_token"}
	badTimeout  = want{code: codes.InvalidArgument, reason: longrun.ReasonInvalidTimeout, field: "timeout"}
	switchedOff = want{code: codes.Unimplemented, reason: longrun.ReasonMethodNotSupported}
)

var (
	reasonForm = regexp.MustCompile(`^[A-Z][A-Z0-9_]+[A-Z0-9]$`)
	keyForm    = regexp.MustCompile(`^[a-z][a-zA-Z0-9-_]+$`)
	internals  = regexp.MustCompile(`goroutine|\.go:\d|(?i)\bsql\b|panic|0x[0-9a-f]{6}|dial tcp|password`)
)

// expect checks an error that has come through a connection against w and against
// the rules for all errors.
//
// ERR-01: a Status with a canonical code. ERR-02: with an ErrorInfo. ERR-03: each
// detail type at most once. ERR-04: the form of the reason. ERR-05: the domain of
// the service. ERR-06: the form of metadata, and in it what the message names.
// ERR-07: no internals in the message. ERR-08: the field at fault. ERR-09:
// ResourceInfo of what is missing or denied. ERR-13: no DebugInfo.
func expect(t *testing.T, err error, w want) {
	t.Helper()
	st, ok := status.FromError(err)
	if err == nil || !ok {
		t.Fatalf("error = %v, want %v", err, w.code)
	}
	if st.Code() != w.code {
		t.Fatalf("code = %v, want %v: %v", st.Code(), w.code, st)
	}
	expectInfo(t, st, w.reason)
	if internals.MatchString(st.Message()) || st.Message() == "" {
		t.Errorf("message = %q, want one without internals", st.Message())
	}
	types := map[string]int{}
	for i, d := range st.Details() {
		types[st.Proto().Details[i].GetTypeUrl()]++
		switch d := d.(type) {
		case error:
			t.Errorf("detail %d cannot be decoded: %v", i, d)
		case *errdetails.DebugInfo:
			t.Errorf("detail %d is a DebugInfo", i)
		}
	}
	for url, n := range types {
		if n > 1 {
			t.Errorf("%s occurs %d times", url, n)
		}
	}
	expectField(t, st, w)
	expectResource(t, st)
}

func expectInfo(t *testing.T, st *status.Status, reason string) {
	t.Helper()
	info := errorInfoOf(st)
	if info == nil {
		t.Fatalf("details = %v, want exactly one ErrorInfo", st.Details())
	}
	if info.GetReason() != reason || !reasonForm.MatchString(reason) || len(reason) > 63 {
		t.Errorf("reason = %q, want %q of the form %v", info.GetReason(), reason, reasonForm)
	}
	if info.GetDomain() != domain {
		t.Errorf("domain = %q, want %q", info.GetDomain(), domain)
	}
	for k := range info.GetMetadata() {
		if !keyForm.MatchString(k) || len(k) > 64 {
			t.Errorf("metadata key %q is not of the form %v", k, keyForm)
		}
	}
	if _, quoted, ok := strings.Cut(st.Message(), `"`); ok {
		named, _, _ := strings.Cut(quoted, `"`)
		if !slices.Contains(slices.Collect(maps.Values(info.GetMetadata())), named) {
			t.Errorf("metadata = %q, want %q in it as in the message %q", info.GetMetadata(), named, st.Message())
		}
	}
}

func expectField(t *testing.T, st *status.Status, w want) {
	t.Helper()
	var fields []string
	for _, d := range st.Details() {
		for _, v := range asBadRequest(d).GetFieldViolations() {
			fields = append(fields, v.GetField())
			if v.GetDescription() == "" || v.GetReason() != w.reason {
				t.Errorf("violation = %v, want a description and reason %q", v, w.reason)
			}
		}
	}
	wanted := []string{w.field}
	if w.field == "" {
		wanted = nil
	}
	if !slices.Equal(fields, wanted) {
		t.Errorf("fields at fault = %q, want %q", fields, wanted)
	}
}

func asBadRequest(detail any) *errdetails.BadRequest {
	b, _ := detail.(*errdetails.BadRequest)
	return b
}

func expectResource(t *testing.T, st *status.Status) {
	t.Helper()
	name := errorInfoOf(st).GetMetadata()["resource"]
	if name == "" || st.Code() != codes.NotFound && st.Code() != codes.PermissionDenied {
		return
	}
	for _, d := range st.Details() {
		if r, ok := d.(*errdetails.ResourceInfo); ok {
			if r.GetResourceType() != "google.longrunning.Operation" || r.GetResourceName() != name {
				t.Errorf("ResourceInfo = %v, want google.longrunning.Operation %q", r, name)
			}
			return
		}
	}
	t.Errorf("details = %v, want a ResourceInfo", st.Details())
}

// expectNamed is expect, and that the error is about name, as the caller has
// spelled it.
func expectNamed(t *testing.T, err error, w want, name string) {
	t.Helper()
	expect(t, err, w)
	if got := errorInfoOf(status.Convert(err)).GetMetadata()["resource"]; got != name {
		t.Errorf(`metadata["resource"] = %q, want %q`, got, name)
	}
}
