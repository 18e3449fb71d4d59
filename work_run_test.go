package longrun_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/longrun-dev/longrun"
)

// OP-04: a run that returns nothing has an Empty response.
func TestFinish(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	done := sys.finish(t, sys.running(t, longrun.StartOptions{}), longrun.Result{})
	if done.State != longrun.Succeeded || !done.Response.MessageIs(&emptypb.Empty{}) {
		t.Errorf("finished: %v %v, want SUCCEEDED with Empty", done.State, done.Response)
	}
	op := sys.running(t, longrun.StartOptions{})
	result := longrun.Result{Response: packed(t, int64Value(7)), Metadata: packed(t, progress(9, 9))}
	first := sys.finish(t, op, result)
	again := sys.finish(t, op, result)
	if first.Revision != again.Revision || sys.metadata(t, again).Progress.CompletedUnits != 9 {
		t.Errorf("the same Finish again: revision %d after %d", again.Revision, first.Revision)
	}
	// OP-16: whatever it says, the first end stays; and who said something else is told.
	for _, other := range []longrun.Result{{Err: errors.New("x")}, {Err: status.Error(codes.Unavailable, "x")}, {Response: packed(t, int64Value(8))}} {
		_, err := sys.svc.Work().Finish(t.Context(), op.Name(), op.Claim, other)
		if !errors.Is(err, longrun.ErrClaimLost) || longrun.CodeOf(err) != codes.Aborted {
			t.Errorf("Finish again with %+v: %v, want ABORTED, claim lost", other, err)
		}
	}
	if later := sys.finish(t, op, result); later.State != longrun.Succeeded || later.Revision != first.Revision {
		t.Errorf("after another Finish: %v, want the first end kept", later.State)
	}
	// UNAVAILABLE is run again.
	back := sys.finish(t, sys.running(t, longrun.StartOptions{}), longrun.Result{Err: status.Error(codes.Unavailable, "away")})
	if back.State != longrun.Pending || back.Failures != 1 || !back.ReadyTime.After(back.UpdateTime) {
		t.Errorf("after UNAVAILABLE: %v, failures %d", back.State, back.Failures)
	}
	retried := sys.finish(t, sys.running(t, longrun.StartOptions{}), longrun.Result{Err: status.Error(codes.DataLoss, "x"), RetryOn: []codes.Code{codes.DataLoss}})
	if retried.State != longrun.Pending {
		t.Errorf("after a code of RetryOn: %v, want PENDING", retried.State)
	}
}

// The cause of an INTERNAL end is in the log, under the id that the caller sees.
func TestFinish_Logs(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	sys := newSystem(t, longrun.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	op := sys.running(t, longrun.StartOptions{})
	done := sys.finish(t, op, longrun.Result{Err: errors.New("hunter2")})
	id := done.Error.Message[strings.LastIndex(done.Error.Message, " ")+1:]
	for _, want := range []string{"hunter2", "id=" + id, "operation=" + op.Name().String(), "method=" + word, "attempt=1"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log = %s, want %q in it", &log, want)
		}
	}
	log.Reset()
	sys.finish(t, sys.running(t, longrun.StartOptions{}), longrun.Result{Err: status.Error(codes.NotFound, "no file")})
	if log.Len() != 0 {
		t.Errorf("a Status is logged: %s", &log)
	}
}

