package filter

import (
	"cmp"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Match reports whether the filter matches m, which it reads and does not change.
// It is an error where m is not the message of the filter's schema, and never on
// what m holds.
func (f *Filter) Match(m proto.Message) (bool, error) {
	r := m.ProtoReflect()
	if got, want := r.Descriptor().FullName(), f.schema.root.FullName(); got != want {
		return false, fmt.Errorf("filter: message is a %s, want a %s", got, want)
	}
	return f.expr.match(&entry{schema: f.schema, root: r}), nil
}

// entry is one message on which a filter is judged.
type entry struct {
	schema   *Schema
	root     protoreflect.Message
	payloads []payload
}

// payload is what an Any holds, so that it is decoded once; nil for what cannot
// be.
type payload struct {
	of      protoreflect.Message
	message protoreflect.Message
}

func (a All) match(e *entry) bool {
	for _, x := range a {
		if !x.match(e) {
			return false
		}
	}
	return true
}

func (a Any) match(e *entry) bool {
	for _, x := range a {
		if x.match(e) {
			return true
		}
	}
	return false
}

func (n Not) match(e *entry) bool { return !n.Expr.match(e) }

func (r *Restriction) match(e *entry) bool { return r.in(e, e.root, r.Path) }

// in follows a path into m. Whatever step is not set, the restriction does not
// match.
func (r *Restriction) in(e *entry, m protoreflect.Message, path []string) bool {
	switch messageKind(m.Descriptor()) {
	case kindAny:
		if path[0] == anyType {
			return len(path) == 1 && r.text(typeURL(m))
		}
		inner := e.unpack(m)
		return inner != nil && (!opaque(inner.Descriptor()) || r.mayBeOpaque(path)) && r.in(e, inner, path)
	case kindStruct, kindValue:
		return r.dynamic(m, path)
	}
	f := m.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	if f == nil {
		return false
	}
	rest := path[1:]
	switch {
	case f.IsList():
		return r.Op == Has && r.list(e, f, m.Get(f).List(), rest)
	case f.IsMap():
		return r.mapped(e, f, m.Get(f).Map(), rest)
	case f.Message() != nil:
		return m.Has(f) && r.message(e, m.Get(f).Message(), rest)
	case len(rest) > 0:
		return false
	case r.Op == Has && r.Value.alone:
		return m.Has(f) && !m.Get(f).Equal(f.Default())
	}
	return r.scalar(f, m.Get(f))
}

// list is a restriction on the elements of a repeated field.
func (r *Restriction) list(e *entry, f protoreflect.FieldDescriptor, l protoreflect.List, rest []string) bool {
	if len(rest) == 0 && r.Value.alone {
		return l.Len() > 0
	}
	for i := range l.Len() {
		if r.element(e, f, l.Get(i), rest) {
			return true
		}
	}
	return false
}

// element is one value of a list or of a map, which is set.
func (r *Restriction) element(e *entry, f protoreflect.FieldDescriptor, v protoreflect.Value, rest []string) bool {
	if f.Message() != nil {
		return r.message(e, v.Message(), rest)
	}
	return len(rest) == 0 && (r.Op == Has && r.Value.alone || r.scalar(f, v))
}

func (r *Restriction) mapped(e *entry, f protoreflect.FieldDescriptor, m protoreflect.Map, rest []string) bool {
	if len(rest) == 0 {
		if r.Op != Has || r.Value.alone {
			return r.Op == Has && m.Len() > 0
		}
		key, ok := mapKey(f.MapKey(), r.Value.raw)
		return ok && m.Has(key)
	}
	key, ok := mapKey(f.MapKey(), rest[0])
	if !ok || !m.Has(key) {
		return false
	}
	return r.element(e, f.MapValue(), m.Get(key), rest[1:])
}

// message is a restriction on a message that is set.
func (r *Restriction) message(e *entry, m protoreflect.Message, rest []string) bool {
	if len(rest) > 0 {
		return r.in(e, m, rest)
	}
	if r.Op == Has && r.Value.alone {
		return true
	}
	switch messageKind(m.Descriptor()) {
	case kindTime:
		return r.Value.isTime && r.order(wallOf(m).compare(seconds{s: r.Value.time.Unix(), n: int64(r.Value.time.Nanosecond())}))
	case kindDuration:
		return r.Value.isDuration && r.order(wallOf(m).compare(r.Value.duration))
	case kindValue:
		return r.dynamic(m, nil)
	}
	return r.present != nil && r.present.in(e, m, r.present.Path[len(r.Path):])
}

// star is the value that is there whenever anything is.
var star = newLiteral(segment{text: "*", stars: []int{0}})

// wallOf reads a Timestamp or a Duration: seconds is its first field and nanos
// its second.
func wallOf(m protoreflect.Message) seconds {
	fields := m.Descriptor().Fields()
	return newSeconds(m.Get(fields.ByNumber(1)).Int(), int32(m.Get(fields.ByNumber(2)).Int()))
}

// order reports whether c, the field compared with the value, is what is asked
// for.
func (r *Restriction) order(c int) bool {
	switch r.Op {
	case NotEqual:
		return c != 0
	case Less:
		return c < 0
	case LessEqual:
		return c <= 0
	case Greater:
		return c > 0
	case GreaterEqual:
		return c >= 0
	}
	return c == 0
}

// equal is order for what has none.
func (r *Restriction) equal(same bool) bool { return same != (r.Op == NotEqual) && !r.Op.ordered() }

// scalar compares a value that is no message. A literal that f cannot hold
// matches nothing.
func (r *Restriction) scalar(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
	l := &r.Value
	switch t := elementType(f); t.kind {
	case kindBool:
		want, ok := l.Bool()
		return ok && r.equal(v.Bool() == want)
	case kindString:
		return r.text(v.String())
	case kindEnum:
		want := t.enum.Values().ByName(protoreflect.Name(l.raw))
		return want != nil && r.equal(v.Enum() == want.Number())
	case kindFloat:
		want := l.number.float
		if t.scalar == protoreflect.FloatKind {
			want = l.number.float32
		}
		return l.number.isFloat && r.float(v.Float(), want)
	case kindInt:
		return l.integer.fits(t.scalar) && r.order(compareInt(v, l.integer))
	}
	return false
}

// float compares as numbers do: NaN is equal to nothing.
func (r *Restriction) float(have, want float64) bool {
	if have != have {
		return r.Op == NotEqual
	}
	return r.order(cmp.Compare(have, want))
}

// text compares a string: by its bytes where order is asked for, and else with
// the stars of the value.
func (r *Restriction) text(s string) bool {
	switch {
	case r.Op.ordered():
		return r.order(cmp.Compare(s, r.Value.raw))
	case r.Op == Has && r.Value.alone:
		return s != ""
	case r.Value.inner:
		return false
	}
	return r.equal(r.Value.matchText(s))
}

func compareInt(v protoreflect.Value, want intLiteral) int {
	if u, ok := v.Interface().(uint64); ok {
		return cmp.Compare(u, want.magnitude)
	}
	if u, ok := v.Interface().(uint32); ok {
		return cmp.Compare(uint64(u), want.magnitude)
	}
	if want.negative {
		return cmp.Compare(v.Int(), int64(-want.magnitude))
	}
	return cmp.Compare(v.Int(), int64(want.magnitude))
}

// dynamic follows a path into a Struct, a Value or a ListValue, of which only the
// data say what is in them.
func (r *Restriction) dynamic(m protoreflect.Message, path []string) bool {
	fields := m.Descriptor().Fields()
	switch m.Descriptor().FullName() {
	case "google.protobuf.Struct":
		return r.object(m.Get(fields.ByNumber(1)).Map(), path)
	case "google.protobuf.ListValue":
		return r.array(m.Get(fields.ByNumber(1)).List(), path)
	}
	set := m.WhichOneof(m.Descriptor().Oneofs().Get(0))
	if set == nil {
		return false
	}
	v := m.Get(set)
	if set.Message() != nil {
		return r.dynamic(v.Message(), path)
	}
	return len(path) == 0 && r.dynamicScalar(set, v)
}

func (r *Restriction) object(m protoreflect.Map, path []string) bool {
	if len(path) == 0 {
		if r.Value.alone {
			return r.Op == Has && m.Len() > 0
		}
		return r.Op == Has && m.Has(protoreflect.ValueOfString(r.Value.raw).MapKey())
	}
	key := protoreflect.ValueOfString(path[0]).MapKey()
	if !m.Has(key) {
		return false
	}
	if len(path) == 1 && r.Op == Has && r.Value.alone {
		return true
	}
	return r.dynamic(m.Get(key).Message(), path[1:])
}

func (r *Restriction) array(l protoreflect.List, path []string) bool {
	if r.Op != Has {
		return false
	}
	if len(path) == 0 && r.Value.alone {
		return l.Len() > 0
	}
	for i := range l.Len() {
		if r.dynamic(l.Get(i).Message(), path) {
			return true
		}
	}
	return false
}

// dynamicScalar compares a null, a number, a string or a bool with a literal, if
// that can be one.
func (r *Restriction) dynamicScalar(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
	switch {
	case r.Op == Has && r.Value.alone:
		return true
	case f.Kind() == protoreflect.EnumKind:
		return r.Value.raw == "null" && r.equal(true)
	}
	return r.scalar(f, v)
}

// typeURL is the first field of an Any.
func typeURL(any protoreflect.Message) string {
	return any.Get(any.Descriptor().Fields().ByNumber(1)).String()
}

// unpack returns what an Any holds; nil where its type is not known or the bytes
// are not of that type, and for another Any, which could hold yet another.
func (e *entry) unpack(any protoreflect.Message) protoreflect.Message {
	for _, p := range e.payloads {
		if p.of == any {
			return p.message
		}
	}
	inner := e.schema.types().decode(any)
	if inner != nil && messageKind(inner.Descriptor()) == kindAny {
		inner = nil
	}
	e.payloads = append(e.payloads, payload{of: any, message: inner})
	return inner
}
