package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// found is what the tests of a tree name.
type found struct {
	tests   map[string][]string // rule id to the tests that name it, in order
	unknown []string            // "grpcapi/get_test.go:12: GET-99"
}

func (f *found) add(id, test string) {
	if !slices.Contains(f.tests[id], test) {
		f.tests[id] = append(f.tests[id], test)
	}
}

// scan reads every test of the tree.
func scan(s *spec, tree fs.FS) (*found, error) {
	f := &found{tests: map[string][]string{}}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := path.Base(name); base != "." && (strings.HasPrefix(base, ".") || base == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		isGo, isScript := isTestSource(name), isScript(name)
		if !isGo && !isScript {
			return nil
		}
		body, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		owner := func(int) string { return name }
		if isGo {
			if owner, err = owners(name, body); err != nil {
				return err
			}
		}
		f.scanText(s, name, string(body), owner)
		return nil
	})
	return f, err
}

// isTestSource reports whether the Go file holds tests: the contract of stores
// is a package of its own.
func isTestSource(name string) bool {
	return strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".go") && path.Dir(name) == "storetest"
}

func isScript(name string) bool {
	return slices.Contains(strings.Split(path.Dir(name), "/"), "testdata") && slices.Contains([]string{".txt", ".txtar"}, path.Ext(name))
}

func (f *found) scanText(s *spec, name, text string, owner func(offset int) string) {
	for _, at := range mention.FindAllStringSubmatchIndex(text, -1) {
		m := make([]string, 5)
		for i := range m {
			if at[2*i] >= 0 {
				m[i] = text[at[2*i]:at[2*i+1]]
			}
		}
		known, unknown := s.ids(m)
		for _, id := range known {
			f.add(id, owner(at[0]))
		}
		for _, id := range unknown {
			line := 1 + strings.Count(text[:at[0]], "\n")
			f.unknown = append(f.unknown, fmt.Sprintf("%s:%d: %s", name, line, id))
		}
	}
}

// owners returns a function from an offset in a Go file to the declaration that
// it stands in, with its comment: "grpcapi.TestGet_Unknown". Between
// declarations it is the next one, and after the last the file.
func owners(name string, body []byte) (func(offset int) string, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, body, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	folder := path.Dir(name)
	if folder == "." {
		folder = "longrun"
	}
	type span struct {
		end  int
		name string
	}
	var spans []span
	for _, d := range file.Decls {
		if n := declared(d); n != "" {
			end := fset.Position(d.End()).Offset
			if rest := bytes.IndexByte(body[end:], '\n'); rest >= 0 {
				end += rest // a comment behind it is its own
			}
			spans = append(spans, span{end, folder + "." + n})
		}
	}
	return func(offset int) string {
		for _, s := range spans {
			if offset < s.end {
				return s.name
			}
		}
		return name
	}, nil
}

// declared is the first name that d declares, "" for imports.
func declared(d ast.Decl) string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return d.Name.Name
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				return s.Name.Name
			case *ast.ValueSpec:
				return s.Names[0].Name
			}
		}
	}
	return ""
}
