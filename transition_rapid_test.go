package longrun

import (
	"errors"
	"reflect"
	"testing"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"
	"pgregory.net/rapid"
)

// A life applies random events, of sessions right and wrong, to one operation.
type life struct {
	op       *Operation
	now      time.Time
	sessions []SessionID
	attempts map[int64]bool
}

func TestTransitions_AnyLife(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := &life{now: storeStart, attempts: map[int64]bool{}}
		for range 3 {
			l.sessions = append(l.sessions, NewSessionID())
		}
		op := fresh()
		op.AtMostOnce = rapid.Bool().Draw(t, "at most once")
		op.Pinned = op.AtMostOnce && rapid.Bool().Draw(t, "pinned")
		op.MaxFailures = rapid.IntRange(1, 4).Draw(t, "max failures")
		if rapid.Bool().Draw(t, "limited") {
			op.ExecutionTimeout = time.Minute
		}
		l.op = op.Stored(l.now, rapid.Bool().Draw(t, "waits"))
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			l.step(t)
		}
	})
}

// step lets one event happen, and then the same event again.
func (l *life) step(t *rapid.T) {
	// Clocks of other nodes may be behind a little.
	l.now = l.now.Add(time.Duration(rapid.Int64Range(-int64(time.Second), int64(40*time.Second)).Draw(t, "passes")).Truncate(time.Microsecond))
	name := rapid.SampledFrom([]string{"claim", "end", "end", "end", "cancel", "preempt", "ready", "deadline", "hide", "empty", "report", "count"}).Draw(t, "event")
	event := l.event(t, name)
	before := *l.op
	next, err := event(l.op)
	if !reflect.DeepEqual(before, *l.op) {
		t.Fatalf("%s has modified its receiver", name)
	}
	l.check(t, name, next, err)
	l.op = next
	if err != nil || name == "claim" || name == "report" || name == "count" {
		return // a claim is made once; the latest report wins; steps are counted by the store
	}
	if again, err := event(next); again != next || err != nil {
		t.Fatalf("%s again: changed %v, error %v; want nothing to happen", name, again != next, err)
	}
}

func (l *life) event(t *rapid.T, name string) func(*Operation) (*Operation, error) {
	now, claim := l.now, l.claim(t)
	pure := func(f func(*Operation, time.Time) *Operation) func(*Operation) (*Operation, error) {
		return func(op *Operation) (*Operation, error) { return f(op, now), nil }
	}
	switch name {
	case "claim":
		return func(op *Operation) (*Operation, error) { return op.ClaimBy(claim.Session, 0, now) }
	case "cancel":
		return pure((*Operation).RequestCancel)
	case "preempt":
		return pure((*Operation).Preempt)
	case "ready":
		return pure((*Operation).MakeReady)
	case "deadline":
		return pure((*Operation).PassDeadline)
	case "hide":
		return pure((*Operation).Hide)
	case "empty":
		return pure((*Operation).Empty)
	case "report":
		return func(op *Operation) (*Operation, error) { return op.Report(claim, &anypb.Any{TypeUrl: "m"}, now) }
	case "count":
		return func(op *Operation) (*Operation, error) { return op.CountStep(claim, now) }
	}
	e := randomEnd(t, claim)
	return func(op *Operation) (*Operation, error) { return op.EndRun(e, now) }
}

// claim is the right one, mostly.
func (l *life) claim(t *rapid.T) Claim {
	if rapid.IntRange(0, 3).Draw(t, "right") > 0 && !l.op.Claim.Session.IsZero() {
		return l.op.Claim
	}
	return Claim{Session: rapid.SampledFrom(l.sessions).Draw(t, "session"), Attempt: rapid.Int64Range(0, 5).Draw(t, "attempt")}
}

