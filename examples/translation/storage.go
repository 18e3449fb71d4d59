package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"unicode/utf8"

	"google.golang.org/grpc/codes"

	"github.com/longrun-dev/longrun"
)

// storage is a directory that stands for Cloud Storage. Objects are named by their path below
// it, "bucket/object". Nothing outside of the directory is reached, whatever the name and
// whatever links there are. Its methods are safe for concurrent use.
type storage struct{ root *os.Root }

// partials is where output is written before it is whole. No bucket has this name: theirs begin
// with a letter or a digit.
const partials = ".partial"

const (
	scheme      = "gs://"
	maxURIBytes = 1024
	// maxNameBytes is how long the parts of a path may be in the file systems in use.
	maxNameBytes = 255
)

// parseURI returns the path of what a gs:// URI names. Where the URI ends in a slash or names a
// bucket alone, so does the path.
func parseURI(uri string) (string, error) {
	name, ok := strings.CutPrefix(uri, scheme)
	bucket, _, _ := strings.Cut(name, "/")
	switch {
	case !ok:
		return "", errors.New("must begin with gs://")
	case len(uri) > maxURIBytes || !utf8.ValidString(uri):
		return "", errors.New("must be UTF-8 of 1024 bytes at most")
	case strings.ContainsFunc(uri, func(r rune) bool { return r < ' ' || r == '\\' || r == 0x7f }):
		return "", errors.New("must have no control characters and no backslashes")
	case !validBucket(bucket):
		return "", errors.New("must name a bucket, by lower case letters, digits, dots, dashes and underscores")
	case !fs.ValidPath(strings.TrimSuffix(name, "/")):
		return "", errors.New(`must name an object without "." and ".." and empty parts`)
	}
	return name, nil
}

func validBucket(s string) bool {
	if s == "" || strings.ContainsAny(s[:1], "._-") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	})
}

// open opens an object, which is a file: NOT_FOUND where there is none. It waits for nobody, as
// the opening of a named pipe would.
func (s *storage) open(name string) (*os.File, fs.FileInfo, error) {
	f, err := s.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if nowhere(err) {
		return nil, nil, missing("OBJECT_NOT_FOUND", objectType, uriOf(name))
	}
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = missing("OBJECT_NOT_FOUND", objectType, uriOf(name))
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// nowhere reports whether an error says that there is no file of a name, and for some names that
// there cannot be one.
func nowhere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG)
}

// match returns the objects that are wanted and whose path begins with prefix, in the order of
// their paths, and no more than limit.
func (s *storage) match(prefix string, wanted func(name string) bool, limit int) ([]string, error) {
	var found []string
	top := path.Dir(prefix + "x") // a prefix that ends in a slash is a folder
	err := fs.WalkDir(s.root.FS(), top, func(name string, d fs.DirEntry, err error) error {
		switch {
		case name == top && nowhere(err):
			return nil
		case err != nil:
			return err
		case d.Type().IsRegular() && strings.HasPrefix(name, prefix) && wanted(name):
			found = append(found, name)
		}
		if len(found) == limit {
			return fs.SkipAll
		}
		return nil
	})
	return found, err
}

// every is for match, where all objects are wanted.
func every(string) bool { return true }

// errLost is of a file that is not published yet and has not all that was written to it.
var errLost = errors.New("what was written before is not there any more")

// write puts data at an offset of a file that is not published yet, and returns when it is on
// disk. The same again changes nothing. What comes before the offset must be there.
func (s *storage) write(name string, offset int64, data []byte) error {
	if err := s.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.Size() < offset:
		err = errLost
	default:
		_, err = f.WriteAt(data, offset)
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// publish makes a file that is whole, of this size, an object, at once. The same again changes
// nothing.
func (s *storage) publish(name, object string, size int64) error {
	dir := path.Dir(object)
	if err := s.root.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	info, err := s.root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		info, err = s.root.Stat(object) // an earlier run has done it
		name = object
	}
	switch {
	case err != nil:
		return err
	case info.Size() != size:
		return errLost
	case name != object:
		err = s.root.Rename(name, object)
	}
	return errors.Join(err, s.sync(dir))
}

// sync returns when the entries of a folder are on disk.
func (s *storage) sync(dir string) error {
	f, err := s.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// partial is the folder of what an operation has not published yet.
func partial(op longrun.Name) string { return path.Join(partials, op.String()) }

// discard removes what an operation has not published.
func (s *storage) discard(op longrun.Name) error { return s.root.RemoveAll(partial(op)) }

// sweep discards what is left of operations that have ended without a run of theirs seeing it:
// cancelled when their process had died, for example. Of one that was deleted nobody can say
// whether it still goes on, so that its folder stays.
func (s *storage) sweep(ctx context.Context, svc *longrun.Service) error {
	left, err := fs.Glob(s.root.FS(), partials+"/projects/*/locations/*/operations/*")
	if err != nil {
		return err
	}
	for _, dir := range left {
		name, err := longrun.ParseName(strings.TrimPrefix(dir, partials+"/"))
		if err != nil {
			continue // not a folder of ours
		}
		op, err := svc.Get(ctx, name)
		switch {
		case longrun.CodeOf(err) == codes.NotFound:
		case err != nil:
			return err
		case op.State.Done():
			if err := s.discard(name); err != nil {
				return err
			}
		}
	}
	return nil
}
