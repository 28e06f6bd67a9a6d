package kinesis

import (
	"encoding/binary"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Major types of RFC 8949, section 3.1.
const (
	cborUnsigned = iota
	cborNegative
	cborBytes
	cborText
	cborArray
	cborMap
	cborTag
	cborSimple
)

const (
	cborFalse      = cborSimple<<5 | 20
	cborTrue       = cborSimple<<5 | 21
	cborBreak      = cborSimple<<5 | 31
	tagEpoch       = 1 // section 3.4.2; the service puts milliseconds under it
	cborIndefinite = 31
)

// appendHead writes a major type and its argument in the fewest bytes.
func appendHead(dst []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(dst, major|byte(n))
	case n < 1<<8:
		return append(dst, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, major|27), n)
	}
}

func appendText(dst []byte, s string) []byte {
	s = strings.ToValidUTF8(s, "\ufffd")
	return append(appendHead(dst, cborText, uint64(len(s))), s...)
}

func appendInteger(dst []byte, n int64) []byte {
	if n < 0 {
		return appendHead(dst, cborNegative, uint64(-(n + 1)))
	}
	return appendHead(dst, cborUnsigned, uint64(n))
}

// appendCBOR writes a value of a shape, with the same rules as appendJSON.
func appendCBOR(dst []byte, s *shape, v reflect.Value) []byte {
	if s.pointer {
		v = v.Elem()
	}
	switch s.kind {
	case kindString:
		return appendText(dst, v.String())
	case kindInteger, kindLong:
		return appendInteger(dst, v.Int())
	case kindBoolean:
		if v.Bool() {
			return append(dst, cborTrue)
		}
		return append(dst, cborFalse)
	case kindTimestamp:
		return appendInteger(appendHead(dst, cborTag, tagEpoch), v.Int())
	case kindBlob:
		return append(appendHead(dst, cborBytes, uint64(v.Len())), v.Bytes()...)
	case kindList:
		dst = appendHead(dst, cborArray, uint64(v.Len()))
		for i := range v.Len() {
			dst = appendCBOR(dst, s.elem, v.Index(i))
		}
		return dst
	case kindMap:
		values := v.Interface().(map[string]string)
		dst = appendHead(dst, cborMap, uint64(len(values)))
		for _, key := range slices.Sorted(maps.Keys(values)) {
			dst = appendText(appendText(dst, key), values[key])
		}
		return dst
	default:
		return appendCBORMembers(dst, s, v)
	}
}

func appendCBORMembers(dst []byte, s *shape, v reflect.Value) []byte {
	n := uint64(0)
	for i := range s.members {
		if m := &s.members[i]; !m.absent(v.Field(m.field)) {
			n++
		}
	}
	dst = appendHead(dst, cborMap, n)
	for i := range s.members {
		m := &s.members[i]
		value := v.Field(m.field)
		if m.absent(value) {
			continue
		}
		dst = appendCBOR(appendText(dst, m.name), m.shape, value)
	}
	return dst
}
