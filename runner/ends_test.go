package runner_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/runner"
)

// What happens while the first run of an operation is under way.
const (
	nothing     = ""
	cancelled   = "cancelled"
	preempted   = "preempted"
	tooLate     = "deadline passed"
	drained     = "drained"
	sessionLost = "session lost"
	stopAndLost = "cancelled, then session lost"
	stopAsked   = "cancelled, then drained"
)

// runEnding is a row of "a run ends by": what a run meets, what its handler
// returns, and what becomes of the operation. Runs after the first succeed.
type runEnding struct {
	event    string
	returns  error
	m        method // options
	state    longrun.State
	code     codes.Code
	reason   string
	attempts int64
}

var (
	errAway     = status.Error(codes.Unavailable, "disk is away")
	errNotFound = status.Error(codes.NotFound, "no such book")
	errGone     = status.Error(codes.Canceled, "context canceled") // what a gRPC call of a handler returns
	errTimedOut = status.Error(codes.DeadlineExceeded, "context deadline exceeded")
	errPlain    = errors.New("password is hunter2")
)

var (
	once      = method{AtMostOnce: true}
	lastTry   = method{MaxFailures: 1}
	brief     = method{ExecutionTimeout: time.Minute}
	briefOnce = method{ExecutionTimeout: time.Minute, AtMostOnce: true}
)

