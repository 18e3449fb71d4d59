package sqlite

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
	"zombiezen.com/go/sqlite"
)

var statement = regexp.MustCompile(`sqlite3 COPY "([^"]*)"`)

// follow does what the hints about a damaged file say, until nothing is wrong, and
// returns how. Where a backup is all that helps, it does nothing.
func follow(t *testing.T, file string) (did []string) {
	t.Helper()
	for range 4 {
		problems, err := Check(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		if len(problems) == 0 {
			return did
		}
		hint := problems[0].Hint
		switch m := statement.FindStringSubmatch(hint); {
		case m != nil:
			rawScript(t, file, m[1])
			did = append(did, "statement")
		case hint == hintServe:
			serveOnce(t, file)
			did = append(did, "serve")
		case hint == hintTwoAhead:
			cancelAll(t, file)
			did = append(did, "cancel")
		case strings.Contains(hint, "restore a backup"):
			return append(did, "restore")
		default:
			t.Fatalf("%s: hint %q", problems[0].Text, hint)
		}
	}
	problems, err := Check(t.Context(), file)
	if err != nil || len(problems) > 0 {
		t.Fatalf("after %v: %v, %v, want that nothing is wrong", did, problems, err)
	}
	return did
}

// serveOnce does what a server does with a file at its start.
func serveOnce(t *testing.T, file string) {
	t.Helper()
	s, err := Open(file, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer closeTest(t, s)
	due, err := s.Due(t.Context(), longrun.Contact{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range due {
		update(t, s, d.Operation.ID, func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
			if d.SessionLost {
				return op.EndRun(longrun.RunEnd{Claim: d.Operation.Claim, Kind: longrun.RunLost}, now)
			}
			return op.PassDeadline(now), nil
		})
	}
	expire(t, s)
}

// cancelAll ends every operation that is not done.
func cancelAll(t *testing.T, file string) {
	t.Helper()
	s := openTest(t, file, Options{Log: slog.New(slog.DiscardHandler)})
	defer closeTest(t, s)
	page, err := s.List(t.Context(), longrun.Query{Parent: "-", Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range page.Operations {
		if op = update(t, s, op.ID, cancel); op.State == longrun.Running {
			update(t, s, op.ID, returned(1))
		}
	}
}

// Every hint about what is wrong across tables is right: who follows it gets a file
// of which nothing is wrong, and which can be served.
func TestHint_Followed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, script, want string }{
		{"two results", "UPDATE longrun_operation SET response = x'' WHERE state = 5", "restore"},
		{"no result", "UPDATE longrun_operation SET response = NULL WHERE state = 3", "restore"},
		{"claim of no session", "DELETE FROM longrun_session; UPDATE longrun_operation SET session = NULL; UPDATE longrun_clock SET floor = 0", "serve"},
		{"indexed claim of no session", "UPDATE longrun_operation SET session = zeroblob(16) WHERE state = 2", "statement"},
		{"claim that is not indexed", "UPDATE longrun_clock SET floor = ceiling", "statement"},
		{"session of one that waits", "UPDATE longrun_operation SET session = (SELECT id FROM longrun_session) WHERE state = 1", "statement"},
		{"steps of nothing", "UPDATE longrun_step SET create_time = 1", "statement"},
		{"steps of a done one", "UPDATE longrun_step SET create_time = (SELECT max(create_time) FROM longrun_operation)", "statement"},
		{"request of nothing", "UPDATE longrun_request SET create_time = 1", "statement"},
		{"lost request", "DELETE FROM longrun_request", "statement"},
		{"key without a holder", "DELETE FROM longrun_key", "serve"},
		{"key of nothing", "UPDATE longrun_key SET holder = 1", "statement serve"},
		{"key of a done holder", "UPDATE longrun_key SET holder = (SELECT max(create_time) FROM longrun_operation)", "cancel statement"},
		{"key of a waiting holder", `UPDATE longrun_key SET holder = (SELECT create_time FROM longrun_operation
			WHERE conflict_key IS NOT NULL AND state = 1 LIMIT 1)`, "cancel"},
		{"two go ahead", "UPDATE longrun_operation SET ready_time = 1 WHERE state = 1", "cancel"},
		{"packed column", "UPDATE longrun_operation SET hot = x'ff' WHERE state = 5", "statement"},
		{"another session", "UPDATE longrun_session SET id = zeroblob(16); UPDATE longrun_operation SET session = zeroblob(16) WHERE state = 2", "statement serve"},
		{"lost index", "DROP INDEX longrun_operation_ready", "statement"},
		{"another index", "DROP INDEX longrun_operation_ready; CREATE INDEX longrun_operation_ready ON longrun_operation (method)", "statement"},
		{"foreign index", "CREATE INDEX longrun_x ON longrun_key (holder)", "statement"},
		{"lost clock", "DELETE FROM longrun_clock", "statement"},
		{"lost table", "DROP TABLE longrun_step; CREATE TABLE longrun_step (create_time, key, result, time)", "restore"},
		{"deadline", "UPDATE longrun_operation SET deadline_time = deadline_time + 1", "statement serve"},
		{"from the future", "UPDATE longrun_clock SET ceiling = 5", "statement"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "x.db")
			everyKind(t, file)
			rawScript(t, file, "PRAGMA ignore_check_constraints = ON;"+tt.script)
			did := slices.Compact(follow(t, file))
			if got := strings.Join(did, " "); got != tt.want {
				t.Errorf("followed: %s, want %s", got, tt.want)
			}
			if !slices.Contains(did, "restore") {
				serveOnce(t, file)
				wantSound(t, file)
			}
		})
	}
}

// An index that lacks rows is made again.
func TestHint_Reindex(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	everyKind(t, file)
	// The schema says for a moment that the index is another one, so that a row is
	// written without an entry in it.
	const index = "longrun_operation_parent"
	rawScript(t, file, `PRAGMA writable_schema = ON;
		UPDATE sqlite_schema SET sql = replace(sql, 'hidden = 0', 'hidden = 9') WHERE name = '`+index+`'`)
	rawScript(t, file, `UPDATE longrun_operation SET parent = 'projects/q'`)
	rawScript(t, file, `PRAGMA writable_schema = ON;
		UPDATE sqlite_schema SET sql = replace(sql, 'hidden = 9', 'hidden = 0') WHERE name = '`+index+`'`)
	if did := follow(t, file); !slices.Equal(did, []string{"statement"}) {
		t.Errorf("followed: %v, want one statement", did)
	}
	serveOnce(t, file)
}

// docSave is what docs/operating.md says about a file that is damaged, with its
// names.
func docSave(t *testing.T) string {
	t.Helper()
	doc, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(doc), "## After a crash")
	if !ok {
		t.Fatal("docs/operating.md has no section After a crash, which hints name")
	}
	var lines []string
	for line := range strings.Lines(rest) {
		if code, ok := strings.CutPrefix(line, "    "); ok && (strings.Contains(code, ".dump") || len(lines) > 0) {
			lines = append(lines, code)
		} else if len(lines) > 0 {
			break
		}
	}
	if len(lines) == 0 {
		t.Fatal("docs/operating.md has no command to save what can be read")
	}
	return strings.Join(lines, "")
}

