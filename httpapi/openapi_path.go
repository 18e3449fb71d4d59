package httpapi

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// An apiPath is a path template as OpenAPI can say it.
type apiPath struct {
	text   string // with the names of the parameters
	shape  string // without them: two paths that differ by names alone are the same
	params []apiParameter
}

// newAPIPath turns a template into a path with parameters for its wildcards. input is
// the message whose fields the template binds; schemas gets their types.
func newAPIPath(t *template, input protoreflect.MessageDescriptor, schemas apiSchemas) apiPath {
	var p apiPath
	var text, shape strings.Builder
	before := "segment"
	for i, seg := range t.segments {
		text.WriteByte('/')
		shape.WriteByte('/')
		if seg.kind == literal {
			before = seg.text
			text.WriteString(url.PathEscape(before))
			shape.WriteString(url.PathEscape(before))
			continue
		}
		param := t.parameter(i, before, input, schemas)
		param.Name = p.unused(param.Name)
		p.params = append(p.params, param)
		text.WriteString("{" + param.Name + "}")
		shape.WriteString("{}")
	}
	if len(t.segments) == 0 {
		text.WriteByte('/')
		shape.WriteByte('/')
	}
	if t.verb != "" {
		text.WriteString(":" + url.PathEscape(t.verb))
		shape.WriteString(":" + url.PathEscape(t.verb))
	}
	p.text, p.shape = text.String(), shape.String()
	return p
}

// parameter describes the wildcard at segment i, which stands behind the literal
// before.
func (t *template) parameter(i int, before string, input protoreflect.MessageDescriptor, schemas apiSchemas) apiParameter {
	param := apiParameter{In: "path", Required: true, Schema: &apiSchema{Type: "string"}}
	if t.segments[i].kind == deep {
		param.Description = "Any number of segments, with the slashes between them as they are."
	}
	for _, v := range t.vars {
		if i < v.from || i >= v.to {
			continue
		}
		if v.to-v.from == 1 {
			param.Name = camelPath(v.field)
			if path, err := findField(input, v.field); err == nil && t.segments[i].kind == star {
				param.Schema = schemas.single(path.leaf())
			}
			return param
		}
		if !slices.ContainsFunc(t.segments[v.from:i], func(s segment) bool { return s.kind == literal }) {
			before = v.field
		}
		param.Description = strings.TrimSpace("Part of " + camelPath(v.field) + ". " + param.Description)
	}
	before = strings.Map(func(r rune) rune {
		if r == '_' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z' {
			return r
		}
		return '_'
	}, camelPath(before))
	if t.segments[i].kind == deep {
		param.Name = before + "Path"
	} else {
		param.Name = before + "Id"
	}
	return param
}

// unused returns the name, with a number if a parameter of p has it.
func (p *apiPath) unused(name string) string {
	for n := 1; ; n++ {
		numbered := name
		if n > 1 {
			numbered = fmt.Sprintf("%s%d", name, n)
		}
		taken := false
		for _, other := range p.params {
			taken = taken || other.Name == numbered
		}
		if !taken {
			return numbered
		}
	}
}

// namedAs returns the parameters with the names that they have in text, a path of the
// same shape.
func (p apiPath) namedAs(text string) []apiParameter {
	for i := range p.params {
		_, rest, _ := strings.Cut(text, "{")
		p.params[i].Name, text, _ = strings.Cut(rest, "}")
	}
	return p.params
}
