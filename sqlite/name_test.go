package sqlite

import (
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/codes"
)

// A file with two names would have two locks: it is refused by either.
func TestOpen_HardLink(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	sound(t, file)
	if err := os.Link(file, file+".again"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, file + ".again"} {
		_, err := Open(name, Options{})
		wantRefusal(t, err, codes.FailedPrecondition, "more than one name")
	}
}

// Requests and results are for the file's owner alone.
func TestOpen_Mode(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	create(t, openTest(t, file, Options{}), newOp())
	for _, name := range []string{file, file + "-wal", file + "-shm"} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, info, err)
		}
	}
}
