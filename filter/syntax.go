package filter

import "strings"

// The syntax of a filter, before anything is known of the fields. A node is one
// of and, or, not, *restriction and *call.
type node interface{ syntax() }

type (
	and []node
	or  []node
	// not is a negation; minus says that it was spelled "-".
	not struct {
		arg   node
		minus bool
	}
	// restriction is "left op right", or with op 0 a value alone.
	restriction struct {
		left  member
		op    Op
		right argument
	}
	// call is a function with its arguments.
	call struct {
		name string
		pos  int
		args []argument
	}
	// argument is a value, a call, or an expression in parentheses whose
	// restrictions are values alone.
	argument struct {
		value member
		call  *call
		group node
		pos   int
	}
	// member is values joined by dots: a path on the left of a comparator, and
	// one value on the right.
	member []segment
	// segment is one value.
	segment struct {
		text   string
		stars  []int // offsets in text of the stars that are not escaped
		quoted bool
		pos    int
	}
)

func (and) syntax()          {}
func (or) syntax()           {}
func (not) syntax()          {}
func (*restriction) syntax() {}
func (*call) syntax()        {}

// An Op compares a field with a value.
type Op uint8

// The comparators. The zero Op is none.
const (
	_ Op = iota
	Equal
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
	Has
)

var opText = [...]string{"", "=", "!=", "<", "<=", ">", ">=", ":"}

// String returns the comparator as it is spelled in a filter.
func (o Op) String() string {
	if int(o) < len(opText) {
		return opText[o]
	}
	return "?"
}

// ordered reports whether o asks for more or less.
func (o Op) ordered() bool { return o >= Less && o <= GreaterEqual }

// path returns the texts of the segments.
func (m member) path() []string {
	path := make([]string, len(m))
	for i, s := range m {
		path[i] = s.text
	}
	return path
}

// literal joins the segments with their dots again, so that 1.5 and com.google
// are one value.
func (m member) literal() segment {
	if len(m) == 1 {
		return m[0]
	}
	joined := segment{pos: m[0].pos, quoted: m[0].quoted}
	var b strings.Builder
	for i, s := range m {
		if i > 0 {
			b.WriteByte('.')
		}
		for _, star := range s.stars {
			joined.stars = append(joined.stars, b.Len()+star)
		}
		b.WriteString(s.text)
	}
	joined.text = b.String()
	return joined
}
