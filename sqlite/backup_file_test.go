package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"
)

// A name that is taken stays as it was, and nothing is left beside it.
func TestSaveBackup_Refuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		there   func(t *testing.T, file string)
		replace bool
		code    codes.Code
		says    string
	}{
		"any file":         {func(t *testing.T, f string) { writeFile(t, f, "thesis") }, false, codes.AlreadyExists, "is there already"},
		"a backup":         {sound, false, codes.AlreadyExists, "is there already"},
		"a thesis":         {func(t *testing.T, f string) { writeFile(t, f, strings.Repeat("thesis", 99)) }, true, codes.FailedPrecondition, "not a SQLite database"},
		"an empty file":    {func(t *testing.T, f string) { writeFile(t, f, "") }, true, codes.FailedPrecondition, "is empty"},
		"another database": {func(t *testing.T, f string) { rawExec(t, f, "CREATE TABLE t (x)") }, true, codes.FailedPrecondition, "of another program"},
		"a directory": {func(t *testing.T, f string) {
			if err := os.Mkdir(f, 0o700); err != nil {
				t.Fatal(err)
			}
		}, true, codes.FailedPrecondition, "is not a file"},
		"a link to nothing": {func(t *testing.T, f string) {
			if err := os.Symlink("nothing", f); err != nil {
				t.Fatal(err)
			}
		}, false, codes.AlreadyExists, "is there already"},
		"a log":     {func(t *testing.T, f string) { writeFile(t, f+"-wal", "x") }, true, codes.FailedPrecondition, "the log of another database"},
		"a journal": {func(t *testing.T, f string) { writeFile(t, f+"-journal", "x") }, true, codes.FailedPrecondition, "the log of another database"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
			file := filepath.Join(dir, "copy.db")
			tt.there(t, file)
			before := contentsOf(t, dir)
			err := s.Backup(t.Context(), file, BackupOptions{Replace: tt.replace})
			wantRefusal(t, err, tt.code, tt.says)
			if after := contentsOf(t, dir); !maps.Equal(before, after) {
				t.Errorf("the directory holds %v, want %v", slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
			}
		})
	}
}

// contentsOf reads the files in a directory, and names what is none.
func contentsOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		body, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			body = []byte(e.Type().String())
		}
		all[e.Name()] = string(body)
	}
	return all
}

// A store that is in use is never replaced: not the one that is copied, nor
// another.
func TestSaveBackup_InUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, other := filepath.Join(dir, "one.db"), filepath.Join(dir, "other.db")
	s := openTest(t, one, Options{})
	openTest(t, other, Options{})
	for _, file := range []string{one, other} {
		wantRefusal(t, s.Backup(t.Context(), file, BackupOptions{Replace: true}), codes.FailedPrecondition, "in use")
		wantRefusal(t, Backup(t.Context(), file, filepath.Join(dir, "copy.db"), BackupOptions{}), codes.FailedPrecondition, "in use")
	}
	wantRefusal(t, s.Backup(t.Context(), filepath.Join(dir, "no", "copy.db"), BackupOptions{}), codes.NotFound, "its directory does not exist")
}

func TestSaveBackup_Replace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "copy.db")
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	for range 2 {
		op := create(t, s, newOp())
		if err := s.Backup(t.Context(), file, BackupOptions{Replace: true}); err != nil {
			t.Fatal(err)
		}
		twin := openTest(t, file, Options{})
		wantSame(t, "in the copy", get(t, twin, op.ID), op)
		closeTest(t, twin)
	}
	os.Remove(file + lockSuffix) // of opening it
	if names := contents(t, dir); len(names) != 1 {
		t.Errorf("there is %v, want the copy alone", slices.Sorted(maps.Keys(names)))
	}
}

// A store that nobody has open, and whose owner was killed, is copied with what is
// in its log.
func TestBackup_AfterCrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openTest(t, filepath.Join(dir, "x.db"), Options{})
	op := create(t, s, newOp())
	left := copyAsIs(t, s)
	file := filepath.Join(dir, "copy.db")
	if err := Backup(t.Context(), left, file, BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	wantSame(t, "in the copy", get(t, openTest(t, file, Options{}), op.ID), op)
	wantRefusal(t, Backup(t.Context(), left, left, BackupOptions{Replace: true}), codes.InvalidArgument, "is the store itself")
	wantRefusal(t, Backup(t.Context(), filepath.Join(dir, "nothing.db"), file, BackupOptions{}), codes.NotFound, "does not exist")
}

// A copy of a damaged store is none.
func TestBackup_Damaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, file := filepath.Join(t.TempDir(), "x.db"), filepath.Join(dir, "copy.db")
	everyKind(t, from)
	rawScript(t, from, "PRAGMA ignore_check_constraints = ON; DELETE FROM longrun_session")
	wantRefusal(t, Backup(t.Context(), from, file, BackupOptions{}), codes.DataLoss, "under a session that is not there")
	if names := contents(t, dir); len(names) != 0 {
		t.Errorf("there is %v, want nothing", slices.Sorted(maps.Keys(names)))
	}
}

