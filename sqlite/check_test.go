package sqlite

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
	"zombiezen.com/go/sqlite"
)

// everyKind makes a database with every kind of row.
func everyKind(t *testing.T, file string) {
	t.Helper()
	s := openTest(t, file, Options{})
	session := openSession(t, s, "remote")
	for range 3 {
		op := newOp()
		op.ConflictKey, op.ExecutionTimeout, op.RequestID = "key", 1e12, longrun.NewID().String()
		create(t, s, op)
	}
	if _, err := s.Claim(t.Context(), longrun.ClaimRequest{Session: session, Call: 1, Want: []longrun.Want{{Method: "resize-image", N: 9}}}); err != nil {
		t.Fatal(err)
	}
	large := claimed(session)
	large.Request = anyOf(5000)
	create(t, s, large)
	_, err := s.Update(t.Context(), longrun.Change{ID: large.ID, Apply: cancel, Step: &longrun.Step{Key: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	update(t, s, create(t, s, claimed(session)).ID, returned(10))
	update(t, s, create(t, s, newOp()).ID, cancel)
	if _, err := s.Secret(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	closeTest(t, s)
}

// CON-05: Check finds what breaks a promise across tables, and is content with a
// file that keeps them.
func TestCheck_Invariants(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, script, says string }{
		{"sound", "", ""},
		{"two results", "UPDATE longrun_operation SET response = x'' WHERE state = 5", "has not exactly one result"},
		{"no result", "UPDATE longrun_operation SET response = NULL WHERE state = 3", "has not exactly one result"},
		{"claim of no session", "DELETE FROM longrun_session", "runs under a session that is not there"},
		{"indexed claim of no session", "UPDATE longrun_operation SET session = zeroblob(16) WHERE state = 2", "longrun_operation has a row that refers to nothing in longrun_session"},
		{"claim that is not indexed", "UPDATE longrun_clock SET floor = ceiling", "runs and is not in the index of sessions"},
		{"steps of nothing", "UPDATE longrun_step SET create_time = 1", "longrun_step has a row that refers to nothing"},
		{"steps of a done one", "UPDATE longrun_step SET create_time = (SELECT max(create_time) FROM longrun_operation)", "is done and has steps"},
		{"request of nothing", "UPDATE longrun_request SET create_time = 1", "longrun_request has a row that refers to nothing"},
		{"lost request", "DELETE FROM longrun_request", "has lost its request"},
		{"key without a holder", "DELETE FROM longrun_key", "has a conflict key that nobody holds"},
		{"key of a done holder", "UPDATE longrun_key SET holder = (SELECT max(create_time) FROM longrun_operation)", "is not its own, or is done"},
		{"key of a waiting holder", `UPDATE longrun_key SET holder = (SELECT create_time FROM longrun_operation
			WHERE conflict_key IS NOT NULL AND state = 1 LIMIT 1)`, "holds its conflict key and waits for it"},
		{"two go ahead", "UPDATE longrun_operation SET ready_time = 1 WHERE state = 1", "goes ahead without its conflict key"},
		{"packed column", "UPDATE longrun_operation SET hot = x'ff' WHERE state = 5", "operation"},
		{"another session", "UPDATE longrun_session SET id = zeroblob(16); UPDATE longrun_operation SET session = zeroblob(16) WHERE state = 2", "under two sessions"},
		{"lost index", "DROP INDEX longrun_operation_ready", "index longrun_operation_ready is not there"},
		{"foreign index", "CREATE INDEX longrun_x ON longrun_key (holder)", "index longrun_x is not ours"},
		{"lost clock", "DELETE FROM longrun_clock", "longrun_clock has lost its row"},
		{"deadline", "UPDATE longrun_operation SET deadline_time = deadline_time + 1", "not in the index of deadlines"},
		{"from the future", "UPDATE longrun_clock SET ceiling = 5", "in the future"},
		{"index", "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'longrun_operation_expire'", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "x.db")
			everyKind(t, file)
			rawScript(t, file, "PRAGMA ignore_check_constraints = ON;"+tt.script)
			problems, err := Check(t.Context(), file)
			if tt.name == "index" {
				return // pages that nobody uses: found or refused, but no panic
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.says == "" && len(problems) > 0 {
				t.Errorf("problems = %v, want none", problems)
			}
			found := tt.says == ""
			for _, p := range problems {
				found = found || strings.Contains(p.Text, tt.says)
			}
			if !found {
				t.Errorf("problems = %v, want one with %q", problems, tt.says)
			}
		})
	}
}

func rawScript(t *testing.T, file, script string) {
	t.Helper()
	c, err := sqlite.OpenConn(file, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for script = strings.TrimSpace(script); script != ""; {
		// SQLite says where a statement ends: a trigger has a semicolon inside.
		stmt, rest, err := c.PrepareTransient(script)
		if err != nil {
			t.Fatal(err)
		}
		for more := true; more && err == nil; {
			more, err = stmt.Step()
		}
		if err := errors.Join(err, stmt.Finalize()); err != nil {
			t.Fatal(err)
		}
		script = strings.TrimSpace(script[len(script)-rest:])
	}
}

// Damage in the middle of a file, which Open does not look for, is found.
func TestCheck_Damage(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	sound(t, file)
	changeFile(t, file, func(b []byte) []byte {
		i := bytes.LastIndex(b, []byte("resize-image")) // in a row
		copy(b[i-200:], bytes.Repeat([]byte{0xff}, 150))
		return b
	})
	problems, err := Check(t.Context(), file)
	if err == nil && len(problems) == 0 {
		t.Error("Check is content with a damaged file")
	}
}

func TestCheck_NoFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	_, err := Check(t.Context(), file)
	wantRefusal(t, err, codes.NotFound, "does not exist")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Check(t.Context(), file)
	wantRefusal(t, err, codes.DataLoss, "empty")
	if names := contents(t, filepath.Dir(file)); len(names) != 1 {
		t.Errorf("Check left files: %v", names)
	}
}

// Check ends when its caller goes.
func TestCheck_CallerGone(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	everyKind(t, file)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err := Check(ctx, file)
	wantCode(t, "Check", err, codes.Canceled)
}
