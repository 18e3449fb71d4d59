package longrun_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

const modulePath = "github.com/longrun-dev/longrun"

// A layer says what a package may import, beside the standard library.
type layer struct {
	ours    []string // paths within this module; "." is the root package
	outside []string // import paths; one that ends in "/" stands for all below it
}

// wire is what operations are made of: protobuf, and Google's codes, statuses
// and messages. It opens no connection and starts nothing.
var wire = []string{
	"cloud.google.com/go/longrunning/autogen/longrunningpb",
	"google.golang.org/genproto/googleapis/rpc/",
	"google.golang.org/grpc/codes",
	"google.golang.org/grpc/status",
	"google.golang.org/protobuf/",
}

// layers says who may import whom. Siblings do not know each other. Do not edit
// the table to mend a build: a new arrow is a decision, and a new outside import
// a dependency (docs/adr/0006-dependencies.md). A package that is not here fails.
// Rooms that are planned stand here before they are built.
var layers = map[string]layer{
	"filter":               {outside: wire},
	"longrunpb":            {outside: with("google.golang.org/genproto/googleapis/api/", "google.golang.org/grpc")},
	"internal/genlongrun":  {outside: with("google.golang.org/genproto/googleapis/api/")},
	"internal/groupcommit": {},
	"internal/mask":        {outside: wire},
	"internal/migrate":     {},
	"internal/sqlwhere":    {ours: []string{"filter"}},

	".": {ours: []string{"filter", "longrunpb"}, outside: with("github.com/google/uuid", "google.golang.org/genproto/googleapis/api/annotations")},

	"inmem": {ours: []string{".", "filter"}, outside: wire},
	"sqlite": {
		ours:    []string{".", "filter", "internal/groupcommit", "internal/migrate", "internal/sqlwhere", "sqlite/migration"},
		outside: with("modernc.org/libc", "zombiezen.com/go/sqlite", "zombiezen.com/go/sqlite/"),
	},
	"sqlite/migration": {},
	"postgres": {
		ours:    []string{".", "filter", "internal/groupcommit", "internal/migrate", "internal/sqlwhere", "postgres/migration"},
		outside: with("github.com/jackc/pgx/v5", "github.com/jackc/pgx/v5/"),
	},
	"postgres/migration": {},

	"runner":    {ours: []string{"."}, outside: wire},
	"grpcapi":   {ours: []string{".", "filter", "internal/mask"}, outside: with("google.golang.org/grpc", "google.golang.org/grpc/metadata")},
	"httpapi":   {ours: []string{"internal/mask"}, outside: with("github.com/goccy/go-yaml", "github.com/goccy/go-yaml/", "google.golang.org/genproto/googleapis/api/", "google.golang.org/grpc", "google.golang.org/grpc/")},
	"dispatch":  {ours: []string{".", "longrunpb"}, outside: with("google.golang.org/grpc")},
	"simulator": {ours: []string{".", "longrunpb"}, outside: with("google.golang.org/grpc")},
	"client":    {outside: with("google.golang.org/grpc", "google.golang.org/grpc/metadata")}, // "retry-after" comes in headers

	"storetest": {ours: []string{".", "inmem"}, outside: with("github.com/anishathalye/porcupine", "github.com/google/go-cmp/", "pgregory.net/rapid")},
	"longruntest": {
		ours:    []string{".", "grpcapi", "inmem", "runner", "storetest"},
		outside: with("google.golang.org/grpc", "google.golang.org/grpc/"),
	},

	"internal/server": {
		ours: []string{".", "dispatch", "filter", "grpcapi", "httpapi", "inmem", "longrunpb", "postgres", "runner", "simulator", "sqlite",
			"internal/groupcommit", "internal/mask", "internal/migrate", "internal/sqlwhere"},
		outside: with("github.com/goccy/go-yaml", "google.golang.org/grpc", "google.golang.org/grpc/"),
	},
	"internal/cli": {
		ours: []string{"internal/server", "longrunpb"},
		outside: with("github.com/goccy/go-yaml", "github.com/goccy/go-yaml/", "github.com/google/uuid", "github.com/schollz/progressbar/v3", "github.com/spf13/cobra", "github.com/spf13/pflag", "golang.org/x/term",
			"google.golang.org/grpc", "google.golang.org/grpc/"),
	},
	"cmd/longrun":               {ours: []string{"internal/cli"}},
	"cmd/protoc-gen-go-longrun": {ours: []string{"internal/genlongrun"}},

	"internal/speccheck": {},
	"internal/testpb":    {outside: with("google.golang.org/genproto/googleapis/api/")},
}

