package filter

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Compile parses a filter and checks it against the schema. Every error is an
// *Error. A blank filter matches everything.
func (s *Schema) Compile(text string) (*Filter, error) {
	n, err := parse(text)
	if err != nil {
		return nil, err
	}
	f := &Filter{schema: s, expr: All(nil)}
	if n == nil {
		return f, nil
	}
	c := &checker{schema: s, src: text}
	f.expr, err = c.node(n)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// checker turns syntax into expressions.
type checker struct {
	schema *Schema
	src    string
}

func (c *checker) node(n node) (Expr, error) {
	switch n := n.(type) {
	case and:
		all := make(All, len(n))
		return all, c.each(n, all)
	case or:
		any := make(Any, len(n))
		return any, c.each(n, any)
	case not:
		e, err := c.node(n.arg)
		return Not{Expr: e}, err
	case *call:
		return nil, c.noFunction(n)
	}
	r := n.(*restriction)
	if r.op != 0 {
		return c.restriction(r)
	}
	return c.bare(r)
}

func (c *checker) each(nodes []node, to []Expr) (err error) {
	for i, n := range nodes {
		if to[i], err = c.node(n); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) noFunction(n *call) error {
	return errorAt(c.src, n.pos, n.name, "there is no function %q", cut(n.name))
}

// bare is a value without a field.
func (c *checker) bare(r *restriction) (Expr, error) {
	l := newLiteral(r.left.literal())
	if l.inner {
		return nil, c.innerStar(r.left.literal())
	}
	return Text{Value: l}, nil
}

func (c *checker) innerStar(s segment) error {
	return errorAt(c.src, s.pos, s.text, `a star may only be at the ends of a value; \* in quotes is a star itself`)
}

func (c *checker) restriction(r *restriction) (Expr, error) {
	switch {
	case r.right.call != nil:
		return nil, c.noFunction(r.right.call)
	case r.right.group != nil:
		return c.distribute(r, r.right.group)
	}
	return c.compare(r, r.right.value.literal())
}

// distribute applies the left side and the comparator of r to each value of a
// composite argument.
func (c *checker) distribute(r *restriction, n node) (Expr, error) {
	each := func(nodes []node, to []Expr) (err error) {
		for i, n := range nodes {
			if to[i], err = c.distribute(r, n); err != nil {
				return err
			}
		}
		return nil
	}
	switch n := n.(type) {
	case and:
		all := make(All, len(n))
		return all, each(n, all)
	case or:
		any := make(Any, len(n))
		return any, each(n, any)
	case not:
		if value, ok := negative(n); ok {
			if e, err := c.compare(r, value); err == nil {
				return e, nil
			}
		}
		e, err := c.distribute(r, n.arg)
		return Not{Expr: e}, err
	case *call:
		return nil, c.noFunction(n)
	}
	value := n.(*restriction)
	if value.op != 0 {
		return nil, errorAt(c.src, value.left[0].pos, value.left[0].text, "only values may be inside the parentheses behind a comparator")
	}
	return c.compare(r, value.left.literal())
}

// negative returns what "-30" is as a number. In a composite argument the grammar
// has it as the negation of 30.
func negative(n not) (segment, bool) {
	r, ok := n.arg.(*restriction)
	if !ok || !n.minus || r.op != 0 || r.left[0].quoted {
		return segment{}, false
	}
	s := r.left.literal()
	_, duration := parseDuration(s.text)
	if !isDecimal(s.text) && !duration {
		return segment{}, false
	}
	s.text = "-" + s.text
	return s, true
}

// compare checks one comparison of r's field.
func (c *checker) compare(r *restriction, value segment) (Expr, error) {
	e := c.schema.newRestriction(r.left.path(), r.op, newLiteral(value))
	if w := e.check(); w != nil {
		at := value
		if w.segment < len(r.left) {
			at = r.left[w.segment]
		}
		err := errorAt(c.src, at.pos, at.text, w.format, w.args...)
		err.Path = e.name()
		return nil, err
	}
	return e, nil
}

// wrong says why a restriction does not fit the schema.
type wrong struct {
	segment int // of the path; behind it, the value
	format  string
	args    []any
}

func (r *Restriction) wrongValue(format string, args ...any) *wrong {
	return &wrong{segment: len(r.Path), format: format, args: args}
}

// check returns nil where the restriction fits: on an Any, where it fits one of
// the messages that the Any may hold.
func (r *Restriction) check() *wrong {
	return r.checkFrom(typ{kind: kindMessage, message: r.schema.root}, 0, r.schema.promised)
}

// fits reports whether the path from n on, and the value, fit t.
func (r *Restriction) fits(t typ, n int) bool { return r.checkFrom(t, n, nil) == nil }

func (r *Restriction) checkFrom(t typ, n int, promised map[string][]protoreflect.MessageType) *wrong {
	for i := n; i < len(r.Path); i++ {
		if t.holdsAny() {
			return r.checkMany([]typ{t}, i, promised)
		}
		next, w := r.step(t, i)
		if w != nil {
			return w
		}
		t = next
	}
	return r.accepts(t, promised)
}

// checkMany is checkFrom where a place may have any of several types. They are
// followed together, each type once, so that Anys in Anys do not multiply.
func (r *Restriction) checkMany(at []typ, n int, promised map[string][]protoreflect.MessageType) *wrong {
	var first *wrong
	for i := n; i < len(r.Path); i++ {
		var next []typ
		first = nil
		for _, t := range at {
			to, w := r.steps(t, i, promised)
			if w != nil && first == nil {
				first = w
			}
			for _, t := range to {
				if !slices.Contains(next, t) {
					next = append(next, t)
				}
			}
		}
		if len(next) == 0 {
			return first
		}
		at = next
	}
	first = nil
	for _, t := range at {
		w := r.accepts(t, promised)
		if w == nil {
			return nil
		}
		if first == nil {
			first = w
		}
	}
	return first
}

// steps is step, from an Any into all that it may hold.
func (r *Restriction) steps(t typ, i int, promised map[string][]protoreflect.MessageType) ([]typ, *wrong) {
	if t.kind == kindList && r.Op == Has {
		t = elementType(t.field)
	}
	if t.kind != kindAny || r.Path[i] == anyType {
		to, w := r.step(t, i)
		if w != nil {
			return nil, w
		}
		return []typ{to}, nil
	}
	to := r.payload(r.Path[:i], r.Path[i], promised)
	if len(to) == 0 {
		return nil, &wrong{segment: i, format: "no message that may be here has a field %q", args: []any{cut(r.Path[i])}}
	}
	return to, nil
}

// step returns where segment i of the path leads from a place of type t.
func (r *Restriction) step(t typ, i int) (typ, *wrong) {
	name := r.Path[i]
	no := func(format string, args ...any) (typ, *wrong) {
		return typ{}, &wrong{segment: i, format: format, args: args}
	}
	switch t.kind {
	case kindList:
		if r.Op != Has {
			return no(`%q goes through a repeated field, as only : can`, r.name())
		}
		return r.step(elementType(t.field), i)
	case kindMap:
		if _, ok := mapKey(t.field.MapKey(), name); !ok {
			return no("%q is no key of this map", cut(name))
		}
		return elementType(t.field.MapValue()), nil
	case kindMessage, kindTime, kindDuration:
		if f := t.message.Fields().ByName(protoreflect.Name(name)); f != nil {
			return fieldType(f), nil
		}
		if f := t.message.Fields().ByJSONName(name); f != nil {
			return no("%s has no field %q, but %s", t.message.FullName(), cut(name), f.Name())
		}
		return no("%s has no field %q", t.message.FullName(), cut(name))
	case kindAny:
		return typ{kind: kindString}, nil // "@type": steps goes into the rest
	case kindStruct, kindValue:
		return typ{kind: kindValue}, nil
	}
	return no("%q is asked of what has no fields", cut(name))
}

// anyType is the name under which the type URL of an Any is asked for.
const anyType = "@type"

// payload returns the types of the field called name in what the Any at a path
// may hold: in what is promised, and where nothing of that has it, in any
// message.
func (r *Restriction) payload(path []string, name string, promised map[string][]protoreflect.MessageType) (to []typ) {
	if len(promised) > 0 {
		for _, m := range promised[strings.Join(path, ".")] {
			d := m.Descriptor()
			if opaque(d) {
				to = append(to, typ{kind: kindValue})
				continue
			}
			if f := d.Fields().ByName(protoreflect.Name(name)); f != nil {
				to = append(to, fieldType(f))
			}
		}
	}
	if len(to) > 0 {
		return to
	}
	return r.schema.types().types[protoreflect.Name(name)]
}

// mapKey reads a segment as the key of a map.
func mapKey(key protoreflect.FieldDescriptor, s string) (k protoreflect.MapKey, ok bool) {
	switch key.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(s).MapKey(), true
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(s == "true").MapKey(), s == "true" || s == "false"
	}
	bits, unsigned := intBits(key.Kind())
	if unsigned {
		u, err := strconv.ParseUint(s, 10, bits)
		if bits == 32 {
			return protoreflect.ValueOfUint32(uint32(u)).MapKey(), err == nil
		}
		return protoreflect.ValueOfUint64(u).MapKey(), err == nil
	}
	i, err := strconv.ParseInt(s, 10, bits)
	if bits == 32 {
		return protoreflect.ValueOfInt32(int32(i)).MapKey(), err == nil
	}
	return protoreflect.ValueOfInt64(i).MapKey(), err == nil
}

func intBits(k protoreflect.Kind) (bits int, unsigned bool) {
	switch k {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return 32, false
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return 32, true
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return 64, true
	}
	return 64, false
}

// accepts checks comparator and value against the type at the end of the path.
func (r *Restriction) accepts(t typ, promised map[string][]protoreflect.MessageType) *wrong {
	switch t.kind {
	case kindList, kindMap, kindMessage, kindAny, kindStruct:
		if r.Op != Has {
			return r.wrongValue("%q cannot be compared with %s, only with :", r.name(), r.Op)
		}
	}
	if r.Op == Has && r.Value.alone {
		return nil
	}
	switch t.kind {
	case kindList:
		element := elementType(t.field)
		if element.kind == kindMessage || element.kind == kindAny {
			return r.wrongValue("%q is a list of messages: name a field of theirs, as in list.field:value", r.name())
		}
		return r.accepts(element, promised)
	case kindMap:
		if _, ok := mapKey(t.field.MapKey(), r.Value.raw); !ok {
			return r.wrongValue("%q is no key of this map", cut(r.Value.raw))
		}
	case kindMessage:
		if t.message.Fields().ByName(protoreflect.Name(r.Value.raw)) == nil {
			return r.wrongValue("%s has no field %q", t.message.FullName(), cut(r.Value.raw))
		}
	case kindAny:
		if r.Value.raw != anyType && len(r.payload(r.Path, r.Value.raw, promised)) == 0 {
			return r.wrongValue("no message that may be here has a field %q", cut(r.Value.raw))
		}
	case kindStruct:
	default:
		return r.acceptsValue(t)
	}
	return nil
}

// acceptsValue is accepts for what is a single value.
func (r *Restriction) acceptsValue(t typ) *wrong {
	l := &r.Value
	not := func(what string) *wrong { return r.wrongValue("%q is %s, and %q is not", r.name(), what, cut(l.raw)) }
	switch {
	case r.Op.ordered() && (t.kind == kindBool || t.kind == kindEnum):
		return r.wrongValue(`%q is true or false or a name: it has no order`, r.name())
	case t.kind == kindBytes:
		return r.wrongValue("%q holds bytes: they can only be asked for with :*", r.name())
	case (t.kind == kindString || t.kind == kindValue) && l.inner && !r.Op.ordered():
		return r.wrongValue(`a star may only be at the ends of a value; \* in quotes is a star itself`)
	case t.kind == kindBool && l.raw != "true" && l.raw != "false":
		return not("true or false")
	case t.kind == kindEnum && t.enum.Values().ByName(protoreflect.Name(l.raw)) == nil:
		return not(fmt.Sprintf("one of the names of %s", t.enum.FullName()))
	case t.kind == kindTime && !l.isTime:
		return not("a time such as 2026-01-31T12:00:00Z")
	case t.kind == kindDuration && !l.isDuration:
		return not("a duration in seconds such as 1.5s")
	case t.kind == kindFloat:
		if !l.number.isFloat || t.scalar == protoreflect.FloatKind && math.IsInf(l.number.float32, 0) {
			return r.notNumber(not, l.number.decimal)
		}
	case t.kind == kindInt && !l.integer.fits(t.scalar):
		if l.number.decimal && !l.integer.whole {
			return not("a whole number")
		}
		return r.notNumber(not, l.number.decimal)
	}
	return nil
}

func (r *Restriction) notNumber(not func(string) *wrong, decimal bool) *wrong {
	if !decimal {
		return not("a number")
	}
	return r.wrongValue("%q is out of the range of %q", cut(r.Value.raw), r.name())
}

// fits reports whether the number is one that a field of kind k may hold.
func (i intLiteral) fits(k protoreflect.Kind) bool {
	if !i.ok {
		return false
	}
	bits, unsigned := intBits(k)
	switch {
	case unsigned:
		return !i.negative && i.magnitude <= math.MaxUint64>>(64-bits)
	case i.negative:
		return i.magnitude <= 1<<(bits-1)
	}
	return i.magnitude <= 1<<(bits-1)-1
}

// name is the path, for errors.
func (r *Restriction) name() string { return cut(strings.Join(r.Path, ".")) }
