package httpapi

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Reasons of the errors that this package answers with itself, in
// google.rpc.ErrorInfo (ERR-04).
const (
	ReasonUnknownPath      = "UNKNOWN_PATH"            // no rule has the path
	ReasonInvalidPath      = "INVALID_PATH"            // it is malformed
	ReasonMalformedRequest = "MALFORMED_REQUEST"       // it is not HTTP: see Handler.Listener
	ReasonHTTPMethod       = "HTTP_METHOD_NOT_ALLOWED" // the path has other HTTP methods
	ReasonUnknownParameter = "UNKNOWN_PARAMETER"
	ReasonInvalidParameter = "INVALID_PARAMETER"
	ReasonInvalidBody      = "INVALID_BODY"
	ReasonUnknownField     = "UNKNOWN_FIELD" // of the body
	ReasonInvalidFieldMask = "INVALID_FIELD_MASK"
	ReasonInvalidHeader    = "INVALID_HEADER"
	ReasonTooLarge         = "REQUEST_TOO_LARGE"
	ReasonHostRefused      = "HOST_NOT_ALLOWED"
	ReasonOriginRefused    = "ORIGIN_NOT_ALLOWED"
	ReasonStreaming        = "STREAMING_NOT_SUPPORTED"
	ReasonOverloaded       = "OVERLOADED"
	ReasonInternal         = "INTERNAL"
)

// A fault is what this package refuses a request with.
type fault struct {
	code   codes.Code
	http   int // 0: what the code stands for
	reason string
	field  string // the parameter or field at fault, as JSON says it
	msg    string
	info   map[string]string // ErrorInfo.metadata
	domain string            // see in
	delay  time.Duration     // when to try again; 0: not said
}

// Error returns the message.
func (f *fault) Error() string { return f.msg }

// in returns the fault in a domain (ERR-05).
func (f *fault) in(domain string) *fault {
	own := *f
	own.domain = domain
	return &own
}

// GRPCStatus is the fault as interceptors see it.
func (f *fault) GRPCStatus() *status.Status {
	st := status.New(f.code, f.msg)
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: f.reason, Domain: f.domain, Metadata: f.info}}
	if f.field != "" {
		details = append(details, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: f.field, Description: f.msg, Reason: f.reason},
		}})
	}
	if f.delay > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(f.delay)})
	}
	if with, err := st.WithDetails(details...); err == nil {
		st = with
	}
	return st
}

func invalid(reason, field, format string, args ...any) *fault {
	return &fault{code: codes.InvalidArgument, reason: reason, field: field, msg: fmt.Sprintf(format, args...)}
}

func tooLarge(httpStatus int, format string, args ...any) *fault {
	return &fault{code: codes.ResourceExhausted, http: httpStatus, reason: ReasonTooLarge, msg: fmt.Sprintf(format, args...)}
}

// httpStatus is the HTTP status of a code (section 9.5 of the spec).
func httpStatus(c codes.Code) int {
	switch c {
	case codes.OK:
		return http.StatusOK
	case codes.Canceled:
		return 499
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange:
		return http.StatusBadRequest
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout
	case codes.NotFound:
		return http.StatusNotFound
	case codes.AlreadyExists, codes.Aborted:
		return http.StatusConflict
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Unimplemented:
		return http.StatusNotImplemented
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	}
	return http.StatusInternalServerError
}

// codeName is the name of a code in an envelope.
func codeName(c int32) string { return code.Code(c).String() }

// outside returns err as it may leave the server: the Status in its tree, with an
// ErrorInfo (ERR-02) and without DebugInfo (ERR-13), and its HTTP status. An error
// without one is the caller's going away, or INTERNAL, of which the log has the
// cause (ERR-07).
func (h *Handler) outside(method string, err error) (*statuspb.Status, int) {
	if f, ok := errors.AsType[*fault](err); ok {
		return f.in(h.domain).GRPCStatus().Proto(), cmp.Or(f.http, httpStatus(f.code))
	}
	var st *status.Status
	if own, ok := errors.AsType[statusError](err); ok {
		st = own.GRPCStatus()
	} else if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		st = status.FromContextError(err)
	}
	if st.Code() == codes.OK || st.Code() > codes.Unauthenticated { // no Status too
		return h.internal(method, err), http.StatusInternalServerError
	}
	p := st.Proto()
	h.inform(p, &errdetails.ErrorInfo{Reason: codeName(p.Code)})
	return p, httpStatus(st.Code())
}

type statusError interface {
	error
	GRPCStatus() *status.Status
}

// internal tells the caller an id and nothing else; the log has the cause under it.
func (h *Handler) internal(method string, cause error) *statuspb.Status {
	id := rand.Text()[:12]
	h.log.Error("internal error", "id", id, "method", method, "err", cause)
	p := status.New(codes.Internal, "internal error "+id).Proto()
	h.inform(p, &errdetails.ErrorInfo{Reason: ReasonInternal, Metadata: map[string]string{"id": id}})
	return p
}

// inform takes DebugInfo out of p, and adds info unless p has an ErrorInfo.
func (h *Handler) inform(p *statuspb.Status, info *errdetails.ErrorInfo) {
	kept, informed := p.Details[:0], false
	for _, d := range p.Details {
		if !d.MessageIs((*errdetails.DebugInfo)(nil)) {
			kept = append(kept, d)
		}
		informed = informed || d.MessageIs((*errdetails.ErrorInfo)(nil))
	}
	p.Details = kept
	if informed {
		return
	}
	info.Domain = h.domain
	detail, err := anypb.New(info)
	if err != nil {
		h.log.Error("error without ErrorInfo", "err", err)
		return
	}
	p.Details = append(p.Details, detail)
}

// caught makes a panic of a handler an error (ERR-15).
func caught(err *error) {
	if p := recover(); p != nil {
		if p == http.ErrAbortHandler {
			panic(p)
		}
		*err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	}
}
