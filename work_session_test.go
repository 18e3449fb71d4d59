package longrun_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/longrun-dev/longrun"
)

func TestOpenSession_Limits(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	for field, o := range map[string]longrun.SessionOptions{
		"ttl":     {TTL: longrun.MinSessionTTL - 1},
		"ttl ":    {TTL: longrun.MaxSessionTTL + 1},
		"ttl  ":   {TTL: -1},
		"worker":  {Worker: strings.Repeat("w", longrun.MaxWorkerBytes+1)},
		"worker ": {Worker: "\xff"},
	} {
		_, err := sys.work.OpenSession(t.Context(), o)
		wantError(t, err, codes.InvalidArgument, longrun.ReasonInvalidField)
		if got := fieldOf(err); got != strings.TrimSpace(field) {
			t.Errorf("%+v: field = %q, want %q", o, got, strings.TrimSpace(field))
		}
	}
	for want, o := range map[time.Duration]longrun.SessionOptions{
		longrun.DefaultSessionTTL: {Worker: strings.Repeat("w", longrun.MaxWorkerBytes)},
		longrun.MinSessionTTL:     {TTL: longrun.MinSessionTTL},
		longrun.MaxSessionTTL:     {TTL: longrun.MaxSessionTTL},
	} {
		beat, err := sys.work.Beat(t.Context(), longrun.BeatRequest{Session: sys.session(t, o)})
		if err != nil || beat.TTL != want || beat.Time.IsZero() {
			t.Errorf("beat = %+v, %v; want TTL %v", beat, err, want)
		}
	}
}

// A session that is over is over for ever; closing it again is no error.
func TestSession_Over(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	session := sys.session(t, longrun.SessionOptions{})
	for range 2 {
		if err := sys.work.CloseSession(t.Context(), session); err != nil {
			t.Errorf("CloseSession = %v", err)
		}
	}
	for _, id := range []longrun.SessionID{session, longrun.NewSessionID(), {}} {
		_, err := sys.work.Beat(t.Context(), longrun.BeatRequest{Session: id})
		wantError(t, err, codes.Aborted, longrun.ReasonSessionLost)
		_, claimErr := sys.work.Claim(t.Context(), longrun.ClaimRequest{Session: id, Want: []longrun.Want{{Method: word, N: 1}}})
		wantError(t, claimErr, codes.Aborted, longrun.ReasonSessionLost)
		if !errors.Is(err, longrun.ErrSessionLost) || !errors.Is(claimErr, longrun.ErrSessionLost) {
			t.Errorf("errors = %v, %v; want ErrSessionLost in their trees", err, claimErr)
		}
	}
}

// A beat whose answer was lost is sent again, and so is the opening of a session.
func TestSession_UnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		sys.store.onAnswer("Beat", times(2, errUnknown))
		session := sys.session(t, longrun.SessionOptions{})
		sys.store.onAnswer("Beat", times(2, errUnknown))
		if _, err := sys.work.Beat(t.Context(), longrun.BeatRequest{Session: session}); err != nil {
			t.Error(err)
		}
		sys.store.onAnswer("Beat", times(1, errUnknown))
		if err := sys.work.CloseSession(t.Context(), session); err != nil {
			t.Errorf("CloseSession = %v, want no error: it is over already", err)
		}
	})
}

// A session hears, in every answer, what must stop, and what is not its own.
func TestBeat_Stops(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	op := sys.running(t, longrun.StartOptions{Parent: "projects/p"})
	if err := sys.svc.Cancel(t.Context(), op.Name()); err != nil {
		t.Fatal(err)
	}
	foreign := longrun.Held{Name: longrun.Name{ID: longrun.NewID()}, Attempt: 1}
	for range 2 {
		beat, err := sys.work.Beat(t.Context(), longrun.BeatRequest{Session: op.Claim.Session, Held: []longrun.Held{{Name: op.Name(), Attempt: 1}, foreign}})
		if err != nil || len(beat.Stop) != 2 {
			t.Fatalf("stops = %+v, %v; want two", beat.Stop, err)
		}
		why := map[longrun.Name]error{}
		for _, s := range beat.Stop {
			why[s.Name] = s.Why
		}
		if why[op.Name()] != longrun.ErrCancelled || why[foreign.Name] != longrun.ErrClaimLost {
			t.Errorf("stops = %+v, want ErrCancelled and ErrClaimLost", beat.Stop)
		}
	}
}

