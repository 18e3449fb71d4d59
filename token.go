package longrun

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

// A page token is a place in a list, encrypted and authenticated with a key that
// lives in the store, so that it says nothing to who holds it (PAG-12), cannot be
// forged (PAG-11), and works after a restart and on every node (PAG-15). It is
// bound to the request that it continues (PAG-09) and carries no right to read
// anything (PAG-13).
type sealer struct{ aead cipher.AEAD }

// tokenLife is how long a page token can be used (PAG-14).
const tokenLife = 3 * 24 * time.Hour

const (
	tokenVersion = 1
	tokenBytes   = 1 + 8 + 8 + 16 // version, time of issue, create time, ID
)

// tokenText is how tokens are spelled: URL-safe, no padding, one spelling only.
var tokenText = base64.RawURLEncoding.Strict()

// sealer returns the service's sealer, with the key of its store.
func (s *Service) sealer(ctx context.Context) (*sealer, error) {
	key, err := s.secret(ctx, "page-token")
	if err != nil {
		return nil, err
	}
	return newSealer(key)
}

func newSealer(key []byte) (*sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &sealer{aead: aead}, nil
}

// seal returns the token of a place in the list that scope names.
func (s *sealer) seal(c Cursor, scope string) string {
	b := make([]byte, 0, tokenBytes)
	b = append(b, tokenVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(time.Now().UnixMicro()))
	b = binary.BigEndian.AppendUint64(b, uint64(c.CreateTime.UnixMicro()))
	b = append(b, c.ID[:]...)
	b = append(b, scopeHash(scope)...)
	return tokenText.EncodeToString(s.aead.Seal(nil, nil, b, nil))
}

// open returns the place that token names. A token of another request is
// INVALID_ARGUMENT, and so is one that is old or was not issued by us.
func (s *sealer) open(token, scope string) (Cursor, error) {
	if len(token) > MaxPageTokenBytes || hasLineBreak(token) {
		return Cursor{}, tokenError(ReasonInvalidPageToken, "page_token is not one of this server's")
	}
	sealed, err := tokenText.DecodeString(token)
	if err != nil {
		return Cursor{}, tokenError(ReasonInvalidPageToken, "page_token is not one of this server's")
	}
	b, err := s.aead.Open(nil, nil, sealed, nil)
	if err != nil || len(b) < tokenBytes || b[0] != tokenVersion {
		return Cursor{}, tokenError(ReasonInvalidPageToken, "page_token is not one of this server's")
	}
	if string(b[tokenBytes:]) != string(scopeHash(scope)) {
		return Cursor{}, tokenError(ReasonPageTokenMismatch, "page_token belongs to a request with another name or filter")
	}
	issued := time.UnixMicro(int64(binary.BigEndian.Uint64(b[1:])))
	if time.Since(issued) > tokenLife {
		return Cursor{}, tokenError(ReasonPageTokenExpired, "page_token is older than three days")
	}
	c := Cursor{CreateTime: time.UnixMicro(int64(binary.BigEndian.Uint64(b[9:]))).UTC()}
	copy(c.ID[:], b[17:tokenBytes])
	return c, nil
}

// hasLineBreak reports whether s has characters that encoding/base64 skips, so
// that one token would have many spellings.
func hasLineBreak(s string) bool { return strings.ContainsAny(s, "\r\n") }

func tokenError(reason, msg string) error {
	return &Error{Code: codes.InvalidArgument, Reason: reason, Field: "page_token", Msg: msg}
}

func scopeHash(scope string) []byte {
	h := sha256.Sum256([]byte(scope))
	return h[:16]
}
