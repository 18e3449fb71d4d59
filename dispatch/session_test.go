package dispatch_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/dispatch"
	"github.com/longrun-dev/longrun/longrunpb"
)

func TestOpenSession_TTL(t *testing.T) {
	bubble(t, func(x *system) {
		for _, tt := range []struct {
			name      string
			ttl, want *durationpb.Duration
		}{
			{"absent means 30 s", nil, durationpb.New(30 * time.Second)},
			{"the shortest", durationpb.New(longrun.MinSessionTTL), durationpb.New(5 * time.Second)},
			{"the longest", durationpb.New(longrun.MaxSessionTTL), durationpb.New(10 * time.Minute)},
			{"whole microseconds", durationpb.New(6*time.Second + 1500), durationpb.New(6*time.Second + 1000)},
			{"too short", durationpb.New(longrun.MinSessionTTL - 1), nil},
			{"too long", durationpb.New(longrun.MaxSessionTTL + 1), nil},
			{"zero", &durationpb.Duration{}, nil},
			{"negative", negative, nil},
			{"endless", endless, nil},
			{"torn", torn, nil},
		} {
			r, err := x.OpenSession(x.ctx, &longrunpb.OpenSessionRequest{Ttl: tt.ttl})
			if tt.want == nil {
				wantInvalid(x.t, err, "ttl")
				continue
			}
			if err != nil || r.GetTtl().AsDuration() != tt.want.AsDuration() {
				x.t.Errorf("%s: ttl = %v, %v, want %v", tt.name, r.GetTtl().AsDuration(), err, tt.want.AsDuration())
			}
		}
	})
}

func TestOpenSession_Worker(t *testing.T) {
	bubble(t, func(x *system) {
		_, err := x.OpenSession(x.ctx, &longrunpb.OpenSessionRequest{Worker: strings.Repeat("w", longrun.MaxWorkerBytes)})
		if err != nil {
			x.t.Errorf("a worker of 128 bytes: %v", err)
		}
		_, err = x.OpenSession(x.ctx, &longrunpb.OpenSessionRequest{Worker: strings.Repeat("w", longrun.MaxWorkerBytes+1)})
		wantInvalid(x.t, err, "worker")
	})
}

// A repeated OpenSession opens another session; both can be used.
func TestOpenSession_Again(t *testing.T) {
	bubble(t, func(x *system) {
		a, b := x.open(), x.open()
		if a == b {
			x.t.Fatal("two sessions have the same token")
		}
		x.beat(a, 0)
		x.beat(b, 0)
	})
}

// Every call that takes a token answers one that this server has not issued as it
// answers that of a lost session, before it asks the store anything. No error repeats
// the token: it is a secret.
func TestSession_ForgedToken(t *testing.T) {
	bubble(t, func(x *system) {
		token, foreign := x.open(), newSystem(x.t, dispatch.Options{}).open()
		flipped := "A" + token[1:]
		if flipped == token {
			flipped = "B" + token[1:]
		}
		name := x.start(resize).String()
		before := x.store.calls.Load()
		for _, forged := range []string{foreign, "secret-of-mine", flipped, token + "A", token[:len(token)-1], strings.Repeat("x", 10_000)} {
			for call, err := range x.everyCall(forged, name) {
				wantSessionLost(x.t, err)
				if m := status.Convert(err).Message(); strings.Contains(m, forged) {
					x.t.Errorf("%s: the token is in the message %q", call, m)
				}
			}
		}
		if n := x.store.calls.Load() - before; n != 0 {
			x.t.Errorf("the store was asked %d times, want 0", n)
		}
		for _, err := range x.everyCall("", name) {
			wantInvalid(x.t, err, "session")
		}
	})
}

// everyCall makes each call that takes a session and returns what it ends with.
func (x *system) everyCall(session, name string) map[string]error {
	errs := map[string]error{}
	_, errs["beat"] = x.BeatSession(x.ctx, &longrunpb.BeatSessionRequest{Session: session})
	_, errs["close"] = x.CloseSession(x.ctx, &longrunpb.CloseSessionRequest{Session: session})
	_, errs["acquire"] = x.AcquireOperations(x.ctx, &longrunpb.AcquireOperationsRequest{Session: session, Methods: []string{resize}, Call: 1})
	_, errs["report"] = x.ReportProgress(x.ctx, &longrunpb.ReportProgressRequest{Session: session, Name: name, Attempt: 1,
		Report: &longrunpb.ReportProgressRequest_Progress{Progress: &longrunpb.Progress{}}})
	_, errs["finish"] = x.FinishOperation(x.ctx, &longrunpb.FinishOperationRequest{Session: session, Name: name, Attempt: 1,
		Result: &longrunpb.FinishOperationRequest_Response{Response: text("x")}})
	_, errs["release"] = x.ReleaseOperation(x.ctx, &longrunpb.ReleaseOperationRequest{Session: session, Name: name, Attempt: 1})
	if session != "" {
		_, errs["start"] = x.StartOperation(x.ctx, &longrunpb.StartOperationRequest{Session: session, Method: resize, Call: 1})
	}
	return errs
}

