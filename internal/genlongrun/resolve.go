package genlongrun

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A symbol is something that a type name of an annotation can lead to.
type symbol struct {
	file    string
	kind    string            // "a message", "an enum"
	message *protogen.Message // nil unless it is one that can be a type
}

// types knows every name of a request, and which file sees what.
type types struct {
	symbols map[protoreflect.FullName]symbol
	visible map[string]map[string]bool // file -> itself and what it imports
}

func newTypes(files []*protogen.File) *types {
	t := &types{symbols: map[protoreflect.FullName]symbol{}, visible: map[string]map[string]bool{}}
	for _, f := range files {
		seen := map[string]bool{f.Desc.Path(): true}
		imports := f.Desc.Imports()
		for i := range imports.Len() {
			see(seen, imports.Get(i).FileDescriptor)
		}
		t.visible[f.Desc.Path()] = seen
		t.addMessages(f.Desc.Path(), f.Messages)
		t.addEnums(f.Desc.Path(), f.Enums)
		for _, s := range f.Services {
			t.symbols[s.Desc.FullName()] = symbol{file: f.Desc.Path(), kind: "a service"}
			for _, m := range s.Methods {
				t.symbols[m.Desc.FullName()] = symbol{file: f.Desc.Path(), kind: "a method"}
			}
		}
	}
	return t
}

// see adds f and what it imports publicly.
func see(seen map[string]bool, f protoreflect.FileDescriptor) {
	if seen[f.Path()] {
		return
	}
	seen[f.Path()] = true
	imports := f.Imports()
	for i := range imports.Len() {
		if imports.Get(i).IsPublic {
			see(seen, imports.Get(i).FileDescriptor)
		}
	}
}

func (t *types) addMessages(file string, messages []*protogen.Message) {
	for _, m := range messages {
		s := symbol{file: file, kind: "a message", message: m}
		if m.Desc.IsMapEntry() {
			s.kind, s.message = "an entry of a map", nil
		}
		t.symbols[m.Desc.FullName()] = s
		t.addMessages(file, m.Messages)
		t.addEnums(file, m.Enums)
		for _, f := range m.Fields {
			t.symbols[f.Desc.FullName()] = symbol{file: file, kind: "a field"}
		}
	}
}

func (t *types) addEnums(file string, enums []*protogen.Enum) {
	for _, e := range enums {
		t.symbols[e.Desc.FullName()] = symbol{file: file, kind: "an enum"}
	}
}

// An unresolved says why a type name leads to no message.
type unresolved struct{ text, rule string }

// resolve returns the message that name means in an annotation of a method in
// file (INF-03, INF-04). A name without a dot is one of file's own package. One
// with dots is complete, or that of a nested message of the package; where both
// exist it is the complete one.
func (t *types) resolve(file protoreflect.FileDescriptor, name string) (*protogen.Message, *unresolved) {
	full, ok := t.find(file, name)
	if !ok {
		return nil, t.missing(file, name)
	}
	s := t.symbols[full]
	switch {
	case s.message == nil:
		return nil, &unresolved{fmt.Sprintf("%q is %s, not a message", name, s.kind), "INF-03"}
	case !t.visible[file.Path()][s.file]:
		return nil, &unresolved{fmt.Sprintf("%q is of %s, which %s does not import", name, printable(s.file), printable(file.Path())), "INF-04"}
	}
	return s.message, nil
}

func (t *types) find(file protoreflect.FileDescriptor, name string) (protoreflect.FullName, bool) {
	complete, dotted := strings.CutPrefix(name, ".")
	if dotted || strings.Contains(name, ".") {
		if _, ok := t.symbols[protoreflect.FullName(complete)]; ok || dotted {
			return protoreflect.FullName(complete), ok
		}
	}
	full := inPackage(file.Package(), name)
	_, ok := t.symbols[full]
	return full, ok
}

func inPackage(pkg protoreflect.FullName, name string) protoreflect.FullName {
	if pkg == "" {
		return protoreflect.FullName(name)
	}
	return pkg + "." + protoreflect.FullName(name)
}

// missing says that there is no such message, and what may have been meant.
func (t *types) missing(file protoreflect.FileDescriptor, name string) *unresolved {
	if hint := t.similar(file, name); hint != "" {
		return &unresolved{fmt.Sprintf("there is no message %q: a name of another package is written in full, %q", name, hint), "INF-03"}
	}
	if strings.Contains(name, ".") {
		return &unresolved{fmt.Sprintf("no file that %s imports has a message %q", printable(file.Path()), name), "INF-04"}
	}
	return &unresolved{fmt.Sprintf("there is no message %q in package %s", name, cmp.Or(string(file.Package()), "\"\"")), "INF-03"}
}

// similar returns the message whose full name ends in name, if file sees one.
func (t *types) similar(file protoreflect.FileDescriptor, name string) protoreflect.FullName {
	var found []protoreflect.FullName
	for full, s := range t.symbols {
		if s.message != nil && t.visible[file.Path()][s.file] && strings.HasSuffix(string(full), "."+strings.TrimPrefix(name, ".")) {
			found = append(found, full)
		}
	}
	if len(found) == 0 {
		return ""
	}
	return slices.Min(found)
}