// A payload past its limit is refused, and the run goes on.
func TestFinish_Limits(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	op := sys.running(t, longrun.StartOptions{})
	large := status.New(codes.NotFound, strings.Repeat("x", longrun.MaxErrorBytes)).Err()
	for field, r := range map[string]longrun.Result{
		"response":     {Response: sized(longrun.MaxResponseBytes + 1)},
		"metadata":     {Metadata: sized(longrun.MaxMetadataBytes + 1)},
		"error":        {Err: large},
		"retry_delay":  {Err: longrun.RetryAfter(longrun.MaxRetryDelay+time.Second, nil)},
		"retry_delay ": {Err: longrun.RetryAfter(-1, nil)},
	} {
		_, err := sys.work.Finish(t.Context(), op.Name(), op.Claim, r)
		reason := longrun.ReasonPayloadTooLarge
		if strings.HasPrefix(field, "retry") {
			reason = longrun.ReasonInvalidField
		}
		wantError(t, err, codes.InvalidArgument, reason)
		if got := fieldOf(err); got != strings.TrimSpace(field) {
			t.Errorf("field = %q, want %q", got, field)
		}
	}
	if got := sys.get(t, op.Name()); got.State != longrun.Running || got.Revision != op.Revision {
		t.Errorf("operation = %v at %d, want it to run on", got.State, got.Revision)
	}
	sys.finish(t, op, longrun.Result{Response: sized(longrun.MaxResponseBytes), Metadata: sized(longrun.MaxMetadataBytes)})
	delayed := sys.finish(t, sys.running(t, longrun.StartOptions{}), longrun.Result{Err: longrun.RetryAfter(longrun.MaxRetryDelay, nil)})
	if delayed.State != longrun.Pending || delayed.Failures != 0 {
		t.Errorf("RetryAfter at the limit: %v, failures %d", delayed.State, delayed.Failures)
	}
	short := sys.finish(t, sys.running(t, longrun.StartOptions{}), longrun.Result{Err: longrun.RetryAfter(1500*time.Nanosecond, nil)})
	if got := short.ReadyTime.Sub(short.UpdateTime); got != time.Microsecond {
		t.Errorf("RetryAfter of 1.5 microseconds: ready in %v, want whole microseconds", got)
	}
}

func TestRelease(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	op := sys.running(t, longrun.StartOptions{})
	for _, d := range []time.Duration{-1, longrun.MaxRetryDelay + 1} {
		_, err := sys.work.Release(t.Context(), op.Name(), op.Claim, longrun.Release{Delay: d})
		if got := fieldOf(err); got != "retry_delay" {
			t.Errorf("Release(%v) = %v, want field retry_delay", d, err)
		}
	}
	_, err := sys.work.Release(t.Context(), op.Name(), op.Claim, longrun.Release{Metadata: sized(longrun.MaxMetadataBytes + 1)})
	wantError(t, err, codes.InvalidArgument, longrun.ReasonPayloadTooLarge)
	back, err := sys.work.Release(t.Context(), op.Name(), op.Claim, longrun.Release{Delay: time.Hour, Metadata: packed(t, progress(3, 9)), Begun: true})
	if err != nil || back.State != longrun.Pending || back.Failures != 0 || back.ReadyTime.Sub(back.UpdateTime) != time.Hour {
		t.Errorf("released: %+v, %v; want PENDING in an hour", back, err)
	}
	if got := sys.metadata(t, back).Progress.CompletedUnits; got != 3 {
		t.Errorf("units done = %d, want 3", got)
	}
	if again, err := sys.work.Release(t.Context(), op.Name(), op.Claim, longrun.Release{}); err != nil || again.Revision != back.Revision {
		t.Errorf("released again: %v, revision %d; want nothing to happen", err, again.Revision)
	}
}

// The fence: a claim that is not the operation's, a name of another parent and a
// record that is gone are a lost claim for all that a run says.
func TestRun_ClaimLost(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	op := sys.running(t, longrun.StartOptions{Parent: "projects/p"})
	other := longrun.Claim{Session: longrun.NewSessionID(), Attempt: 1}
	for _, tt := range []struct {
		what  string
		name  longrun.Name
		claim longrun.Claim
	}{
		{"another claim", op.Name(), other},
		{"a later attempt", op.Name(), longrun.Claim{Session: op.Claim.Session, Attempt: 2}},
		{"another parent", longrun.Name{Parent: "projects/q", ID: op.ID}, op.Claim},
		{"no such record", longrun.Name{Parent: "projects/p", ID: longrun.NewID()}, op.Claim},
		{"no name", longrun.Name{}, op.Claim},
	} {
		for verb, call := range map[string]func() error{
			"finish": func() error { _, err := sys.work.Finish(t.Context(), tt.name, tt.claim, longrun.Result{}); return err },
			"release": func() error {
				_, err := sys.work.Release(t.Context(), tt.name, tt.claim, longrun.Release{})
				return err
			},
			"report": func() error {
				return sys.work.Report(t.Context(), tt.name, tt.claim, longrun.Report{Metadata: packed(t, progress(1, 2))})
			},
			"step": func() error { _, err := sys.work.Step(t.Context(), tt.name, tt.claim, "k", nil); return err },
		} {
			if err := call(); !errors.Is(err, longrun.ErrClaimLost) || longrun.CodeOf(err) != codes.Aborted {
				t.Errorf("%s of %s = %v, want ABORTED with ErrClaimLost in its tree", verb, tt.what, err)
			}
		}
	}
	if got := sys.get(t, op.Name()); got.State != longrun.Running || got.CompletedSteps != 0 || got.Metadata != nil {
		t.Errorf("operation = %+v, want it untouched", got)
	}
	if steps, err := sys.work.Steps(t.Context(), longrun.Name{Parent: "projects/q", ID: op.ID}, "", 10); err == nil && len(steps) > 0 {
		t.Errorf("steps by a name of another parent: %v", steps)
	}
}

