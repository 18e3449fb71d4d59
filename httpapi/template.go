package httpapi

import (
	"fmt"
	"strings"
)

// A template is a parsed path template of google.api.http:
//
//	/v1/{name=projects/*/operations/**}:cancel
type template struct {
	text     string
	segments []segment
	deep     int // index of "**" in segments, -1 if there is none
	verb     string
	vars     []variable
	literals int // how many segments are literal text
}

type segmentKind uint8

const (
	literal segmentKind = iota
	star                // exactly one segment that is not empty
	deep                // any number of segments, none of them empty
)

type segment struct {
	kind segmentKind
	text string // of a literal, decoded
}

// A variable binds the segments [from, to) of its template.
type variable struct {
	field    string // path of the field, as written
	from, to int
}

// single reports whether v binds exactly one segment: such a variable is decoded
// completely, any other keeps %2F as it is.
func (t *template) single(v variable) bool {
	return v.to-v.from == 1 && t.segments[v.from].kind != deep
}

// parseTemplate parses s by the grammar in http.proto, but takes one "**"
// anywhere and "/" alone.
func parseTemplate(s string) (*template, error) {
	p := templateParser{t: &template{text: s, deep: -1}, rest: s}
	if err := p.parse(); err != nil {
		return nil, fmt.Errorf("path %q: column %d: %w", s, len(s)-len(p.rest)+1, err)
	}
	for _, seg := range p.t.segments {
		if seg.kind == literal {
			p.t.literals++
		}
	}
	return p.t, nil
}

type templateParser struct {
	t    *template
	rest string
}

func (p *templateParser) parse() error {
	if !p.take('/') {
		return fmt.Errorf("a path begins with a slash")
	}
	if p.rest == "" {
		return nil
	}
	if err := p.segments(p.segment); err != nil {
		return err
	}
	if p.take(':') {
		verb, err := p.literal()
		if err != nil {
			return err
		}
		p.t.verb = verb
	}
	if p.rest != "" {
		return fmt.Errorf("unexpected %q", p.rest[0])
	}
	return nil
}

// segments reads what one reads, separated by slashes.
func (p *templateParser) segments(one func() error) error {
	for {
		if err := one(); err != nil {
			return err
		}
		if !p.take('/') {
			return nil
		}
	}
}

// segment reads a segment, or a variable with its segments.
func (p *templateParser) segment() error {
	if !p.take('{') {
		return p.plain()
	}
	end := strings.IndexAny(p.rest, "=}")
	if end < 0 {
		return fmt.Errorf("a variable without an end")
	}
	v := variable{field: p.rest[:end], from: len(p.t.segments)}
	if !isFieldPath(v.field) {
		return fmt.Errorf("%q is not the path of a field", v.field)
	}
	for _, other := range p.t.vars {
		if other.field == v.field {
			return fmt.Errorf("%q is bound twice", v.field)
		}
	}
	p.rest = p.rest[end:]
	if p.take('=') {
		if err := p.segments(p.plain); err != nil {
			return err
		}
	} else {
		p.t.segments = append(p.t.segments, segment{kind: star})
	}
	if !p.take('}') {
		return fmt.Errorf("a variable without an end, or with a variable in it")
	}
	v.to = len(p.t.segments)
	p.t.vars = append(p.t.vars, v)
	return nil
}

// plain reads a segment that is not a variable.
func (p *templateParser) plain() error {
	if len(p.t.segments) == maxSegments {
		return fmt.Errorf("more than %d segments", maxSegments)
	}
	switch {
	case strings.HasPrefix(p.rest, "**"):
		if p.t.deep >= 0 {
			return fmt.Errorf("a second **")
		}
		p.t.deep = len(p.t.segments)
		p.rest = p.rest[2:]
		p.t.segments = append(p.t.segments, segment{kind: deep})
	case p.take('*'):
		p.t.segments = append(p.t.segments, segment{kind: star})
	default:
		text, err := p.literal()
		if err != nil {
			return err
		}
		p.t.segments = append(p.t.segments, segment{text: text})
	}
	return nil
}

// literal reads text up to a delimiter.
func (p *templateParser) literal() (string, error) {
	end := strings.IndexAny(p.rest, "/{}*:=?#")
	if end < 0 {
		end = len(p.rest)
	}
	raw := p.rest[:end]
	text, err := unescape(raw, decodeAll)
	switch {
	case raw == "":
		return "", fmt.Errorf("an empty segment")
	case err != nil:
		return "", err
	case !isText(text) || strings.ContainsAny(raw, " \\\"<>^`|"):
		return "", fmt.Errorf("%q has characters that no path has", raw)
	case text == "." || text == "..":
		return "", fmt.Errorf("a segment %q can never match", text)
	}
	p.rest = p.rest[end:]
	return text, nil
}

func (p *templateParser) take(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// isFieldPath reports whether s is names separated by dots.
func isFieldPath(s string) bool {
	for name := range strings.SplitSeq(s, ".") {
		for i, c := range []byte(name) {
			letter := c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z'
			if !letter && (i == 0 || c < '0' || c > '9') {
				return false
			}
		}
		if name == "" {
			return false
		}
	}
	return true
}
