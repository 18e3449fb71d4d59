package sqlwhere

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/longrun-dev/longrun/filter"
)

// Columns says where a table of operations has what. Each is an expression in SQL
// over one row, never NULL unless said otherwise, and comes from the source code
// of the store, never from a caller.
type Columns struct {
	State    string // 1 to 5: pending, running, succeeded, failed, cancelled
	Parent   string
	ID       string // 16 bytes
	Name     string // the whole name, as text
	Method   string
	Create   string // create time, whole microseconds since 1970
	Expire   string // expire time, the same; NULL until it is done
	Response string // encoded; NULL if there is none
	Labels   string // bytes that hold the keys and values of all labels
	Metadata string // bytes that hold the metadata as last written, with its type URL
}

// Own is the full name of the metadata message that the engine fills.
const Own = "longrun.v1.OperationMetadata"

// Where is a necessary condition.
type Where struct {
	// SQL is the condition: "TRUE" where nothing is known. Placeholders are "?".
	SQL string
	// Args are for the placeholders: int64, string or []byte.
	Args []any

	// IDs, if not nil, are the only ids that can match, each once.
	IDs [][16]byte
	// Unfinished says that only what is not done can match.
	Unfinished bool
	// MinCreate and MaxCreate are between which create times all that can match
	// was created, in microseconds, inclusive.
	MinCreate, MaxCreate int64
}

// All is the condition that every row meets.
func All() Where { return Where{SQL: "TRUE", MinCreate: math.MinInt64, MaxCreate: math.MaxInt64} }

// Build returns the necessary condition of a filter. Its size is at most a small
// multiple of the filter's.
func Build(e filter.Expr, c Columns) Where {
	b := builder{c: c}
	n := b.build(e, must)
	w := All()
	if n.sql != "" {
		w.SQL, w.Args = n.sql, n.args
	}
	w.IDs, w.Unfinished, w.MinCreate, w.MaxCreate = n.bounds.ids, n.bounds.states&^open == 0, n.bounds.min, n.bounds.max
	return w
}

// sort tells the two conditions of an expression apart.
type sort uint8

const (
	must sort = iota // holds wherever the expression matches
	sure             // the expression matches wherever it holds
)

// states is a set of states, a bit for each.
type states uint8

const (
	open   states = 1<<1 | 1<<2 // pending, running
	every  states = open | 1<<3 | 1<<4 | 1<<5
	failed states = 1<<4 | 1<<5
)

// cond is a condition of either sort. Of the sort must, sql "" is TRUE; of the
// sort sure it is FALSE.
type cond struct {
	sql    string
	args   []any
	bounds bounds
}

// bounds are what a store can find rows by. They hold for conditions of the sort
// must.
type bounds struct {
	states   states
	ids      [][16]byte // nil: any
	min, max int64
}

var unbounded = bounds{states: every, min: math.MinInt64, max: math.MaxInt64}

func (b bounds) and(o bounds) bounds {
	b.states &= o.states
	b.min, b.max = max(b.min, o.min), min(b.max, o.max)
	switch {
	case b.ids == nil:
		b.ids = o.ids
	case o.ids != nil:
		b.ids = slices.DeleteFunc(slices.Clone(b.ids), func(id [16]byte) bool { return !slices.Contains(o.ids, id) })
	}
	return b
}

func (b bounds) or(o bounds) bounds {
	b.states |= o.states
	b.min, b.max = min(b.min, o.min), max(b.max, o.max)
	if b.ids == nil || o.ids == nil {
		b.ids = nil
		return b
	}
	b.ids = slices.Clone(b.ids)
	for _, id := range o.ids {
		if !slices.Contains(b.ids, id) {
			b.ids = append(b.ids, id)
		}
	}
	return b
}

type builder struct{ c Columns }

// unknown is what nothing is known of.
func unknown() cond { return cond{bounds: unbounded} }

func (b *builder) build(e filter.Expr, s sort) cond {
	switch e := e.(type) {
	case filter.All:
		return b.join(e, s, " AND ", s == must, bounds.and)
	case filter.Any:
		return b.join(e, s, " OR ", s == sure, bounds.or)
	case filter.Not:
		inner := b.build(e.Expr, must+sure-s)
		if inner.sql == "" {
			return unknown()
		}
		c := cond{sql: "NOT (" + inner.sql + ")", args: inner.args, bounds: unbounded}
		c.bounds.states = statesOf(e, must)
		return c
	case *filter.Restriction:
		if s == must {
			return b.must(e)
		}
		return b.sure(e)
	}
	return unknown()
}

