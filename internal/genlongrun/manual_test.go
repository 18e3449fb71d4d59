package genlongrun

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// manual returns the blocks of this language in docs/plugin.md.
func manual(t *testing.T, language string) []string {
	t.Helper()
	body, err := os.ReadFile("../../docs/plugin.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, part := range strings.Split(string(body), "\n```"+language+"\n")[1:] {
		block, _, _ := strings.Cut(part, "\n```")
		blocks = append(blocks, block)
	}
	return blocks
}

// The manual shows what is generated from its proto.
func TestManual_Generated(t *testing.T) {
	t.Parallel()
	resp, warnings := Generate(protos{"library.proto": manual(t, "proto")[0]}.request(t, "module=example.com/library", "library.proto"), noFile)
	if resp.Error != nil || len(warnings) > 0 || len(resp.File) != 1 || resp.File[0].GetName() != "librarypb/library_longrun.pb.go" {
		t.Fatalf("got %q, %q, %d files", resp.GetError(), warnings, len(resp.File))
	}
	var code []string
	for l := range strings.Lines(resp.File[0].GetContent()) {
		code = append(code, strings.TrimSpace(l))
	}
	shown := 0
	for l := range strings.Lines(manual(t, "go")[0]) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "//") {
			shown++
			if !slices.Contains(code, l) {
				t.Errorf("not generated: %s", l)
			}
		}
	}
	if shown < 8 {
		t.Errorf("the manual shows %d lines", shown)
	}
}

// The manual shows what is refused, word for word.
func TestManual_Refused(t *testing.T) {
	t.Parallel()
	const header = `syntax = "proto3";
package acme;
import "google/longrunning/operations.proto";
import "google/protobuf/empty.proto";
option go_package = "example.com/acme";
message Request {} enum Kind { ZERO = 0; }
`
	resp, _ := Generate(protos{"refused.proto": header + manual(t, "proto")[1]}.request(t, "", "refused.proto"), noFile)
	if got, want := resp.GetError(), manual(t, "text")[0]; got != want {
		t.Errorf("it says\n%s\nand the manual\n%s", got, want)
	}
}
