package server

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/sqlite"
)

// Each way in which a store cannot be used has a hint of its own.
func TestStoreProblem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	refusal := func(code codes.Code, why error) error {
		return &longrun.Error{Code: code, Verb: "open", Msg: "no", Err: why}
	}
	seen := map[string]string{}
	for _, tt := range []struct {
		name, file, hint string
		err              error
	}{
		{"in use", "x", "stop the server that has it open", refusal(codes.FailedPrecondition, sqlite.ErrInUse)},
		{"no store", "x", "it is left as it is", refusal(codes.FailedPrecondition, fmt.Errorf("open: %w", sqlite.ErrForeign))},
		{"two names", "x", "remove its other names", refusal(codes.FailedPrecondition, sqlite.ErrLinked)},
		{"read-only", "x", "must be ours to read and write", refusal(codes.FailedPrecondition, sqlite.ErrReadOnly)},
		{"read-only at the upgrade", "x", "must be ours to read and write", refusal(codes.Unavailable, sqlite.ErrReadOnly)},
		{"damaged", "x", "restore a backup", refusal(codes.DataLoss, nil)},
		{"no directory", filepath.Join(dir, "no", "x"), "its directory must exist", refusal(codes.NotFound, fs.ErrNotExist)},
		{"no file", filepath.Join(dir, "x"), "name the file of a store", refusal(codes.NotFound, fs.ErrNotExist)},
		{"a disk that fails", "x", "see that it is local, that it works and that it has room", refusal(codes.Unavailable, nil)},
	} {
		p := storeProblem(tt.file, tt.err)
		if !strings.Contains(p.Hint, tt.hint) || p.Usage {
			t.Errorf("%s: %+v, want a hint with %q, and no wrong use", tt.name, p, tt.hint)
			continue
		}
		if other := seen[p.Hint]; other != "" && !strings.HasPrefix(tt.name, other) {
			t.Errorf("%s and %s share a hint", tt.name, other)
		}
		seen[p.Hint] = tt.name
	}
}

// Wrong use is told apart from what the machine is like.
func TestProblem_Usage(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		o    Options
		want bool
	}{
		"no store":        {Options{Store: "longrun.db"}, true},
		"every address":   {Options{GRPC: ":0"}, true},
		"no address":      {Options{GRPC: "x"}, true},
		"retention":       {Options{Retention: -1}, true},
		"no directory":    {Options{Store: "sqlite:" + filepath.Join(t.TempDir(), "no", "x.db")}, false},
		"no such set":     {Options{DescriptorSets: []string{filepath.Join(t.TempDir(), "none")}}, false},
		"foreign address": {Options{GRPC: "192.0.2.1:0", Remote: On}, false},
	} {
		if tt.o.GRPC == "" {
			tt.o.GRPC = "127.0.0.1:0"
		}
		tt.o.HTTP = NoHTTP
		s, err := Open(t.Context(), tt.o)
		if err == nil {
			t.Fatalf("%s: Open = %v", name, s)
		}
		if got := err.(interface{ Unwrap() []error }).Unwrap()[0].(*Problem).Usage; got != tt.want {
			t.Errorf("%s: Usage = %v, want %v", name, got, tt.want)
		}
	}
}
