package sqlwhere

import (
	"encoding/hex"
	"strings"

	"github.com/longrun-dev/longrun/filter"
)

// name is the condition on the name. Where the whole id is in the value, the row
// can be found by it.
func (b *builder) name(r *filter.Restriction) cond {
	c := b.nameText(r)
	text, _, after := r.Value.Text()
	if c.sql == "" || after || r.Op != filter.Equal && r.Op != filter.Has || r.Value.Star() {
		return c
	}
	id, ok := idOf(text)
	if !ok {
		return c
	}
	c.bounds.ids = [][16]byte{id}
	return cond{sql: b.c.ID + " = ? AND " + c.sql, args: append([]any{id[:]}, c.args...), bounds: c.bounds}
}

// nameText compares the name as text. It holds exactly where r matches.
func (b *builder) nameText(r *filter.Restriction) cond {
	if r.Value.Star() && r.Op == filter.Has {
		return cond{sql: "TRUE", bounds: unbounded}
	}
	return text(b.c.Name, r)
}

// text compares a column of text, as the filter does.
func text(column string, r *filter.Restriction) cond {
	part, before, after := r.Value.Text()
	c := cond{args: []any{part}, bounds: unbounded}
	if strings.ContainsRune(r.Value.String(), 0) {
		return unknown() // SQL functions end a text there
	}
	compare := ""
	switch r.Op {
	case filter.Less, filter.LessEqual, filter.Greater, filter.GreaterEqual:
		c.sql, c.args = column+" "+r.Op.String()+" ?", []any{r.Value.String()}
		return c
	case filter.Equal, filter.Has:
		compare = "="
	case filter.NotEqual:
		compare = "<>"
	default:
		return unknown()
	}
	switch {
	case r.Value.Star() && r.Op == filter.Has:
		return cond{sql: column + " <> ''", bounds: unbounded}
	case before && after:
		c.sql = "instr(" + column + ", ?) " + map[string]string{"=": ">", "<>": "="}[compare] + " 0"
	case before:
		c.sql, c.args = "substr("+column+", max(1, length("+column+") - length(?) + 1)) "+compare+" ?", []any{part, part}
	case after:
		c.sql, c.args = "substr("+column+", 1, length(?)) "+compare+" ?", []any{part, part}
	default:
		c.sql = column + " " + compare + " ?"
	}
	return c
}

// idOf returns the id with which a name ends: 36 characters of a UUID in lower
// case.
func idOf(name string) (id [16]byte, ok bool) {
	if len(name) < 36 {
		return id, false
	}
	text := name[len(name)-36:]
	for _, dash := range [...]int{8, 13, 18, 23} {
		if text[dash] != '-' {
			return id, false
		}
	}
	digits := strings.ReplaceAll(text, "-", "")
	if len(digits) != 32 || digits != strings.ToLower(digits) {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(digits))
	return id, err == nil
}
