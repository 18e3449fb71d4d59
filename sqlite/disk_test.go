package sqlite

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
)

// A file system that is really full, so that it is COMMIT that finds no space:
// what is refused has not happened, also after the store was opened again, and
// writes go on when something else has been removed.
func TestFullDisk_FileSystem(t *testing.T) {
	t.Parallel()
	dir := smallFileSystem(t, 8)
	ballast, file := filepath.Join(dir, "ballast"), filepath.Join(dir, "x.db")
	if err := os.WriteFile(ballast, make([]byte, 6<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openTest(t, file, Options{})
	var kept []longrun.ID
	var refused *longrun.Operation
	for refused == nil {
		op := newOp()
		op.Request = anyOf(50_000)
		_, err := s.Create(t.Context(), longrun.NewOperation{Operation: op})
		if err == nil {
			kept = append(kept, op.ID)
			continue
		}
		refused = op
		wantCode(t, "Create on a full disk", err, codes.Unavailable)
		if longrun.IsUnknown(err) {
			t.Errorf("Create on a full disk: %v, want that it did not happen", err)
		}
	}
	if get(t, s, refused.ID) != nil {
		t.Error("what was refused is there")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	kept = append(kept, create(t, s, newOp()).ID)
	closeTest(t, s)
	wantSound(t, file)
	s = openTest(t, file, Options{})
	for _, id := range kept {
		if get(t, s, id) == nil {
			t.Errorf("operation %v was answered and is not there", id)
		}
	}
	if get(t, s, refused.ID) != nil {
		t.Error("what was refused is there after opening again")
	}
	closeTest(t, s)
}
