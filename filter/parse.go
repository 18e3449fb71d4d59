package filter

import (
	"strings"
	"unicode/utf8"
)

// parser reads the grammar of AIP-160 by recursive descent, on the text itself:
// blanks mean something in it, and what a "-" is depends on where it stands.
type parser struct {
	src   string
	pos   int
	depth int
	terms int
}

// parse returns the syntax of a filter, nil for a blank one. Limits are looked at
// first, so that a filter beyond them costs nothing.
func parse(src string) (node, error) {
	if len(src) > MaxBytes {
		return nil, &Error{Column: 1, Msg: "the filter is longer than 8192 bytes"}
	}
	if i := invalidUTF8(src); i >= 0 {
		return nil, errorAt(src, i, "", "the filter is not valid UTF-8")
	}
	p := &parser{src: src}
	p.blanks()
	if p.end() {
		return nil, nil
	}
	n, err := p.expr()
	if err != nil {
		return nil, err
	}
	p.blanks()
	if !p.end() {
		return nil, p.unexpected()
	}
	return n, nil
}

func invalidUTF8(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return -1
}

// expr reads sequences joined by AND.
func (p *parser) expr() (node, error) {
	first, err := p.seq()
	if err != nil {
		return nil, err
	}
	var all and
	for {
		more, err := p.operator("AND")
		if err != nil || !more {
			return joined(first, all), err
		}
		next, err := p.seq()
		if err != nil {
			return nil, err
		}
		all = append(all, next)
	}
}

// joined returns the conjunction of first and others, if there are any.
func joined(first node, others and) node {
	if len(others) == 0 {
		return first
	}
	return append(and{first}, others...)
}

// seq reads factors with nothing but blanks between them.
func (p *parser) seq() (node, error) {
	first, err := p.factor()
	if err != nil {
		return nil, err
	}
	var all and
	for {
		before := p.pos
		if !p.blanks() || p.end() || p.peek() == ')' || p.word() == "AND" {
			p.pos = before
			return joined(first, all), nil
		}
		next, err := p.factor()
		if err != nil {
			return nil, err
		}
		all = append(all, next)
	}
}

// factor reads terms joined by OR, which binds tighter than everything else.
func (p *parser) factor() (node, error) {
	first, err := p.term()
	if err != nil {
		return nil, err
	}
	var any or
	for {
		more, err := p.operator("OR")
		switch {
		case err != nil:
			return nil, err
		case !more && any == nil:
			return first, nil
		case !more:
			return any, nil
		case any == nil:
			any = or{first}
		}
		next, err := p.term()
		if err != nil {
			return nil, err
		}
		any = append(any, next)
	}
}

// operator reads a keyword between two operands with the blanks on both sides of
// it, or nothing.
func (p *parser) operator(keyword string) (bool, error) {
	before := p.pos
	if !p.blanks() || p.word() != keyword {
		p.pos = before
		return false, nil
	}
	at := p.pos
	p.pos += len(keyword)
	if !p.blanks() || p.end() || p.peek() == ')' {
		return false, errorAt(p.src, at, keyword, "%s has nothing to join on its right", keyword)
	}
	return true, nil
}

// term reads a restriction or a group, with one negation at most.
func (p *parser) term() (node, error) {
	n := not{}
	switch {
	case p.word() == "NOT" && isBlank(p.at(p.pos+len("NOT"))):
		p.pos += len("NOT")
		p.blanks()
	case p.peek() == '-':
		n.minus = true
		p.pos++
	default:
		return p.simple()
	}
	if p.end() || p.peek() == '-' || p.word() == "NOT" || isBlank(p.peek()) {
		return nil, p.expected("one restriction or group to negate")
	}
	arg, err := p.simple()
	if err != nil {
		return nil, err
	}
	n.arg = arg
	return n, nil
}

func (p *parser) simple() (node, error) {
	if p.peek() == '(' {
		return p.group()
	}
	left, function, err := p.comparable()
	switch {
	case err != nil:
		return nil, err
	case function != nil:
		return function, nil
	}
	if err := p.count(left[0].pos); err != nil {
		return nil, err
	}
	before := p.pos
	p.blanks()
	op := p.comparator()
	if op == 0 {
		p.pos = before
		return &restriction{left: left}, nil
	}
	p.blanks()
	right, err := p.argument()
	if err != nil {
		return nil, err
	}
	return &restriction{left: left, op: op, right: right}, nil
}

// count counts a term.
func (p *parser) count(pos int) error {
	if p.terms++; p.terms > MaxTerms {
		return errorAt(p.src, pos, p.token(pos), "the filter has more than 128 terms")
	}
	return nil
}

func (p *parser) group() (node, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	p.blanks()
	n, err := p.expr()
	if err != nil {
		return nil, err
	}
	p.blanks()
	return n, p.leave()
}

// enter reads an opening parenthesis, and leave the closing one.
func (p *parser) enter() error {
	if p.depth++; p.depth > MaxDepth {
		return errorAt(p.src, p.pos, "(", "parentheses are nested deeper than 32")
	}
	p.pos++
	return nil
}

func (p *parser) leave() error {
	if p.peek() != ')' {
		return p.expected("a closing parenthesis")
	}
	p.depth--
	p.pos++
	return nil
}

// argument reads what is on the right of a comparator.
func (p *parser) argument() (argument, error) {
	arg := argument{pos: p.pos}
	if p.peek() == '(' {
		group, err := p.group()
		arg.group = group
		return arg, err
	}
	value, function, err := p.comparable()
	arg.value, arg.call = value, function
	return arg, err
}

