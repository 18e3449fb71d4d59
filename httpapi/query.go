package httpapi

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// A parameter is one of the query.
type parameter struct{ name, value string }

// parseQuery cuts and decodes a query. A semicolon is data (QRY-08). The errors hold
// no values: keys and tokens are among them (SYS-14).
func parseQuery(raw string) ([]parameter, error) {
	if raw == "" {
		return nil, nil
	}
	list := make([]parameter, 0, 4)
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		if len(list) == MaxParameters {
			return nil, invalid(ReasonInvalidParameter, "", "the query has more than %d parameters", MaxParameters)
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err != nil || !utf8.ValidString(name) {
			return nil, invalid(ReasonInvalidParameter, "", "the name of a query parameter is not well-formed")
		}
		value, err = url.QueryUnescape(value)
		if err != nil {
			return nil, parameterFault(ReasonInvalidParameter, name, "the value of a query parameter is not well-formed")
		}
		list = append(list, parameter{name, value})
	}
	return list, nil
}

// parameterFault names the parameter in the details, cut if it is long.
func parameterFault(reason, name, format string, args ...any) *fault {
	if len(name) > 100 {
		name = strings.ToValidUTF8(name[:100], "")
	}
	f := invalid(reason, name, format, args...)
	f.info = map[string]string{"parameter": name}
	return f
}

// takesQuery reports whether fields of the request can be parameters (QRY-09).
func (b *binding) takesQuery() bool { return b.body != "*" || b.besideBody }

// setQuery sets the fields that the parameters name. System parameters have been
// taken out.
func (b *binding) setQuery(root protoreflect.Message, list []parameter) error {
	if len(list) == 0 {
		return nil
	}
	inBody := b.bodyHas(root)
	seen := map[string]bool{}
	for _, q := range list {
		p, err := b.parameterField(q.name)
		if err != nil {
			return err
		}
		name := p.jsonName()
		if seen[name] && !p.leaf().IsList() {
			return parameterFault(ReasonInvalidParameter, name, "a parameter is given twice")
		}
		seen[name] = true
		if inBody(p) {
			return parameterFault(ReasonInvalidParameter, name, "a field is in the body and in the query")
		}
		if err := p.set(root, q.value); err != nil {
			return parameterFault(ReasonInvalidParameter, name, "a parameter %v", err)
		}
	}
	return nil
}

// bodyHas returns whether the body has given a field, which the query then cannot.
func (b *binding) bodyHas(root protoreflect.Message) func(fieldPath) bool {
	if b.body == "" {
		return func(fieldPath) bool { return false }
	}
	given := map[protoreflect.Name]bool{}
	root.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		given[fd.Name()] = true
		return true
	})
	return func(p fieldPath) bool { return given[p[0].Name()] && !b.bound(p) }
}

// bound reports whether the path binds the field.
func (b *binding) bound(p fieldPath) bool {
	for _, v := range b.vars {
		if v.jsonName() == p.jsonName() {
			return true
		}
	}
	return false
}

// parameterField returns the field that a parameter names.
func (b *binding) parameterField(name string) (fieldPath, error) {
	unknown := parameterFault(ReasonUnknownParameter, name, "there is no such query parameter")
	if !b.takesQuery() {
		return nil, unknown
	}
	p, err := findField(b.desc.Input(), name)
	switch {
	case err != nil:
		return nil, unknown
	case b.body != "" && p[0].JSONName() == b.body:
		return nil, unknown
	case !hasTextForm(p.leaf()):
		return nil, parameterFault(ReasonUnknownParameter, name, "a field of its type cannot be a query parameter")
	}
	return p, nil
}

// system are the system parameters of a request (section 9.4 of the spec).
type system struct {
	enumNumbers bool
	pretty      bool
	mask        string
	hasMask     bool
}

// systemNames are what is taken as a system parameter, with a $ and without one,
// whether or not it has a meaning here (SYS-01).
var systemNames = map[string]bool{
	"alt": true, "fields": true, "prettyPrint": true, "callback": true, "key": true, "quotaUser": true, "userProject": true,
	"access_token": true, "oauth_token": true, ".xgafv": true, "ct": true, "upload_protocol": true, "uploadType": true,
}

// takeSystem takes the system parameters out of list. A bare name that the request
// has a field for is the field's. With an error the rest is complete all the same.
func (b *binding) takeSystem(list []parameter) (s system, rest []parameter, err error) {
	rest = list[:0]
	var seen map[string]bool
	for _, q := range list {
		name, marked := strings.CutPrefix(q.name, "$")
		if !systemNames[name] || !marked && b.ownsParameter(name) {
			rest = append(rest, q)
			continue
		}
		switch name {
		case "alt", "fields", "prettyPrint":
			if seen == nil {
				seen = map[string]bool{}
			}
			if seen[name] {
				err = cmp.Or(err, error(parameterFault(ReasonInvalidParameter, q.name, "a parameter is given twice")))
			} else if wrong := s.set(name, q.value); wrong != nil {
				err = cmp.Or(err, error(parameterFault(ReasonInvalidParameter, q.name, "a parameter %v", wrong)))
			}
			seen[name] = true
		}
	}
	return s, rest, err
}

func (b *binding) ownsParameter(name string) bool {
	return b.takesQuery() && (b.desc.Input().Fields().ByJSONName(name) != nil || b.desc.Input().Fields().ByName(protoreflect.Name(name)) != nil)
}

func (s *system) set(name, value string) error {
	switch name {
	case "alt":
		switch strings.ReplaceAll(value, " ", "") {
		case "", "json":
		case "json;enum-encoding=int":
			s.enumNumbers = true
		default:
			return fmt.Errorf("must be json, or json;enum-encoding=int")
		}
	case "prettyPrint":
		switch value {
		case "true", "1":
			s.pretty = true
		case "", "false", "0":
		default:
			return fmt.Errorf("must be true or false")
		}
	case "fields":
		s.mask, s.hasMask = value, true
	}
	return nil
}
