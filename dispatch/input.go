package dispatch

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// invalid says that a field of a request is at fault.
func invalid(verb, field, format string, args ...any) error {
	return &longrun.Error{Code: codes.InvalidArgument, Reason: longrun.ReasonInvalidField, Verb: verb, Field: field,
		Msg: field + " " + fmt.Sprintf(format, args...)}
}

// unavailable asks the caller to come again in a second.
func unavailable(verb, reason, msg string) error {
	return &longrun.Error{Code: codes.Unavailable, Reason: reason, Verb: verb, Msg: msg, Delay: time.Second}
}

// gone says why nobody waits for the answer any more.
func gone(ctx context.Context, verb string) error {
	code, msg := codes.Canceled, "the caller stopped waiting"
	if ctx.Err() == context.DeadlineExceeded {
		code, msg = codes.DeadlineExceeded, "the caller's deadline passed"
	}
	return &longrun.Error{Code: code, Reason: longrun.ReasonCallerGone, Verb: verb, Msg: msg, Err: ctx.Err()}
}

// refused is a duration that no limit allows, in place of one that cannot be
// read: whoever checks the limit then names the field.
const refused = -time.Second

// duration reads a Duration whose limits are checked elsewhere. Absent is 0, and
// negative or not well-formed is refused.
func duration(d *durationpb.Duration) time.Duration {
	if d != nil && (d.CheckValid() != nil || d.AsDuration() < 0) {
		return refused
	}
	return d.AsDuration()
}

// waitTimeout reads how long a call may wait; absent is not at all.
func waitTimeout(verb string, d *durationpb.Duration) (time.Duration, error) {
	wait := duration(d)
	if wait < 0 {
		return 0, &longrun.Error{Code: codes.InvalidArgument, Reason: longrun.ReasonInvalidTimeout, Verb: verb,
			Field: "wait_timeout", Msg: "wait_timeout must be a valid duration and not negative"}
	}
	return wait, nil
}

// answerMargin is how much earlier than the caller's deadline a call answers, or
// a quarter of what is left if that is less: a reply that is on its way when the
// deadline passes is lost.
const answerMargin = 250 * time.Millisecond

// answerBy cuts wait so that the answer comes before the caller's deadline.
func answerBy(ctx context.Context, now time.Time, wait time.Duration) time.Time {
	end := now.Add(wait)
	if deadline, ok := ctx.Deadline(); ok {
		left := deadline.Sub(now)
		if limit := now.Add(left - min(answerMargin, left/4)); limit.Before(end) {
			return limit
		}
	}
	return end
}

// payload returns a, and nil for one that says nothing at all. A value without a
// type is an error.
func payload(verb, field string, a *anypb.Any) (*anypb.Any, error) {
	switch {
	case a.GetTypeUrl() != "":
		return a, nil
	case len(a.GetValue()) > 0:
		return nil, invalid(verb, field, "has a value and no type")
	}
	return nil, nil
}

// run is the run that a call speaks of.
type run struct {
	name  longrun.Name
	claim longrun.Claim
}

// run reads whose run a call speaks of.
func (s *server) run(ctx context.Context, verb, name, session string, attempt int64) (run, error) {
	n, err := longrun.ParseName(name)
	if err != nil {
		return run{}, err
	}
	if err := s.svc.Authorize(ctx, longrun.VerbWork, n.Parent); err != nil {
		return run{}, err
	}
	id, err := s.work.SessionOf(ctx, session)
	if err != nil {
		return run{}, err
	}
	if attempt < 1 {
		return run{}, invalid(verb, "attempt", "must be at least 1")
	}
	return run{name: n, claim: longrun.Claim{Session: id, Attempt: attempt}}, nil
}

// held reads the runs that a worker names.
func held(ops []*longrunpb.HeldOperation) ([]longrun.Held, error) {
	if len(ops) > longrun.MaxHeld {
		return nil, invalid("beat", "held", "has more than %d operations", longrun.MaxHeld)
	}
	out := make([]longrun.Held, len(ops))
	for i, h := range ops {
		name, err := longrun.ParseName(h.GetOperation())
		if err != nil {
			return nil, &longrun.Error{Code: codes.InvalidArgument, Reason: longrun.ReasonInvalidOperationName, Verb: "beat",
				Field: fmt.Sprintf("held[%d].operation", i), Msg: "held names something that is no operation's name", Err: err}
		}
		if h.GetAttempt() < 1 {
			return nil, invalid("beat", fmt.Sprintf("held[%d].attempt", i), "must be at least 1")
		}
		out[i] = longrun.Held{Name: name, Attempt: h.GetAttempt()}
	}
	return out, nil
}

// policy reads a policy; one that is unknown stays so, for Start to refuse.
func policy(p longrunpb.ConflictPolicy) longrun.ConflictPolicy {
	switch p {
	case longrunpb.ConflictPolicy_CONFLICT_POLICY_UNSPECIFIED, longrunpb.ConflictPolicy_QUEUE:
		return longrun.Queue
	case longrunpb.ConflictPolicy_REJECT:
		return longrun.Reject
	case longrunpb.ConflictPolicy_PREEMPT:
		return longrun.Preempt
	}
	return longrun.ConflictPolicy(255)
}

// stamp is t on the wire; the zero time is absent.
func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
