package mask

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Parse reads a mask. An empty text, and one of spaces, is the zero Mask. Every
// error is an *Error. It knows no types: whether there are such fields is for
// Validate to say.
func Parse(s string) (Mask, error) {
	if len(s) > MaxBytes {
		return Mask{}, &Error{Offset: MaxBytes, Msg: fmt.Sprintf("more than %d bytes", MaxBytes)}
	}
	p := parser{text: s}
	p.blanks()
	if p.done() {
		return Mask{}, nil
	}
	root := &node{}
	if err := p.mask(root, 0); err != nil {
		return Mask{}, err
	}
	if !p.done() {
		return Mask{}, p.wrong("a comma or the end")
	}
	return Mask{root}, nil
}

// A parser reads a text once, from left to right. Its depth is that of the mask,
// which is limited.
type parser struct {
	text  string
	at    int
	paths int
}

// mask reads paths, up to the end or a closing parenthesis, into n, which is depth
// segments below the root.
func (p *parser) mask(n *node, depth int) error {
	for {
		if err := p.path(n, depth); err != nil {
			return err
		}
		p.blanks()
		if !p.accept(',') {
			return nil
		}
		p.blanks()
	}
}

// path reads one path, and the mask in parentheses behind it.
func (p *parser) path(n *node, depth int) error {
	for {
		if depth == MaxDepth {
			return &Error{Offset: p.at, Msg: fmt.Sprintf("more than %d segments in a path", MaxDepth)}
		}
		var err error
		if n, err = p.segment(n); err != nil {
			return err
		}
		depth++
		if p.accept('.') || p.accept('/') {
			continue
		}
		p.blanks()
		if p.accept('(') {
			return p.group(n, depth)
		}
		if p.paths++; p.paths > MaxPaths {
			return &Error{Offset: n.offset, Msg: fmt.Sprintf("more than %d paths", MaxPaths)}
		}
		n.whole = true
		return nil
	}
}

// group reads the rest of a mask in parentheses.
func (p *parser) group(n *node, depth int) error {
	p.blanks()
	if err := p.mask(n, depth); err != nil {
		return err
	}
	if !p.accept(')') {
		return p.wrong("a comma or a closing parenthesis")
	}
	return nil
}

// segment reads one segment and returns its node below n.
func (p *parser) segment(n *node) (*node, error) {
	offset := p.at
	if p.accept('*') {
		if n.each == nil {
			n.each = &node{offset: offset}
		}
		return n.each, nil
	}
	name, err := p.name()
	if err != nil {
		return nil, err
	}
	child := n.named[name]
	if child == nil {
		if n.named == nil {
			n.named = map[string]*node{}
		}
		child = &node{offset: offset}
		n.named[name] = child
	}
	child.bare = child.bare || p.text[offset] != '`'
	return child, nil
}

// name reads a word, or a text in backticks.
func (p *parser) name() (string, error) {
	if p.accept('`') {
		return p.quoted()
	}
	start := p.at
	for !p.done() && isWord(p.text[p.at]) {
		p.at++
	}
	if p.at == start {
		return "", p.wrong("a field")
	}
	return p.text[start:p.at], nil
}

// quoted reads a text up to its closing backtick.
func (p *parser) quoted() (string, error) {
	var name strings.Builder
	start := p.at - 1
	for {
		text, _, closed := strings.Cut(p.text[p.at:], "`")
		if !closed {
			return "", &Error{Offset: start, Msg: "a backtick that is not closed"}
		}
		if !utf8.ValidString(text) {
			return "", &Error{Offset: start, Msg: "a key that is not UTF-8"}
		}
		name.WriteString(text)
		p.at += len(text) + 1
		if !p.accept('`') {
			return name.String(), nil
		}
		name.WriteByte('`')
	}
}

func (p *parser) done() bool { return p.at == len(p.text) }

// accept passes over c, if it is what comes next.
func (p *parser) accept(c byte) bool {
	if p.done() || p.text[p.at] != c {
		return false
	}
	p.at++
	return true
}

func (p *parser) blanks() {
	for p.accept(' ') || p.accept('\t') {
	}
}

// wrong is the error of what stands here instead of what was expected.
func (p *parser) wrong(expected string) error {
	return &Error{Offset: p.at, Msg: "expected " + expected}
}

// isWord reports whether c may stand in a segment that is not in backticks.
func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '@'
}
