package filter

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Expr is a part of a checked filter: All, Any, Not, Text or *Restriction. It is
// what a store looks at that wants to read less; it is immutable.
type Expr interface {
	match(*entry) bool
}

type (
	// All matches what each of its parts matches: everything, if it has none.
	All []Expr

	// Any matches what one of its parts matches, of which there are at least two.
	Any []Expr

	// Not matches what Expr does not match.
	Not struct{ Expr Expr }

	// Text is a value without a field, looked for in what Options.Text names.
	Text struct{ Value Literal }
)

// Restriction compares a field with a value.
type Restriction struct {
	// Path leads to the field: names of fields, keys of maps, and "@type".
	Path []string
	// Op is the comparator. With Has and a field that is a message, a list or a
	// map, Value is what it holds.
	Op Op
	// Value is what is on the right.
	Value Literal

	schema  *Schema
	opaque  []int        // the i for which what an Any at Path[:i] holds may be opaque
	present *Restriction // that Value is in a message at Path; nil unless Op is Has
}

// newRestriction returns a restriction that has yet to be checked.
func (s *Schema) newRestriction(path []string, op Op, value Literal) *Restriction {
	r := &Restriction{Path: path, Op: op, Value: value, schema: s}
	for _, at := range s.opaque {
		if len(at) < len(path) && slices.Equal(at, path[:len(at)]) {
			r.opaque = append(r.opaque, len(at))
		}
	}
	if op == Has && !value.alone {
		r.present = s.newRestriction(append(slices.Clone(path), value.raw), Has, star)
	}
	return r
}

// mayBeOpaque reports whether the payload of an Any, from which rest is left to
// go, may be opaque.
func (r *Restriction) mayBeOpaque(rest []string) bool {
	return slices.Contains(r.opaque, len(r.Path)-len(rest))
}

// Filter is a checked filter. It is immutable and safe for concurrent use.
type Filter struct {
	schema *Schema
	expr   Expr
}

// Expr returns the filter's expression. A blank filter is an All without parts.
func (f *Filter) Expr() Expr { return f.expr }

// Payloads returns the full names of the messages that the first Any on the path
// may hold where the restriction matches; with any other payload it never does.
// n is where Path goes on inside that Any. It reports false where the path ends
// before, or asks for "@type", or where there are more than limit names.
func (r *Restriction) Payloads(n, limit int) (names []string, ok bool) {
	if n >= len(r.Path) || r.Path[n] == anyType {
		return nil, false
	}
	for _, m := range r.schema.promised[strings.Join(r.Path[:n], ".")] {
		if d := m.Descriptor(); opaque(d) {
			names = append(names, string(d.FullName()))
		}
	}
	for _, d := range r.schema.types().holders[protoreflect.Name(r.Path[n])] {
		if !r.fits(messageType(d), n) {
			continue
		}
		if names = append(names, string(d.FullName())); len(names) > limit {
			return nil, false
		}
	}
	return names, len(names) <= limit
}

// opaque reports whether d is one of the messages of which no schema says what is
// in them. A payload of such a type is looked into where it is promised.
func opaque(d protoreflect.MessageDescriptor) bool {
	k := messageKind(d)
	return k == kindStruct || k == kindValue
}