func TestCloseSession_Again(t *testing.T) {
	bubble(t, func(x *system) {
		session := x.open()
		for range 2 {
			if _, err := x.CloseSession(x.ctx, &longrunpb.CloseSessionRequest{Session: session}); err != nil {
				x.t.Errorf("CloseSession: %v", err)
			}
		}
		_, err := x.BeatSession(x.ctx, beatOf(session, 0))
		wantSessionLost(x.t, err)
		_, err = x.AcquireOperations(x.ctx, &longrunpb.AcquireOperationsRequest{Session: session, Methods: []string{resize}, Call: 1})
		wantSessionLost(x.t, err)
		_, err = x.StartOperation(x.ctx, &longrunpb.StartOperationRequest{Session: session, Method: resize, Call: 2})
		wantSessionLost(x.t, err)
	})
}

// CON-04: what a closed session still holds is lost with it, and runs again.
func TestCloseSession_Holding(t *testing.T) {
	bubble(t, func(x *system) {
		name := x.start(resize)
		session := x.open()
		op := x.acquireOne(session, 1)
		if _, err := x.CloseSession(x.ctx, &longrunpb.CloseSessionRequest{Session: session}); err != nil {
			x.t.Fatal(err)
		}
		x.sweepFor(time.Second)
		if got := x.get(name); got.State != longrun.Pending || got.Failures != 1 {
			x.t.Errorf("State = %v, Failures = %d, want PENDING, 1", got.State, got.Failures)
		}
		_, err := x.FinishOperation(x.ctx, succeed(session, op))
		wantClaimLost(x.t, err)
	})
}

// CON-04: a session that is silent for its TTL is lost; its operation runs again
// and the late finisher changes nothing.
func TestSession_Silent(t *testing.T) {
	bubble(t, func(x *system) {
		name := x.start(resize)
		silent, other := x.open(), x.open()
		op := x.acquireOne(silent, 1)
		for range 4 {
			x.sweepFor(10 * time.Second)
			x.beat(other, 0)
		}
		again := x.acquireOne(other, 1)
		if again.GetOperation() != name.String() || again.GetAttempt() != 2 {
			x.t.Errorf("acquired %s, attempt %d, want %s, attempt 2", again.GetOperation(), again.GetAttempt(), name)
		}
		for call, err := range x.everyCall(silent, name.String()) {
			switch call {
			case "close":
				if err != nil {
					x.t.Errorf("CloseSession of a lost session: %v", err)
				}
			case "beat", "acquire", "start":
				wantSessionLost(x.t, err)
			default:
				wantClaimLost(x.t, err)
			}
		}
		_, err := x.FinishOperation(x.ctx, succeed(silent, op))
		wantClaimLost(x.t, err)
		x.finish(succeed(other, again))
		x.wantState(name, longrun.Succeeded, 0)
	})
}

// A session that beats keeps its claims, for ever.
func TestSession_Beats(t *testing.T) {
	bubble(t, func(x *system) {
		name := x.start(resize)
		session := x.open()
		op := x.acquireOne(session, 1)
		for range 12 {
			x.sweepFor(10 * time.Second)
			x.beat(session, 1, op)
		}
		if got := x.get(name); got.State != longrun.Running || got.Claim.Attempt != 1 {
			x.t.Errorf("State = %v, Attempt = %d, want RUNNING, 1", got.State, got.Claim.Attempt)
		}
	})
}

// A server that has as many sessions as it may says so, and when to ask again.
func TestOpenSession_Full(t *testing.T) {
	bubble(t, func(x *system) {
		for range longrun.MaxSessions {
			x.open()
		}
		_, err := x.OpenSession(x.ctx, &longrunpb.OpenSessionRequest{})
		st := status.Convert(err)
		if st.Code() != codes.Unavailable || !strings.Contains(fmt.Sprint(st.Details()), longrun.ReasonOverloaded) {
			t.Errorf("OpenSession = %v, want UNAVAILABLE, OVERLOADED", err)
		}
	})
}
