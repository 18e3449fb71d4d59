package longrun

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// RetryAfter is returned by a handler to be run again after d: not a failure,
// also for an AtMostOnce method. err says why, for the log of whoever looks; it
// may be nil. Zero means at once; negative or more than 30 days fails the run.
func RetryAfter(d time.Duration, err error) error { return &retryAfter{delay: d, err: err} }

// RetryDelay returns the delay of the RetryAfter in err's tree, and whether there
// is one.
func RetryDelay(err error) (time.Duration, bool) {
	r, ok := errors.AsType[*retryAfter](err)
	if !ok {
		return 0, false
	}
	return r.delay, true
}

type retryAfter struct {
	delay time.Duration
	err   error
}

func (r *retryAfter) Error() string {
	if r.err == nil {
		return fmt.Sprintf("retry after %v", r.delay)
	}
	return fmt.Sprintf("retry after %v: %v", r.delay, r.err)
}

func (r *retryAfter) Unwrap() error { return r.err }

// failure is what an error of a handler means.
type failure struct {
	kind       RunEndKind
	status     *statuspb.Status
	delay      time.Duration
	bareCancel bool
	timeout    bool
	id         string // of the log line that holds the cause; "" for none
}

// failureOf reads an error that a handler has returned. The first that fits:
// RetryAfter; ErrCancelled; a Status in the tree, with its code, details and
// message and nothing of what wraps it; anything else is INTERNAL with an id.
func failureOf(err error, retryOn []codes.Code) failure {
	if r, ok := errors.AsType[*retryAfter](err); ok {
		return failure{kind: RunDelayed, delay: r.delay}
	}
	if errors.Is(err, ErrCancelled) {
		return failure{kind: RunReturned, status: cancelledStatus()}
	}
	if st, ok := errors.AsType[statusError](err); ok {
		return statusFailure(st.GRPCStatus(), retryOn)
	}
	id := errorID()
	f := failure{kind: RunReturned, id: id, status: internalStatus(id)}
	f.timeout = errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrDeadline)
	f.bareCancel = errors.Is(err, context.Canceled)
	return f
}

func statusFailure(st *status.Status, retryOn []codes.Code) failure {
	code := st.Code()
	if !validCode(code) {
		id := errorID()
		return failure{kind: RunReturned, id: id, status: internalStatus(id)}
	}
	f := failure{kind: RunReturned, status: withErrorInfo(st.Proto()), timeout: code == codes.DeadlineExceeded}
	if code == codes.Unavailable || slices.Contains(retryOn, code) {
		f.kind = RunRetryable
	}
	return f
}

// withErrorInfo adds the ErrorInfo that every error carries (OP-11), if there is
// none.
func withErrorInfo(st *statuspb.Status) *statuspb.Status {
	info := &errdetails.ErrorInfo{Reason: ReasonOperationFailed}
	for _, d := range st.Details {
		if d.MessageIs(info) {
			return st
		}
	}
	detail, err := pack(info)
	if err != nil {
		return st
	}
	st = proto.Clone(st).(*statuspb.Status)
	st.Details = append(st.Details, detail)
	return st
}

// internalStatus tells the caller no more than an id under which the log has the
// cause (OP-08, ERR-07).
func internalStatus(id string) *statuspb.Status {
	st := &statuspb.Status{Code: int32(codes.Internal), Message: internalText(id)}
	if detail, err := pack(&errdetails.ErrorInfo{Reason: ReasonInternal, Metadata: map[string]string{"id": id}}); err == nil {
		st.Details = append(st.Details, detail)
	}
	return st
}
