package longrun_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/longrun-dev/longrun"
)

// A token proves that its holder has opened the session, on every node.
func TestSessionToken(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	other := newSystemOn(t, sys.store, longrun.Options{})
	id := longrun.NewSessionID()
	token, err := sys.work.SessionToken(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(token) || len(token) > longrun.MaxSessionTokenBytes {
		t.Errorf("token = %q, want URL-safe and short", token)
	}
	for _, s := range []*system{sys, other} {
		if got, err := s.work.SessionOf(t.Context(), token); err != nil || got != id {
			t.Errorf("SessionOf = %v, %v; want %v", got, err, id)
		}
	}
}

// A token that we have not issued is INVALID_ARGUMENT: forged, truncated, of
// another store.
func TestSessionToken_Forged(t *testing.T) {
	t.Parallel()
	sys, other := newSystem(t, longrun.Options{}), newSystem(t, longrun.Options{})
	id := longrun.NewSessionID()
	token, err := sys.work.SessionToken(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.work.SessionToken(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	forged := []string{"", "x", id.String(), foreign, token + "A", token + "=", " " + token, token + token, strings.Repeat("A", len(token)),
		strings.Repeat("A", longrun.MaxSessionTokenBytes+1), foreign[:32] + token[32:], token[:32] + foreign[32:]}
	for i := range len(token) {
		forged = append(forged, token[:i], token[:i]+"\n"+token[i:])
		for bit := range 8 {
			b := []byte(token)
			b[i] ^= 1 << bit
			forged = append(forged, string(b))
		}
	}
	for _, f := range forged {
		got, err := sys.work.SessionOf(t.Context(), f)
		if longrun.CodeOf(err) != codes.InvalidArgument || fieldOf(err) != "session" || !got.IsZero() {
			t.Errorf("SessionOf(%q) = %v, %v; want INVALID_ARGUMENT with field session", f, got, err)
		}
	}
}

// The key is asked for once; a store that is away is UNAVAILABLE, not forged.
func TestSessionToken_StoreAway(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	if err := sys.store.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := sys.work.SessionToken(t.Context(), longrun.NewSessionID())
	_, ofErr := sys.work.SessionOf(t.Context(), "x")
	for _, err := range []error{err, ofErr} {
		if e := asError(t, err); e.Code != codes.Unavailable {
			t.Errorf("error = %v, want UNAVAILABLE", err)
		}
	}
	if errors.Is(err, longrun.ErrSessionLost) {
		t.Error("a store that is away is no lost session")
	}
}
