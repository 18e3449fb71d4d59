package filter

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// A Literal is the value of a restriction as it was written, without its quotes
// and escapes. What it means depends on the field: the methods read it as one
// type each, and report whether it is one. A Literal is immutable.
type Literal struct {
	text       string // without the stars at its ends
	prefix     bool   // a star at the end: what is compared goes on after text
	suffix     bool   // a star at the beginning
	alone      bool   // nothing but a star
	inner      bool   // a star between other characters
	raw        string // with its stars
	integer    intLiteral
	number     number
	time       time.Time
	isTime     bool
	duration   seconds
	isDuration bool
}

// number is a literal as a number, as far as it is one.
type number struct {
	float   float64
	float32 float64 // rounded to what a float field holds
	isFloat bool    // a decimal number within range
	decimal bool    // a decimal number, perhaps out of range
}

// intLiteral is a whole number from the least int64 to the greatest uint64.
type intLiteral struct {
	magnitude uint64
	negative  bool
	ok        bool
	whole     bool // a whole number, perhaps out of range
}

// newLiteral reads a segment as everything that it may be.
func newLiteral(s segment) Literal {
	l := Literal{raw: s.text, text: s.text}
	for _, star := range s.stars {
		switch star {
		case 0:
			l.suffix = true
		case len(s.text) - 1:
			l.prefix = true
		default:
			l.inner = true
		}
	}
	l.alone = l.suffix && len(s.text) == 1
	if l.suffix {
		l.text = l.text[1:]
	}
	if l.prefix {
		l.text = l.text[:len(l.text)-1]
	}
	l.prefix = l.prefix || l.alone
	if c := s.text; c != "" && (c[0] == '-' || c[0] >= '0' && c[0] <= '9') {
		l.number = parseNumber(c)
		l.integer = parseInt(c, l.number)
		l.time, l.isTime = parseTime(c)
		l.duration, l.isDuration = parseDuration(c)
	}
	return l
}

// Text returns what the value is, with its stars taken off, and whether there was
// one at its beginning and at its end: the text that is compared then ends with
// it, or begins with it.
func (l *Literal) Text() (text string, before, after bool) { return l.text, l.suffix, l.prefix }

// Star reports whether the value is a lone "*", which behind ":" asks whether
// there is anything.
func (l *Literal) Star() bool { return l.alone }

// Bool returns the value as a bool: exactly "true" or "false".
func (l *Literal) Bool() (value, ok bool) {
	return l.raw == "true", l.raw == "true" || l.raw == "false"
}

// Int returns the value as a whole number, if it is one and fits into an int64.
func (l *Literal) Int() (value int64, ok bool) {
	i := l.integer
	switch {
	case !i.ok:
		return 0, false
	case i.negative:
		return int64(-i.magnitude), true // parseInt keeps it within int64
	}
	return int64(i.magnitude), i.magnitude <= math.MaxInt64
}

// Time returns the value as an instant: RFC 3339 with an offset.
func (l *Literal) Time() (value time.Time, ok bool) { return l.time, l.isTime }

// String returns the value as it was written, without quotes and escapes.
func (l *Literal) String() string { return l.raw }

// matchText reports whether s is what a text literal asks for.
func (l *Literal) matchText(s string) bool {
	switch {
	case l.alone:
		return true
	case l.suffix && l.prefix:
		return strings.Contains(s, l.text)
	case l.suffix:
		return strings.HasSuffix(s, l.text)
	case l.prefix:
		return strings.HasPrefix(s, l.text)
	}
	return s == l.text
}

// parseNumber reads a decimal number: digits, perhaps a fraction, perhaps an
// exponent.
func parseNumber(s string) (n number) {
	if !isDecimal(s) {
		return n
	}
	n.decimal = true
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return n
	}
	n.float, n.isFloat = f, true
	if f32, err := strconv.ParseFloat(s, 32); err == nil {
		n.float32 = f32
	} else {
		n.float32 = math.Copysign(math.Inf(1), f)
	}
	return n
}