// join joins the conditions of parts. Where one of them says nothing, skip says
// whether the others still say something together.
func (b *builder) join(parts []filter.Expr, s sort, word string, skip bool, bound func(bounds, bounds) bounds) cond {
	var sql []string
	out := unknown()
	if len(parts) == 0 {
		return b.constant(s)
	}
	for i, part := range parts {
		c := b.build(part, s)
		if i == 0 {
			out.bounds = c.bounds
		} else {
			out.bounds = bound(out.bounds, c.bounds)
		}
		if c.sql != "" {
			sql = append(sql, "("+c.sql+")")
			out.args = append(out.args, c.args...)
		} else if !skip {
			return cond{bounds: out.bounds.or(unbounded)}
		}
	}
	out.sql = strings.Join(sql, word)
	return out
}

// constant is the condition of what matches everything.
func (b *builder) constant(s sort) cond {
	if s == sure {
		return cond{sql: "TRUE", bounds: unbounded}
	}
	return unknown()
}

// statesOf returns the states outside which e never matches, or with sure, in
// which it always does.
func statesOf(e filter.Expr, s sort) states {
	switch e := e.(type) {
	case filter.All:
		in := every
		for _, part := range e {
			in &= statesOf(part, s)
		}
		return in
	case filter.Any:
		in := states(0)
		for _, part := range e {
			in |= statesOf(part, s)
		}
		return in
	case filter.Not:
		return every &^ statesOf(e.Expr, must+sure-s)
	case *filter.Restriction:
		if in, exact := stateSet(e); s == must || exact {
			return in
		}
		return 0
	}
	if s == must {
		return every
	}
	return 0
}

// must returns what holds wherever r matches.
func (b *builder) must(r *filter.Restriction) cond {
	switch r.Path[0] {
	case "name":
		if len(r.Path) == 1 {
			return b.name(r)
		}
	case "metadata":
		return b.metadata(r)
	}
	in, _ := stateSet(r)
	if in == every {
		return unknown()
	}
	c := b.inStates(in)
	if r.Path[0] == "response" && len(r.Path) == 2 && r.Path[1] == "@type" {
		if part, ok := typeText(r); ok {
			c.sql = "(" + c.sql + ") AND coalesce(instr(" + b.c.Response + ", ?), 0) > 0"
			c.args = append(c.args, []byte(part))
		}
	}
	return c
}

// sure returns under what r surely matches.
func (b *builder) sure(r *filter.Restriction) cond {
	if in, exact := stateSet(r); exact {
		return b.inStates(in)
	}
	if len(r.Path) == 1 && r.Path[0] == "name" {
		return b.nameText(r)
	}
	return unknown()
}

// stateSet returns the states in which r can match, and whether it matches in all
// of them.
func stateSet(r *filter.Restriction) (in states, exact bool) {
	switch field := r.Path[0]; {
	case field == "done" && len(r.Path) == 1:
		done := true
		if !r.Value.Star() {
			want, ok := r.Value.Bool()
			if !ok {
				return every, false
			}
			done = want
		}
		if r.Op == filter.NotEqual {
			done = !done
		}
		if done {
			return every &^ open, true
		}
		return open, true
	case field == "response":
		return 1 << 3, len(r.Path) == 1 && r.Op == filter.Has && r.Value.Star()
	case field == "error":
		return failed, len(r.Path) == 1 && r.Op == filter.Has && r.Value.Star()
	}
	return every, false
}

// inStates is the condition of a set of states.
func (b *builder) inStates(in states) cond {
	c := unknown()
	c.bounds.states = in
	if in == 0 {
		c.sql = "FALSE"
		return c
	}
	marks := []string{}
	for state := range int64(8) {
		if in&(1<<state) != 0 {
			marks, c.args = append(marks, "?"), append(c.args, state)
		}
	}
	c.sql = b.c.State + " IN (" + strings.Join(marks, ", ") + ")"
	return c
}

// times returns the condition on a column of microseconds, which may be NULL, and
// between which times it lies. Literals are finer than the column.
func times(column string, op filter.Op, t time.Time) cond {
	floor := t.UnixMicro()
	whole := t.Equal(time.UnixMicro(floor))
	c := unknown()
	c.args = []any{floor}
	lowest, highest := int64(math.MinInt64), int64(math.MaxInt64)
	compare := ""
	switch op {
	case filter.Less:
		if compare, highest = "<=", floor; whole {
			compare, highest = "<", floor-1
		}
	case filter.LessEqual:
		compare, highest = "<=", floor
	case filter.Greater:
		compare, lowest = ">", floor+1
	case filter.GreaterEqual:
		if compare, lowest = ">", floor+1; whole {
			compare, lowest = ">=", floor
		}
	case filter.Equal, filter.Has:
		if !whole {
			return cond{sql: "FALSE", bounds: unbounded}
		}
		compare, lowest, highest = "=", floor, floor
	default:
		return cond{sql: column + " IS NOT NULL", bounds: unbounded}
	}
	c.sql = "(" + column + " IS NOT NULL AND " + column + " " + compare + " ?)"
	c.bounds.min, c.bounds.max = lowest, highest
	return c
}
