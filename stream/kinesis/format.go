package kinesis

import "reflect"

// A format is how the bodies of a request and its answer are written.
type format uint8

const (
	formatJSON format = iota // JSON 1.1
	formatCBOR
)

const (
	typeJSON = "application/x-amz-json-1.1"
	typeCBOR = "application/x-amz-cbor-1.1"
)

func (f format) contentType() string {
	if f == formatCBOR {
		return typeCBOR
	}
	return typeJSON
}

// eventType is the content type of an event's payload.
func (f format) eventType() string {
	if f == formatCBOR {
		return typeCBOR
	}
	return "application/json"
}

// append writes v, a pointer to a value of the shape.
func (f format) append(dst []byte, s *shape, v any) []byte {
	value := reflect.ValueOf(v)
	if value.Kind() == reflect.Pointer {
		value = value.Elem()
	}
	if f == formatCBOR {
		return appendCBOR(dst, s, value)
	}
	return appendJSON(dst, s, value)
}

// appendEmpty writes an empty structure.
func (f format) appendEmpty(dst []byte) []byte {
	if f == formatCBOR {
		return appendHead(dst, cborMap, 0)
	}
	return append(dst, "{}"...)
}

// appendError writes an exception.
func (f format) appendError(dst []byte, e *Error) []byte {
	label := "message"
	if e.capital {
		label = "Message"
	}
	if f == formatCBOR {
		n := uint64(1)
		if e.Message != "" {
			n = 2
		}
		dst = appendText(appendText(appendHead(dst, cborMap, n), "__type"), e.Code)
		if e.Message != "" {
			dst = appendText(appendText(dst, label), e.Message)
		}
		return dst
	}
	dst = appendString(append(dst, `{"__type":`...), e.Code)
	if e.Message != "" {
		dst = append(append(append(dst, `,"`...), label...), `":`...)
		dst = appendString(dst, e.Message)
	}
	return append(dst, '}')
}
