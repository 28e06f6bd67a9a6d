package kinesis

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// cborTokens reads CBOR (RFC 8949), definite and indefinite lengths.
type cborTokens struct {
	body    []byte
	at      int
	open    []cborOpen
	scratch []byte // a string that came in pieces
}

// A cborOpen is a list or map that is not read to its end.
type cborOpen struct {
	left       uint64 // items; a map has two a member
	indefinite bool
	mapping    bool
	odd        bool // a key was read, its value not
}

func newCBORTokens(body []byte) *cborTokens { return &cborTokens{body: body} }

func (r *cborTokens) end() error {
	if r.at != len(r.body) {
		return malformed("")
	}
	return nil
}

// head reads a major type and its argument.
func (r *cborTokens) head() (major byte, info byte, n uint64, err error) {
	if r.at >= len(r.body) {
		return 0, 0, 0, malformed("")
	}
	first := r.body[r.at]
	r.at++
	major, info = first>>5, first&31
	if info < 24 {
		return major, info, uint64(info), nil
	}
	if info == cborIndefinite {
		return major, info, 0, nil
	}
	if info > 27 {
		return 0, 0, 0, malformed("")
	}
	size := 1 << (info - 24)
	if len(r.body)-r.at < size {
		return 0, 0, 0, malformed("")
	}
	var b [8]byte
	copy(b[8-size:], r.body[r.at:r.at+size])
	r.at += size
	return major, info, binary.BigEndian.Uint64(b[:]), nil
}

func (r *cborTokens) next() (token, error) {
	if len(r.open) > 0 {
		inside := &r.open[len(r.open)-1]
		if !inside.indefinite {
			if inside.left == 0 {
				r.open = r.open[:len(r.open)-1]
				return token{kind: tokenEnd}, nil
			}
			inside.left--
		} else if r.at < len(r.body) && r.body[r.at] == cborBreak {
			if inside.odd {
				return token{}, malformed("")
			}
			r.at++
			r.open = r.open[:len(r.open)-1]
			return token{kind: tokenEnd}, nil
		}
		if inside.mapping {
			inside.odd = !inside.odd
		}
	}
	return r.item()
}

// item reads one data item; of a list or map only its beginning.
func (r *cborTokens) item() (token, error) {
	millis := false
	for range maxDepth { // tags before the item
		major, info, n, err := r.head()
		if err != nil {
			return token{}, err
		}
		if info == cborIndefinite && (major < cborBytes || major == cborTag || major == cborSimple) {
			return token{}, malformed("")
		}
		switch major {
		case cborUnsigned:
			return token{kind: tokenInteger, integer: int64(min(n, math.MaxInt64)), millis: millis}, nil
		case cborNegative:
			return token{kind: tokenInteger, integer: -1 - int64(min(n, math.MaxInt64)), millis: millis}, nil
		case cborBytes, cborText:
			return r.text(major, info, n)
		case cborArray, cborMap:
			return r.begin(major, info, n)
		case cborTag:
			millis = n == tagEpoch
		case cborSimple:
			return simple(info, n)
		}
	}
	return token{}, malformed("")
}

func (r *cborTokens) begin(major, info byte, n uint64) (token, error) {
	o := cborOpen{left: n, indefinite: info == cborIndefinite, mapping: major == cborMap}
	kind := tokenList
	if o.mapping {
		kind = tokenMap
	}
	// Each item takes a byte at least, so that a length beyond the body is found at once.
	if n > uint64(len(r.body)-r.at) || len(r.open) > maxDepth {
		return token{}, malformed("")
	}
	if o.mapping {
		o.left *= 2
	}
	r.open = append(r.open, o)
	return token{kind: kind}, nil
}

// text reads a string of bytes or characters, whole or in pieces.
func (r *cborTokens) text(major, info byte, n uint64) (token, error) {
	kind := tokenBytes
	if major == cborText {
		kind = tokenText
	}
	var text []byte
	var err error
	if info == cborIndefinite {
		text, err = r.pieces(major)
	} else {
		text, err = r.take(n)
	}
	if err != nil {
		return token{}, err
	}
	if kind == tokenText && !utf8.Valid(text) {
		return token{}, malformed("")
	}
	return token{kind: kind, text: text}, nil
}

func (r *cborTokens) take(n uint64) ([]byte, error) {
	if n > uint64(len(r.body)-r.at) {
		return nil, malformed("")
	}
	text := r.body[r.at : r.at+int(n)]
	r.at += int(n)
	return text, nil
}

func (r *cborTokens) pieces(major byte) ([]byte, error) {
	r.scratch = r.scratch[:0]
	for {
		if r.at < len(r.body) && r.body[r.at] == cborBreak {
			r.at++
			return r.scratch, nil
		}
		m, info, n, err := r.head()
		if err != nil {
			return nil, err
		}
		if m != major || info == cborIndefinite {
			return nil, malformed("")
		}
		piece, err := r.take(n)
		if err != nil {
			return nil, err
		}
		r.scratch = append(r.scratch, piece...)
	}
}

// simple is a value of major type 7.
func simple(info byte, n uint64) (token, error) {
	switch info {
	case 20:
		return token{kind: tokenFalse}, nil
	case 21:
		return token{kind: tokenTrue}, nil
	case 22, 23: // null, undefined
		return token{kind: tokenNull}, nil
	case 25:
		return token{kind: tokenFloat, float: half(uint16(n))}, nil
	case 26:
		return token{kind: tokenFloat, float: float64(math.Float32frombits(uint32(n)))}, nil
	case 27:
		return token{kind: tokenFloat, float: math.Float64frombits(n)}, nil
	}
	return token{}, malformed("")
}

// half is a number of 16 bits (RFC 8949, appendix D).
func half(n uint16) float64 {
	exponent, fraction := int(n>>10&31), float64(n&1023)
	var f float64
	switch exponent {
	case 0:
		f = math.Ldexp(fraction, -24)
	case 31:
		if f = math.Inf(1); fraction != 0 {
			f = math.NaN()
		}
	default:
		f = math.Ldexp(fraction+1024, exponent-25)
	}
	if n>>15 != 0 {
		return -f
	}
	return f
}
