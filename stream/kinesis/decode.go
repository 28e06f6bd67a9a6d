package kinesis

import (
	"encoding/base64"
	"math"
	"reflect"
)

const (
	// maxDepth bounds how deep lists and structures may stand in one another.
	maxDepth = 64
	// maxKept bounds the members of a list or map that are kept, above all that the model
	// allows: the rest is read and not kept, and the validation finds the list too long.
	maxKept = 1000
	// maxEcho bounds what a message repeats of a request, in bytes.
	maxEcho = 1024
)

type tokenKind uint8

const (
	tokenNull tokenKind = iota
	tokenFalse
	tokenTrue
	tokenInteger
	tokenFloat
	tokenText
	tokenBytes
	tokenList
	tokenMap // a key and a value by turns
	tokenEnd // of a list or map
)

// A token is a piece of a body, whatever its format.
type token struct {
	kind    tokenKind
	text    []byte  // of text and bytes; may share the body, until the next token
	integer int64   // saturated
	float   float64 // of a float
	millis  bool    // a number under CBOR's tag of moments: milliseconds
}

// tokens reads a body piece by piece. Its error is an *Error that says what is malformed.
type tokens interface {
	next() (token, error)
	end() error // nothing follows
}

// decode reads a structure. Members that the shape does not have are skipped, null is
// absent, and of members of one name the last counts.
func decode(t tokens, s *shape) (any, error) {
	v := reflect.New(s.typ)
	first, err := t.next()
	if err != nil {
		return nil, err
	}
	if first.kind != tokenMap {
		return nil, malformed("")
	}
	if err := decodeMembers(t, s, v.Elem(), 1); err != nil {
		return nil, err
	}
	if err := t.end(); err != nil {
		return nil, err
	}
	return v.Interface(), nil
}

func decodeMembers(t tokens, s *shape, v reflect.Value, depth int) error {
	for {
		key, err := t.next()
		if err != nil || key.kind == tokenEnd {
			return err
		}
		if key.kind != tokenText {
			return malformed("")
		}
		i, known := s.byName[string(key.text)]
		value, err := t.next()
		if err != nil {
			return err
		}
		if !known {
			if err := skip(t, value, depth); err != nil {
				return err
			}
			continue
		}
		m := &s.members[i]
		if err := decodeValue(t, value, m.shape, v.Field(m.field), depth); err != nil {
			return err
		}
	}
}

// decodeValue reads the value that begins with a token.
func decodeValue(t tokens, first token, s *shape, v reflect.Value, depth int) error {
	if first.kind == tokenNull {
		v.SetZero()
		return nil
	}
	if err := s.mismatch(first); err != nil {
		return err
	}
	if depth >= maxDepth {
		return malformed("")
	}
	target := v
	if s.pointer {
		target = reflect.New(s.typ).Elem()
	}
	if err := decodeInto(t, first, s, target, depth+1); err != nil {
		return err
	}
	if s.pointer {
		v.Set(target.Addr())
	}
	return nil
}

func decodeInto(t tokens, first token, s *shape, v reflect.Value, depth int) error {
	switch s.kind {
	case kindString:
		v.SetString(string(first.text))
	case kindInteger:
		v.SetInt(min(max(first.whole(), math.MinInt32), math.MaxInt32))
	case kindLong:
		v.SetInt(first.whole())
	case kindBoolean:
		v.SetBool(first.kind == tokenTrue)
	case kindTimestamp:
		v.SetInt(first.epoch())
	case kindBlob:
		data, err := first.blob()
		if err != nil {
			return err
		}
		v.SetBytes(data)
	case kindList:
		return decodeList(t, s, v, depth)
	case kindMap:
		return decodeMap(t, v, depth)
	case kindStruct:
		return decodeMembers(t, s, v, depth)
	}
	return nil
}

func decodeList(t tokens, s *shape, v reflect.Value, depth int) error {
	list := reflect.MakeSlice(s.typ, 0, 0)
	for {
		first, err := t.next()
		if err != nil {
			return err
		}
		if first.kind == tokenEnd {
			v.Set(list)
			return nil
		}
		item := reflect.New(s.elem.typ).Elem()
		if err := decodeValue(t, first, s.elem, item, depth); err != nil {
			return err
		}
		if list.Len() < maxKept {
			list = reflect.Append(list, item)
		}
	}
}

func decodeMap(t tokens, v reflect.Value, depth int) error {
	values := map[string]string{}
	text := &shape{kind: kindString, typ: reflect.TypeFor[string]()}
	for {
		token, err := t.next()
		if err != nil {
			return err
		}
		if token.kind == tokenEnd {
			v.Set(reflect.ValueOf(values))
			return nil
		}
		if token.kind != tokenText {
			return malformed("")
		}
		key, value := string(token.text), reflect.New(text.typ).Elem()
		if token, err = t.next(); err != nil {
			return err
		}
		if err := decodeValue(t, token, text, value, depth); err != nil {
			return err
		}
		if _, again := values[key]; again || len(values) < maxKept {
			values[key] = value.String()
		}
	}
}