// A file of which pages are gone is refused or found damaged, the hint leads to the
// documentation, and what that says saves the operations that can still be read.
func TestHint_Save(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sqlite3"); err != nil {
		t.Skipf("the documented command was not tried: %v", err)
	}
	save := docSave(t)
	for name, damage := range map[string]func(t *testing.T, file string) (page int64){
		"a page of requests": func(t *testing.T, file string) int64 {
			return scalar(t, file, `SELECT max(pageno) FROM dbstat WHERE name = 'longrun_request' AND pagetype = 'overflow'`)
		},
		"an index": func(t *testing.T, file string) int64 {
			return scalar(t, file, `SELECT rootpage FROM sqlite_schema WHERE name = 'longrun_operation_parent'`)
		},
		"a page of operations": func(t *testing.T, file string) int64 {
			return scalar(t, file, `SELECT max(pageno) FROM dbstat WHERE name = 'longrun_operation' AND pagetype = 'leaf'`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "FILE")
			everyKind(t, file)
			s := openTest(t, file, Options{})
			fillStore(t, s, 60)
			closeTest(t, s)
			all := scalar(t, file, `SELECT count(*) FROM longrun_operation`)
			page := damage(t, file)
			changeFile(t, file, func(b []byte) []byte {
				copy(b[(page-1)*pageBytes:], strings.Repeat("\xff", pageBytes))
				return b
			})
			problems, err := Check(t.Context(), file)
			if err == nil && len(problems) == 0 {
				t.Fatal("the damage was not found")
			}
			if err != nil {
				wantCode(t, "Check", err, codes.DataLoss)
				problems = []Problem{{Hint: Hint(err)}}
			}
			if problems[0].Hint != hintSave {
				t.Errorf("hint = %q, want the one that names the documentation", problems[0].Hint)
			}
			cmd := exec.CommandContext(t.Context(), "sh", "-c", save)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Logf("the command says: %v\n%s", err, out)
			}
			saved := filepath.Join(dir, "SAVED")
			if did := follow(t, saved); slices.Contains(did, "restore") {
				t.Errorf("what was saved needs a backup: %v", did)
			}
			kept := scalar(t, saved, `SELECT count(*) FROM longrun_operation`)
			if kept < all/2 {
				t.Errorf("%d operations of %d were saved, want most", kept, all)
			}
			serveOnce(t, saved)
			wantSound(t, saved)
		})
	}
}

