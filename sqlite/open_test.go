package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// sound makes a database with something in it.
func sound(t *testing.T, file string) {
	t.Helper()
	s := openTest(t, file, Options{})
	for range 50 {
		op := newOp()
		op.Request = anyOf(500)
		create(t, s, op)
	}
	closeTest(t, s)
}

// rawExec runs statements on a database that no store has open.
func rawExec(t *testing.T, file, script string) {
	t.Helper()
	c, err := sqlite.OpenConn(file, sqlite.OpenReadWrite, sqlite.OpenCreate)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := sqlitex.ExecuteTransient(c, script, nil); err != nil {
		t.Fatal(err)
	}
}

// change changes the bytes of a file.
func changeFile(t *testing.T, file string, f func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, f(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

// logged leaves a database whose last change is in its log only, as a process
// does that was killed.
func logged(t *testing.T, file, script string) {
	t.Helper()
	other := filepath.Join(t.TempDir(), "copied.db")
	changeFile(t, file, func(b []byte) []byte {
		if err := os.WriteFile(other, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return b
	})
	c, err := sqlite.OpenConn(other, sqlite.OpenReadWrite, sqlite.OpenWAL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := sqlitex.ExecuteTransient(c, script, nil); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(other + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file+suffix, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// contents reads every file of a directory.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = fmt.Sprintf("%d bytes %x", len(b), b[:min(200, len(b))])
	}
	return all
}

// A file that is not ours to write is refused in one line and left as it is, with
// nothing new beside it.
func TestOpen_Refuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		make func(t *testing.T, file string)
		code codes.Code
		says string
	}{
		{"text", func(t *testing.T, file string) { writeFile(t, file, strings.Repeat("to do: buy milk\n", 100)) },
			codes.FailedPrecondition, "not a SQLite database"},
		{"short", func(t *testing.T, file string) { writeFile(t, file, "SQLite format 3\x00") },
			codes.FailedPrecondition, "not a SQLite database"},
		{"directory", func(t *testing.T, file string) {
			if err := os.Mkdir(file, 0o700); err != nil {
				t.Fatal(err)
			}
		}, codes.FailedPrecondition, "is not a file"},
		{"foreign", func(t *testing.T, file string) { rawExec(t, file, "CREATE TABLE x (a)") },
			codes.FailedPrecondition, "another program"},
		{"foreign with an id", func(t *testing.T, file string) { rawExec(t, file, "PRAGMA application_id = 7") },
			codes.FailedPrecondition, "another program"},
		{"newer", func(t *testing.T, file string) { sound(t, file); rawExec(t, file, "PRAGMA user_version = 99") },
			codes.FailedPrecondition, "schema version 99 is newer"},
		{"newer in its log", func(t *testing.T, file string) { sound(t, file); logged(t, file, "PRAGMA user_version = 99") },
			codes.FailedPrecondition, "schema version 99 is newer"},
		{"without a schema", func(t *testing.T, file string) { sound(t, file); rawExec(t, file, "DROP TABLE longrun_clock") },
			codes.DataLoss, "damaged"},
		{"torn off", func(t *testing.T, file string) {
			sound(t, file)
			changeFile(t, file, func(b []byte) []byte { return b[:len(b)/2+100] })
		}, codes.DataLoss, "shorter"},
		{"overwritten header", func(t *testing.T, file string) {
			sound(t, file)
			changeFile(t, file, func(b []byte) []byte { copy(b, bytes.Repeat([]byte{0xaa}, 16)); return b })
		}, codes.FailedPrecondition, "not a SQLite database"},
		{"wrong page size", func(t *testing.T, file string) {
			sound(t, file)
			changeFile(t, file, func(b []byte) []byte { b[16], b[17] = 3, 7; return b })
		}, codes.DataLoss, "header is wrong"},
		{"overwritten schema", func(t *testing.T, file string) {
			sound(t, file)
			changeFile(t, file, func(b []byte) []byte { copy(b[100:4096], bytes.Repeat([]byte{0xaa}, 4096)); return b })
		}, codes.DataLoss, "damaged"},
		{"overwritten pages", func(t *testing.T, file string) {
			sound(t, file)
			changeFile(t, file, func(b []byte) []byte {
				copy(b[4096:], bytes.Repeat([]byte{0xaa}, len(b)-4096))
				return b
			})
		}, codes.DataLoss, "damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "x.db")
			tt.make(t, file)
			os.Remove(file + lockSuffix)
			var before map[string]string
			if tt.name != "directory" {
				before = contents(t, dir)
			}
			s, err := Open(file, Options{})
			if err == nil {
				s.Close()
				t.Fatal("Open took it")
			}
			wantRefusal(t, err, tt.code, tt.says)
			if tt.name != "directory" {
				wantSame(t, "files", contents(t, dir), before)
			}
			_, err = Check(t.Context(), file)
			wantRefusal(t, err, tt.code, tt.says)
			if tt.name != "directory" {
				wantSame(t, "files after Check", contents(t, dir), before)
			}
		})
	}
}

func writeFile(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func wantRefusal(t *testing.T, err error, code codes.Code, says string) {
	t.Helper()
	var e *longrun.Error
	if !errors.As(err, &e) {
		t.Fatalf("error = %v, want a *longrun.Error", err)
	}
	if e.Code != code || !strings.Contains(e.Error(), says) || strings.Contains(e.Error(), "\n") {
		t.Errorf("error = %q with code %v, want one line with %q and code %v", e, e.Code, says, code)
	}
}

func TestOpen_NoDirectory(t *testing.T) {
	t.Parallel()
	_, err := Open(filepath.Join(t.TempDir(), "no", "x.db"), Options{})
	wantRefusal(t, err, codes.NotFound, "directory does not exist")
	_, err = Open("", Options{})
	wantRefusal(t, err, codes.InvalidArgument, "no file is named")
}

// A second server is refused and hears who the first one is, by whatever name it
// asks for the file.
func TestOpen_SecondServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link := filepath.Join(dir, "x.db"), filepath.Join(dir, "link.db")
	openTest(t, file, Options{})
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, link} {
		_, err := Open(name, Options{})
		wantRefusal(t, err, codes.FailedPrecondition, fmt.Sprintf("in use by another server: pid %d on ", os.Getpid()))
		_, err = Check(t.Context(), name)
		wantRefusal(t, err, codes.FailedPrecondition, "in use")
	}
}

