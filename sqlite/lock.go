package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
)

// lockSuffix makes the name of the file that the owner of a database locks. The
// database itself must not be locked or even opened: closing any descriptor of
// it would take SQLite's own locks away.
const lockSuffix = ".lock"

// fileLock is the lock of the one owner of a database.
type fileLock struct {
	f    *os.File
	made bool // the lock's file was made for this
}

// lockFile makes this process the owner of the database, or says who is.
func lockFile(verb, file string) (*fileLock, error) {
	name := file + lockSuffix
	for {
		_, before := os.Lstat(name)
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, openError(verb, codes.FailedPrecondition, file, "cannot make its lock: %v", err)
		}
		if err := flock(f, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			defer f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, heldError(verb, file, f)
			}
			return nil, openError(verb, codes.FailedPrecondition, file, "cannot be locked: %v", err)
		}
		if isSameFile(f, name) {
			l := &fileLock{f: f, made: errors.Is(before, os.ErrNotExist)}
			return l, l.sign(verb, file)
		}
		// Whoever had it before took it away between our open and our lock.
		f.Close()
	}
}

// flock repeats what a signal has interrupted.
func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func isSameFile(f *os.File, name string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(name)
	return err == nil && os.SameFile(a, b)
}

// heldError names the owner, as it has signed.
func heldError(verb, file string, f *os.File) error {
	owner := make([]byte, 512)
	n, err := f.ReadAt(owner, 0)
	if err != nil && err != io.EOF || n == 0 {
		return because(ErrInUse, openError(verb, codes.FailedPrecondition, file, "in use by another server"))
	}
	return because(ErrInUse, openError(verb, codes.FailedPrecondition, file, "in use by another server: %s", strings.Map(printable, string(owner[:n]))))
}

// printable drops what does not belong into one line.
func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return -1
	}
	return r
}

// sign writes who holds the lock.
func (l *fileLock) sign(verb, file string) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	text := fmt.Sprintf("pid %d on %s since %s\n", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
	err = l.f.Truncate(0)
	if err == nil {
		_, err = l.f.WriteAt([]byte(text), 0)
	}
	if err != nil {
		l.f.Close()
		return openError(verb, codes.FailedPrecondition, file, "cannot write its lock: %v", err)
	}
	return nil
}

// release gives the lock back. Its file stays, without a name in it, because
// taking it away could give two others a lock each.
func (l *fileLock) release() error {
	err := l.f.Truncate(0)
	return errors.Join(err, l.f.Close())
}

// undo gives the lock of a refused database back and leaves nothing behind.
func (l *fileLock) undo() {
	if l.made {
		os.Remove(l.f.Name())
	}
	l.release()
}
