package httpapi

import (
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A method is one of a registered service.
type method struct {
	desc     protoreflect.MethodDescriptor
	fullName string // "/package.Service/Method"
	impl     any
	unary    grpc.MethodHandler // nil: a stream
	stream   *grpc.StreamDesc
}

// A binding is one way to call a method by HTTP.
type binding struct {
	*method
	httpMethod string
	template   *template
	vars       []fieldPath                  // of the variables of template, in order
	body       string                       // "", "*", or the JSON name of a field
	response   protoreflect.FieldDescriptor // nil: the whole response

	// besideBody takes query parameters although the body is everything (WAI-19).
	besideBody bool
	// needs is a parameter without which a request is not meant for this binding.
	needs string
}

// bindings returns what a rule and its additional bindings say.
func (m *method) bindings(rule *annotations.HttpRule) ([]*binding, error) {
	var list []*binding
	for i, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		if i > 0 && len(r.GetAdditionalBindings()) > 0 {
			return nil, fmt.Errorf("an additional binding has additional bindings")
		}
		if r.GetPattern() == nil {
			if i > 0 || len(rule.GetAdditionalBindings()) > 0 {
				return nil, fmt.Errorf("a rule without a path")
			}
			return nil, nil
		}
		b, err := m.binding(r)
		if err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	return list, nil
}

func (m *method) binding(r *annotations.HttpRule) (*binding, error) {
	httpMethod, text := pattern(r)
	if !isHTTPMethod(httpMethod) {
		return nil, fmt.Errorf("%q is not an HTTP method", httpMethod)
	}
	t, err := parseTemplate(text)
	if err != nil {
		return nil, err
	}
	b := &binding{method: m, httpMethod: httpMethod, template: t}
	for _, v := range t.vars {
		p, err := m.variable(v.field)
		if err != nil {
			return nil, fmt.Errorf("path %q: %w", text, err)
		}
		b.vars = append(b.vars, p)
	}
	if b.body, err = m.bodyField(r.GetBody()); err != nil {
		return nil, err
	}
	if name := r.GetResponseBody(); name != "" {
		if b.response = m.desc.Output().Fields().ByName(protoreflect.Name(name)); b.response == nil {
			return nil, fmt.Errorf("response_body: %s has no field %q", m.desc.Output().FullName(), name)
		}
	}
	b.besideBody = b.body == "*" && m.desc.FullName() == waitOperation
	return b, nil
}

// variable resolves the field that a path binds.
func (m *method) variable(name string) (fieldPath, error) {
	p, err := findField(m.desc.Input(), name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.desc.Input().FullName(), err)
	}
	if p.leaf().IsList() || !hasTextForm(p.leaf()) {
		return nil, fmt.Errorf("field %q of %s cannot be in a path", name, m.desc.Input().FullName())
	}
	return p, nil
}

func (m *method) bodyField(name string) (string, error) {
	if name == "" || name == "*" {
		return name, nil
	}
	fd := m.desc.Input().Fields().ByName(protoreflect.Name(name))
	if fd == nil {
		return "", fmt.Errorf("body: %s has no field %q", m.desc.Input().FullName(), name)
	}
	return fd.JSONName(), nil
}

// pattern returns the HTTP method and the path of a rule.
func pattern(r *annotations.HttpRule) (httpMethod, path string) {
	switch p := r.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return "GET", p.Get
	case *annotations.HttpRule_Put:
		return "PUT", p.Put
	case *annotations.HttpRule_Post:
		return "POST", p.Post
	case *annotations.HttpRule_Delete:
		return "DELETE", p.Delete
	case *annotations.HttpRule_Patch:
		return "PATCH", p.Patch
	case *annotations.HttpRule_Custom:
		return p.Custom.GetKind(), p.Custom.GetPath()
	}
	return "", ""
}

func isHTTPMethod(s string) bool {
	return s == anyMethod || s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") == ""
}

// annotated returns the rule that the proto file has for a method, nil if none.
func annotated(md protoreflect.MethodDescriptor) *annotations.HttpRule {
	rule, ok := proto.GetExtension(md.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule.GetPattern() == nil {
		return nil
	}
	return rule
}