// CON-03: an end whose answer was lost is applied again, and is there once.
func TestRun_UnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		for _, lost := range []func(string, func() error){sys.store.onAnswer, sys.store.onCall} {
			op := sys.running(t, longrun.StartOptions{})
			lost("Update", times(2, errUnknown))
			if err := sys.work.Report(t.Context(), op.Name(), op.Claim, longrun.Report{Metadata: packed(t, progress(1, 2))}); err != nil {
				t.Error(err)
			}
			lost("Update", times(2, errUnknown))
			if got, err := sys.work.Step(t.Context(), op.Name(), op.Claim, "k", []byte("v")); err != nil || string(got) != "v" {
				t.Errorf("Step = %q, %v", got, err)
			}
			lost("Update", times(2, errUnknown))
			if done := sys.finish(t, op, longrun.Result{}); done.State != longrun.Succeeded || done.Revision != op.Revision+1 || done.CompletedSteps != 1 {
				t.Errorf("finished: %v at revision %d with %d steps", done.State, done.Revision, done.CompletedSteps)
			}
		}
	})
}

// Steps are remembered once: the same key again returns the first result.
func TestStep(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	op := sys.running(t, longrun.StartOptions{})
	step := func(key, result string) (string, error) {
		got, err := sys.work.Step(t.Context(), op.Name(), op.Claim, key, []byte(result))
		return string(got), err
	}
	longest := strings.Repeat("k", longrun.MaxStepKeyBytes)
	for _, key := range []string{"a", "b", "ab", "abc", "\x00", longest} {
		for i, result := range []string{"first", "second"} {
			if got, err := step(key, result); err != nil || got != "first" {
				t.Errorf("Step(%.9q) for the %d. time = %q, %v; want first", key, i, got, err)
			}
		}
	}
	if got, err := step("large", strings.Repeat("x", longrun.MaxStepBytes)); err != nil || len(got) != longrun.MaxStepBytes {
		t.Errorf("a result at the limit: %v", err)
	}
	for name, err := range map[string]error{
		"no key": second(step("", "x")), "key too long": second(step(longest+"k", "x")), "result too large": second(step("x", strings.Repeat("x", longrun.MaxStepBytes+1))),
	} {
		if longrun.CodeOf(err) != codes.InvalidArgument {
			t.Errorf("%s: Step = %v, want INVALID_ARGUMENT", name, err)
		}
	}
	var keys []string
	for after := ""; ; {
		steps, err := sys.work.Steps(t.Context(), op.Name(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(steps) == 0 {
			break
		}
		for _, s := range steps {
			keys = append(keys, s.Key)
		}
		after = keys[len(keys)-1]
	}
	if want := []string{"\x00", "a", "ab", "abc", "b", longest, "large"}; !slices.Equal(keys, want) {
		t.Errorf("keys = %.9q, want %.9q", keys, want)
	}
	if got := sys.metadata(t, sys.get(t, op.Name())).Progress.CompletedSteps; got != 7 {
		t.Errorf("completed steps = %d, want 7", got)
	}
	if got := sys.get(t, op.Name()); got.Revision != op.Revision {
		t.Errorf("Revision = %d, want %d: steps are no revision", got.Revision, op.Revision)
	}
}

func second[T any](_ T, err error) error { return err }

// However many steps sort before it, the one that is there is found.
func TestStep_AmongMany(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	op := sys.running(t, longrun.StartOptions{})
	for i := range 250 {
		if _, err := sys.work.Step(t.Context(), op.Name(), op.Claim, fmt.Sprintf("k\x00%03d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if got, err := sys.work.Step(t.Context(), op.Name(), op.Claim, "kz", []byte("v")); err != nil || string(got) != "v" {
			t.Errorf("Step = %q, %v; want v", got, err)
		}
	}
	for _, n := range []int{0, -1} {
		if steps, err := sys.work.Steps(t.Context(), op.Name(), "", n); err == nil && len(steps) > 0 {
			t.Errorf("Steps of %d = %d steps", n, len(steps))
		}
	}
}
