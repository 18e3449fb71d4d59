package longruntest

import (
	"fmt"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/longrun-dev/longrun"
)

// WantState fails the test when the operation is in another state, and says with
// which error it ended where it has one. The test goes on.
func WantState(t testing.TB, op *longrun.Operation, want longrun.State) {
	t.Helper()
	if op.State != want {
		t.Errorf("State = %s, want %v", ending(op), want)
	}
}

// WantError fails the test when the operation has not ended with this code and this
// ErrorInfo reason, such as longrun.ReasonOperationFailed for a Status that came
// from the handler without one. An empty reason is not compared. The test goes on.
func WantError(t testing.TB, op *longrun.Operation, code codes.Code, reason string) {
	t.Helper()
	got := Reason(op)
	if op.Error == nil || codes.Code(op.Error.GetCode()) != code || reason != "" && got != reason {
		t.Errorf("State = %s, reason %q; want error %v, reason %q", ending(op), got, code, reason)
	}
}

// WantAttempt fails the test when the operation's latest run is another attempt:
// 1 after the first run, 0 where there was none. The test goes on.
func WantAttempt(t testing.TB, op *longrun.Operation, want int64) {
	t.Helper()
	if got := op.Claim.Attempt; got != want {
		t.Errorf("Attempt = %d, want %d", got, want)
	}
}

// Reason returns the ErrorInfo reason of the operation's error, "" where there is
// none.
func Reason(op *longrun.Operation) string {
	for _, d := range status.FromProto(op.Error).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// Response returns the response of an operation that has succeeded. Anything else
// ends the test, and says how the operation has ended.
func Response[Req, Resp, Meta proto.Message](t testing.TB, m longrun.Method[Req, Resp, Meta], op *longrun.Operation) Resp {
	t.Helper()
	resp, err := m.Response(op)
	if err != nil {
		t.Fatalf("Response of %s: State = %s: %v", op.Name(), ending(op), err)
	}
	return resp
}

// Metadata returns the metadata as the starter and the runs have saved it. One of
// another type ends the test.
func Metadata[Req, Resp, Meta proto.Message](t testing.TB, m longrun.Method[Req, Resp, Meta], op *longrun.Operation) Meta {
	t.Helper()
	md, err := m.Metadata(op)
	if err != nil {
		t.Fatalf("Metadata of %s: %v", op.Name(), err)
	}
	return md
}

// ending is the state of op, with its error where there is one.
func ending(op *longrun.Operation) string {
	if op.Error == nil {
		return op.State.String()
	}
	return fmt.Sprintf("%v (%v: %s)", op.State, codes.Code(op.Error.GetCode()), op.Error.GetMessage())
}
