package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"

	pb "github.com/longrun-dev/longrun/examples/library/librarypb"
)

// Limits on what is imported.
const (
	maxObject = 256 << 20
	maxLine   = 64 << 10
)

// An object is one that is read from the bucket, line by line.
type object struct {
	name string
	file *os.File
	scan *bufio.Scanner
}

// checkObject says what is wrong with the name of an object in a field of a request, or
// with the object. The bucket itself lets nobody out of its folder.
func (l *library) checkObject(field, name string) error {
	if !fs.ValidPath(name) {
		return invalid(field, "must be the name of an object in the bucket, such as new/novels.jsonl")
	}
	info, err := l.bucket.Stat(name)
	switch {
	case err != nil || !info.Mode().IsRegular():
		return fault(codes.NotFound, "OBJECT_NOT_FOUND", name, "there is no object %q in the bucket", name)
	case info.Size() > maxObject:
		return fault(codes.InvalidArgument, "OBJECT_TOO_LARGE", name, "the object %q has more than %d bytes", name, maxObject)
	}
	return nil
}

// openObject opens an object, whose Close is the caller's.
func (l *library) openObject(name string) (*object, error) {
	if err := l.checkObject("bucket_source.object", name); err != nil {
		return nil, err
	}
	file, err := l.bucket.Open(name)
	if err != nil {
		return nil, err
	}
	return &object{name: name, file: file, scan: newScanner(file)}, nil
}

// Close closes the object.
func (o *object) Close() error { return o.file.Close() }

func newScanner(r io.Reader) *bufio.Scanner {
	scan := bufio.NewScanner(io.LimitReader(r, maxObject))
	scan.Buffer(nil, maxLine)
	return scan
}

// look reads the whole object, and returns how many lines it has and what tells it from
// another one. Then the object is at its beginning again.
func (o *object) look() (*pb.ImportBooksMetadata, error) {
	digest := sha256.New()
	looked := &pb.ImportBooksMetadata{StatusMessage: underWay}
	scan := newScanner(io.TeeReader(o.file, digest))
	for scan.Scan() {
		looked.TotalLines++
	}
	if err := o.readError(scan.Err()); err != nil {
		return nil, err
	}
	looked.SourceDigest = hex.EncodeToString(digest.Sum(nil))
	_, err := o.file.Seek(0, io.SeekStart)
	o.scan = newScanner(o.file)
	return looked, err
}

// next returns the next n lines, fewer at the end.
func (o *object) next(n int) (lines [][]byte, err error) {
	for len(lines) < n && o.scan.Scan() {
		lines = append(lines, bytes.Clone(o.scan.Bytes()))
	}
	return lines, o.readError(o.scan.Err())
}

// changed is the error of an object that is not any more what it was.
func (o *object) changed() error {
	return fault(codes.FailedPrecondition, "OBJECT_CHANGED", o.name, "the object %q has changed since its import began", o.name)
}

func (o *object) readError(err error) error {
	if errors.Is(err, bufio.ErrTooLong) {
		return fault(codes.InvalidArgument, "LINE_TOO_LONG", o.name, "the object %q has a line of more than %d bytes", o.name, maxLine)
	}
	return err
}

// parseLine reads a line of an object.
func parseLine(line []byte) (*pb.CreateBookRequest, error) {
	req := &pb.CreateBookRequest{}
	if err := protojson.Unmarshal(line, req); err != nil {
		return nil, invalid("line", `must be like {"bookId": "emma", "book": {"title": "Emma"}}`)
	}
	return req, nil
}
