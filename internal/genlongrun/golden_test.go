package genlongrun

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var update = flag.Bool("update", false, "write what the plugin generates into testdata")

// golden are the runs of testdata/generate.sh, whose output is checked in, is
// compiled, and is what run_test.go and client_test.go work with.
var golden = []struct {
	name, parameter string
	files           []string
}{
	{name: "beside-the-messages", files: []string{"acme/v1/acme.proto", "acme/shared/v1/shared.proto"}},
	{name: "opaque", parameter: ",default_api_level=API_OPAQUE", files: []string{"acme/opaque/v1/opaque.proto"}},
	{name: "package-of-its-own", parameter: ",package=github.com/longrun-dev/longrun/internal/genlongrun/testdata/acmelongrun;acmelongrun",
		files: []string{"acme/v1/acme.proto"}},
}

// compiledBy is the line that says which protoc has run.
var compiledBy = regexp.MustCompile(`(?m)^// - protoc  .*$`)

func TestGolden(t *testing.T) {
	t.Parallel()
	sources := readProtos(t, "testdata/proto")
	written := 0
	for _, tt := range golden {
		resp, warnings := Generate(sources.request(t, "module=github.com/longrun-dev/longrun"+tt.parameter, tt.files...), noFile)
		if resp.Error != nil {
			t.Fatalf("%s: %s", tt.name, resp.GetError())
		}
		if len(warnings) > 0 {
			t.Errorf("%s: warnings %q, want none", tt.name, warnings)
		}
		for _, f := range resp.File {
			written++
			path := filepath.Join("../..", f.GetName())
			if *update {
				if err := os.WriteFile(path, []byte(f.GetContent()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := compiledBy.ReplaceAllString(f.GetContent(), ""); got != compiledBy.ReplaceAllString(string(want), "") {
				t.Errorf("%s: %s is not what is generated; look at the difference after: go test ./internal/genlongrun -run Golden -update", tt.name, f.GetName())
			}
		}
	}
	if written != 3 {
		t.Errorf("%d files, want 3", written)
	}
}

// readProtos reads the .proto files below dir, by their names from there.
func readProtos(t testing.TB, dir string) protos {
	t.Helper()
	p := protos{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		p[filepath.ToSlash(name)] = string(body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}
