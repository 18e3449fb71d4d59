package cli

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"
)

// Whoever presses Tab does not wait for a server that does not answer.
func TestGlance_Bounded(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var out, errOut bytes.Buffer
	a := &app{out: &out, err: &errOut, env: func(string) string { return "" }}
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	if code := a.main(ctx, []string{"__complete", "get", "--server", l.Addr().String(), ""}); code != 0 {
		t.Errorf("exit status = %d, want 0", code)
	}
	if ctx.Err() != nil {
		t.Errorf("took more than %v, want about %v", patience, completeTimeout)
	}
	if got := out.String(); strings.Contains(got, "operations/") || !strings.HasPrefix(got, ":") {
		t.Errorf("proposed %q, want nothing", got)
	}
	if strings.Contains(errOut.String(), "error") {
		t.Errorf("said %q, want no error", errOut.String())
	}
}

// A file with a mistake is no reason to talk while somebody types.
func TestGlance_BadSettings(t *testing.T) {
	t.Parallel()
	var out, errOut bytes.Buffer
	a := &app{out: &out, err: &errOut, env: func(name string) string {
		if name == "LONGRUN_CONFIG" {
			return "no/such/file.yaml"
		}
		return ""
	}}
	if code := a.main(t.Context(), []string{"__complete", "wait", ""}); code != 0 || strings.Contains(errOut.String(), "error") {
		t.Errorf("exit status = %d, said %q; want 0 and no error", code, errOut.String())
	}
}

func TestParentOf(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"operations/x": "", "projects/p/operations/x": "projects/p", "operations/x/operations/y": "operations/x", "": "",
	} {
		if got := parentOf(name); got != want {
			t.Errorf("parentOf(%q) = %q, want %q", name, got, want)
		}
	}
}
