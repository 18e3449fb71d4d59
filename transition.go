package longrun

import (
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// This file holds every change of an operation's state, and nothing else moves
// a state (a store may carry out ClaimBy in SQL; the suite holds it equal).
//
// A transition gets what happened and the store's time, and returns the changed
// record; the receiver stays as it was. It has no clock, does no I/O, and is
// idempotent: what has happened already changes nothing, which shows in that
// the receiver itself is returned.

// change returns a copy of op, one revision on, changed at now.
func (op *Operation) change(now time.Time) *Operation {
	next := *op
	next.Revision++
	next.UpdateTime = latest(now, op.UpdateTime)
	return &next
}

// Stored returns op as a new record: Pending and ready at now, or waiting for
// its conflict key, or, where op.Claim names a session, claimed by it.
func (op *Operation) Stored(now time.Time, waits bool) *Operation {
	next := op.change(now)
	next.State, next.CreateTime, next.ReadyTime = Pending, now, now
	if waits {
		next.ReadyTime, next.Claim = time.Time{}, Claim{}
		return next
	}
	if !op.Claim.Session.IsZero() {
		claim := op.Claim
		next.Claim = Claim{}
		next, _ = next.ClaimBy(claim.Session, claim.Call, now)
		next.Revision = op.Revision + 1
	}
	return next
}

// ClaimBy returns op claimed by session s as the next attempt. An operation that
// is not ready at now is an error of the store that asked.
func (op *Operation) ClaimBy(s SessionID, call int64, now time.Time) (*Operation, error) {
	if op.State != Pending || op.ReadyTime.IsZero() || op.ReadyTime.After(now) {
		return op, &Error{Code: codes.Internal, Verb: "claim", Name: op.Name(), Msg: "not ready"}
	}
	next := op.change(now)
	next.State = Running
	next.Claim = Claim{Session: s, Attempt: op.Claim.Attempt + 1, Call: call}
	next.ReadyTime = time.Time{}
	next.ClaimTime = next.UpdateTime
	if op.StartTime.IsZero() {
		next.StartTime = next.UpdateTime
		if op.ExecutionTimeout > 0 {
			next.DeadlineTime = next.UpdateTime.Add(op.ExecutionTimeout)
		}
	}
	return next, nil
}

// RunEndKind says in which way a run has ended.
type RunEndKind uint8

// The ways in which a run ends.
const (
	RunReturned  RunEndKind = iota + 1 // with Response or Error
	RunRetryable                       // with an Error that another run may not meet
	RunDelayed                         // with RetryAfter: again after Delay, not a failure
	RunReleased                        // given back undone: not a failure
	RunLost                            // with its session: nobody knows what it did
)

// RunEnd is the end of a run, the event of Operation.EndRun.
type RunEnd struct {
	Claim    Claim // whose run; must be the operation's
	Kind     RunEndKind
	Response *anypb.Any       // RunReturned: of success
	Error    *statuspb.Status // RunReturned without Response, RunRetryable, RunDelayed: code 1 to 16
	Begun    bool             // RunReleased: the handler had begun
	// BareCancel says that the handler returned context.Canceled and no more;
	// Error is what that means when nobody had asked to cancel.
	BareCancel bool
	// Timeout says that the handler returned context.DeadlineExceeded or code 4.
	Timeout bool
	// Delay is how long to wait before the next run: RunDelayed and RunReleased.
	Delay time.Duration
	// Jitter, from 0 to 1, spreads the backoff after RunRetryable.
	Jitter float64
	// Metadata, if not nil, is the last metadata of the run.
	Metadata *anypb.Any
}

// EndRun ends the run under e.Claim: the table "a run ends by" of ARCHITECTURE,
// from its first row to its last. ErrClaimLost says that the operation is not
// this run's any more, and nothing has changed. The same end again is no error;
// another one, of a run that has ended, is ErrClaimLost too.
func (op *Operation) EndRun(e RunEnd, now time.Time) (*Operation, error) {
	if op.State != Running || !op.Claim.Same(e.Claim) {
		if op.Claim.Same(e.Claim) && op.endedAlready(e) {
			return op, nil
		}
		return op, ErrClaimLost
	}
	next := op.change(now)
	if e.Metadata != nil {
		next.Metadata = e.Metadata
	}
	next.EndedByRun = e.Kind != RunLost
	late := !op.DeadlineTime.IsZero() && !now.Before(op.DeadlineTime)
	canceled := e.Kind == RunReturned && (e.BareCancel || e.Error.GetCode() == int32(codes.Canceled))
	spent := op.Failures+1 >= op.MaxFailures
	switch {
	case op.Preempted:
		return next.end(Failed, nil, preemptedStatus()), nil
	case late && (e.Kind == RunRetryable || e.Kind == RunDelayed || e.Kind == RunReturned && e.Timeout):
		return next.end(Failed, nil, deadlineStatus()), nil
	case e.Kind != RunReturned && op.CancelRequested:
		return next.end(Cancelled, nil, cancelledStatus()), nil
	case e.Kind == RunLost && op.AtMostOnce, e.Kind == RunReleased && (op.AtMostOnce && e.Begun || op.Pinned), e.Kind == RunDelayed && op.Pinned:
		return next.end(Failed, nil, runLostStatus()), nil
	case canceled && op.CancelRequested:
		return next.end(Cancelled, nil, cancelledStatus()), nil
	case e.Kind == RunRetryable && (op.AtMostOnce || spent):
		return next.endWithError(e.Error), nil
	case e.Kind == RunLost && spent:
		return next.end(Failed, nil, runLostStatus()), nil
	case e.Kind == RunReturned && e.Response != nil:
		return next.end(Succeeded, e.Response, nil), nil
	case e.Kind == RunReturned:
		return next.endWithError(e.Error), nil
	}
	next.EndedByRun = false
	next.State = Pending
	next.ReadyTime = next.UpdateTime.Add(e.Delay)
	if e.Kind == RunRetryable || e.Kind == RunLost {
		next.Failures++
		next.ReadyTime = next.UpdateTime
	}
	if e.Kind == RunRetryable {
		next.ReadyTime = next.UpdateTime.Add(backoff(next.Failures, e.Jitter))
	}
	return next, nil
}

// endedAlready reports whether e, or the same end of the same run, is in the
// record, with whatever came after it. A run that its session lost is not its own
// any more: what it returns late is refused, and what it gives back late makes no
// difference.
func (op *Operation) endedAlready(e RunEnd) bool {
	switch {
	case e.Kind == RunLost:
		return true
	case op.State.Done() && op.EndedByRun:
		return !op.endedOtherwise(e)
	default:
		return e.Kind != RunReturned
	}
}

// endedOtherwise reports whether op, which its last run has ended, shows that the run
// ended in another way than by e. Where the engine may have put an error of its own
// in the place of the run's, it cannot tell, and says no.
func (op *Operation) endedOtherwise(e RunEnd) bool {
	switch {
	case op.Hidden || op.Preempted || e.Kind == RunReleased:
		return false
	case op.State == Succeeded:
		return e.Kind != RunReturned || !proto.Equal(op.Response, e.Response)
	case e.Response != nil:
		return true
	case op.CancelRequested || !op.DeadlineTime.IsZero() || e.Kind == RunDelayed:
		return false
	case op.Error.GetCode() == int32(codes.Internal) && e.Error.GetCode() == int32(codes.Internal):
		return false // the id in it is another one each time
	}
	return !proto.Equal(op.Error, e.Error)
}

// RequestCancel asks op to stop. One that waits ends at once, CANCELLED
// (CAN-12); a running one is told (CAN-01); a done one stays as it is (CAN-06).
func (op *Operation) RequestCancel(now time.Time) *Operation {
	switch {
	case op.State.Done() || op.CancelRequested:
		return op
	case op.State == Pending:
		next := op.change(now)
		next.CancelRequested = true
		return next.end(Cancelled, nil, cancelledStatus())
	}
	next := op.change(now)
	next.CancelRequested = true
	return next
}

// Preempt takes op's conflict key away for a newer operation. One without a
// claim ends ABORTED at once; a running one is told to stop and ends ABORTED
// whatever it returns (PAR-05, CAN-14).
func (op *Operation) Preempt(now time.Time) *Operation {
	switch {
	case op.State.Done() || op.Preempted:
		return op
	case op.State == Pending:
		next := op.change(now)
		next.Preempted = true
		return next.end(Failed, nil, preemptedStatus())
	}
	next := op.change(now)
	next.Preempted = true
	return next
}

// MakeReady lets op, which waits for its conflict key, be claimed.
func (op *Operation) MakeReady(now time.Time) *Operation {
	if op.State != Pending || !op.ReadyTime.IsZero() {
		return op
	}
	next := op.change(now)
	next.ReadyTime = next.UpdateTime
	return next
}

// PassDeadline ends op if its execution deadline has passed and no run is left
// to do it: at once while it waits, DeadlineGrace later while it runs.
func (op *Operation) PassDeadline(now time.Time) *Operation {
	limit := op.DeadlineTime
	if op.State == Running {
		limit = limit.Add(DeadlineGrace)
	}
	if op.State.Done() || op.DeadlineTime.IsZero() || now.Before(limit) {
		return op
	}
	next := op.change(now)
	if op.Preempted {
		return next.end(Failed, nil, preemptedStatus())
	}
	return next.end(Failed, nil, deadlineStatus())
}

// Hide deletes op for its callers: nobody finds it any more, its work goes on
// (DEL-01, DEL-02), its request id is free again and its conflict key is not.
// A done one is emptied at once.
func (op *Operation) Hide(now time.Time) *Operation {
	if op.Hidden {
		return op
	}
	if op.State.Done() {
		return op.Empty(now)
	}
	next := op.change(now)
	next.Hidden = true
	next.RequestID, next.RequestHash = "", [32]byte{}
	return next
}

// Empty hides op, which is done, and drops everything but its ID and its times,
// so that a late Create of the same ID finds it (DEL-08, NM-02).
func (op *Operation) Empty(now time.Time) *Operation {
	if op.Hidden || !op.State.Done() {
		return op
	}
	return op.change(now).emptied()
}

// Report keeps metadata of the run under c. Revision does not move.
func (op *Operation) Report(c Claim, metadata *anypb.Any, now time.Time) (*Operation, error) {
	if op.State != Running || !op.Claim.Same(c) {
		return op, ErrClaimLost
	}
	next := op.change(now)
	next.Revision = op.Revision
	next.Metadata = metadata
	return next, nil
}

// CountStep counts a step that the run under c has done. Revision does not move.
func (op *Operation) CountStep(c Claim, now time.Time) (*Operation, error) {
	if op.State != Running || !op.Claim.Same(c) {
		return op, ErrClaimLost
	}
	next := op.change(now)
	next.Revision = op.Revision
	next.CompletedSteps++
	return next, nil
}

// end makes op, a copy already, final.
func (op *Operation) end(s State, response *anypb.Any, failure *statuspb.Status) *Operation {
	op.State, op.Response, op.Error = s, response, failure
	op.ReadyTime = time.Time{}
	op.EndTime = op.UpdateTime
	op.ExpireTime = op.EndTime.Add(op.Retention)
	if op.Hidden {
		op.emptied()
	}
	return op
}

// endWithError makes op final with an error: code 1 is CANCELLED.
func (op *Operation) endWithError(failure *statuspb.Status) *Operation {
	if failure.GetCode() == int32(codes.Canceled) {
		return op.end(Cancelled, nil, failure)
	}
	return op.end(Failed, nil, failure)
}

// emptied drops what a deleted operation has no use for.
func (op *Operation) emptied() *Operation {
	op.Hidden = true
	op.Request, op.Response, op.Error, op.Metadata, op.Labels = nil, nil, nil, nil, nil
	op.RequestID, op.RequestHash, op.Caller, op.TraceParent = "", [32]byte{}, "", ""
	op.ExpireTime = op.UpdateTime.Add(EmptiedRetention)
	return op
}

const (
	firstBackoff = time.Second
	maxBackoff   = 5 * time.Minute
)

// backoff is how long to wait after so many failures: doubling from a second to
// five minutes, of which jitter (0 to 1) takes away up to a half.
func backoff(failures int, jitter float64) time.Duration {
	d := maxBackoff
	if shift := failures - 1; shift < 9 {
		d = min(d, firstBackoff<<max(shift, 0))
	}
	d -= time.Duration(min(max(jitter, 0), 1) * float64(d) / 2)
	return d.Truncate(time.Microsecond)
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func cancelledStatus() *statuspb.Status {
	return endStatus(codes.Canceled, ReasonOperationCancelled, "operation was cancelled")
}

func preemptedStatus() *statuspb.Status {
	return endStatus(codes.Aborted, ReasonOperationPreempted, "operation was preempted by a newer one")
}

func deadlineStatus() *statuspb.Status {
	return endStatus(codes.DeadlineExceeded, ReasonDeadlinePassed, "operation did not end within its execution timeout")
}

func runLostStatus() *statuspb.Status {
	return endStatus(codes.Aborted, ReasonRunLost, "the run was lost and is not repeated; nobody knows what it did")
}

// endStatus is an error of our own making. Its ErrorInfo has no domain: the
// Service that shows it fills in its own (ERR-05).
func endStatus(code codes.Code, reason, msg string) *statuspb.Status {
	info, err := anypb.New(&errdetails.ErrorInfo{Reason: reason})
	if err != nil {
		return &statuspb.Status{Code: int32(code), Message: msg}
	}
	return &statuspb.Status{Code: int32(code), Message: msg, Details: []*anypb.Any{info}}
}