func TestClaim(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	session := sys.session(t, longrun.SessionOptions{})
	if got := sys.claim(t, session, 5); got != nil {
		t.Errorf("claimed %v of nothing", got)
	}
	a, b := sys.start(t, longrun.StartOptions{}), sys.start(t, longrun.StartOptions{})
	if got := sys.claim(t, session, 1); len(got) != 1 || got[0].ID != a.ID || got[0].Claim.Attempt != 1 || got[0].State != longrun.Running {
		t.Errorf("claimed %v, want the oldest", got)
	}
	if got := sys.claim(t, session, 5); len(got) != 1 || got[0].ID != b.ID {
		t.Errorf("claimed %v, want the other", got)
	}
	held, err := sys.work.Held(t.Context(), session)
	if err != nil || len(held) != 2 {
		t.Errorf("Held = %v, %v; want both", held, err)
	}
	if err := sys.svc.Delete(t.Context(), a.Name()); err != nil {
		t.Fatal(err)
	}
	if held, err := sys.work.Held(t.Context(), session); err != nil || len(held) != 2 {
		t.Errorf("Held = %v, %v; want the deleted one too", held, err)
	}
}

func TestClaim_Limits(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	session := sys.session(t, longrun.SessionOptions{})
	for field, want := range map[string][]longrun.Want{
		"methods":        make([]longrun.Want, longrun.MaxWantMethods+1),
		"methods ":       {{Method: "a b", N: 1}},
		"max_operations": {{Method: word, N: -1}},
	} {
		_, err := sys.work.Claim(t.Context(), longrun.ClaimRequest{Session: session, Want: want})
		if got := fieldOf(err); longrun.CodeOf(err) != codes.InvalidArgument || got != strings.TrimSpace(field) {
			t.Errorf("Claim = %v with field %q, want %q", err, got, strings.TrimSpace(field))
		}
	}
	sys.startMany(t, "", longrun.MaxClaim+5)
	for _, n := range []int{math.MaxInt, 2000} {
		c, err := sys.work.Claim(t.Context(), longrun.ClaimRequest{Session: session, Want: []longrun.Want{{Method: word, N: n}, {Method: "other", N: n}}})
		if err == nil && len(c.Operations) > longrun.MaxClaim {
			t.Errorf("claimed %d at once, want at most %d", len(c.Operations), longrun.MaxClaim)
		}
	}
}

// What was claimed while the answer was lost shows in Held.
func TestClaim_UnknownOutcome(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	session := sys.session(t, longrun.SessionOptions{})
	op := sys.start(t, longrun.StartOptions{})
	sys.store.onAnswer("Claim", times(1, errUnknown))
	_, err := sys.work.Claim(t.Context(), longrun.ClaimRequest{Session: session, Want: []longrun.Want{{Method: word, N: 1}}})
	wantError(t, err, codes.Unavailable, longrun.ReasonUnavailable)
	if !longrun.IsUnknown(err) {
		t.Errorf("error = %v, want ErrUnknown in its tree", err)
	}
	if held, err := sys.work.Held(t.Context(), session); err != nil || len(held) != 1 || held[0].ID != op.ID {
		t.Errorf("Held = %v, %v; want it", held, err)
	}
}

// AUT-02: all that is done for work is authorized, by the parent of the operation.
func TestWork_Authorized(t *testing.T) {
	t.Parallel()
	refuse := false
	parents := map[string]bool{}
	sys := newSystem(t, longrun.Options{Authorize: func(_ context.Context, verb longrun.Verb, parent string) error {
		if !refuse {
			return nil
		}
		if verb != longrun.VerbWork {
			t.Errorf("asked for %s, want work", verb)
		}
		parents[parent] = true
		return errors.New("no")
	}})
	op := sys.running(t, longrun.StartOptions{Parent: "projects/p"})
	refuse = true
	ctx, n, c := t.Context(), op.Name(), op.Claim
	for name, call := range map[string]func() error{
		"open":    func() error { _, err := sys.work.OpenSession(ctx, longrun.SessionOptions{TTL: 1}); return err },
		"beat":    func() error { _, err := sys.work.Beat(ctx, longrun.BeatRequest{Session: c.Session}); return err },
		"close":   func() error { return sys.work.CloseSession(ctx, c.Session) },
		"held":    func() error { _, err := sys.work.Held(ctx, c.Session); return err },
		"claim":   func() error { _, err := sys.work.Claim(ctx, longrun.ClaimRequest{Session: c.Session}); return err },
		"report":  func() error { return sys.work.Report(ctx, n, c, longrun.Report{}) },
		"step":    func() error { _, err := sys.work.Step(ctx, n, c, "", nil); return err },
		"steps":   func() error { _, err := sys.work.Steps(ctx, n, "", 1); return err },
		"finish":  func() error { _, err := sys.work.Finish(ctx, n, c, longrun.Result{}); return err },
		"release": func() error { _, err := sys.work.Release(ctx, n, c, longrun.Release{Delay: -1}); return err },
		"sweep":   func() error { return sys.work.Sweep(ctx) },
	} {
		if err := call(); longrun.CodeOf(err) != codes.PermissionDenied {
			t.Errorf("%s = %v, want PERMISSION_DENIED", name, err)
		}
	}
	if len(parents) != 2 || !parents[""] || !parents["projects/p"] {
		t.Errorf("asked for the parents %v", parents)
	}
	refuse = false
	if got := sys.get(t, n); got.State != longrun.Running || got.Revision != op.Revision {
		t.Errorf("operation = %+v, want it untouched", got)
	}
}
