package clienttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// block is a fenced block of a document.
type block struct {
	line       int
	kind, text string
}

var fence = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")

func blocks(text string) []block {
	var all []block
	for _, m := range fence.FindAllStringSubmatchIndex(text, -1) {
		all = append(all, block{line: strings.Count(text[:m[0]], "\n") + 1, kind: text[m[2]:m[3]], text: text[m[4]:m[5]]})
	}
	return all
}

// MAP-01, MAP-02, ERR-20, ERR-21: docs/http.md has every status of the table that the
// server can produce, with its envelope. HTTP-03: and a service's own paths. The commands
// are run in their order, against the built program, and must print what stands below
// them.
func TestDocument_HTTP(t *testing.T) {
	t.Parallel()
	for _, need := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(need); err != nil {
			unavailable(t, "docs/http.md: there is no "+need)
		}
	}
	doc, err := os.ReadFile(filepath.Join("..", "docs", "http.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := onFreePorts(t, string(doc))
	all := blocks(text)
	outputs := runBlocks(t, all)
	compared := 0
	for i, b := range all {
		if b.kind != "sh" {
			continue
		}
		want := ""
		if i+1 < len(all) && all[i+1].kind != "sh" {
			want = all[i+1].text
			compared++
		}
		compare := sameText
		if want != "" && all[i+1].kind == "json" {
			compare = sameJSON
		}
		if err := compare(outputs[i], want); err != nil {
			t.Errorf("docs/http.md:%d: %v\nprinted:\n%s", b.line, err, outputs[i])
		}
	}
	if compared < 10 {
		t.Errorf("%d blocks were compared, want 10 at least", compared)
	}
}

// onFreePorts gives the servers of the document ports that nobody has.
func onFreePorts(t *testing.T, text string) string {
	t.Helper()
	http, grpc := quietAddr(t), quietAddr(t)
	text = strings.ReplaceAll(text, "127.0.0.1:8151", http)
	return strings.ReplaceAll(text, "longrun serve", fmt.Sprintf("longrun serve --http %s --grpc %s", http, grpc))
}

// runBlocks runs the shell blocks in one shell that stops at the first command that
// fails, in a directory with the program and docs, and returns what each has printed.
func runBlocks(t *testing.T, all []block) map[int]string {
	t.Helper()
	dir := t.TempDir()
	docs, err := filepath.Abs(filepath.Join("..", "docs"))
	if err != nil {
		t.Fatal(err)
	}
	report(t, "docs", os.Symlink(docs, filepath.Join(dir, "docs")))
	report(t, "bin", os.Symlink(filepath.Dir(build(t)), filepath.Join(dir, "bin")))
	script := &strings.Builder{}
	script.WriteString("set -euo pipefail\ntrap '[ -z \"${server:-}\" ] || kill -9 $server 2>/dev/null || true' EXIT\n")
	for i, b := range all {
		if b.kind == "sh" {
			fmt.Fprintf(script, "exec >out.%d\n%s\n", i, b.text)
		}
	}
	cmd := exec.CommandContext(bounded(t), "bash", "-c", script.String())
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "no_proxy=127.0.0.1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the commands of docs/http.md: %v\n%s", err, out)
	}
	outputs := map[int]string{}
	for i, b := range all {
		if b.kind != "sh" {
			continue
		}
		out, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("out.%d", i)))
		if err != nil {
			t.Errorf("docs/http.md:%d was not reached", b.line)
		}
		outputs[i] = string(out)
	}
	return outputs
}

// sameText compares lines, in which "..." is any text.
func sameText(got, want string) error {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(want)), `\.\.\.`, ".+")
	if !regexp.MustCompile("^" + pattern + "$").MatchString(strings.TrimSpace(got)) {
		return fmt.Errorf("want:\n%s", want)
	}
	return nil
}

// sameJSON compares JSON values, one behind the other, in which "..." is any value.
func sameJSON(got, want string) error {
	g, w := json.NewDecoder(strings.NewReader(got)), json.NewDecoder(strings.NewReader(want))
	for n := 1; ; n++ {
		var have, wanted any
		errHave, errWanted := g.Decode(&have), w.Decode(&wanted)
		switch {
		case errors.Is(errHave, io.EOF) && errors.Is(errWanted, io.EOF):
			return nil
		case errHave != nil || errWanted != nil:
			return fmt.Errorf("value %d: %v, and in the document: %v", n, errHave, errWanted)
		case !matches(have, wanted):
			text, err := json.Marshal(wanted)
			return fmt.Errorf("value %d is not %s (%v)", n, text, err)
		}
	}
}

func matches(have, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		for k, v := range w {
			value, there := h[k]
			ok = ok && there && matches(value, v)
		}
		return ok && len(h) == len(w)
	case []any:
		h, ok := have.([]any)
		if !ok || len(h) != len(w) {
			return false
		}
		for i := range w {
			ok = ok && matches(h[i], w[i])
		}
		return ok
	}
	return want == "..." || have == want
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		got, want string
		same      bool
	}{
		{`{"a": 1}`, `{"a": 1}`, true},
		{`{"a": 1}`, `{"a": 2}`, false},
		{`{"a": 1}`, `{"a": "..."}`, true},
		{`{"a": 1, "b": 2}`, `{"a": 1}`, false},
		{`{"a": 1}`, `{"a": 1, "b": "..."}`, false},
		{`{"a": [1, {"b": 2}]}`, `{"a": ["...", {"b": 2}]}`, true},
		{`[1]`, `["...", "..."]`, false},
		{`1 2`, `1`, false},
		{`{} 200`, `{} 200`, true},
		{`{`, `{}`, false},
	} {
		if got := sameJSON(tt.got, tt.want) == nil; got != tt.same {
			t.Errorf("sameJSON(%s, %s) = %v, want %v", tt.got, tt.want, got, tt.same)
		}
	}
	if sameText("a b c\n", "a ... c") != nil || sameText("a c", "a") == nil || sameText("", "a") == nil {
		t.Error("sameText: want a b c like a ... c, and nothing else")
	}
}
