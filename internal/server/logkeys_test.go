package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/server"
	"github.com/longrun-dev/longrun/longrunpb"
)

// documentedKeys are the keys in the table of docs/operating.md.
func documentedKeys(t *testing.T) []string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(doc), "\n## Logs\n")
	section, _, more := strings.Cut(section, "\n## ")
	if !ok || !more {
		t.Fatal("docs/operating.md has no section Logs")
	}
	var keys []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]+`) \\|").FindAllStringSubmatch(section, -1) {
		for key := range strings.SplitSeq(row[1], ", ") {
			keys = append(keys, strings.Trim(key, "`"))
		}
	}
	return keys
}

// loggedKeys are the keys that the module's log calls have, with a place of each.
func loggedKeys(t *testing.T) map[string]string {
	t.Helper()
	keys := map[string]string{}
	fset := token.NewFileSet()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{"bench", "examples", "clienttest", "testdata", ".git"}, d.Name()) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !isLogCall(call) {
				return true
			}
			for i := 1; i < len(call.Args); i += 2 {
				at := fset.Position(call.Args[i].Pos()).String()
				key, ok := call.Args[i].(*ast.BasicLit)
				if !ok {
					t.Errorf("%s: the key is not a constant", at)
					continue
				}
				word, err := strconv.Unquote(key.Value)
				if err != nil {
					t.Errorf("%s: %v", at, err)
				}
				keys[word] = at
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// isLogCall reports whether a call is one like x.log.Warn(...).
func isLogCall(call *ast.CallExpr) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !slices.Contains([]string{"Debug", "Info", "Warn", "Error"}, f.Sel.Name) {
		return false
	}
	switch x := f.X.(type) {
	case *ast.Ident:
		return x.Name == "log" || x.Name == "slog"
	case *ast.SelectorExpr:
		return x.Sel.Name == "log" || x.Sel.Name == "Log" || x.Sel.Name == "said"
	}
	return false
}

// Every line of the log has keys of the table, and every key of the table is of some
// line.
func TestLog_KeysAreDocumented(t *testing.T) {
	t.Parallel()
	documented, logged := documentedKeys(t), loggedKeys(t)
	if len(logged) < 5 {
		t.Fatalf("the log calls have %d keys, want more: are they found?", len(logged))
	}
	for key, at := range logged {
		if !slices.Contains(documented, key) {
			t.Errorf("%s: the key %q is not in docs/operating.md", at, key)
		}
	}
	for _, key := range documented {
		if _, ok := logged[key]; !ok && !slices.Contains([]string{slog.TimeKey, slog.LevelKey, slog.MessageKey}, key) {
			t.Errorf("docs/operating.md has the key %q, and no log line does", key)
		}
	}
}

// lockedBuffer is written by a server and read by a test.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// failing runs a server with that log, on which a handler fails, and returns the
// operation.
func failing(t *testing.T, log *slog.Logger) string {
	t.Helper()
	o := options(t)
	o.Log = log
	s, err := server.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	longrun.Handle(s.Service(), longrun.Method[*emptypb.Empty, *emptypb.Empty, *longrunpb.OperationMetadata]{Name: "fails"},
		func(context.Context, *emptypb.Empty, *longrun.Run[*longrunpb.OperationMetadata]) (*emptypb.Empty, error) {
			return nil, errors.New("the cause")
		})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	conn := dial(t, s.GRPCAddr())
	op, err := longrunpb.NewDispatcherClient(conn).StartOperation(t.Context(), &longrunpb.StartOperationRequest{Method: "fails"})
	if err != nil {
		t.Fatal(err)
	}
	ended, err := waitFor(t, conn, op.GetName())
	if err != nil || ended.GetError() == nil {
		t.Fatalf("the operation ended with %v, %v; want an error", ended, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	if strings.Contains(ended.GetError().GetMessage(), "the cause") {
		t.Errorf("the caller was told the cause: %s", ended.GetError().GetMessage())
	}
	return op.GetName()
}

// A server's log in JSON: the keys of a run that failed, and what they say.
func TestLog_RunFailed(t *testing.T) {
	t.Parallel()
	var out lockedBuffer
	name := failing(t, slog.New(slog.NewJSONHandler(&out, nil)))
	documented := documentedKeys(t)
	found := false
	for line := range strings.Lines(out.String()) {
		var keys map[string]any
		if err := json.Unmarshal([]byte(line), &keys); err != nil {
			t.Fatalf("%q is not JSON: %v", line, err)
		}
		for key := range keys {
			if !slices.Contains(documented, key) {
				t.Errorf("%q is not in docs/operating.md: %s", key, line)
			}
		}
		if keys["msg"] != "run failed" {
			continue
		}
		found = true
		for key, want := range map[string]string{"level": "ERROR", "operation": name, "method": "fails", "attempt": "1", "err": "the cause"} {
			if got := fmt.Sprint(keys[key]); got != want {
				t.Errorf("%s = %s, want %s", key, got, want)
			}
		}
		if keys["id"] == "" || keys["id"] == nil {
			t.Errorf("the line has no id, under which the caller can ask: %s", line)
		}
	}
	if !found {
		t.Errorf("nothing says that the run has failed:\n%s", out.String())
	}
}

// The same in text.
func TestLog_RunFailedText(t *testing.T) {
	t.Parallel()
	var out lockedBuffer
	name := failing(t, slog.New(slog.NewTextHandler(&out, nil)))
	for _, want := range []string{"level=ERROR", `msg="run failed"`, "operation=" + name, "method=fails", "attempt=1", `err="the cause"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, out.String())
		}
	}
}

// Ids are text in JSON too, and our errors a group with the cause.
func TestLog_Values(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	session, id := longrun.NewSessionID(), longrun.NewID()
	slog.New(slog.NewJSONHandler(&out, nil)).Error("x", "session", session, "operation", id,
		"err", &longrun.Error{Verb: "claim", Msg: "no", Reason: "OVERLOADED", Err: errors.New("the cause")})
	var line struct {
		Session, Operation string
		Err                map[string]string
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%s: %v", out.String(), err)
	}
	if line.Session != session.String() || line.Operation != id.String() {
		t.Errorf("session = %s, operation = %s; want %v, %v", line.Session, line.Operation, session, id)
	}
	if got, want := slices.Sorted(maps.Keys(line.Err)), []string{"cause", "code", "msg", "reason"}; !slices.Equal(got, want) {
		t.Errorf("err has %v, want %v", got, want)
	}
}
