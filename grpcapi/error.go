package grpcapi

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	rpccode "google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/longrun-dev/longrun"
)

// faults turns whatever a method ends with into a Status that may leave the
// server. It is safe for concurrent use.
type faults struct {
	domain string // of the Service
	log    *slog.Logger
}

func newFaults(svc *longrun.Service, log *slog.Logger) *faults {
	if log == nil {
		log = slog.Default()
	}
	return &faults{domain: svc.Domain(), log: log}
}

// off is the answer of a method that is switched off or not there at all.
var off = &longrun.Error{Code: codes.Unimplemented, Reason: longrun.ReasonMethodNotSupported, Msg: "this server does not support the method"}

// leave is deferred by every method. It makes *err fit to leave the server, and a
// panic an error (ERR-15).
func (f *faults) leave(method string, err *error) {
	if p := recover(); p != nil {
		*err = f.internal(method, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
	} else if *err != nil {
		*err = f.outside(method, *err)
	}
}

// outside returns the Status in err's tree, with its own message and nothing of
// what wraps it, with an ErrorInfo (ERR-02) and without DebugInfo (ERR-13). An
// error without one is the caller's going away, or INTERNAL.
func (f *faults) outside(method string, err error) error {
	own, ok := errors.AsType[statusError](err)
	if e, ours := own.(*longrun.Error); ours {
		return f.inDomain(*e)
	}
	var st *status.Status
	switch {
	case ok:
		st = own.GRPCStatus()
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		st = status.FromContextError(err)
	}
	if st.Code() == codes.OK || st.Code() > codes.Unauthenticated { // no Status too
		return f.internal(method, err)
	}
	p := st.Proto()
	kept := p.Details[:0]
	for _, d := range p.Details {
		if !d.MessageIs((*errdetails.DebugInfo)(nil)) {
			kept = append(kept, d)
		}
	}
	p.Details = kept
	if errorInfo(st) == nil {
		f.inform(p, &errdetails.ErrorInfo{Reason: rpccode.Code(p.Code).String()})
	}
	return status.ErrorProto(p)
}

type statusError interface {
	error
	GRPCStatus() *status.Status
}

// inDomain returns e in the domain of the Service, unless it has one (ERR-05).
func (f *faults) inDomain(e longrun.Error) error {
	e.Domain = cmp.Or(e.Domain, f.domain)
	return &e
}

// internal tells the caller an id and nothing else; the log has the cause under
// it (ERR-07).
func (f *faults) internal(method string, cause error) error {
	id := rand.Text()[:12]
	f.log.Error("internal error", "id", id, "method", method, "err", cause)
	p := status.New(codes.Internal, "internal error "+id).Proto()
	f.inform(p, &errdetails.ErrorInfo{Reason: longrun.ReasonInternal, Metadata: map[string]string{"id": id}})
	return status.ErrorProto(p)
}

// inform adds info, in our domain, to the details of p.
func (f *faults) inform(p *statuspb.Status, info *errdetails.ErrorInfo) {
	info.Domain = f.domain
	detail, err := anypb.New(info)
	if err != nil {
		f.log.Error("error without ErrorInfo", "err", err)
		return
	}
	p.Details = append(p.Details, detail)
}

// errorInfo returns the ErrorInfo of st, nil if it has none.
func errorInfo(st *status.Status) *errdetails.ErrorInfo {
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	return nil
}