// skip reads past the value that begins with a token.
func skip(t tokens, first token, depth int) error {
	if first.kind != tokenList && first.kind != tokenMap {
		return nil
	}
	for open := 1; open > 0; {
		token, err := t.next()
		if err != nil {
			return err
		}
		switch token.kind {
		case tokenList, tokenMap:
			if open++; open+depth > maxDepth {
				return malformed("")
			}
		case tokenEnd:
			open--
		}
	}
	return nil
}

// mismatch says that a value cannot begin with a token, in the words of the service.
func (s *shape) mismatch(t token) error {
	switch {
	case t.kind == tokenEnd:
		return malformed("")
	case t.kind == tokenList && s.kind != kindList:
		return malformed("Start of list found where not expected")
	case t.kind == tokenMap && s.kind != kindMap && s.kind != kindStruct:
		return malformed("Start of structure or map found where not expected.")
	case t.kind == tokenList || t.kind == tokenMap:
		return nil
	}
	switch s.kind {
	case kindList:
		return malformed("Expected list or null")
	case kindMap:
		return malformed("Expected map or null")
	case kindStruct:
		return malformed("Expected null")
	case kindString:
		return t.unless(t.kind == tokenText, "an String")
	case kindInteger:
		return t.unless(t.number(), "an Integer")
	case kindLong:
		return t.unless(t.number(), "a Long")
	case kindBoolean:
		return t.unless(t.kind == tokenTrue || t.kind == tokenFalse, "an Boolean")
	case kindTimestamp:
		return t.unless(t.number(), "milliseconds since epoch")
	default:
		return t.unless(t.kind == tokenText || t.kind == tokenBytes, "a Blob")
	}
}

func (t token) number() bool { return t.kind == tokenInteger || t.kind == tokenFloat }

func (t token) unless(fits bool, what string) error {
	if fits {
		return nil
	}
	class := "java.lang.String"
	switch t.kind {
	case tokenFalse, tokenTrue:
		class = "java.lang.Boolean"
	case tokenInteger, tokenFloat:
		class = "com.amazon.coral.value.json.numbers.TruncatingBigNumber"
	case tokenBytes:
		class = "java.nio.HeapByteBuffer"
	}
	return malformed("class %s can not be converted to %s", class, what)
}

// whole is a number without its fraction.
func (t token) whole() int64 {
	if t.kind == tokenInteger {
		return t.integer
	}
	return saturate(t.float)
}

func saturate(f float64) int64 {
	switch {
	case math.IsNaN(f):
		return 0
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	}
	return int64(f)
}

// epoch is a moment in milliseconds. JSON has seconds, and so has CBOR without the tag.
func (t token) epoch() int64 {
	switch {
	case t.millis:
		return t.whole()
	case t.kind == tokenFloat:
		return saturate(math.Round(t.float * 1000))
	case t.integer > math.MaxInt64/1000:
		return math.MaxInt64
	case t.integer < math.MinInt64/1000:
		return math.MinInt64
	}
	return t.integer * 1000
}

// blob is what a blob holds: the bytes of CBOR, or text in base64.
func (t token) blob() ([]byte, error) {
	if t.kind == tokenBytes {
		return append([]byte{}, t.text...), nil
	}
	if len(t.text)%4 != 0 {
		return nil, malformed("'%s' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: %d", echo(t.text), len(t.text))
	}
	data := make([]byte, base64.StdEncoding.DecodedLen(len(t.text)))
	n, err := base64.StdEncoding.Strict().Decode(data, t.text)
	if err == nil && n == len(t.text)/4*3-padding(t.text) {
		return data[:n], nil
	}
	for i, c := range t.text {
		if !isBase64(c) || c == '=' && i < len(t.text)-2 {
			return nil, malformed("'%s' can not be converted to a Blob: Invalid Base64 character: '%s'", echo(t.text), echo(t.text[i:i+1]))
		}
	}
	return nil, malformed("'%s' can not be converted to a Blob: Invalid last non-pad Base64 character dectected", echo(t.text))
}

func padding(text []byte) int {
	n := 0
	for len(text) > n && n < 2 && text[len(text)-1-n] == '=' {
		n++
	}
	return n
}

func isBase64(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '/' || c == '='
}

// echo is what a message repeats of a value.
func echo(text []byte) string { return string(text[:min(len(text), maxEcho)]) }
