package genlongrun

import (
	"fmt"
	"path"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
)

const (
	contextPackage = protogen.GoImportPath("context")
	longrunPackage = protogen.GoImportPath("github.com/longrun-dev/longrun")
	clientPackage  = protogen.GoImportPath("github.com/longrun-dev/longrun/client")
	grpcPackage    = protogen.GoImportPath("google.golang.org/grpc")
)

// A writer writes one file of Go.
type writer struct {
	out  *protogen.GeneratedFile
	file *file // whose code it is
}

// line writes a line, with args in it as fmt has them; identifiers of Go are written
// with the names of their packages, which are imported.
func (w writer) line(format string, args ...any) {
	for i, a := range args {
		if id, ok := a.(protogen.GoIdent); ok {
			args[i] = w.name(id)
		}
	}
	w.out.P(fmt.Sprintf(format, args...))
}

// locals are the names of parameters and variables in generated functions. A
// package of such a name would be hidden by them.
var locals = map[string]bool{"c": true, "cc": true, "ctx": true, "err": true, "h": true, "m": true, "name": true, "op": true, "opts": true, "req": true, "s": true, "svc": true}

// renamed follows a path whose package is imported by another name; no path of Go
// has a "!".
const renamed = "/imported!"

func (w writer) name(id protogen.GoIdent) string {
	if locals[path.Base(string(id.GoImportPath))] {
		id.GoImportPath += renamed
	}
	return w.out.QualifiedGoIdent(id)
}

// typ is the Go type of m.
func (w writer) typ(m *protogen.Message) string { return "*" + w.name(m.GoIdent) }

// importPath undoes what name did.
func importPath(p protogen.GoImportPath) protogen.GoImportPath {
	return protogen.GoImportPath(strings.TrimSuffix(string(p), renamed))
}

const commentWidth = 80

// comment writes paragraphs as a comment, with lines of a readable length. One that
// is empty is left out.
func (w writer) comment(paragraphs ...string) {
	first := true
	for _, p := range paragraphs {
		if p == "" {
			continue
		}
		if !first {
			w.line("//")
		}
		first = false
		text := "//"
		for _, word := range strings.Fields(p) {
			if len(text)+1+len(word) > commentWidth && text != "//" {
				w.line("%s", text)
				text = "//"
			}
			text += " " + word
		}
		w.line("%s", text)
	}
}

// quote writes a comment of the .proto file as it stands, after a blank line.
func (w writer) quote(c protogen.Comments) {
	text := strings.TrimRight(string(c), "\n")
	if strings.TrimSpace(text) == "" {
		return
	}
	w.line("//")
	for l := range strings.SplitSeq(text, "\n") {
		l = printable(strings.TrimRight(l, " \t\r"))
		if l != "" && !strings.HasPrefix(l, " ") && !strings.HasPrefix(l, "\t") {
			l = " " + l // not "//go:build", which is no comment
		}
		w.line("//%s", l)
	}
}

// deprecated ends the comment of what stands for a deprecated method.
func (w writer) deprecated(m *method) {
	if optionsOf(m.Method).GetDeprecated() {
		w.line("//")
		w.line("// Deprecated: Do not use.")
	}
}
