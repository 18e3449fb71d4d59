package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
)

// Whoever tells people what to do about a file can tell why it was refused.
func TestOpen_RefusesBecause(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	held := filepath.Join(dir, "held.db")
	openTest(t, held, Options{})
	text := filepath.Join(dir, "text.db")
	writeFile(t, text, strings.Repeat("to do: buy milk\n", 100))
	foreign := filepath.Join(dir, "foreign.db")
	rawExec(t, foreign, "CREATE TABLE x (a)")
	newer := filepath.Join(dir, "newer.db")
	sound(t, newer)
	rawExec(t, newer, "PRAGMA user_version = 99")
	linked := filepath.Join(dir, "linked.db")
	sound(t, linked)
	if err := os.Link(linked, linked+".again"); err != nil {
		t.Fatal(err)
	}
	all := []error{ErrInUse, ErrForeign, ErrLinked, ErrReadOnly}
	for file, want := range map[string]error{held: ErrInUse, text: ErrForeign, foreign: ErrForeign, newer: ErrForeign, linked: ErrLinked} {
		_, err := Open(file, Options{})
		for _, why := range all {
			if got := errors.Is(err, why); got != (why == want) {
				t.Errorf("Open(%s) = %v: is %v = %v", filepath.Base(file), err, why, got)
			}
		}
	}
	if _, err := Check(t.Context(), held); !errors.Is(err, ErrInUse) {
		t.Errorf("Check of a file in use = %v, want ErrInUse", err)
	}
}

// What the system denies is told apart from what it fails at.
func TestOpenError_ReadOnly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		cause error
		want  bool
	}{
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EROFS}, true},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, true},
		{fmt.Errorf("open: %w", fs.ErrPermission), true},
		{syscall.EIO, false},
		{syscall.ENOSPC, false},
	} {
		err := openError("open", codes.FailedPrecondition, "x.db", "cannot be read: %v", tt.cause)
		if got := errors.Is(err, ErrReadOnly); got != tt.want {
			t.Errorf("%v: is ErrReadOnly = %v, want %v", tt.cause, got, tt.want)
		}
		if !errors.Is(err, tt.cause) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %q, want its cause in the tree and one line", tt.cause, err)
		}
	}
	if err := openError("open", codes.DataLoss, "x.db", "is damaged: %s", "torn"); err.Err != nil {
		t.Errorf("without a cause: %v, want none in the tree", err.Err)
	}
}