var runEndings = []runEnding{
	// Anything, after it was preempted: ABORTED, no further run (CAN-14).
	{preempted, nil, method{}, longrun.Failed, codes.Aborted, "OPERATION_PREEMPTED", 1},
	{preempted, errNotFound, method{}, longrun.Failed, codes.Aborted, "OPERATION_PREEMPTED", 1},
	{preempted, errAway, method{}, longrun.Failed, codes.Aborted, "OPERATION_PREEMPTED", 1},
	{preempted, longrun.RetryAfter(time.Second, nil), method{}, longrun.Failed, codes.Aborted, "OPERATION_PREEMPTED", 1},
	{preempted, longrun.ErrPreempted, method{}, longrun.Failed, codes.Aborted, "OPERATION_PREEMPTED", 1},
	{preempted, context.Canceled, method{}, longrun.Failed, codes.Aborted, "OPERATION_PREEMPTED", 1},

	// A timeout or a retryable error, after the execution deadline.
	{tooLate, context.DeadlineExceeded, brief, longrun.Failed, codes.DeadlineExceeded, "DEADLINE_PASSED", 1},
	{tooLate, errTimedOut, brief, longrun.Failed, codes.DeadlineExceeded, "DEADLINE_PASSED", 1},
	{tooLate, longrun.ErrDeadline, brief, longrun.Failed, codes.DeadlineExceeded, "DEADLINE_PASSED", 1},
	{tooLate, context.Canceled, brief, longrun.Failed, codes.DeadlineExceeded, "DEADLINE_PASSED", 1},
	{tooLate, errGone, brief, longrun.Failed, codes.DeadlineExceeded, "DEADLINE_PASSED", 1},
	{tooLate, longrun.ErrCancelled, brief, longrun.Failed, codes.DeadlineExceeded, "DEADLINE_PASSED", 1},
	{tooLate, errAway, brief, longrun.Failed, codes.DeadlineExceeded, "DEADLINE_PASSED", 1},
	{tooLate, errAway, briefOnce, longrun.Failed, codes.DeadlineExceeded, "DEADLINE_PASSED", 1},
	{tooLate, longrun.RetryAfter(0, nil), brief, longrun.Failed, codes.DeadlineExceeded, "DEADLINE_PASSED", 1},
	// A result, after the execution deadline but before the sweep: kept.
	{tooLate, nil, brief, longrun.Succeeded, codes.OK, "", 1},
	{tooLate, errNotFound, brief, longrun.Failed, codes.NotFound, "OPERATION_FAILED", 1},

	// A retryable error, RetryAfter, release or session lost, cancel requested.
	{cancelled, errAway, method{}, longrun.Cancelled, codes.Canceled, "OPERATION_CANCELLED", 1},
	{cancelled, longrun.RetryAfter(time.Second, nil), method{}, longrun.Cancelled, codes.Canceled, "OPERATION_CANCELLED", 1},
	{stopAsked, context.Canceled, method{}, longrun.Cancelled, codes.Canceled, "OPERATION_CANCELLED", 1},
	{stopAndLost, context.Canceled, method{}, longrun.Cancelled, codes.Canceled, "OPERATION_CANCELLED", 1},
	{stopAndLost, context.Canceled, once, longrun.Cancelled, codes.Canceled, "OPERATION_CANCELLED", 1},

	// Session lost, or drained after it had begun, AtMostOnce.
	{sessionLost, context.Canceled, once, longrun.Failed, codes.Aborted, "RUN_LOST", 1},
	{drained, context.Canceled, once, longrun.Failed, codes.Aborted, "RUN_LOST", 1},
	{drained, longrun.ErrDraining, once, longrun.Failed, codes.Aborted, "RUN_LOST", 1},

	// It says that it has stopped, cancel requested (CAN-03, CAN-04).
	{cancelled, context.Canceled, method{}, longrun.Cancelled, codes.Canceled, "OPERATION_CANCELLED", 1},
	{cancelled, fmt.Errorf("copy: %w", context.Canceled), method{}, longrun.Cancelled, codes.Canceled, "OPERATION_CANCELLED", 1},
	{cancelled, longrun.ErrCancelled, method{}, longrun.Cancelled, codes.Canceled, "OPERATION_CANCELLED", 1},
	{cancelled, errGone, method{}, longrun.Cancelled, codes.Canceled, "OPERATION_CANCELLED", 1},
	// A bare context.Canceled that nobody has asked for.
	{nothing, context.Canceled, method{}, longrun.Failed, codes.Internal, "INTERNAL", 1},

	// A retryable error that may not be repeated: kept as the error.
	{nothing, errAway, once, longrun.Failed, codes.Unavailable, "OPERATION_FAILED", 1},
	{nothing, errAway, lastTry, longrun.Failed, codes.Unavailable, "OPERATION_FAILED", 1},
	// Session lost, failures = MaxFailures.
	{sessionLost, context.Canceled, lastTry, longrun.Failed, codes.Aborted, "RUN_LOST", 1},

	// A result, or another error: kept, cancelled or not (CAN-02).
	{nothing, nil, method{}, longrun.Succeeded, codes.OK, "", 1},
	{cancelled, nil, method{}, longrun.Succeeded, codes.OK, "", 1},
	{drained, nil, method{}, longrun.Succeeded, codes.OK, "", 1},
	{nothing, errNotFound, method{}, longrun.Failed, codes.NotFound, "OPERATION_FAILED", 1},
	{nothing, fmt.Errorf("reading: %w", errNotFound), method{}, longrun.Failed, codes.NotFound, "OPERATION_FAILED", 1},
	{cancelled, errNotFound, method{}, longrun.Failed, codes.NotFound, "OPERATION_FAILED", 1},
	{drained, errNotFound, method{}, longrun.Failed, codes.NotFound, "OPERATION_FAILED", 1},
	{nothing, errPlain, method{}, longrun.Failed, codes.Internal, "INTERNAL", 1},
	{cancelled, errPlain, method{}, longrun.Failed, codes.Internal, "INTERNAL", 1},
	{nothing, context.DeadlineExceeded, method{}, longrun.Failed, codes.Internal, "INTERNAL", 1},
	{nothing, status.Error(99, "no such code"), method{}, longrun.Failed, codes.Internal, "INTERNAL", 1}, // OP-08

	// What remains runs again, and then succeeds.
	{nothing, errAway, method{}, longrun.Succeeded, codes.OK, "", 2},
	{nothing, fmt.Errorf("reading: %w", errAway), method{}, longrun.Succeeded, codes.OK, "", 2},
	{nothing, status.Error(codes.ResourceExhausted, "later"), method{RetryOn: []codes.Code{codes.ResourceExhausted}}, longrun.Succeeded, codes.OK, "", 2},
	{nothing, longrun.RetryAfter(time.Hour/2, nil), method{}, longrun.Succeeded, codes.OK, "", 2},
	{nothing, longrun.RetryAfter(0, errPlain), once, longrun.Succeeded, codes.OK, "", 2},
	{nothing, longrun.RetryAfter(0, nil), lastTry, longrun.Succeeded, codes.OK, "", 2},
	{drained, context.Canceled, method{}, longrun.Succeeded, codes.OK, "", 2},
	{drained, context.Canceled, lastTry, longrun.Succeeded, codes.OK, "", 2},
	{drained, longrun.ErrDraining, method{}, longrun.Succeeded, codes.OK, "", 2},
	{drained, longrun.ErrCancelled, method{}, longrun.Succeeded, codes.OK, "", 2},
	{drained, errGone, method{}, longrun.Succeeded, codes.OK, "", 2},
	{drained, longrun.RetryAfter(0, context.Canceled), once, longrun.Succeeded, codes.OK, "", 2},
	{sessionLost, context.Canceled, method{}, longrun.Succeeded, codes.OK, "", 2},
	{sessionLost, errPlain, method{}, longrun.Succeeded, codes.OK, "", 2},
}

