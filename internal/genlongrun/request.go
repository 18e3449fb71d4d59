package genlongrun

import (
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// startFields are what a request says about its operation, by the AIPs' names and
// types: Go expressions over a variable req, empty where the request is silent.
type startFields struct {
	parent       string // a call of a function of package longrun: its name and argument
	parentFunc   string
	requestID    string
	validateOnly string
}

func startFieldsOf(m *protogen.Method) startFields {
	f := startFields{
		requestID:    getter("req", m.Input, "request_id", protoreflect.StringKind),
		validateOnly: getter("req", m.Input, "validate_only", protoreflect.BoolKind),
	}
	f.parentFunc, f.parent = parentOf(m)
	return f
}

// parentOf says how the resource that an operation lives under follows from the
// request: from its parent, from the name of the resource that it is about, or,
// for an UpdateX, from the name of the x in it.
func parentOf(m *protogen.Method) (function, argument string) {
	if e := getter("req", m.Input, "parent", protoreflect.StringKind); e != "" {
		return "UnderParent", e
	}
	if e := getter("req", m.Input, "name", protoreflect.StringKind); e != "" {
		return "BesideResource", e
	}
	resource, ok := strings.CutPrefix(string(m.Desc.Name()), "Update")
	if !ok {
		return "", ""
	}
	f := singular(m.Input, snakeCase(resource), protoreflect.MessageKind)
	if f == nil {
		return "", ""
	}
	if e := getter("req."+getterName(f)+"()", f.Message, "name", protoreflect.StringKind); e != "" {
		return "BesideResource", e
	}
	return "", ""
}

// getter is the call that reads a field of m, empty where m has none of this name
// and kind.
func getter(of string, m *protogen.Message, name string, kind protoreflect.Kind) string {
	f := singular(m, name, kind)
	if f == nil {
		return ""
	}
	return of + "." + getterName(f) + "()"
}

func singular(m *protogen.Message, name string, kind protoreflect.Kind) *protogen.Field {
	for _, f := range m.Fields {
		if string(f.Desc.Name()) == name && f.Desc.Kind() == kind && f.Desc.Cardinality() != protoreflect.Repeated {
			return f
		}
	}
	return nil
}

func getterName(f *protogen.Field) string {
	name, _ := f.MethodName("Get")
	return name
}

// snakeCase turns the X of UpdateX into a field's name: BookShelf into book_shelf,
// HTTPRoute into http_route.
func snakeCase(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if isUpper(s[i]) && i > 0 && s[i-1] != '_' && (!isUpper(s[i-1]) || i+1 < len(s) && isLower(s[i+1])) {
			b.WriteByte('_')
		}
		b.WriteByte(s[i])
	}
	return strings.ToLower(b.String())
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