func randomEnd(t *rapid.T, claim Claim) RunEnd {
	e := RunEnd{Claim: claim, Kind: RunEndKind(rapid.IntRange(1, 5).Draw(t, "kind")), Begun: rapid.Bool().Draw(t, "begun"), Jitter: rapid.Float64Range(0, 1).Draw(t, "jitter")}
	e.Delay = time.Duration(rapid.IntRange(0, 5).Draw(t, "delay")) * time.Second
	if rapid.Bool().Draw(t, "metadata") {
		e.Metadata = &anypb.Any{TypeUrl: "last"}
	}
	switch code := rapid.SampledFrom([]codes.Code{codes.OK, codes.Canceled, codes.DeadlineExceeded, codes.Unavailable, codes.NotFound}).Draw(t, "code"); {
	case e.Kind == RunReturned && code == codes.OK:
		e.Response = &anypb.Any{TypeUrl: "r"}
	case e.Kind == RunReturned || e.Kind == RunRetryable:
		e.Error = &statuspb.Status{Code: max(int32(code), 1)}
		e.Timeout = code == codes.DeadlineExceeded
		e.BareCancel = code == codes.NotFound && rapid.Bool().Draw(t, "bare cancel")
	}
	return e
}

// check holds what has happened to what must always hold.
func (l *life) check(t *rapid.T, name string, next *Operation, err error) {
	was := l.op
	if errors.Is(err, ErrClaimLost) || err != nil {
		if next != was {
			t.Fatalf("%s: error %v, and the record has changed", name, err)
		}
		return
	}
	progress := name == "report" || name == "count"
	switch changed := next != was; {
	case changed && !progress && next.Revision != was.Revision+1, progress && next.Revision != was.Revision, !changed && !reflect.DeepEqual(*next, *was):
		t.Fatalf("%s: Revision = %d after %d, changed %v", name, next.Revision, was.Revision, changed)
	}
	if next.UpdateTime.Before(was.UpdateTime) || next.CreateTime != was.CreateTime {
		t.Fatalf("%s: UpdateTime = %v after %v", name, next.UpdateTime, was.UpdateTime)
	}
	l.checkAttempt(t, name, next)
	l.checkResult(t, name, next)
	if next.State == Pending && next.CancelRequested || next.State == Pending && next.Preempted {
		t.Fatalf("%s: pending, and nobody wants it: %+v", name, next)
	}
	if next.State != Pending && !next.ReadyTime.IsZero() || next.State.Done() == next.EndTime.IsZero() {
		t.Fatalf("%s: %v with ready time %v, end time %v", name, next.State, next.ReadyTime, next.EndTime)
	}
}

func (l *life) checkAttempt(t *rapid.T, name string, next *Operation) {
	was := l.op
	if name != "claim" {
		if next.Claim != was.Claim {
			t.Fatalf("%s: claim %v after %v", name, next.Claim, was.Claim)
		}
		return
	}
	if next.Claim.Attempt != was.Claim.Attempt+1 || l.attempts[next.Claim.Attempt] {
		t.Fatalf("Attempt = %d after %d: it never goes back, never repeats", next.Claim.Attempt, was.Claim.Attempt)
	}
	l.attempts[next.Claim.Attempt] = true
}

func (l *life) checkResult(t *rapid.T, name string, next *Operation) {
	was := l.op
	if was.State.Done() {
		emptied := name == "hide" || name == "empty"
		if next.State != was.State || next.EndTime != was.EndTime || !emptied && next != was {
			t.Fatalf("OP-16: %s has changed a done operation: %v, end %v", name, next.State, next.EndTime)
		}
	}
	if was.Hidden && !next.Hidden {
		t.Fatalf("DEL-08: %s has brought it back", name)
	}
	results := 0
	if next.Response != nil {
		results++
	}
	if next.Error != nil {
		results++
	}
	switch {
	case next.Hidden && next.State.Done(), !next.State.Done():
		if results != 0 {
			t.Fatalf("OP-02: %s: %v with %d results", name, next.State, results)
		}
	case results != 1 || (next.Response != nil) != (next.State == Succeeded):
		t.Fatalf("OP-03: %s: %v with response %v, error %v", name, next.State, next.Response, next.Error)
	case next.Error != nil && (next.State == Cancelled) != (next.Error.Code == 1):
		t.Fatalf("OP-10: %s: %v with code %d", name, next.State, next.Error.Code)
	}
}
