package longrun

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

// SessionToken returns the token of a remote session, a secret by which its
// worker proves that it opened it: base64url of the id and its HMAC-SHA256 under
// a key that lives in the store, so that every node knows it.
func (w *Work) SessionToken(ctx context.Context, id SessionID) (string, error) {
	key, err := w.s.secret(ctx, "session")
	if err != nil {
		return "", w.s.fault("open session", Name{}, err)
	}
	return base64.RawURLEncoding.EncodeToString(append(id[:], sessionMAC(key, id)...)), nil
}

// SessionOf returns the session that a token is of. An empty token is
// INVALID_ARGUMENT with field "session". One that we have not issued, also one of
// another store, is ErrSessionLost, as that of a session that is over is: its holder
// opens another session either way.
//
// Tokens that we have not issued take the same way through here, whatever is wrong
// with them, and none of them reaches the store: how long the answer takes says
// nothing of how near a guess was.
func (w *Work) SessionOf(ctx context.Context, token string) (SessionID, error) {
	const verb = "read session"
	if token == "" {
		return SessionID{}, w.s.fault(verb, Name{}, fieldError("session", "session is required"))
	}
	key, err := w.s.secret(ctx, "session")
	if err != nil {
		return SessionID{}, w.s.fault(verb, Name{}, err)
	}
	id, mac, formed := readSessionToken(token)
	if genuine := hmac.Equal(mac[:], sessionMAC(key, id)); !genuine || !formed {
		return SessionID{}, w.s.fault(verb, Name{}, ErrSessionLost)
	}
	return id, nil
}

// readSessionToken takes a token apart; zeros where it is not formed like one.
func readSessionToken(token string) (id SessionID, mac [sha256.Size]byte, formed bool) {
	if len(token) > MaxSessionTokenBytes || hasLineBreak(token) {
		return id, mac, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) != len(id)+len(mac) {
		return id, mac, false
	}
	copy(id[:], b)
	copy(mac[:], b[len(id):])
	return id, mac, true
}

func sessionMAC(key []byte, id SessionID) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(id[:])
	return m.Sum(nil)
}