// An empty file is as good as none, and paths need not be friendly.
func TestOpen_Takes(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"x.db", "a b?c#d%41.db", "file:x", ":memory:"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, name)
			writeFile(t, file, "")
			sound(t, file)
			sound(t, file)
			wantSound(t, file)
			var names []string
			for n := range contents(t, dir) {
				names = append(names, n)
			}
			slices.Sort(names)
			wantSame(t, "files", names, []string{name, name + lockSuffix})
		})
	}
}

// What a crash in the middle of making a file leaves is no file yet.
func TestOpen_AfterCrashInMigration(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	c, err := openConn(file, sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := c.exec(sqlBegin, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.script("CREATE TABLE half (a)"); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "x.db")
	changeFile(t, file, func(b []byte) []byte {
		writeFile(t, other, string(b))
		return b
	})
	sound(t, other)
}

// FuzzHeader looks for a file that is taken for ours and is not, or a panic.
func FuzzHeader(f *testing.F) {
	f.Add([]byte("SQLite format 3\x00"), int64(4096), int64(0))
	f.Fuzz(func(t *testing.T, start []byte, size, wal int64) {
		var b [100]byte
		copy(b[:], start)
		_, err := parseHeader("open", "x", b, size, wal)
		if err == nil && string(b[68:72]) != "LRUN" {
			t.Errorf("parseHeader took the application id %q", b[68:72])
		}
	})
}
