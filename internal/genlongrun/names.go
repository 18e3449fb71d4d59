package genlongrun

import (
	"fmt"
	"go/token"
	"path"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// names are the declared identifiers of one scope, a package or a struct, and by
// whom: the Go compiler would find two of them, but not say which line of which
// .proto file is to be changed.
type names map[string]declared

type declared struct {
	by string // such as "message acme.v1.Book"
	at place
}

// add notes names that others generate.
func (n names) add(d protoreflect.Descriptor, kind string, identifiers ...string) {
	for _, id := range identifiers {
		n[id] = declared{kind + " " + string(d.FullName()), placeOf(d)}
	}
}

// take notes a name that this plugin generates for d, or says who has it and
// returns false.
func (n names) take(c *checker, d protoreflect.Descriptor, kind, scope, id string) bool {
	other, taken := n[id]
	if taken {
		c.refuse(placeOf(d), d, "", "the generated Go needs the name %s%s, which %s (%v) has taken", scope, id, other.by, other.at)
	} else {
		n.add(d, kind, id)
	}
	return !taken
}

// checkNames refuses what would be declared twice, and files written twice.
func (c *checker) checkNames(files []*file) {
	packages, written := map[protogen.GoImportPath]names{}, map[string]*file{}
	for _, f := range files {
		if other := written[f.name]; other != nil {
			c.refuse(place{file: f.Desc.Path()}, f.services[0].Desc, "", "both this and %s would be written to %s", printable(other.Desc.Path()), printable(f.name))
		}
		written[f.name] = f
		c.checkPackageName(f)
		if packages[f.into] == nil {
			packages[f.into] = c.namesIn(f.into)
		}
		for _, s := range f.services {
			c.checkService(packages[f.into], s)
		}
	}
}

// checkPackageName refuses what is no name in Go, and a second name for the package
// of the messages.
func (c *checker) checkPackageName(f *file) {
	at := place{file: f.Desc.Path()}
	if !token.IsIdentifier(string(f.pkgName)) {
		c.refuse(at, f.services[0].Desc, "", "%q is no name of a Go package; see option go_package", f.pkgName)
	}
	if f.into == f.GoImportPath && f.pkgName != f.GoPackageName {
		c.refuse(at, f.services[0].Desc, "", "option package calls %s %s, and it is package %s", f.into, f.pkgName, f.GoPackageName)
	}
}

func (c *checker) checkService(pkg names, s *service) {
	for _, id := range []string{s.GoName + "Handlers", "Handle" + s.GoName, s.GoName + "Starter", "New" + s.GoName + "Starter", s.GoName + "Operations", "New" + s.GoName + "Operations"} {
		pkg.take(c, s.Desc, "service", "", id)
	}
	handlers, operations, starter := names{}, names{}, names{}
	starter.add(s.Desc, "service", "Unimplemented"+s.GoName+"Server")
	var methods []*method
	for _, m := range s.methods {
		if pkg.take(c, m.Desc, "rpc", "", variable(m)) {
			handlers.add(m.Desc, "rpc", m.GoName)
			operations.add(m.Desc, "rpc", m.GoName)
			methods = append(methods, m)
		}
	}
	for _, m := range methods {
		starter.take(c, m.Desc, "rpc", s.GoName+"Starter.", m.GoName)
		handlers.take(c, m.Desc, "rpc", s.GoName+"Handlers.", "Begin"+m.GoName)
		operations.take(c, m.Desc, "rpc", s.GoName+"Operations.", m.GoName+"Operation")
	}
}

// namesIn returns what protoc-gen-go and protoc-gen-go-grpc declare in a package,
// as far as this request shows it.
func (c *checker) namesIn(pkg protogen.GoImportPath) names {
	n := names{}
	for _, f := range c.plugin.Files {
		if f.GoImportPath != pkg {
			continue
		}
		n.addMessages(f.Messages)
		n.addEnums(f.Enums)
		n.addExtensions(f.Extensions)
		for _, s := range f.Services {
			n.addService(s)
		}
	}
	return n
}

func (n names) addMessages(messages []*protogen.Message) {
	for _, m := range messages {
		n.add(m.Desc, "message", m.GoIdent.GoName, m.GoIdent.GoName+"_builder")
		for _, f := range m.Fields {
			if f.Oneof != nil && !f.Oneof.Desc.IsSynthetic() {
				n.add(f.Desc, "field", f.GoIdent.GoName)
			}
		}
		n.addMessages(m.Messages)
		n.addEnums(m.Enums)
		n.addExtensions(m.Extensions)
	}
}

func (n names) addEnums(enums []*protogen.Enum) {
	for _, e := range enums {
		n.add(e.Desc, "enum", e.GoIdent.GoName, e.GoIdent.GoName+"_name", e.GoIdent.GoName+"_value")
		for _, v := range e.Values {
			n.add(v.Desc, "value", v.GoIdent.GoName, v.PrefixedAlias.GoName)
		}
	}
}

func (n names) addExtensions(extensions []*protogen.Extension) {
	for _, x := range extensions {
		n.add(x.Desc, "extension", "E_"+x.GoIdent.GoName)
	}
}

func (n names) addService(s *protogen.Service) {
	for _, id := range []string{"%sClient", "New%sClient", "%sServer", "Unimplemented%sServer", "Unsafe%sServer", "Register%sServer", "%s_ServiceDesc"} {
		n.add(s.Desc, "service", fmt.Sprintf(id, s.GoName))
	}
	for _, m := range s.Methods {
		n.add(m.Desc, "rpc", s.GoName+"_"+m.GoName+"_FullMethodName")
		if m.Desc.IsStreamingClient() || m.Desc.IsStreamingServer() {
			n.add(m.Desc, "rpc", s.GoName+"_"+m.GoName+"Client", s.GoName+"_"+m.GoName+"Server")
		}
	}
}

// variable is the name of the longrun.Method.
func variable(m *method) string { return m.Parent.GoName + "_" + m.GoName }

// fileName is where the code of f goes. In a package of its own that is beside
// the .proto file, or in the folder of the package.
func (c *checker) fileName(f *protogen.File) string {
	prefix := f.GeneratedFilenamePrefix
	if c.options.pkg != "" && !c.options.sourceRelative {
		base := path.Base(f.Desc.Path())
		prefix = path.Join(string(c.options.pkg), strings.TrimSuffix(base, path.Ext(base)))
	}
	return prefix + "_longrun.pb.go"
}
