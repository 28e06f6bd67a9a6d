package kinesis

import (
	"encoding/base64"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"
)

// appendJSON writes a value of a shape. Nothing in it is null: absent members are left
// out, an empty list is [].
func appendJSON(dst []byte, s *shape, v reflect.Value) []byte {
	if s.pointer {
		v = v.Elem()
	}
	switch s.kind {
	case kindString:
		return appendString(dst, v.String())
	case kindInteger, kindLong:
		return strconv.AppendInt(dst, v.Int(), 10)
	case kindBoolean:
		return strconv.AppendBool(dst, v.Bool())
	case kindTimestamp:
		return appendSeconds(dst, Timestamp(v.Int()))
	case kindBlob:
		dst = base64.StdEncoding.AppendEncode(append(dst, '"'), v.Bytes())
		return append(dst, '"')
	case kindList:
		dst = append(dst, '[')
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, s.elem, v.Index(i))
		}
		return append(dst, ']')
	case kindMap:
		return appendJSONMap(dst, v.Interface().(map[string]string))
	default:
		return appendJSONMembers(dst, s, v)
	}
}

func appendJSONMembers(dst []byte, s *shape, v reflect.Value) []byte {
	dst = append(dst, '{')
	first := true
	for i := range s.members {
		m := &s.members[i]
		value := v.Field(m.field)
		if m.absent(value) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(append(append(dst, '"'), m.name...), `":`...)
		dst = appendJSON(dst, m.shape, value)
	}
	return append(dst, '}')
}

// absent says that an output does not have a member.
func (m *member) absent(v reflect.Value) bool {
	return m.shape.pointer && v.IsNil() || m.omit && v.IsZero()
}

func appendJSONMap(dst []byte, values map[string]string) []byte {
	dst = append(dst, '{')
	for i, key := range slices.Sorted(maps.Keys(values)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, key), ':')
		dst = appendString(dst, values[key])
	}
	return append(dst, '}')
}

// appendSeconds writes a moment as seconds with at most three decimals.
func appendSeconds(dst []byte, t Timestamp) []byte {
	if t < 0 {
		dst, t = append(dst, '-'), -t
	}
	dst = strconv.AppendInt(dst, int64(t/1000), 10)
	ms := int64(t % 1000)
	if ms == 0 {
		return dst
	}
	start := len(dst)
	dst = strconv.AppendInt(dst, 1000+ms, 10)
	dst[start] = '.'
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string. What is not UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b < utf8.RuneSelf {
			if b >= ' ' && b != '"' && b != '\\' {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			switch b {
			case '"', '\\':
				dst = append(dst, '\\', b)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			dst = append(append(dst, s[start:i]...), "\ufffd"...)
			i++
			start = i
			continue
		}
		i += size
	}
	return append(append(dst, s[start:]...), '"')
}
