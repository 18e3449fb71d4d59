package inmem

import (
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
)

// PAR-06: a key that was left without a holder goes to whoever goes ahead
// with it, or else to the oldest that waits for it.
func TestExpire_KeyWithoutHolder(t *testing.T) {
	t.Parallel()
	s := New()
	defer s.Close()
	keyed := func(key string) longrun.ID {
		op := &longrun.Operation{ID: longrun.NewID(), Method: "work", ConflictKey: key, Retention: time.Hour}
		if _, err := s.Create(t.Context(), longrun.NewOperation{Operation: op}); err != nil {
			t.Fatal(err)
		}
		return op.ID
	}
	expire := func() {
		t.Helper()
		if n, err := s.Expire(t.Context(), 10); n != 0 || err != nil {
			t.Errorf("Expire = %d, %v, want 0 and no error", n, err)
		}
	}
	ready := func(id longrun.ID) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return !s.ops[id].ReadyTime.IsZero()
	}
	first, second, third := keyed("key"), keyed("key"), keyed("key")
	other := keyed("other")
	delete(s.holders, "key")
	expire()
	if s.holders["key"] != first || ready(second) {
		t.Error("want that the one that goes ahead has the key again")
	}

	s.ops[first] = s.ops[first].RequestCancel(time.Now()) // ended, and the key went nowhere
	delete(s.holders, "key")
	s.unfinished = without(s.unfinished, first)
	expire()
	if s.holders["key"] != second || !ready(second) || ready(third) {
		t.Error("want that the oldest that waits is the holder and ready, and the youngest waits")
	}
	if s.holders["other"] != other || len(s.holders) != 2 {
		t.Errorf("holders = %v, want those of two keys", s.holders)
	}
}