// isDecimal reports whether s is -?digits(.digits)?([eE][+-]?digits)?, which is
// less than strconv reads.
func isDecimal(s string) bool {
	digits := func() bool {
		n := 0
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		s = s[n:]
		return n > 0
	}
	s = strings.TrimPrefix(s, "-")
	if !digits() {
		return false
	}
	if strings.HasPrefix(s, ".") {
		if s = s[1:]; !digits() {
			return false
		}
	}
	if s != "" && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		if s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		if !digits() {
			return false
		}
	}
	return s == ""
}

// parseInt reads a decimal number that is whole, exactly, however it is spelled:
// 9, 9e0, 9.0, 90e-1.
func parseInt(s string, n number) (i intLiteral) {
	if !n.decimal {
		return i
	}
	s, i.negative = strings.CutPrefix(s, "-")
	mantissa, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return intLiteral{ok: true, whole: true}
	}
	shift := -len(fraction)
	if exponent != "" {
		e, err := strconv.Atoi(exponent)
		if err != nil || e > 2*MaxBytes || e < -2*MaxBytes {
			i.whole = !strings.HasPrefix(exponent, "-")
			return i
		}
		shift += e
	}
	for ; shift < 0 && strings.HasSuffix(digits, "0"); shift++ {
		digits = digits[:len(digits)-1]
	}
	if shift < 0 {
		return i
	}
	i.whole = true
	if len(digits)+shift > 20 {
		return i
	}
	m, err := strconv.ParseUint(digits+strings.Repeat("0", shift), 10, 64)
	if err != nil || i.negative && m > 1<<63 {
		return i
	}
	i.magnitude, i.ok = m, true
	return i
}

// parseTime reads RFC 3339 with an offset and at most nine digits of a second,
// more strictly than time.Parse does.
func parseTime(s string) (time.Time, bool) {
	const shape = "0000-00-00T00:00:00"
	if len(s) <= len(shape) {
		return time.Time{}, false
	}
	for i := range len(shape) {
		digit := s[i] >= '0' && s[i] <= '9'
		if shape[i] == '0' && !digit || shape[i] != '0' && s[i] != shape[i] {
			return time.Time{}, false
		}
	}
	zone := s[len(shape):]
	if zone[0] == '.' {
		n := 1
		for n < len(zone) && zone[n] >= '0' && zone[n] <= '9' {
			n++
		}
		if n == 1 || n > 10 {
			return time.Time{}, false
		}
		zone = zone[n:]
	}
	if zone != "Z" && (len(zone) != len("+00:00") || zone[1:3] > "23" || zone[4:] > "59") {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, err == nil
}

// seconds is a duration in seconds and nanoseconds, the latter from 0 up, so that
// it has the range of google.protobuf.Duration.
type seconds struct {
	s int64
	n int64
}

// maxSeconds is the longest google.protobuf.Duration, about 10,000 years.
const maxSeconds = 315_576_000_000

// newSeconds normalizes what a Duration or a Timestamp holds.
func newSeconds(s int64, n int32) seconds {
	const second = int64(time.Second)
	d := seconds{s: s + int64(n)/second, n: int64(n) % second}
	if d.n < 0 {
		d.s, d.n = d.s-1, d.n+second
	}
	return d
}

func (d seconds) compare(e seconds) int {
	switch {
	case d == e:
		return 0
	case d.s < e.s || d.s == e.s && d.n < e.n:
		return -1
	}
	return 1
}

// parseDuration reads a decimal number of seconds with at most nine decimals,
// followed by "s".
func parseDuration(s string) (seconds, bool) {
	s, ok := strings.CutSuffix(s, "s")
	if !ok || !isDecimal(s) || strings.ContainsAny(s, "eE") {
		return seconds{}, false
	}
	s, negative := strings.CutPrefix(s, "-")
	whole, fraction, _ := strings.Cut(s, ".")
	w, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || w > maxSeconds || len(fraction) > 9 {
		return seconds{}, false
	}
	n, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 32)
	if err != nil || w == maxSeconds && n > 0 {
		return seconds{}, false
	}
	if negative {
		return newSeconds(-w, int32(-n)), true
	}
	return newSeconds(w, int32(n)), true
}
