package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/longrun-dev/longrun"
)

func TestParseURI(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"gs://b/o":            "b/o",
		"gs://b/a/b/c.txt":    "b/a/b/c.txt",
		"gs://b/a/":           "b/a/",
		"gs://b/":             "b/",
		"gs://b":              "b",
		"gs://my-b.u_1/Größe": "my-b.u_1/Größe",
	} {
		if got, err := parseURI(uri); err != nil || got != want {
			t.Errorf("parseURI(%q) = %q, %v; want %q", uri, got, err, want)
		}
	}
	long := strings.Repeat("x", maxURIBytes-len("gs://b/"))
	if _, err := parseURI("gs://b/" + long); err != nil {
		t.Errorf("a URI of %d bytes: %v", maxURIBytes, err)
	}
	for _, uri := range []string{
		"", "b/o", "http://b/o", "gs://", "gs:///o", "gs://../o", "gs://b/../o", "gs://b/./o", "gs://b//o", "gs://b/o//",
		"gs://.partial/o", "gs://B/o", "gs://b b/o", "gs://b/\x00", "gs://b/a\nb", "gs://b/\xff", `gs://b/..\..\o`, "gs://b/x" + long,
	} {
		if got, err := parseURI(uri); err == nil {
			t.Errorf("parseURI(%q) = %q, want an error", uri, got)
		}
	}
}

// No name leads out of the directory, and none to what is not published.
func FuzzParseURI(f *testing.F) {
	f.Add("gs://b/o/")
	f.Add("gs://b/../../etc/passwd")
	f.Fuzz(func(t *testing.T, uri string) {
		name, err := parseURI(uri)
		if err == nil && (!filepath.IsLocal(name) || strings.HasPrefix(name, ".") || uri != "gs://"+name) {
			t.Errorf("parseURI(%q) = %q", uri, name)
		}
	})
}

func newStorage(t *testing.T) *storage {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return &storage{root: root}
}

// A link in a bucket leads nowhere outside of the directory.
func TestStorage_NoEscape(t *testing.T) {
	t.Parallel()
	s := newStorage(t)
	secret := filepath.Join(t.TempDir(), "secret.txt")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(secret), filepath.Join(s.root.Name(), "b")); err != nil {
		t.Fatal(err)
	}
	if f, _, err := s.open("b/secret.txt"); err == nil {
		f.Close()
		t.Error("a file outside was opened")
	}
	if err := s.write("b/other.txt", 0, []byte("x")); err == nil {
		t.Error("a file outside was written")
	}
	if found, _ := s.match("b/", isText, 9); len(found) > 0 {
		t.Errorf("match found %v outside", found)
	}
}

// What is no file is no object, and to say so takes no time: nobody writes to the named pipe.
func TestStorage_Open(t *testing.T) {
	t.Parallel()
	s := newStorage(t)
	if err := s.write("b/a.txt", 0, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(s.root.Name(), "b", "pipe.txt"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b", "b/none.txt", "none/a.txt", "b/a.txt/b.txt", "b/pipe.txt", "b/" + strings.Repeat("x", maxNameBytes+1)} {
		_, _, err := s.open(name)
		wantReason(t, err, codes.NotFound, "OBJECT_NOT_FOUND")
	}
	f, info, err := s.open("b/a.txt")
	if err != nil || info.Size() != 1 {
		t.Fatalf("open = %v, %v; want a byte", info, err)
	}
	f.Close()
}

func TestStorage_Match(t *testing.T) {
	t.Parallel()
	s := newStorage(t)
	for _, name := range []string{"b/a.txt", "b/ab/c.txt", "b/ab/d.txt", "b/b.txt", "b/a.html", "c/a.txt"} {
		if err := s.write(name, 0, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		prefix string
		limit  int
		want   []string
	}{
		{"b/", 9, []string{"b/a.txt", "b/ab/c.txt", "b/ab/d.txt", "b/b.txt"}},
		{"b/a", 9, []string{"b/a.txt", "b/ab/c.txt", "b/ab/d.txt"}},
		{"b/a", 2, []string{"b/a.txt", "b/ab/c.txt"}},
		{"b/ab/", 9, []string{"b/ab/c.txt", "b/ab/d.txt"}},
		{"b/x", 9, nil},
		{"x/", 9, nil},
		{"b/a.txt/", 9, nil},
		{"b/" + strings.Repeat("x", maxNameBytes+1) + "/", 9, nil},
	} {
		if got, err := s.match(tt.prefix, isText, tt.limit); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("match(%q, %d) = %v, %v; want %v", tt.prefix, tt.limit, got, err, tt.want)
		}
	}
}

// Whatever a run does to its output, the next one may do again.
func TestStorage_Twice(t *testing.T) {
	t.Parallel()
	s := newStorage(t)
	for range 2 {
		for _, w := range []struct {
			offset int64
			text   string
		}{{0, "one "}, {4, "two "}, {8, "three"}, {4, "two "}} {
			if err := s.write(".partial/x", w.offset, []byte(w.text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 {
		if err := s.publish(".partial/x", "b/o/x.txt", 13); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.root.ReadFile("b/o/x.txt"); err != nil || string(got) != "one two three" {
		t.Errorf("published = %q, %v; want one two three", got, err)
	}
	for range 2 {
		if err := s.discard(longrun.Name{Parent: location, ID: longrun.NewID()}); err != nil {
			t.Fatal(err)
		}
	}
}

// What was written and is not there any more is noticed: no hole is published.
func TestStorage_Lost(t *testing.T) {
	t.Parallel()
	s := newStorage(t)
	if err := s.write(".partial/x", 4, []byte("two")); !errors.Is(err, errLost) {
		t.Errorf("write behind what is not there = %v, want %v", err, errLost)
	}
	if err := s.publish(".partial/y", "b/y", 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("publish of nothing = %v, want %v", err, fs.ErrNotExist)
	}
	if err := s.write(".partial/z", 0, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := s.publish(".partial/z", "b/z", 7); !errors.Is(err, errLost) {
		t.Errorf("publish of a part = %v, want %v", err, errLost)
	}
}