// The table "a run ends by", from the start of an operation to its end.
func TestRunEnds(t *testing.T) {
	for _, row := range runEndings {
		t.Run(fmt.Sprintf("%s/%v", row.event, row.returns), func(t *testing.T) {
			inBubble(t, row.check)
		})
	}
}

// check lets a first run end by the row, and looks at what becomes of the
// operation.
func (row runEnding) check(t *testing.T, s *system) {
	m := row.m
	m.Name = work.Name
	begun := make(chan struct{}, 1)
	attempts := &events{}
	h := func(ctx context.Context, _ *text, run *longrun.Run[*meta]) (*text, error) {
		attempts.note(fmt.Sprint(run.Attempt()))
		if run.Attempt() > 1 {
			return wrapperspb.String("at last"), nil
		}
		begun <- struct{}{}
		if row.event != nothing {
			<-ctx.Done()
		}
		return wrapperspb.String("response"), row.returns
	}
	longrun.Handle(s.Service, m, h)
	drain := s.begin(runner.Options{Grace: -1})
	op := s.start(m, longrun.StartOptions{ConflictKey: "key", OnConflict: longrun.Preempt})
	<-begun
	synctest.Wait() // no claim is under way that could take up what a drain gives back
	row.happen(s, op, drain)
	if row.event == drained || row.event == stopAsked {
		next := s.newProcess()
		longrun.Handle(next.Service, m, h)
		next.begin(runner.Options{})
	}
	got := s.done(op)
	if got.State != row.state {
		t.Errorf("State = %v, want %v", got.State, row.state)
	}
	if code := codes.Code(got.Error.GetCode()); code != row.code {
		t.Errorf("Code = %v, want %v", code, row.code)
	}
	if reason := reasonOf(t, got); reason != row.reason && (row.returns != errGone || reason != "OPERATION_FAILED") {
		t.Errorf("reason = %q, want %q", reason, row.reason)
	}
	if got.Claim.Attempt != row.attempts {
		t.Errorf("Attempt = %d, want %d", got.Claim.Attempt, row.attempts)
	}
	if n := int64(attempts.count()); n != row.attempts {
		t.Errorf("the handler began %d times (attempts %s), want %d", n, attempts, row.attempts)
	}
}

// happen lets the row's event happen to a run that has begun.
func (row runEnding) happen(s *system, op *longrun.Operation, drain func() error) {
	s.t.Helper()
	switch row.event {
	case cancelled:
		s.cancel(op)
	case preempted:
		s.start(method{Name: "newcomer"}, longrun.StartOptions{ConflictKey: "key", OnConflict: longrun.Preempt})
	case drained:
		if err := drain(); err != nil {
			s.t.Errorf("Run: %v", err)
		}
	case stopAsked:
		s.cancelQuietly(op)
		if err := drain(); err != nil {
			s.t.Errorf("Run: %v", err)
		}
	case sessionLost:
		s.endSession(op)
	case stopAndLost:
		s.cancelQuietly(op)
		s.endSession(op)
	}
}
