package pipeline

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

func (r *jsonReader) number() (any, error) {
	start := r.i
	whole := true
	if r.b[r.i] == '-' {
		r.i++
	}
	digits := r.digits()
	if digits == 0 || digits > 1 && r.b[r.i-digits] == '0' {
		return nil, r.fail("%.20q is no number", r.b[start:r.i])
	}
	if r.i < len(r.b) && r.b[r.i] == '.' {
		whole = false
		r.i++
		if r.digits() == 0 {
			return nil, r.fail("%.20q is no number", r.b[start:r.i])
		}
	}
	if r.i < len(r.b) && (r.b[r.i] == 'e' || r.b[r.i] == 'E') {
		whole = false
		r.i++
		if r.i < len(r.b) && (r.b[r.i] == '+' || r.b[r.i] == '-') {
			r.i++
		}
		if r.digits() == 0 {
			return nil, r.fail("%.20q is no number", r.b[start:r.i])
		}
	}
	if whole && r.i-start < 19 {
		n, negative := 0, r.b[start] == '-'
		for _, c := range bytes.TrimPrefix(r.b[start:r.i], []byte("-")) {
			n = 10*n + int(c-'0')
		}
		if negative {
			n = -n
		}
		return n, nil
	}
	text := string(r.b[start:r.i])
	if n, err := strconv.Atoi(text); whole && err == nil {
		return n, nil
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(x, 0) {
		return nil, r.fail("%.40s is too large a number", text)
	}
	return x, nil
}

func (r *jsonReader) digits() int {
	start := r.i
	for r.i < len(r.b) && '0' <= r.b[r.i] && r.b[r.i] <= '9' {
		r.i++
	}
	return r.i - start
}

// text reads a string. What it returns aliases r.b where it can.
func (r *jsonReader) text() ([]byte, error) {
	r.i++
	start := r.i
	ascii := byte(0)
	for r.i < len(r.b) {
		c := r.b[r.i]
		switch {
		case c == '"':
			s := r.b[start:r.i]
			r.i++
			if ascii >= utf8.RuneSelf && !utf8.Valid(s) {
				s = bytes.ToValidUTF8(s, []byte("\ufffd"))
			}
			return s, nil
		case c == '\\':
			return r.escaped(start)
		case c < ' ':
			return nil, r.fail("a string holds the control character %q", c)
		}
		ascii |= c
		r.i++
	}
	return nil, r.fail("it ends within a string")
}

// escaped reads a string with escapes, which begins at start; the first escape is at r.i.
func (r *jsonReader) escaped(start int) ([]byte, error) {
	s := append([]byte(nil), r.b[start:r.i]...)
	for r.i < len(r.b) {
		c := r.b[r.i]
		r.i++
		switch {
		case c == '"':
			return bytes.ToValidUTF8(s, []byte("\ufffd")), nil
		case c < ' ':
			return nil, r.fail("a string holds the control character %q", c)
		case c != '\\':
			s = append(s, c)
			continue
		}
		if r.i == len(r.b) {
			break
		}
		c = r.b[r.i]
		r.i++
		switch c {
		case '"', '\\', '/':
			s = append(s, c)
		case 'b':
			s = append(s, '\b')
		case 'f':
			s = append(s, '\f')
		case 'n':
			s = append(s, '\n')
		case 'r':
			s = append(s, '\r')
		case 't':
			s = append(s, '\t')
		case 'u':
			u, ok := r.hex()
			if !ok {
				return nil, r.fail("four hexadecimal digits are expected behind \\u")
			}
			if utf16.IsSurrogate(u) {
				u = r.surrogate(u)
			}
			s = utf8.AppendRune(s, u)
		default:
			return nil, r.fail("there is no escape \\%c", c)
		}
	}
	return nil, r.fail("it ends within a string")
}

// surrogate reads the second half of a pair, if it is there.
func (r *jsonReader) surrogate(first rune) rune {
	if !bytes.HasPrefix(r.b[r.i:], []byte(`\u`)) {
		return utf8.RuneError
	}
	r.i += 2
	second, ok := r.hex()
	if pair := utf16.DecodeRune(first, second); ok && pair != utf8.RuneError {
		return pair
	}
	r.i -= 2
	if ok {
		r.i -= 4
	}
	return utf8.RuneError
}

func (r *jsonReader) hex() (rune, bool) {
	if len(r.b)-r.i < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(r.b[r.i:r.i+4]), 16, 16)
	if err != nil {
		return 0, false
	}
	r.i += 4
	return rune(n), true
}
