package sqlite

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
)

// partialSuffix makes the name of a backup that is not whole yet.
const partialSuffix = ".partial"

// SaveBackup makes a backup of what fill writes, which is what [Store.Stream] gives:
// it may come from another process. The bytes go to FILE.partial, which only
// its owner can read, as it holds requests, results and secrets; they are flushed to disk and verified
// like [Check] does, and only then get their name. When anything goes wrong, also
// when the process dies, there is nothing under that name that was not there
// before; what a dead process has left is removed by the next backup to the same file.
//
// While it is made, the file is locked as if a server had it open. Refused with an
// *longrun.Error of one line are: a file that is there already, AlreadyExists,
// unless o.Replace is set; one that a server has open, that is not ours, or beside which is
// the log of another database, FailedPrecondition; a directory that does not
// exist, NotFound; a copy that is damaged, DataLoss; a disk that is
// full, Unavailable. An error of fill comes back as it is. fill must not keep its writer. Of o only Replace is
// used.
func SaveBackup(ctx context.Context, file string, o BackupOptions, fill func(w io.Writer) error) error {
	return saveBackup(ctx, file, o, fill, func(string) error { return nil })
}

// saveBackup is SaveBackup, with something to be done to the file before it is
// verified.
func saveBackup(ctx context.Context, file string, o BackupOptions, fill func(w io.Writer) error, then func(partial string) error) (err error) {
	path, err := findFile("backup", file)
	if err != nil {
		return err
	}
	lock, err := lockFile("backup", path)
	if err != nil {
		return err
	}
	defer lock.undo()
	if err := vacant(path, o); err != nil {
		return err
	}
	partial := path + partialSuffix
	defer func() {
		if err != nil {
			_ = removePartial(partial) // the next one tries again, and says so
		}
	}()
	if err := writePartial(ctx, file, partial, fill); err != nil {
		return err
	}
	if err := then(partial); err != nil {
		return err
	}
	if err := verify(ctx, partial); err != nil {
		return err
	}
	if err := vacant(path, o); err != nil {
		return err // somebody has made it meanwhile
	}
	if err := os.Rename(partial, path); err != nil {
		return unwritable(file, err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return unwritable(file, err)
	}
	return nil
}

// bringIn gives the copy of a store that was not closed in order what the store's
// redo log has and its tables have not, as its next owner would.
func bringIn(from, partial string) (err error) {
	twin := false
	for _, suffix := range redoSuffixes {
		b, err := os.ReadFile(from + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return openError("backup", codes.FailedPrecondition, from, "its redo log cannot be read: %v", err)
		}
		defer os.Remove(partial + suffix)
		if err := os.WriteFile(partial+suffix, b, 0o600); err != nil {
			return unwritable(partial, err)
		}
		twin = true
	}
	if !twin {
		return nil
	}
	defer os.Remove(partial + lockSuffix)
	s, err := Open(partial, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	return s.Close()
}

// vacant refuses a name that is taken.
func vacant(path string, o BackupOptions) error {
	for _, log := range []string{"-wal", "-journal", redoSuffixes[0], redoSuffixes[1]} {
		if info, err := os.Lstat(path + log); err == nil && info.Size() > 0 {
			return advise(openError("backup", codes.FailedPrecondition, path, "%s is there, the log of another database, and would be taken for the backup's", filepath.Base(path)+log),
				"name another file; never remove such a log without its database")
		}
	}
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return openError("backup", codes.FailedPrecondition, path, "cannot be looked at: %v", err)
	case !o.Replace:
		return openError("backup", codes.AlreadyExists, path, "is there already")
	}
	h, err := readHeader("backup", path)
	if err != nil {
		return err
	}
	if h.empty {
		return advise(openError("backup", codes.FailedPrecondition, path, "is empty, and no backup"), "name another file")
	}
	return nil
}

// writePartial makes the file and flushes it.
func writePartial(ctx context.Context, file, partial string, fill func(w io.Writer) error) error {
	if err := removePartial(partial); err != nil {
		return unwritable(file, err)
	}
	f, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return unwritable(file, err)
	}
	t := &target{f: f}
	err = fill(t)
	if t.err == nil && err == nil {
		t.err = f.Sync()
	}
	if closed := f.Close(); t.err == nil && err == nil {
		t.err = closed
	}
	if t.err != nil {
		return unwritable(file, t.err)
	}
	if err == nil && ctx.Err() != nil {
		return readError("backup", ctx.Err())
	}
	return err
}

// removePartial removes what is left of a backup, and first what lies beside it: a
// log would be taken for the next one's.
func removePartial(partial string) error {
	for _, suffix := range []string{"-wal", "-shm", "-journal", redoSuffixes[0], redoSuffixes[1], lockSuffix, ""} {
		if err := os.Remove(partial + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// target is a file of which it is known that writing it went wrong.
type target struct {
	f   *os.File
	err error
}

// Write writes to the file.
func (t *target) Write(b []byte) (int, error) {
	n, err := t.f.Write(b)
	if err != nil {
		t.err = err
	}
	return n, err
}

// unwritable says why a backup cannot be written.
func unwritable(file string, err error) error {
	why := err
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		why = number // without the path, which is that of the partial file
	}
	e := openError("backup", codes.Unavailable, file, "cannot be written: %v", why)
	e.Err = err
	return e
}

// verify refuses a copy that Check would complain of.
func verify(ctx context.Context, partial string) error {
	problems, err := Check(ctx, partial)
	if err == nil && len(problems) == 0 {
		return nil
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	why := "the copy is damaged, and so is the store, or what has read it"
	if err != nil {
		why += ": " + longrunMsg(err)
	} else {
		why += ": " + problems[0].Text
	}
	return &longrun.Error{Code: codes.DataLoss, Reason: longrun.ReasonUnavailable, Verb: "backup", Msg: why, Err: err}
}

// longrunMsg is an error's message without its verb.
func longrunMsg(err error) string {
	if e, ok := errors.AsType[*longrun.Error](err); ok {
		return e.Msg
	}
	return err.Error()
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
