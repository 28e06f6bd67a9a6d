package kinesis

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonTokens reads JSON (RFC 8259).
type jsonTokens struct {
	body    []byte
	at      int
	open    []byte // '{' and '[' that are not closed
	state   jsonState
	scratch []byte // a string that has escapes
}

type jsonState uint8

const (
	jsonValue jsonState = iota // a value has to follow
	jsonFirst                  // a list or object has just begun
	jsonAfter                  // a comma or an end has to follow
)

func newJSONTokens(body []byte) *jsonTokens { return &jsonTokens{body: body} }

func (r *jsonTokens) next() (token, error) {
	r.space()
	if r.at == len(r.body) {
		return token{}, malformed("")
	}
	if r.state == jsonValue {
		return r.value()
	}
	inside := r.open[len(r.open)-1]
	if c := r.body[r.at]; c == inside+2 { // '{'+2 is '}', '['+2 is ']'
		r.at++
		r.close()
		return token{kind: tokenEnd}, nil
	}
	if r.state == jsonAfter {
		if !r.eat(',') {
			return token{}, malformed("")
		}
		r.space()
	}
	if inside == '{' {
		return r.key()
	}
	return r.value()
}

func (r *jsonTokens) end() error {
	r.space()
	if r.at != len(r.body) {
		return malformed("")
	}
	return nil
}

func (r *jsonTokens) close() {
	r.open = r.open[:len(r.open)-1]
	r.state = jsonAfter
}

func (r *jsonTokens) space() {
	for r.at < len(r.body) {
		switch r.body[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

func (r *jsonTokens) eat(c byte) bool {
	if r.at < len(r.body) && r.body[r.at] == c {
		r.at++
		return true
	}
	return false
}

// key reads a member's name and the colon behind it.
func (r *jsonTokens) key() (token, error) {
	text, err := r.text()
	if err != nil {
		return token{}, err
	}
	r.space()
	if !r.eat(':') {
		return token{}, malformed("")
	}
	r.state = jsonValue
	return token{kind: tokenText, text: text}, nil
}

func (r *jsonTokens) value() (token, error) {
	if r.at == len(r.body) {
		return token{}, malformed("")
	}
	switch c := r.body[r.at]; c {
	case '{', '[':
		if len(r.open) > maxDepth {
			return token{}, malformed("")
		}
		r.at++
		r.open, r.state = append(r.open, c), jsonFirst
		if c == '{' {
			return token{kind: tokenMap}, nil
		}
		return token{kind: tokenList}, nil
	case '"':
		r.state = jsonAfter
		text, err := r.text()
		return token{kind: tokenText, text: text}, err
	case 'n':
		return r.literal("null", tokenNull)
	case 't':
		return r.literal("true", tokenTrue)
	case 'f':
		return r.literal("false", tokenFalse)
	default:
		r.state = jsonAfter
		return r.number()
	}
}

func (r *jsonTokens) literal(word string, kind tokenKind) (token, error) {
	if !bytes.HasPrefix(r.body[r.at:], []byte(word)) {
		return token{}, malformed("")
	}
	r.at += len(word)
	r.state = jsonAfter
	return token{kind: kind}, nil
}

// number reads what the grammar of numbers allows.
func (r *jsonTokens) number() (token, error) {
	start := r.at
	negative := r.eat('-')
	if !r.eat('0') && !r.digits() {
		return token{}, malformed("")
	}
	whole := true
	if r.eat('.') {
		if whole = false; !r.digits() {
			return token{}, malformed("")
		}
	}
	if r.eat('e') || r.eat('E') {
		if !r.eat('+') {
			r.eat('-')
		}
		if whole = false; !r.digits() {
			return token{}, malformed("")
		}
	}
	text := string(r.body[start:r.at])
	if !whole {
		f, _ := strconv.ParseFloat(text, 64) // out of range is infinite
		return token{kind: tokenFloat, float: f}, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		if n = math.MaxInt64; negative {
			n = math.MinInt64
		}
	}
	return token{kind: tokenInteger, integer: n}, nil
}

func (r *jsonTokens) digits() bool {
	start := r.at
	for r.at < len(r.body) && '0' <= r.body[r.at] && r.body[r.at] <= '9' {
		r.at++
	}
	return r.at > start
}

// text reads a string. It shares the body, or scratch when it has escapes.
func (r *jsonTokens) text() ([]byte, error) {
	if !r.eat('"') {
		return nil, malformed("")
	}
	start := r.at
	n := bytes.IndexByte(r.body[start:], '"')
	if n < 0 {
		return nil, malformed("")
	}
	plain := r.body[start : start+n]
	if bytes.IndexByte(plain, '\\') >= 0 {
		return r.escaped()
	}
	if !isText(plain) {
		return nil, malformed("")
	}
	r.at += n + 1
	return plain, nil
}

// isText says that a string is UTF-8 without control characters.
func isText(s []byte) bool {
	for _, c := range s {
		if c < ' ' {
			return false
		}
	}
	return utf8.Valid(s)
}

func (r *jsonTokens) escaped() ([]byte, error) {
	out := r.scratch[:0]
	for r.at < len(r.body) {
		c := r.body[r.at]
		r.at++
		switch c {
		case '"':
			r.scratch = out
			if !utf8.Valid(out) {
				return nil, malformed("")
			}
			return out, nil
		case '\\':
			var ok bool
			if out, ok = r.escape(out); !ok {
				return nil, malformed("")
			}
		default:
			if c < ' ' {
				return nil, malformed("")
			}
			out = append(out, c)
		}
	}
	return nil, malformed("")
}

func (r *jsonTokens) escape(out []byte) ([]byte, bool) {
	if r.at == len(r.body) {
		return nil, false
	}
	c := r.body[r.at]
	r.at++
	switch c {
	case '"', '\\', '/':
		return append(out, c), true
	case 'b':
		return append(out, '\b'), true
	case 'f':
		return append(out, '\f'), true
	case 'n':
		return append(out, '\n'), true
	case 'r':
		return append(out, '\r'), true
	case 't':
		return append(out, '\t'), true
	case 'u':
		u, ok := r.unicode()
		if !ok {
			return nil, false
		}
		if utf16.IsSurrogate(u) && bytes.HasPrefix(r.body[r.at:], []byte(`\u`)) {
			before := r.at
			r.at += 2
			low, ok := r.unicode()
			if !ok {
				return nil, false
			}
			if pair := utf16.DecodeRune(u, low); pair != utf8.RuneError {
				return utf8.AppendRune(out, pair), true
			}
			r.at = before // it stands on its own
		}
		return utf8.AppendRune(out, u), true // half a pair becomes U+FFFD
	}
	return nil, false
}

func (r *jsonTokens) unicode() (rune, bool) {
	if len(r.body)-r.at < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(r.body[r.at:r.at+4]), 16, 16)
	r.at += 4
	return rune(n), err == nil
}