// testHelpers are for tests alone, ours and our users'.
var testHelpers = []string{"storetest", "longruntest", "internal/testpb"}

// testModules are the dependencies of tests.
var testModules = []string{
	"github.com/anishathalye/porcupine", "github.com/bufbuild/protocompile", "github.com/google/go-cmp", "github.com/rogpeppe/go-internal", "pgregory.net/rapid",
}

func with(more ...string) []string { return slices.Concat(wire, more) }

// pkg is what "go list -json" says of a package.
type pkg struct {
	ImportPath string
	Dir        string
	Imports    []string
	Deps       []string
	GoFiles    []string
}

func (p pkg) name() string {
	if p.ImportPath == modulePath {
		return "."
	}
	return strings.TrimPrefix(p.ImportPath, modulePath+"/")
}

// listed is every package of this module, asked for once.
var listed = sync.OnceValues(func() ([]pkg, error) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,Imports,Deps,GoFiles", "./...").Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("go list: %w\n%s", err, exit.Stderr)
	}
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var pkgs []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		pkgs = append(pkgs, p)
	}
})

func listPackages(t *testing.T) []pkg {
	t.Helper()
	pkgs, err := listed()
	if err != nil {
		t.Fatal(err)
	}
	return pkgs
}

func TestImports_KeepToTheTable(t *testing.T) {
	t.Parallel()
	for _, p := range listPackages(t) {
		l, ok := layers[p.name()]
		if !ok {
			t.Errorf("%s is not in the table of layers", p.name())
			continue
		}
		for _, imported := range p.Imports {
			if !l.allows(imported) {
				t.Errorf("%s imports %s, which its layer does not allow", p.name(), imported)
			}
		}
	}
}

func (l layer) allows(imported string) bool {
	if imported == modulePath {
		return slices.Contains(l.ours, ".")
	}
	if ours, ok := strings.CutPrefix(imported, modulePath+"/"); ok {
		return slices.Contains(l.ours, ours)
	}
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") {
		return imported != "C"
	}
	return slices.ContainsFunc(l.outside, func(allowed string) bool {
		return imported == allowed || strings.HasSuffix(allowed, "/") && strings.HasPrefix(imported, allowed)
	})
}

func TestLayer_Allows(t *testing.T) {
	t.Parallel()
	l := layer{ours: []string{".", "inmem"}, outside: []string{"example.com/a", "example.com/b/"}}
	for imported, want := range map[string]bool{
		"net/http":                 true,
		"C":                        false,
		modulePath:                 true,
		modulePath + "/inmem":      true,
		modulePath + "/inmem/deep": false,
		modulePath + "/sqlite":     false,
		"example.com/a":            true,
		"example.com/a/deep":       false,
		"example.com/b/deep":       true,
		"example.com/c":            false,
	} {
		if got := l.allows(imported); got != want {
			t.Errorf("allows(%q) = %v, want %v", imported, got, want)
		}
	}
}

// A user's binary must not carry what only tests need.
func TestImports_TestHelpersStayOutOfTheProgram(t *testing.T) {
	t.Parallel()
	for _, p := range listPackages(t) {
		if slices.Contains(testHelpers, p.name()) {
			continue
		}
		for _, dep := range p.Deps {
			for _, helper := range testHelpers {
				if dep == modulePath+"/"+helper {
					t.Errorf("%s depends on %s, which is for tests", p.name(), helper)
				}
			}
			for _, module := range testModules {
				if dep == module || strings.HasPrefix(dep, module+"/") {
					t.Errorf("%s depends on %s, which is for tests", p.name(), dep)
				}
			}
		}
	}
}

// Whoever takes the library chooses the store, and takes no command line.
func TestImports_RootHasNoStore(t *testing.T) {
	t.Parallel()
	heavy := []string{"database/sql", "github.com/jackc/pgx/v5", "github.com/spf13/cobra", "zombiezen.com/go/sqlite"}
	for _, p := range listPackages(t) {
		if p.name() != "." {
			continue
		}
		for _, dep := range p.Deps {
			for _, h := range heavy {
				if dep == h {
					t.Errorf("the root package depends on %s", dep)
				}
			}
		}
	}
}
