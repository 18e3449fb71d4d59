package longrun

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Sentinels that code branches on.
var (
	// ErrCancelled is the cause of a run's context when somebody asked to cancel
	// the operation. A handler returns it, or context.Canceled, to say that it
	// has stopped.
	ErrCancelled = errors.New("operation cancelled")
	// ErrPreempted is the cause of a run's context when a newer operation takes
	// the conflict key. Whatever the handler returns, the operation ends ABORTED.
	ErrPreempted = errors.New("operation preempted")
	// ErrDeadline is the cause of a run's context when the execution deadline
	// has passed.
	ErrDeadline = errors.New("execution deadline passed")
	// ErrDraining is the cause of a run's context when its runner stops. The
	// handler returns; the operation is released and begins again elsewhere.
	ErrDraining = errors.New("runner is draining")
	// ErrClaimLost is the cause of a run's context, and what every write of a
	// run returns, when the operation is not this run's any more. The handler
	// stops; nothing it still writes is kept.
	ErrClaimLost = errors.New("claim lost")
	// ErrSessionLost is returned to a session that is dead or ended, for ever.
	// Whoever beats opens another session and forgets what it held.
	ErrSessionLost = errors.New("session lost")

	// ErrExists is returned by a store's Create, beside the earlier operation
	// of the same parent, method and request id.
	ErrExists = errors.New("operation exists")
	// ErrUnknown is in the tree of an error after which nobody knows whether
	// the write has happened. Whoever gets it applies the same change again.
	ErrUnknown = errors.New("outcome unknown")
)

// IsUnknown reports whether err leaves open if the write has happened.
func IsUnknown(err error) bool { return errors.Is(err, ErrUnknown) }

// Reasons of our errors, in google.rpc.ErrorInfo (ERR-04, ERR-25).
const (
	ReasonOperationNotFound    = "OPERATION_NOT_FOUND"
	ReasonInvalidOperationName = "INVALID_OPERATION_NAME"
	ReasonInvalidFilter        = "INVALID_FILTER"
	ReasonInvalidPageSize      = "INVALID_PAGE_SIZE"
	ReasonInvalidPageToken     = "INVALID_PAGE_TOKEN"
	ReasonPageTokenExpired     = "PAGE_TOKEN_EXPIRED"
	ReasonPageTokenMismatch    = "PAGE_TOKEN_MISMATCH"
	ReasonInvalidTimeout       = "INVALID_TIMEOUT"
	ReasonInvalidField         = "INVALID_FIELD"
	ReasonPermissionDenied     = "IAM_PERMISSION_DENIED"
	ReasonOperationCancelled   = "OPERATION_CANCELLED"
	ReasonConcurrentOperation  = "CONCURRENT_OPERATION"
	ReasonOperationPreempted   = "OPERATION_PREEMPTED"
	ReasonRequestIDReused      = "REQUEST_ID_REUSED"
	ReasonMethodNotSupported   = "METHOD_NOT_SUPPORTED"
	ReasonPartialSuccess       = "PARTIAL_SUCCESS_UNSUPPORTED"
	ReasonClaimLost            = "CLAIM_LOST"
	ReasonSessionLost          = "SESSION_LOST"
	ReasonRunLost              = "RUN_LOST"
	ReasonOperationFailed      = "OPERATION_FAILED"
	ReasonDeadlinePassed       = "DEADLINE_PASSED"
	ReasonCommandFailed        = "COMMAND_FAILED"
	ReasonOverloaded           = "OVERLOADED"
	ReasonUnavailable          = "UNAVAILABLE"
	ReasonPayloadTooLarge      = "PAYLOAD_TOO_LARGE"
	ReasonInternal             = "INTERNAL"
	ReasonCallerGone           = "CALLER_GONE"
)

