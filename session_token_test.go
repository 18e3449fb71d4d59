package longrun_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

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

// forgedTokens are tokens that sys has not issued, each wrong in its own way: of
// another store, truncated, extended, with any bit of it flipped.
func forgedTokens(t *testing.T, sys *system) []string {
	t.Helper()
	other := newSystem(t, longrun.Options{})
	id := longrun.NewSessionID()
	token, err := sys.work.SessionToken(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.work.SessionToken(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	forged := []string{foreign, "x", id.String(), token + "A", token + "=", " " + token, token + token, strings.Repeat("A", len(token)),
		strings.Repeat("A", longrun.MaxSessionTokenBytes), strings.Repeat("A", longrun.MaxSessionTokenBytes+1),
		foreign[:32] + token[32:], token[:32] + foreign[32:]}
	for i := range len(token) {
		forged = append(forged, token[:i]+"\n"+token[i:])
		if i > 0 {
			forged = append(forged, token[:i])
		}
		for bit := range 8 {
			b := []byte(token)
			b[i] ^= 1 << bit
			forged = append(forged, string(b))
		}
	}
	return forged
}

// A token that we have not issued is a lost session, whatever is wrong with it: the
// answers are the same, and none asks the store.
func TestSessionToken_Forged(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	forged := forgedTokens(t, sys)
	if err := sys.store.Close(); err != nil { // a call of the store would be UNAVAILABLE
		t.Fatal(err)
	}
	_, first := sys.work.SessionOf(t.Context(), forged[0])
	for _, f := range forged {
		got, err := sys.work.SessionOf(t.Context(), f)
		if !errors.Is(err, longrun.ErrSessionLost) || longrun.CodeOf(err) != codes.Aborted || !got.IsZero() {
			t.Errorf("SessionOf(%q) = %v, %v; want ABORTED, session lost", f, got, err)
		}
		if !proto.Equal(status.Convert(err).Proto(), status.Convert(first).Proto()) {
			t.Errorf("SessionOf(%q) = %v, want the same as of a foreign token: %v", f, err, first)
		}
	}
	if _, err := sys.work.SessionOf(t.Context(), ""); longrun.CodeOf(err) != codes.InvalidArgument || fieldOf(err) != "session" {
		t.Errorf("SessionOf no token = %v, want INVALID_ARGUMENT with field session", err)
	}
}

// A guess that is wrong in its last bits is refused as fast as one that is wrong
// everywhere, and as one that is no token at all. A byte that is compared one by one
// takes nanoseconds, which nobody can measure here; a path that skips the MAC
// allocates less, and that is what this looks for.
func TestSessionToken_SameWork(t *testing.T) {
	sys := newSystem(t, longrun.Options{})
	forged := forgedTokens(t, sys)
	var least, most float64
	for kind, token := range map[string]string{"foreign": forged[0], "malformed": forged[1], "last byte": forged[len(forged)-1]} {
		n := testing.AllocsPerRun(100, func() {
			if _, err := sys.work.SessionOf(t.Context(), token); err == nil {
				t.Errorf("SessionOf a token that is %s: no error", kind)
			}
		})
		t.Logf("%s: %v allocations", kind, n)
		if least == 0 || n < least {
			least = n
		}
		most = max(most, n)
	}
	if most > least+1 { // the bytes of what is formed like a token
		t.Errorf("a refusal allocates from %v to %v times, by what is wrong; want the same", least, most)
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