// What comes from elsewhere may be cut off or garbled.
func TestSaveBackup_BadCopy(t *testing.T) {
	t.Parallel()
	var whole []byte
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	fillStore(t, s, 20)
	if err := s.Stream(t.Context(), writerFunc(func(b []byte) (int, error) { whole = append(whole, b...); return len(b), nil }), BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	gone := errors.New("gone")
	for name, tt := range map[string]struct {
		fill func(w io.Writer) error
		want func(error) bool
	}{
		"nothing":     {func(io.Writer) error { return nil }, isLoss},
		"half":        {func(w io.Writer) error { _, err := w.Write(whole[:len(whole)/2]); return err }, isLoss},
		"half a page": {func(w io.Writer) error { _, err := w.Write(whole[:len(whole)-100]); return err }, isLoss},
		"garbage":     {func(w io.Writer) error { _, err := w.Write([]byte(strings.Repeat("garbage", 9999))); return err }, isLoss},
		"cut off":     {func(w io.Writer) error { w.Write(whole[:9999]); return gone }, func(err error) bool { return err == gone }},
		"pages zeroed": {func(w io.Writer) error {
			_, err := w.Write(append(whole[:8192:8192], make([]byte, len(whole)-8192)...))
			return err
		}, isLoss},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			err := SaveBackup(t.Context(), filepath.Join(dir, "copy.db"), BackupOptions{}, tt.fill)
			if !tt.want(err) {
				t.Errorf("SaveBackup = %v", err)
			}
			if names := contents(t, dir); len(names) != 0 {
				t.Errorf("there is %v, want nothing", slices.Sorted(maps.Keys(names)))
			}
		})
	}
}

func isLoss(err error) bool { return longrun.CodeOf(err) == codes.DataLoss }

// A disk that becomes full leaves nothing behind.
func TestSaveBackup_FullDisk(t *testing.T) {
	t.Parallel()
	dir := smallFileSystem(t, 1)
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	fillStore(t, s, 100)
	err := s.Backup(t.Context(), filepath.Join(dir, "copy.db"), BackupOptions{})
	wantRefusal(t, err, codes.Unavailable, "no space left on device")
	if names := contents(t, dir); len(names) != 0 {
		t.Errorf("there is %v, want nothing", slices.Sorted(maps.Keys(names)))
	}
	create(t, s, newOp())
}

// backupFile names the backup for the child that is killed in the middle of it.
const backupFile = "LONGRUN_SQLITE_BACKUP_FILE"

// saveUntilKilled begins a backup and says so when half of it is written.
func saveUntilKilled(file string) error {
	return SaveBackup(context.Background(), file, BackupOptions{}, func(w io.Writer) error {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			return err
		}
		fmt.Println("half")
		select {}
	})
}

// A process that is killed in the middle leaves nothing under the backup's name,
// and the next one clears up.
func TestSaveBackup_Killed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "copy.db")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), backupFile+"="+file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, len("half"))
	if _, err := io.ReadFull(out, said); err != nil || string(said) != "half" {
		t.Errorf("the child said %q, %v", said, err)
	}
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	wantRefusal(t, s.Backup(t.Context(), file, BackupOptions{Replace: true}), codes.FailedPrecondition, "in use")
	cmd.Process.Kill()
	cmd.Wait() // killed
	if exists(file) || !exists(file+partialSuffix) {
		t.Errorf("there is %v, want the half under its own name alone", slices.Sorted(maps.Keys(contents(t, dir))))
	}
	if err := s.Backup(t.Context(), file, BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	if exists(file + partialSuffix) {
		t.Error("the half is still there")
	}
	wantSound(t, file)
}

// What a killed backup has left beside its partial file is not taken for the next
// one's.
func TestBackup_LeftBeside(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	dir := t.TempDir()
	file := filepath.Join(dir, "copy.db")
	fillStore(t, s, 20)
	if err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	create(t, s, newOp())
	older := copyAsIs(t, s)
	for range 20 {
		op := newOp()
		op.ConflictKey = op.ID.String()
		create(t, s, op)
	}
	for suffix, body := range map[string][]byte{"-wal": nil, redoSuffixes[0]: nil, redoSuffixes[1]: nil, "-shm": []byte("garbage")} {
		if body == nil {
			var err error
			if body, err = os.ReadFile(older + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(file+partialSuffix+suffix, body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	from := copyAsIs(t, s)
	if err := Backup(t.Context(), from, file, BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	wantSound(t, file)
	got, want := listed(t, openTest(t, file, Options{})), listed(t, s)
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("in the copy (-want +got):\n%s", diff)
	}
	for name := range contents(t, dir) {
		if strings.Contains(name, partialSuffix) {
			t.Errorf("%s was left", name)
		}
	}
}

func listed(t *testing.T, s *Store) []*longrun.Operation {
	t.Helper()
	page, err := s.List(t.Context(), longrun.Query{Parent: "-", Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return page.Operations
}