// scalar asks a file that nobody has open.
func scalar(t *testing.T, file, query string) int64 {
	t.Helper()
	c, err := openConn(file, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	n, err := c.number(query)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What Open, Check and Backup refuse has a hint, whichever of them refuses it.
func TestHint_Refusals(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		make func(t *testing.T, file string)
		want string
	}{
		"text":        {func(t *testing.T, f string) { writeFile(t, f, strings.Repeat("text ", 99)) }, "restore a backup"},
		"another one": {func(t *testing.T, f string) { rawExec(t, f, "CREATE TABLE t (x)") }, "name the file of a store"},
		"newer":       {func(t *testing.T, f string) { sound(t, f); rawExec(t, f, "PRAGMA user_version = 999") }, "or a newer one"},
		"two names": {func(t *testing.T, f string) {
			sound(t, f)
			if err := os.Link(f, f+"2"); err != nil {
				t.Fatal(err)
			}
		}, "one name"},
		"cut short": {func(t *testing.T, f string) {
			sound(t, f)
			changeFile(t, f, func(b []byte) []byte { return b[:len(b)-pageBytes] })
		}, "restore a backup"},
		"header": {func(t *testing.T, f string) {
			sound(t, f)
			changeFile(t, f, func(b []byte) []byte { return append(make([]byte, 100), b[100:]...) })
		}, "restore a backup"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "x.db")
			tt.make(t, file)
			_, checked := Check(t.Context(), file)
			s, opened := Open(file, Options{})
			if opened == nil {
				closeTest(t, s)
			}
			for verb, err := range map[string]error{
				"check": checked, "open": opened, "backup": Backup(context.Background(), file, file+".copy", BackupOptions{}),
			} {
				if err == nil || !strings.Contains(Hint(err), tt.want) {
					t.Errorf("%s: %v, hint %q; want one with %q", verb, err, Hint(err), tt.want)
				}
			}
		})
	}
	if got := hintForeign("index x\"; rm -r ."); strings.Contains(got, "rm") {
		t.Errorf("hint = %q, want that it says nothing of what is in the file", got)
	}
	if got := Hint(fmt.Errorf("any other")); got != "" {
		t.Errorf("Hint of any other error = %q, want none", got)
	}
}
