package longrun

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func testSealer(t testing.TB) *sealer {
	t.Helper()
	s, err := newSealer(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func someCursor() Cursor {
	return Cursor{CreateTime: time.Date(2026, 11, 1, 12, 0, 0, 123456000, time.UTC), ID: NewID()}
}

func wantTokenError(t *testing.T, err error, reason string) {
	t.Helper()
	if e, ok := err.(*Error); !ok || e.Reason != reason || e.Field != "page_token" {
		t.Errorf("error = %v, want %s with field page_token", err, reason)
	}
}

func TestToken_RoundTrip(t *testing.T) {
	t.Parallel()
	s, want := testSealer(t), someCursor()
	token := s.seal(want, "projects/p")
	if got, err := s.open(token, "projects/p"); err != nil || got != want {
		t.Errorf("open = %v, %v; want %v", got, err, want)
	}
	if len(token) > MaxPageTokenBytes {
		t.Errorf("the token has %d bytes, want at most %d", len(token), MaxPageTokenBytes)
	}
}

// PAG-12: tokens are URL-safe and say nothing.
func TestToken_Opaque(t *testing.T) {
	t.Parallel()
	s, c := testSealer(t), someCursor()
	token := s.seal(c, "projects/secret")
	if !regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(token) {
		t.Errorf("token = %q, want URL-safe characters only", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for _, clear := range [][]byte{c.ID[:], []byte(c.ID.String()), []byte("secret")} {
		if bytes.Contains(raw, clear) {
			t.Errorf("the token shows %q", clear)
		}
	}
	if again := s.seal(c, "projects/secret"); again == token {
		t.Error("two tokens of one place are equal, want them to say nothing")
	}
}

// PAG-09: a token belongs to the request that it continues.
func TestToken_OtherRequest(t *testing.T) {
	t.Parallel()
	s := testSealer(t)
	_, err := s.open(s.seal(someCursor(), "projects/p"), "projects/q")
	wantTokenError(t, err, ReasonPageTokenMismatch)
}

// PAG-11: a forged, corrupted or truncated token is INVALID_ARGUMENT.
func TestToken_Forged(t *testing.T) {
	t.Parallel()
	s := testSealer(t)
	token := s.seal(someCursor(), "")
	forged := []string{"abc", "A", "!", strings.Repeat("A", 10_000), token + "A", token + token, token + "=", " " + token, "\u00e9",
		strings.Repeat("A", MaxPageTokenBytes), strings.Repeat("A", MaxPageTokenBytes+1)}
	for i := range len(token) {
		forged = append(forged, token[:i], token[i+1:], token[:i]+"\n"+token[i:], token[:i]+"\r"+token[i:])
		for bit := range 8 { // every bit of the text
			b := []byte(token)
			b[i] ^= 1 << bit
			forged = append(forged, string(b))
		}
	}
	raw, err := tokenText.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw { // every byte, to any other value
		for _, x := range []byte{1, 0x80, 0xff} {
			b := bytes.Clone(raw)
			b[i] ^= x
			forged = append(forged, tokenText.EncodeToString(b))
		}
	}
	other, err := newSealer(bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	forged = append(forged, other.seal(someCursor(), ""))
	accepted := 0
	for _, f := range forged {
		c, err := s.open(f, "")
		if err == nil {
			accepted++
			continue
		}
		if wantTokenError(t, err, ReasonInvalidPageToken); c != (Cursor{}) {
			t.Errorf("open = %v beside an error, want the zero Cursor", c)
		}
	}
	if accepted != 0 {
		t.Errorf("%d of %d forged tokens were accepted, want none", accepted, len(forged))
	}
}

// What is sealed under our key by another version is not read as ours.
func TestToken_OtherVersion(t *testing.T) {
	t.Parallel()
	s := testSealer(t)
	for _, plain := range [][]byte{nil, {tokenVersion}, bytes.Repeat([]byte{tokenVersion + 1}, tokenBytes+16), bytes.Repeat([]byte{tokenVersion}, tokenBytes-1)} {
		_, err := s.open(tokenText.EncodeToString(s.aead.Seal(nil, nil, plain, nil)), "")
		wantTokenError(t, err, ReasonInvalidPageToken)
	}
}

// PAG-14: a token can be used for three days.
func TestToken_Expires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testSealer(t)
		token := s.seal(someCursor(), "")
		time.Sleep(3 * 24 * time.Hour)
		if _, err := s.open(token, ""); err != nil {
			t.Errorf("after three days: %v", err)
		}
		time.Sleep(time.Millisecond)
		_, err := s.open(token, "")
		wantTokenError(t, err, ReasonPageTokenExpired)
		_, err = s.open(token, "projects/other")
		wantTokenError(t, err, ReasonPageTokenMismatch)
	})
}

// PAG-11: whatever comes is a place that we have sealed, or an error.
func FuzzToken_Open(f *testing.F) {
	s := testSealer(f)
	c := someCursor()
	good := s.seal(c, "")
	f.Add(good)
	f.Add("")
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, token string) {
		got, err := s.open(token, "")
		switch {
		case err != nil:
			wantTokenError(t, err, ReasonInvalidPageToken)
		case !got.CreateTime.Equal(c.CreateTime):
			t.Errorf("open(%q) = %v, a place that nobody has sealed", token, got)
		}
	})
}
