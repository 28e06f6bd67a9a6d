package point

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep a value that is skipped may be nested.
const maxDepth = 32

// A byte in each place of a word.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// text reads a string. What it returns aliases the body, or s.scratch if there were escapes.
func (s *Scanner) text() []byte {
	start := s.at + 1
	at := stringEnd(s.buf, start)
	if at < len(s.buf) && s.buf[at] == '"' {
		s.at = at + 1
		return s.buf[start:at:at]
	}
	return s.escaped(start, at)
}

// stringEnd returns the index of the first quote, backslash or control character from at
// on, eight bytes at a time.
func stringEnd(buf []byte, at int) int {
	for at+8 <= len(buf) {
		w := binary.LittleEndian.Uint64(buf[at:])
		quote := w ^ '"'*ones
		slash := w ^ '\\'*ones
		// The lowest marked byte is exact; a borrow can only mark bytes above it.
		found := ((w-' '*ones)&^w | (quote-ones)&^quote | (slash-ones)&^slash) & highs
		if found != 0 {
			return at + bits.TrailingZeros64(found)/8
		}
		at += 8
	}
	for at < len(buf) && buf[at] != '"' && buf[at] != '\\' && buf[at] >= ' ' {
		at++
	}
	return at
}

// escaped reads the rest of a string that does not end at at.
func (s *Scanner) escaped(start, at int) []byte {
	first := len(s.scratch)
	for {
		s.scratch = append(s.scratch, s.buf[start:at]...)
		s.at = at
		if at >= len(s.buf) {
			s.breakOff("a string has no end")
			return nil
		}
		switch s.buf[at] {
		case '"':
			s.at++
			return s.scratch[first:len(s.scratch):len(s.scratch)]
		case '\\':
			s.escape()
		default:
			s.breakOff("a string has the control character %U, it must be escaped", s.buf[at])
		}
		if s.broken != nil {
			return nil
		}
		start = s.at
		at = stringEnd(s.buf, start)
	}
}

// escape reads one escape sequence into s.scratch.
func (s *Scanner) escape() {
	s.at++
	c := s.peek()
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		s.unicode()
		return
	default:
		s.at--
		s.breakOff("%s is not an escape sequence", s.here())
		return
	}
	s.at++
	s.scratch = append(s.scratch, c)
}

// unicode reads \uXXXX, or two of them that are a surrogate pair; s.at is at the u.
func (s *Scanner) unicode() {
	r := s.hex(s.at + 1)
	if r < 0 {
		s.at--
		s.breakOff("%s is not an escape sequence", s.here())
		return
	}
	s.at += 5
	if utf16.IsSurrogate(r) {
		low := rune(-1)
		if s.peek() == '\\' && s.at+1 < len(s.buf) && s.buf[s.at+1] == 'u' {
			low = s.hex(s.at + 2)
		}
		pair := utf16.DecodeRune(r, low)
		if pair == utf8.RuneError {
			s.blame("point", "has half a surrogate pair, \\u%04x, in a string", r)
			return
		}
		s.at += 6
		r = pair
	}
	s.scratch = utf8.AppendRune(s.scratch, r)
}

