package httpapi

import (
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSegments limits the segments of a path and of a template.
const maxSegments = 100

// A path is the escaped path of a request, cut at its slashes.
type path struct {
	raw     string
	starts  []int // where each segment begins, and len(raw)+1
	escaped bool  // a % is in it
}

// parsePath cuts raw. Nothing is normalised: a path with empty or dot segments is
// an error, not the path of something else (HTTP-11, HTTP-12).
func parsePath(raw string) (path, error) {
	p := path{raw: raw, starts: make([]int, 0, 8)}
	if raw == "" || raw[0] != '/' {
		return p, errors.New("the path does not begin with a slash")
	}
	p.escaped = strings.IndexByte(raw, '%') >= 0
	if raw == "/" {
		p.starts = append(p.starts, len(raw)+1)
		return p, nil
	}
	for from := 1; from <= len(raw); {
		to := strings.IndexByte(raw[from:], '/')
		if to < 0 {
			to = len(raw) - from
		}
		if err := checkSegment(raw[from:from+to], p.escaped); err != nil {
			return p, err
		}
		if len(p.starts) == maxSegments {
			return p, errors.New("the path has too many segments")
		}
		p.starts = append(p.starts, from)
		from += to + 1
	}
	if raw[len(raw)-1] == '/' {
		return p, errors.New("the path ends in a slash")
	}
	p.starts = append(p.starts, len(raw)+1)
	return p, nil
}

func checkSegment(s string, escaped bool) error {
	if escaped {
		var err error
		if s, err = unescape(s, decodeAll); err != nil {
			return err
		}
	}
	switch {
	case s == "":
		return errors.New("the path has an empty segment")
	case s == "." || s == "..":
		return errors.New("the path has a dot segment")
	case !isText(s):
		return errors.New("the path has control characters, or is not UTF-8")
	}
	return nil
}

// isText reports whether s is valid UTF-8 without control characters.
func isText(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f {
			return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
		}
	}
	return true
}

// len returns the number of segments.
func (p path) len() int { return len(p.starts) - 1 }

// join returns the segments [from, to) with the slashes between them, as they are
// in the request.
func (p path) join(from, to int) string {
	if from >= to {
		return ""
	}
	return p.raw[p.starts[from] : p.starts[to]-1]
}

// verb cuts the text after the last colon of the last segment off (HTTP-06). The
// path that is left shares nothing that could change p.
func (p path) verb() (before path, verb string, ok bool) {
	n := p.len()
	if n == 0 {
		return p, "", false
	}
	colon := strings.LastIndexByte(p.raw[p.starts[n-1]:], ':')
	if colon < 0 {
		return p, "", false
	}
	colon += p.starts[n-1]
	before = path{raw: p.raw[:colon], starts: slices.Clone(p.starts), escaped: p.escaped}
	before.starts[n] = colon + 1
	return before, p.raw[colon+1:], true
}

// matches reports whether p is of the form t, but for the verb.
func (t *template) matches(p path) bool {
	n, k := p.len(), len(t.segments)
	if t.deep < 0 && n != k || n < k-1 {
		return false
	}
	for i, seg := range t.segments {
		switch at := t.position(i, n); seg.kind {
		case literal:
			if !p.is(at, seg.text) {
				return false
			}
		case star:
			if p.join(at, at+1) == "" {
				return false
			}
		case deep:
			// Only the last segment can be empty, where a verb was all of it.
			if end := i + n - k + 1; end == n && end > i && p.join(n-1, n) == "" {
				return false
			}
		}
	}
	return true
}

// position is where segment i of t begins in a path of n segments.
func (t *template) position(i, n int) int {
	if t.deep < 0 || i <= t.deep {
		return i
	}
	return i + n - len(t.segments)
}

func (p path) is(i int, text string) bool {
	raw := p.join(i, i+1)
	if raw == text || !p.escaped {
		return raw == text
	}
	decoded, err := unescape(raw, decodeAll)
	return err == nil && decoded == text
}

// value returns what v binds of a path that t matches. A variable of one segment
// is decoded completely, any other keeps %2F and %2f (HTTP-09).
func (t *template) value(v variable, p path) (string, error) {
	raw := p.join(t.position(v.from, p.len()), t.position(v.to, p.len()))
	if !p.escaped {
		return raw, nil
	}
	if t.single(v) {
		return unescape(raw, decodeAll)
	}
	return unescape(raw, keepSlash)
}

type decoding uint8

const (
	decodeAll decoding = iota
	keepSlash          // %2F stays
)

var errEscape = errors.New("malformed percent-encoding")

// unescape decodes percent-encoding. A plus sign is a plus sign.
func unescape(s string, d decoding) (string, error) {
	if strings.IndexByte(s, '%') < 0 {
		return s, nil
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", errEscape
		}
		hi, lo := hexDigit(s[i+1]), hexDigit(s[i+2])
		if hi < 0 || lo < 0 {
			return "", errEscape
		}
		if c := byte(hi<<4 | lo); c == '/' && d == keepSlash {
			b.WriteString(s[i : i+3])
		} else {
			b.WriteByte(c)
		}
		i += 2
	}
	return b.String(), nil
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
