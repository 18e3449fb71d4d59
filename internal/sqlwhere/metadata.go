package sqlwhere

import (
	"math"
	"slices"
	"strings"

	"github.com/longrun-dev/longrun/filter"
)

// maxOthers is how many messages beside the engine's own may have a field, so
// that looking for their names is still worth it.
const maxOthers = 8

// metadata is what must hold for a restriction on the payload of metadata: either
// it is the engine's own message, and the columns say what is in that, or the row
// has the name of one of the others that may match.
func (b *builder) metadata(r *filter.Restriction) cond {
	switch {
	case len(r.Path) < 2:
		return unknown()
	case r.Path[1] == "@type":
		return b.metadataType(r)
	}
	names, ok := r.Payloads(1, maxOthers)
	if !ok {
		return unknown()
	}
	own := cond{sql: "FALSE", bounds: unbounded}
	if slices.Contains(names, Own) {
		if own = b.own(r); own.sql == "" {
			return unknown()
		}
		names = slices.DeleteFunc(names, func(name string) bool { return name == Own })
	}
	others := make([]string, 0, len(names))
	for _, name := range names {
		others = append(others, "instr("+b.c.Metadata+", ?) > 0")
		own.args = append(own.args, []byte(name))
	}
	if len(others) > 0 {
		own.sql += " OR " + strings.Join(others, " OR ")
		own.bounds = unbounded
	}
	return own
}

// own is what must hold for a restriction on the engine's own message.
func (b *builder) own(r *filter.Restriction) cond {
	switch path := r.Path[1:]; path[0] {
	case "labels":
		return b.label(r)
	case "state":
		return b.state(r)
	case "method":
		if len(path) == 1 {
			return text(b.c.Method, r)
		}
	case "create_time", "update_time", "start_time", "end_time", "expire_time":
		if t, ok := r.Value.Time(); ok && len(path) == 1 {
			return b.time(path[0], r.Op, func(column string) cond { return times(column, r.Op, t) })
		}
	case "target", "verb", "api_version", "status_message":
		if len(path) == 1 {
			return holds(b.c.Metadata, r)
		}
	}
	return unknown()
}

// time is the condition on a time. Of those without a column it is known that they
// are not before the create time, and that an end time is of what is done.
func (b *builder) time(name string, op filter.Op, column func(string) cond) cond {
	switch name {
	case "create_time":
		return column(b.c.Create)
	case "expire_time":
		c := column(b.c.Expire)
		c.bounds = unbounded
		return c
	}
	done := unknown()
	if name == "end_time" {
		done = b.inStates(every &^ open)
	}
	switch op {
	case filter.Less, filter.LessEqual, filter.Equal, filter.Has:
	default:
		return done
	}
	c := column(b.c.Create)
	if c.sql == "FALSE" {
		return c
	}
	// Created at that time or before.
	c = cond{sql: b.c.Create + " <= ?", args: c.args, bounds: c.bounds}
	c.bounds.min = math.MinInt64
	if done.sql != "" {
		c.sql, c.args = done.sql+" AND "+c.sql, append(done.args, c.args...)
		c.bounds.states = done.bounds.states
	}
	return c
}

// stateNames are the names of the states in OperationMetadata.
var stateNames = [...]string{"STATE_UNSPECIFIED", "PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"}

func (b *builder) state(r *filter.Restriction) cond {
	i := slices.Index(stateNames[:], r.Value.String())
	if i < 0 || len(r.Path) != 2 {
		return unknown()
	}
	in := states(1<<i) & every
	switch r.Op {
	case filter.Equal, filter.Has:
		return b.inStates(in)
	case filter.NotEqual:
		return b.inStates(every &^ in)
	}
	return unknown()
}

// label is what must hold for a restriction on a label: its key is somewhere in
// the row, and its value.
func (b *builder) label(r *filter.Restriction) cond {
	key := ""
	switch {
	case len(r.Path) == 2 && r.Op == filter.Has && !r.Value.Star():
		key = r.Value.String()
	case len(r.Path) == 3:
		key = r.Path[2]
	}
	if key == "" {
		return unknown()
	}
	c := cond{sql: "instr(" + b.c.Labels + ", ?) > 0", args: []any{[]byte(key)}, bounds: unbounded}
	if len(r.Path) == 3 {
		if value := holds(b.c.Labels, r); value.sql != "" {
			c.sql, c.args = c.sql+" AND "+value.sql, append(c.args, value.args...)
		}
	}
	return c
}

// holds is the condition that bytes hold the text that r's field must have.
func holds(column string, r *filter.Restriction) cond {
	part, _, _ := r.Value.Text()
	if part == "" || r.Op != filter.Equal && r.Op != filter.Has {
		return unknown()
	}
	return cond{sql: "instr(" + column + ", ?) > 0", args: []any{[]byte(part)}, bounds: unbounded}
}

// metadataType is what must hold for a type URL: the row has the name of the type,
// unless it is the engine's own, which a row without metadata is shown with.
func (b *builder) metadataType(r *filter.Restriction) cond {
	part, ok := typeText(r)
	if !ok || strings.Contains(Own, part) || len(r.Path) != 2 {
		return unknown()
	}
	return cond{sql: "instr(" + b.c.Metadata + ", ?) > 0", args: []any{[]byte(part)}, bounds: unbounded}
}

// typeText returns the part of a type URL's text that lies behind its last slash:
// what stands before may be another in the row than what callers see.
func typeText(r *filter.Restriction) (string, bool) {
	text, _, after := r.Value.Text()
	slash := strings.LastIndexByte(text, '/')
	part := text[slash+1:]
	ok := part != "" && (slash >= 0 || !after) && (r.Op == filter.Equal || r.Op == filter.Has)
	return part, ok
}