// hex reads four hexadecimal digits at at; -1 if they are none.
func (s *Scanner) hex(at int) rune {
	if at+4 > len(s.buf) {
		return -1
	}
	r := rune(0)
	for _, c := range s.buf[at : at+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// number reads a number. One that no float64 comes near is blamed on field.
func (s *Scanner) number(field string) float64 {
	start, negative := s.at, false
	if s.peek() == '-' {
		negative = true
		s.at++
	}
	mantissa, digits, exp := uint64(0), 0, 0
	first := s.at
	mantissa, digits = s.digits(mantissa)
	if digits == 0 || digits > 1 && s.buf[first] == '0' {
		s.at = start
		s.breakOff("%s is not a number", s.here())
		return 0
	}
	if s.peek() == '.' {
		s.at++
		n := 0
		mantissa, n = s.digits(mantissa)
		if n == 0 {
			s.breakOff("expected a digit after the decimal point, got %s", s.here())
			return 0
		}
		digits += n
		exp = -n
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.at++
		exp += s.exponent()
	}
	// Clinger's fast path: both are exact, so the one rounding is that of the result.
	if digits <= 19 && mantissa <= 1<<53 && exp >= -22 && exp <= 22 {
		f := float64(mantissa)
		if exp < 0 {
			f /= tenTo[-exp]
		} else {
			f *= tenTo[exp]
		}
		if negative {
			f = -f
		}
		return f
	}
	if s.broken != nil {
		return 0
	}
	f, err := strconv.ParseFloat(string(s.buf[start:s.at]), 64)
	if err != nil || math.IsInf(f, 0) {
		s.blame(field, "%s is out of range", quote(s.buf[start:s.at]))
		return 0
	}
	return f
}

// digits reads decimal digits onto m, which overflows silently after 19 of them.
func (s *Scanner) digits(m uint64) (mantissa uint64, n int) {
	at := s.at
	for at < len(s.buf) {
		d := s.buf[at] - '0'
		if d > 9 {
			break
		}
		m = m*10 + uint64(d)
		at++
	}
	n = at - s.at
	s.at = at
	return m, n
}

// eightDigits returns the number that the first eight bytes of b write, if all are digits. Digits
// are added up to pairs side by side in one word, and the four pairs by two multiplications, whose
// upper halves hold the sums.
func eightDigits(b []byte) (n uint64, ok bool) {
	w := binary.LittleEndian.Uint64(b)
	if w&(0xf0*ones)|(w+6*ones)&(0xf0*ones)>>4 != 0x33*ones { // '0' to '9' stay below 0x40 with 6 more
		return 0, false
	}
	const pair = 0xff | 0xff<<32
	w -= '0' * ones
	w = w*10 + w>>8
	return (w&pair*(100|1_000_000<<32) + w>>16&pair*(1|10_000<<32)) >> 32, true
}

// exponent reads what follows the e of a number.
func (s *Scanner) exponent() int {
	negative := false
	if c := s.peek(); c == '+' || c == '-' {
		negative = c == '-'
		s.at++
	}
	n, digits := s.digits(0)
	if digits == 0 {
		s.breakOff("expected a digit in the exponent, got %s", s.here())
		return 0
	}
	n = min(n, 1e9) // far beyond the fast path, and of no consequence on the other
	if digits > 19 {
		n = 1e9
	}
	if negative {
		return -int(n)
	}
	return int(n)
}

var tenTo = [23]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// kind names the kind of the value at s.at, "" if none begins there.
func (s *Scanner) kind() string {
	switch c := s.peek(); {
	case c == '"':
		return "a string"
	case c == '{':
		return "an object"
	case c == '[':
		return "an array"
	case c == 't' || c == 'f':
		return "a boolean"
	case c == 'n':
		return "null"
	case c == '-' || c >= '0' && c <= '9':
		return "a number"
	}
	return ""
}

// skip reads any value, and is as strict as with those that are used.
func (s *Scanner) skip(depth int) {
	if depth > maxDepth {
		s.breakOff("values are nested more than %d deep", maxDepth)
	}
	if s.broken != nil {
		return
	}
	switch s.kind() {
	case "a string":
		s.text()
	case "an object":
		s.skipAll('}', depth)
	case "an array":
		s.skipAll(']', depth)
	case "a boolean":
		if s.peek() == 't' {
			s.literal("true")
		} else {
			s.literal("false")
		}
	case "null":
		s.literal("null")
	case "a number":
		s.number("point")
	default:
		s.breakOff("expected a value, got %s", s.here())
	}
}

// skipAll reads an object or an array up to its closing end.
func (s *Scanner) skipAll(end byte, depth int) {
	s.at++
	s.space()
	if s.peek() == end {
		s.at++
		return
	}
	for s.broken == nil {
		if end == '}' {
			s.name()
		}
		s.skip(depth + 1)
		s.space()
		switch s.peek() {
		case ',':
			s.at++
			s.space()
		case end:
			s.at++
			return
		default:
			s.breakOff("expected , or %c, got %s", end, s.here())
		}
	}
}

// literal reads a word.
func (s *Scanner) literal(word string) {
	if len(s.buf)-s.at < len(word) || string(s.buf[s.at:s.at+len(word)]) != word {
		s.breakOff("expected %s, got %s", word, s.here())
		return
	}
	s.at += len(word)
}
