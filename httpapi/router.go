package httpapi

import (
	"slices"
	"strings"
)

// anyMethod is the kind of a custom pattern that takes every HTTP method.
const anyMethod = "*"

// router finds the binding of a request.
type router struct {
	// Of each HTTP method and verb, the bindings with more literal segments
	// first, and of as many the earlier.
	bindings map[string]map[string][]*binding
}

func (r *router) add(b *binding) {
	if r.bindings == nil {
		r.bindings = map[string]map[string][]*binding{}
	}
	byVerb := r.bindings[b.httpMethod]
	if byVerb == nil {
		byVerb = map[string][]*binding{}
		r.bindings[b.httpMethod] = byVerb
	}
	list := append(byVerb[b.template.verb], b)
	slices.SortStableFunc(list, func(a, b *binding) int { return b.template.literals - a.template.literals })
	byVerb[b.template.verb] = list
}

// target is a path as it can be matched: whole, and without its verb.
type target struct {
	whole, before path
	verb          string
	hasVerb       bool
	query         string
}

// find returns the binding of a request, nil if there is none, and the path that
// it binds: what is left of the verb that it has.
func (r *router) find(method string, t target) (*binding, path) {
	for _, m := range [...]string{method, anyMethod} {
		byVerb := r.bindings[m]
		if t.verb != "" {
			if b := first(byVerb[t.verb], t.before, t.query); b != nil {
				return b, t.before
			}
		}
		if b := first(byVerb[""], t.whole, t.query); b != nil {
			return b, t.whole
		}
	}
	return nil, path{}
}

func first(bindings []*binding, p path, query string) *binding {
	for _, b := range bindings {
		if b.template.matches(p) && (b.needs == "" || hasParameter(query, b.needs)) {
			return b
		}
	}
	return nil
}

func hasParameter(query, name string) bool {
	for pair := range strings.SplitSeq(query, "&") {
		if rest, ok := strings.CutPrefix(pair, name); ok && strings.HasPrefix(rest, "=") {
			return true
		}
	}
	return false
}

// allowed returns the HTTP methods that the path can be asked with, sorted, for the
// header Allow. A path whose verb nobody has is not there at all, even if it could
// be the name of something (HTTP-06).
func (r *router) allowed(t target) []string {
	var methods []string
	known := !t.hasVerb
	for m, byVerb := range r.bindings {
		known = known || t.verb != "" && first(byVerb[t.verb], t.before, t.query) != nil
		if b, _ := r.find(m, t); b != nil && m != anyMethod {
			methods = append(methods, m)
		}
	}
	if !known || len(methods) == 0 {
		return nil
	}
	if slices.Contains(methods, "GET") && !slices.Contains(methods, "HEAD") {
		methods = append(methods, "HEAD")
	}
	slices.Sort(methods)
	return methods
}