// comparable reads values joined by dots, or a call.
func (p *parser) comparable() (member, *call, error) {
	m := make(member, 0, 2)
	begin := p.pos
	names := true
	for {
		s, err := p.value()
		if err != nil {
			return nil, nil, err
		}
		if len(m) == MaxDepth {
			return nil, nil, errorAt(p.src, s.pos, s.text, "a path has more than 32 segments")
		}
		m = append(m, s)
		names = names && !s.quoted
		if p.peek() != '.' {
			break
		}
		p.pos++
	}
	if p.peek() == '(' && names {
		c, err := p.call(p.src[begin:p.pos], begin)
		return nil, c, err
	}
	if first := m[0]; !first.quoted && isKeyword(first.text) {
		return nil, nil, errorAt(p.src, first.pos, first.text, "%s is no value here; quote it to look for the word", first.text)
	}
	return m, nil, nil
}

func (p *parser) call(name string, pos int) (*call, error) {
	if isKeyword(name) {
		return nil, errorAt(p.src, pos, name, "%s needs a blank behind it", name)
	}
	c := &call{name: name, pos: pos}
	if err := p.enter(); err != nil {
		return nil, err
	}
	p.blanks()
	for p.peek() != ')' {
		if len(c.args) > 0 {
			if p.peek() != ',' {
				return nil, p.expected("a comma or a closing parenthesis")
			}
			p.pos++
			p.blanks()
		}
		if err := p.count(p.pos); err != nil {
			return nil, err
		}
		arg, err := p.argument()
		if err != nil {
			return nil, err
		}
		c.args = append(c.args, arg)
		p.blanks()
	}
	return c, p.leave()
}

// value reads one quoted or unquoted value.
func (p *parser) value() (segment, error) {
	if q := p.peek(); q == '"' || q == '\'' {
		return p.quoted(q)
	}
	text := p.word()
	if text == "" {
		return segment{}, p.expected("a field or value")
	}
	s := segment{text: text, pos: p.pos}
	for i := range len(text) {
		if text[i] == '*' {
			s.stars = append(s.stars, i)
		}
	}
	p.pos += len(text)
	return s, nil
}

// escapes are the characters that may stand behind a backslash, and what they
// mean.
var escapes = map[byte]byte{'"': '"', '\'': '\'', '\\': '\\', 'n': '\n', 'r': '\r', 't': '\t', '*': '*'}

func (p *parser) quoted(quote byte) (segment, error) {
	s := segment{quoted: true, pos: p.pos}
	var b strings.Builder
	for i := p.pos + 1; i < len(p.src); i++ {
		switch c := p.src[i]; c {
		case quote:
			s.text = b.String()
			p.pos = i + 1
			return s, nil
		case '\\':
			i++
			meant, ok := escapes[p.at(i)]
			if !ok {
				return s, errorAt(p.src, i-1, p.token(i-1), `no such escape; a backslash itself is \\`)
			}
			b.WriteByte(meant)
		case '*':
			s.stars = append(s.stars, b.Len())
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return s, errorAt(p.src, p.pos, p.src[p.pos:], "the quote is not closed")
}

// comparator reads one; 0 is none.
func (p *parser) comparator() Op {
	for _, op := range [...]Op{LessEqual, GreaterEqual, NotEqual, Less, Greater, Equal, Has} {
		if strings.HasPrefix(p.src[p.pos:], opText[op]) {
			p.pos += len(opText[op])
			return op
		}
	}
	return 0
}

// word returns the unquoted text that begins here, which may be empty.
func (p *parser) word() string {
	i := p.pos
	for i < len(p.src) && isText(p.src[i]) {
		i++
	}
	return p.src[p.pos:i]
}

// blanks skips blanks and reports whether there were any.
func (p *parser) blanks() bool {
	before := p.pos
	for isBlank(p.peek()) {
		p.pos++
	}
	return p.pos > before
}

func (p *parser) end() bool  { return p.pos >= len(p.src) }
func (p *parser) peek() byte { return p.at(p.pos) }

// at returns a byte of the source, and 0 beyond its end.
func (p *parser) at(i int) byte {
	if i < len(p.src) {
		return p.src[i]
	}
	return 0
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// isText reports whether c may be part of an unquoted value.
func isText(c byte) bool { return textBytes[c] }

var textBytes = func() (is [256]bool) {
	for c := range is {
		is[c] = c > ' ' && c != 0x7f && !strings.ContainsRune(`"'.,()<>=!:`, rune(c))
	}
	return is
}()

func isKeyword(s string) bool { return s == "AND" || s == "OR" || s == "NOT" }

// token returns what stands at pos, for an error.
func (p *parser) token(pos int) string {
	rest := p.src[pos:]
	for i := range len(rest) {
		if !isText(rest[i]) {
			return rest[:max(i, 1)]
		}
	}
	return rest
}

func (p *parser) unexpected() error {
	token := p.token(p.pos)
	if token == ":" {
		return errorAt(p.src, p.pos, token, "a colon is not expected here; a value that holds one must be quoted")
	}
	return errorAt(p.src, p.pos, token, "%q is not expected", cut(token))
}

func (p *parser) expected(what string) error {
	if p.end() {
		return errorAt(p.src, p.pos, "", "the filter ends where %s should be", what)
	}
	token := p.token(p.pos)
	return errorAt(p.src, p.pos, token, "%s should be where %q is", what, cut(token))
}
