package storetest

import (
	"bytes"
	"testing"
)

var secretContracts = []contract{
	{"secret/same", "Secret returns the 32 random bytes called name, made by the first caller and the same ever after", testSecretSame},
	{"secret/together", "made by the first caller: of many at once, one is the first", testSecretTogether},
}

func testSecretSame(t *testing.T, x subject) {
	first, err := x.Secret(t.Context(), "page-token")
	if err != nil || len(first) != 32 || bytes.Equal(first, make([]byte, 32)) {
		t.Fatalf("Secret = %x, %v; want 32 random bytes", first, err)
	}
	want := bytes.Clone(first)
	first[0]++ // the caller's own
	if again, err := x.Secret(t.Context(), "page-token"); err != nil || !bytes.Equal(again, want) {
		t.Errorf("Secret again = %x, %v; want %x", again, err, want)
	}
	if session, err := x.Secret(t.Context(), "session"); err != nil || bytes.Equal(session, want) {
		t.Errorf("Secret of another name = %x, %v; want another", session, err)
	}
}

func testSecretTogether(t *testing.T, x subject) {
	const n = 8
	got := make([][]byte, n)
	together(t, n, func(i int) (err error) {
		got[i], err = x.Secret(t.Context(), "page-token")
		return err
	})
	for _, secret := range got {
		if len(secret) != 32 || !bytes.Equal(secret, got[0]) {
			t.Errorf("Secret = %x, want %x", secret, got[0])
		}
	}
}
