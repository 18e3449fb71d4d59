package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/longrun-dev/longrun/client"
	pb "github.com/longrun-dev/longrun/examples/library/librarypb"
	"github.com/longrun-dev/longrun/runner"
)

type importing = client.Operation[*pb.ImportBooksResponse, *pb.ImportBooksMetadata]

func from(shelf, object string) *pb.ImportBooksRequest {
	return &pb.ImportBooksRequest{Parent: shelf, Source: &pb.ImportBooksRequest_BucketSource{BucketSource: &pb.BucketSource{Object: object}}}
}

func (s *system) importBooks(shelf, object string) *importing {
	s.t.Helper()
	op, err := s.lro.ImportBooks(s.t.Context(), from(shelf, object))
	if err != nil {
		s.t.Fatalf("ImportBooks: %v", err)
	}
	return op
}

// progress is how far an import is now.
func (s *system) progress(op *importing) *pb.ImportBooksMetadata {
	s.t.Helper()
	_, err := op.Poll(s.t.Context())
	if err != nil {
		s.t.Fatalf("Poll: %v", err)
	}
	m, err := op.Metadata()
	if err != nil {
		s.t.Fatalf("Metadata: %v", err)
	}
	return m
}

// STA-04: the response is ImportBooksResponse. OP-18, ERR-16: what is wrong with single
// lines is in the metadata, as Status values, and keeps no other line out.
func TestImportBooks(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	shelf := s.shelf("novels")
	s.book(shelf, "novel-0007")
	lines := novels(250)
	lines[100] = `{"bookId": "Not an id", "book": {"title": "X"}}`
	lines[200] = `not JSON`
	lines[201] = `{"bookId": "no-title"}`
	s.put(t, "novels.jsonl", lines...)
	op := s.importBooks(shelf, "novels.jsonl")
	resp, err := op.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if resp.GetImportedBooks() != 246 || resp.GetFailedLines() != 4 {
		t.Errorf("response = %v, want 246 books, 4 failed lines", resp)
	}
	if got, want := len(s.titles(shelf)), 247; got != want {
		t.Errorf("books = %d, want %d", got, want)
	}
	m := s.progress(op)
	if m.GetTotalLines() != 250 || m.GetCompletedLines() != 250 || m.GetImportedBooks() != 246 || m.GetFailedLines() != 4 || m.GetEndTime() == nil {
		t.Errorf("metadata = %v, want 250 of 250 lines, 246 books, 4 failed, an end", m)
	}
	wanted := []string{"line 8: ALREADY_EXISTS", "line 101: INVALID_ARGUMENT", "line 201: INVALID_ARGUMENT", "line 202: INVALID_ARGUMENT"}
	var got []string
	for _, w := range m.GetWarnings() {
		line, _, _ := strings.Cut(w.GetMessage(), ": ")
		got = append(got, line+": "+map[int32]string{3: "INVALID_ARGUMENT", 6: "ALREADY_EXISTS"}[w.GetCode()])
	}
	if !slices.Equal(got, wanted) {
		t.Errorf("OP-18: warnings = %q, want %q", got, wanted)
	}
}

