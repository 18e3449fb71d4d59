package sqlite

import (
	"bytes"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/longrun-dev/longrun"
)

func keyed(key string) *longrun.Operation {
	op := newOp()
	op.ConflictKey = key
	return op
}

func expire(t *testing.T, s *Store) {
	t.Helper()
	if n, err := s.Expire(t.Context(), 100); n != 0 || err != nil {
		t.Errorf("Expire = %d, %v, want 0 and no error", n, err)
	}
}

// PAR-06: a key that was left without a holder goes to the oldest that waits for
// it, which is logged as a bug, without the key.
func TestExpire_KeyWithoutHolder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	s := openTest(t, file, Options{})
	holder := create(t, s, keyed("secret-key"))
	second, third := create(t, s, keyed("secret-key")), create(t, s, keyed("secret-key"))
	sound := create(t, s, keyed("other-key"))
	closeTest(t, s)
	rawScript(t, file, fmt.Sprintf(`DELETE FROM longrun_key WHERE conflict_key = 'secret-key';
		DELETE FROM longrun_operation WHERE create_time = %d`, holder.CreateTime.UnixMicro()))

	var log bytes.Buffer
	s = openTest(t, file, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	expire(t, s)
	ready := get(t, s, second.ID)
	wantSame(t, "the oldest", ready, second.MakeReady(ready.UpdateTime))
	wantSame(t, "the youngest", get(t, s, third.ID), third)
	wantSame(t, "of another key", get(t, s, sound.ID), sound)
	for _, part := range []string{"level=ERROR", "conflict key without a holder", second.ID.String()} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("log = %q, want %q in it", &log, part)
		}
	}
	if strings.Contains(log.String(), "secret-key") {
		t.Errorf("log = %q, want no key in it", &log)
	}
	log.Reset()
	expire(t, s)
	if log.Len() > 0 {
		t.Errorf("log = %q, want nothing more", &log)
	}
	update(t, s, second.ID, cancel)
	if got := get(t, s, third.ID); got.ReadyTime.IsZero() {
		t.Error("the key did not pass on afterwards")
	}
	closeTest(t, s)
	wantSound(t, file)
}

// CON-05: whoever goes ahead with the key gets it back, so that no two ever do.
func TestExpire_KeyOfOneAhead(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	s := openTest(t, file, Options{})
	session := openSession(t, s, "remote")
	ahead := keyed("key")
	ahead.Claim.Session = session
	running := create(t, s, ahead)
	waiting := create(t, s, keyed("key"))
	closeTest(t, s)
	rawScript(t, file, "DELETE FROM longrun_key")

	s = openTest(t, file, Options{})
	expire(t, s)
	wantSame(t, "the one ahead", get(t, s, running.ID), running)
	wantSame(t, "the one that waits", get(t, s, waiting.ID), waiting)
	update(t, s, running.ID, returned(10))
	if got := get(t, s, waiting.ID); got.ReadyTime.IsZero() {
		t.Error("the key did not pass on afterwards")
	}
	closeTest(t, s)
	wantSound(t, file)
}

// However many keys there are, one call looks at some, and later calls at the
// rest; then it begins again.
func TestRescue_ManyKeys(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	var batch []change
	var want []string
	for i := range rescueLook + 10 {
		key := fmt.Sprintf("%06d", i)
		batch = append(batch, mustCreate(t, longrun.NewOperation{Operation: keyed(key)}))
		want = append(want, key)
	}
	batch = append(batch, &anyChange{f: func(w *writer) error {
		return w.wrote(w.c.once("DELETE FROM longrun_key", nil))
	}})
	commitOn(t, s, batch)
	for i, want := range [][]string{want[:rescueLook], want[rescueLook:], want[:rescueLook]} {
		got, err := s.keysWithoutHolder(t.Context())
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("look %d: %d keys, %v; want %d from %s on", i, len(got), err, len(want), want[0])
		}
	}
}
