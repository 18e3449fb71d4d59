package longrun_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	maxFileLines     = 700
	maxFunctionLines = 80
	// A longer function says why in its comment, after these words.
	longBecause = "Long because"
)

// sources parses the hand-written Go files of this module, tests too. The
// modules below it (examples, bench, clienttest) are held to the same bar.
func sources(t *testing.T) (*token.FileSet, map[string]*ast.File) {
	t.Helper()
	fset, files := token.NewFileSet(), map[string]*ast.File{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != "." && (name == "testdata" || name == "bin" || strings.HasPrefix(name, ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(fset, path, body, parser.ParseComments)
		if err != nil {
			return err
		}
		if !ast.IsGenerated(file) {
			files[path] = file
		}
		if lines := bytes.Count(body, []byte("\n")); lines > maxFileLines && !ast.IsGenerated(file) {
			t.Errorf("%s has %d lines, want %d at most", path, lines, maxFileLines)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fset, files
}

func isTest(path string) bool { return strings.HasSuffix(path, "_test.go") }

func TestStyle_PackagesAreDocumented(t *testing.T) {
	t.Parallel()
	fset := token.NewFileSet()
	for _, p := range listPackages(t) {
		documented := false
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			documented = documented || file.Doc != nil
		}
		if !documented {
			t.Errorf("%s has no package comment", p.name())
		}
	}
}

func TestStyle_ExportedNamesAreDocumented(t *testing.T) {
	t.Parallel()
	fset, files := sources(t)
	for path, file := range files {
		if isTest(path) {
			continue
		}
		for _, d := range file.Decls {
			for _, name := range undocumented(d) {
				t.Errorf("%s: %s has no comment", fset.Position(name.Pos()), name.Name)
			}
		}
	}
}

// undocumented returns the exported names that d declares without a comment of
// their own or one of their group.
func undocumented(d ast.Decl) []*ast.Ident {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) {
			return []*ast.Ident{d.Name}
		}
	case *ast.GenDecl:
		var names []*ast.Ident
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
					names = append(names, s.Name)
				}
			case *ast.ValueSpec:
				for _, name := range s.Names {
					if name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
						names = append(names, name)
					}
				}
			}
		}
		return names
	}
	return nil
}

// exportedReceiver reports whether f is a function, or a method that users of
// the package can call.
func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return true
	}
	typ := f.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

func TestStyle_FunctionsAreShort(t *testing.T) {
	t.Parallel()
	fset, files := sources(t)
	for path, file := range files {
		if isTest(path) {
			continue
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := fset.Position(f.End()).Line - fset.Position(f.Pos()).Line + 1
			if lines > maxFunctionLines && !strings.Contains(f.Doc.Text(), longBecause) {
				t.Errorf("%s: %s has %d lines, want %d at most, or a comment that says %q", fset.Position(f.Pos()), f.Name.Name, lines, maxFunctionLines, longBecause)
			}
		}
	}
}

// A link in a document leads to a file of this tree, or out of it.
func TestStyle_LinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	link, code := regexp.MustCompile(`\]\(([^)#\s]+)`), regexp.MustCompile("(?s:```.*?```)|`[^`\n]*`")
	seen := 0
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/adr/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range link.FindAllSubmatch(code.ReplaceAll(body, nil), -1) {
				target := string(m[1])
				if strings.Contains(target, "://") {
					continue
				}
				seen++
				if _, err := os.Stat(filepath.Join(filepath.Dir(file), target)); err != nil {
					t.Errorf("%s links to %s, which is not there", file, target)
				}
			}
		}
	}
	if seen == 0 {
		t.Error("no link was found")
	}
}

func TestUndocumented(t *testing.T) {
	t.Parallel()
	const src = `package p

func F() {}

// G is said.
func G() {}

type hidden struct{}

func (hidden) M() {}

type T[K any] struct{}

func (*T[K]) M() {}

const A, b = 1, 2

// Of the group.
const (
	C = 1
)

var (
	D = 1 // said here
	E = 2
)
`
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", src, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range file.Decls {
		for _, name := range undocumented(d) {
			got = append(got, name.Name)
		}
	}
	if got, want := strings.Join(got, " "), "F T M A E"; got != want {
		t.Errorf("undocumented = %q, want %q", got, want)
	}
}