// PAR-01, PAR-04: the second import into a shelf waits, and says so; one into another shelf
// does not. PAR-06: it goes on when the first is done.
func TestImportBooks_Queue(t *testing.T) {
	t.Parallel()
	s := newBusySystem(t)
	novelsShelf, other := s.shelf("novels"), s.shelf("others")
	s.put(t, "a.jsonl", novels(20)...)
	s.put(t, "b.jsonl", novels(10)...)
	first, second, third := s.importBooks(novelsShelf, "a.jsonl"), s.importBooks(novelsShelf, "b.jsonl"), s.importBooks(other, "b.jsonl")
	for _, op := range []*importing{first, third} {
		eventually(t, "what has its shelf for itself runs", func() bool { return s.progress(op).GetStartTime() != nil })
	}
	if m := s.progress(second); m.GetStartTime() != nil || m.GetStatusMessage() != "queued" {
		t.Errorf("PAR-04: metadata = %v, want queued, no start", m)
	}
	s.lift()
	for _, op := range []*importing{first, second, third} {
		if _, err := op.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	a, b := s.progress(first), s.progress(second)
	if a.GetImportedBooks() != 20 || b.GetImportedBooks() != 0 || b.GetFailedLines() != 10 {
		t.Errorf("imports = %v and %v; want 20 books by the first, none by the second", a, b)
	}
	if b.GetStartTime().AsTime().Before(a.GetEndTime().AsTime()) {
		t.Errorf("PAR-04: the second began at %v, before the end of the first at %v", b.GetStartTime().AsTime(), a.GetEndTime().AsTime())
	}
}

// What was imported before the import was cancelled stays.
func TestImportBooks_Cancelled(t *testing.T) {
	t.Parallel()
	s := newBusySystem(t)
	shelf := s.shelf("novels")
	s.put(t, "novels.jsonl", novels(150)...)
	op := s.importBooks(shelf, "novels.jsonl")
	eventually(t, "it runs", func() bool { return s.progress(op).GetStartTime() != nil })
	if err := op.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := op.Wait(t.Context())
	wantError(t, "ImportBooks", err, codes.Canceled, "OPERATION_CANCELLED")
	if got := len(s.titles(shelf)); got != 0 {
		t.Errorf("books = %d, want 0: no step was done", got)
	}
}

// An object that is another one when its import goes on is not gone on with.
func TestImportBooks_ObjectChanged(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.put(t, "novels.jsonl", novels(150)...)
	name := ""
	t.Run("first run", func(t *testing.T) {
		s := p.serve(t, runner.Options{})
		op := s.importBooks(s.shelf("novels"), "novels.jsonl")
		eventually(t, "it has looked", func() bool { return s.progress(op).GetTotalLines() == 150 })
		name = op.Name()
	})
	p.put(t, "novels.jsonl", novels(149)...)
	t.Run("second run", func(t *testing.T) {
		s := p.serve(t, runner.Options{})
		s.lift()
		_, err := s.lro.ImportBooksOperation(name).Wait(t.Context())
		wantError(t, "ImportBooks", err, codes.FailedPrecondition, "OBJECT_CHANGED")
	})
}

// OP-19: what cannot be imported is refused by the call. VAL-01: also when it is only asked.
func TestImportBooks_Refused(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	shelf := s.shelf("novels")
	s.put(t, "novels.jsonl", novels(1)...)
	for _, tt := range []struct {
		what, reason string
		code         codes.Code
		req          *pb.ImportBooksRequest
	}{
		{"no shelf", "INVALID_FIELD", codes.InvalidArgument, from("", "novels.jsonl")},
		{"a bad shelf", "INVALID_FIELD", codes.InvalidArgument, from("novels", "novels.jsonl")},
		{"an unknown shelf", "SHELF_NOT_FOUND", codes.NotFound, from("shelves/none", "novels.jsonl")},
		{"no source", "INVALID_FIELD", codes.InvalidArgument, &pb.ImportBooksRequest{Parent: shelf}},
		{"no object", "INVALID_FIELD", codes.InvalidArgument, from(shelf, "")},
		{"a way out of the bucket", "INVALID_FIELD", codes.InvalidArgument, from(shelf, "../novels.jsonl")},
		{"a folder", "OBJECT_NOT_FOUND", codes.NotFound, from(shelf, ".")},
		{"an unknown object", "OBJECT_NOT_FOUND", codes.NotFound, from(shelf, "none.jsonl")},
	} {
		for _, tt.req.ValidateOnly = range []bool{true, false} {
			_, err := s.lib.ImportBooks(t.Context(), tt.req)
			wantError(t, tt.what, err, tt.code, tt.reason)
		}
	}
	if got := s.operations(); got != 0 {
		t.Errorf("OP-19: operations = %d, want 0", got)
	}
}

// An object at the limit is taken, and one past it refused.
func TestImportBooks_LargeObject(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	req := from(s.shelf("novels"), "large.jsonl")
	req.ValidateOnly = true
	s.put(t, "large.jsonl")
	for size, reason := range map[int64]string{maxObject: "", maxObject + 1: "OBJECT_TOO_LARGE"} {
		if err := os.Truncate(filepath.Join(s.folder, "large.jsonl"), size); err != nil { // with nothing on the disk
			t.Fatal(err)
		}
		_, err := s.lib.ImportBooks(t.Context(), req)
		if reason != "" {
			wantError(t, "an object past the limit", err, codes.InvalidArgument, reason)
		} else if err != nil {
			t.Errorf("an object at the limit: %v", err)
		}
	}
}

// A line at the limit is read, and one past it ends the import.
func TestImportBooks_LongLine(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	shelf := s.shelf("novels")
	line := func(bytes int) string {
		const short = `{"bookId": "emma", "book": {"title": "Emma"}}`
		return short + strings.Repeat(" ", bytes-len(short))
	}
	s.put(t, "fits.jsonl", line(maxLine-1))
	s.put(t, "long.jsonl", line(maxLine))
	if _, err := s.importBooks(shelf, "fits.jsonl").Wait(t.Context()); err != nil {
		t.Errorf("a line of %d bytes: %v", maxLine-1, err)
	}
	_, err := s.importBooks(shelf, "long.jsonl").Wait(t.Context())
	wantError(t, "a line past the limit", err, codes.InvalidArgument, "LINE_TOO_LONG")
}

// Of more warnings than can be kept, the first are.
func TestImportBooks_ManyWarnings(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	shelf := s.shelf("novels")
	var lines []string
	for i := range 350 {
		lines = append(lines, fmt.Sprintf(`{"bookId": "Bad %d"}`, i))
	}
	s.put(t, "bad.jsonl", lines...)
	op := s.importBooks(shelf, "bad.jsonl")
	resp, err := op.Wait(t.Context())
	if err != nil || resp.GetFailedLines() != 350 {
		t.Fatalf("ImportBooks = %v, %v; want 350 failed lines", resp, err)
	}
	if got, want := len(s.progress(op).GetWarnings()), maxWarnings; got != want {
		t.Errorf("warnings = %d, want %d", got, want)
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add([]byte(`{"bookId": "emma", "book": {"title": "Emma", "author": "Jane Austen"}}`))
	f.Add([]byte(`{"bookId": "Emma"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, line []byte) {
		req, err := parseLine(line)
		if err == nil {
			err = checkNewBook("shelves/novels", req)
		}
		if err == nil && !bookText.MatchString(bookName("shelves/novels", req.GetBookId())) {
			t.Errorf("%q is taken, and makes the name of no book", line)
		}
		if err != nil && !isFault(err) {
			t.Errorf("%q: %v, want an error that says what is wrong with it", line, err)
		}
	})
}