// Error is the only error type of ours that crosses a package boundary. It is
// right to return one from any gRPC method: its status carries the details that
// Google's clients look for (section 10 of the spec), and never Err.
type Error struct {
	Code   codes.Code    // Google's, by grpc
	Reason string        // ErrorInfo.reason, such as OPERATION_NOT_FOUND
	Field  string        // the field at fault, for input errors
	Delay  time.Duration // when to try again, for overload
	Verb   string        // what failed: "cancel", "claim"
	Name   Name          // the operation, if there is one
	Msg    string        // for the caller; must not hold secrets
	Err    error         // for the log; never sent to a caller

	// Domain is ErrorInfo.domain; "" means DefaultDomain. A Service fills it in.
	Domain string

	info map[string]string // more for ErrorInfo.metadata
	more []string          // fields at fault beside Field, each of them required

	id string // under which the log has the cause, if Msg shows one
}

// Error returns verb, name in quotes and message, never Err.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Verb != "" {
		b.WriteString(e.Verb)
		if n := e.Name.String(); n != "" {
			b.WriteString(" \"" + n + "\"")
		}
		b.WriteString(": ")
	}
	if e.Msg == "" {
		b.WriteString(strings.ToLower(e.Code.String()))
	}
	b.WriteString(e.Msg)
	return b.String()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// LogValue returns everything, the cause too, for slog.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("msg", e.Error()), slog.String("code", e.Code.String()), slog.String("reason", e.Reason)}
	if e.Err != nil {
		attrs = append(attrs, slog.String("cause", e.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

// GRPCStatus returns the outside form: code, message, and an ErrorInfo, plus
// BadRequest for a field, ResourceInfo for a missing or denied operation and
// RetryInfo for a delay (ERR-02, ERR-08, ERR-09, ERR-10).
func (e *Error) GRPCStatus() *status.Status {
	info := &errdetails.ErrorInfo{Reason: e.Reason, Domain: e.Domain}
	if info.Reason == "" {
		info.Reason = ReasonInternal
	}
	if info.Domain == "" {
		info.Domain = DefaultDomain
	}
	name := e.Name.String()
	info.Metadata = map[string]string{}
	maps.Copy(info.Metadata, e.info)
	if name != "" {
		info.Metadata["resource"] = name
	}
	if e.id != "" {
		info.Metadata["id"] = e.id
	}
	details := []protoadapt.MessageV1{info}
	if e.Field != "" {
		details = append(details, e.badRequest(info.Reason))
	}
	if name != "" && (e.Code == codes.NotFound || e.Code == codes.PermissionDenied) {
		details = append(details, &errdetails.ResourceInfo{ResourceType: "google.longrunning.Operation", ResourceName: name})
	}
	if e.Delay > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.Delay)})
	}
	code := e.Code
	if !validCode(code) {
		code = codes.Internal
	}
	st := status.New(code, e.Error())
	with, err := st.WithDetails(details...)
	if err != nil {
		return st
	}
	return with
}

// badRequest names the fields at fault.
func (e *Error) badRequest(reason string) *errdetails.BadRequest {
	if e.more == nil {
		return &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: e.Field, Description: e.Msg, Reason: reason},
		}}
	}
	b := &errdetails.BadRequest{}
	for _, field := range append([]string{e.Field}, e.more...) {
		b.FieldViolations = append(b.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field: field, Description: field + " is required", Reason: reason,
		})
	}
	return b
}

// CodeOf returns the code of the first *Error or Status in err's tree, OK for
// nil, and Internal for any other error.
func CodeOf(err error) codes.Code {
	if err == nil {
		return codes.OK
	}
	if st, ok := errors.AsType[statusError](err); ok {
		return st.GRPCStatus().Code()
	}
	switch {
	case errors.Is(err, context.Canceled):
		return codes.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	}
	return codes.Internal
}

// validCode reports whether code may be the code of an error (ERR-01, OP-08).
func validCode(code codes.Code) bool { return code > codes.OK && code <= codes.Unauthenticated }

// statusError is an error with a Status: ours, grpc's, or an author's.
type statusError interface {
	error
	GRPCStatus() *status.Status
}

// fieldError says that a field of a request is at fault.
func fieldError(field, msg string) error {
	return &Error{Code: codes.InvalidArgument, Reason: ReasonInvalidField, Field: field, Msg: msg}
}

// tooLarge says that a payload is larger than its limit.
func tooLarge(field, msg string) error {
	return &Error{Code: codes.InvalidArgument, Reason: ReasonPayloadTooLarge, Field: field, Msg: msg}
}
