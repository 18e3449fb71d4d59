package longrun

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"google.golang.org/grpc/codes"
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

// SessionOf returns the session that a token is of. A token that we have not
// issued is INVALID_ARGUMENT with field "session".
func (w *Work) SessionOf(ctx context.Context, token string) (SessionID, error) {
	key, err := w.s.secret(ctx, "session")
	if err != nil {
		return SessionID{}, w.s.fault("read session", Name{}, err)
	}
	var id SessionID
	if len(token) <= MaxSessionTokenBytes && !hasLineBreak(token) {
		b, err := base64.RawURLEncoding.Strict().DecodeString(token)
		if err == nil && len(b) == len(id)+sha256.Size {
			copy(id[:], b)
			if hmac.Equal(b[len(id):], sessionMAC(key, id)) {
				return id, nil
			}
		}
	}
	return SessionID{}, w.s.fault("read session", Name{}, &Error{Code: codes.InvalidArgument, Reason: ReasonInvalidField,
		Field: "session", Msg: "session is not a token of this server"})
}

func sessionMAC(key []byte, id SessionID) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(id[:])
	return m.Sum(nil)
}
