package pipeline

import (
	"bytes"
	"fmt"
)

// maxDepth bounds how deep arrays and objects may stand in each other.
const maxDepth = 64

// A jsonReader reads JSON into values as expressions have them: map[string]any, []any,
// string, int, float64, bool and nil. A number that is whole and fits is an int.
type jsonReader struct {
	b []byte
	i int

	// want are the fields of the outermost object that are read; the others are only
	// passed over. nil reads all. The value is the name itself, which saves copying it.
	want map[string]string
	into map[string]any // the outermost object, used again
}

// A jsonError says where a text is no JSON.
type jsonError struct {
	at     int
	reason string
}

func (e *jsonError) Error() string { return fmt.Sprintf("no JSON at byte %d: %s", e.at, e.reason) }

func (r *jsonReader) fail(format string, args ...any) error {
	return &jsonError{r.i, fmt.Sprintf(format, args...)}
}

// space passes over what is between tokens, and returns the next byte, 0 at the end.
func (r *jsonReader) space() byte {
	for r.i < len(r.b) {
		switch c := r.b[r.i]; c {
		case ' ', '\n', '\r', '\t':
			r.i++
		default:
			return c
		}
	}
	return 0
}

// end refuses what stands behind a value.
func (r *jsonReader) end() error {
	if r.space() != 0 || r.i < len(r.b) {
		return r.fail("there is more behind the value")
	}
	return nil
}

// outermost reads the value at i: an object goes into r.into.
func (r *jsonReader) outermost() (any, error) {
	if r.space() == '{' {
		clear(r.into)
		return r.object(1, r.into)
	}
	return r.value(1)
}

func (r *jsonReader) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, r.fail("more than %d arrays and objects in each other", maxDepth)
	}
	switch c := r.space(); {
	case c == '{':
		return r.object(depth, map[string]any{})
	case c == '[':
		return r.array(depth)
	case c == '"':
		s, err := r.text()
		if err != nil {
			return nil, err
		}
		return string(s), nil
	case c == '-' || '0' <= c && c <= '9':
		return r.number()
	case c == 't':
		return true, r.word("true")
	case c == 'f':
		return false, r.word("false")
	case c == 'n':
		return nil, r.word("null")
	case c == 0 && r.i >= len(r.b):
		return nil, r.fail("it ends where a value is expected")
	default:
		return nil, r.fail("no value begins with %q", c)
	}
}

func (r *jsonReader) word(w string) error {
	if !bytes.HasPrefix(r.b[r.i:], []byte(w)) {
		return r.fail("no value begins with %.10q", r.b[r.i:])
	}
	r.i += len(w)
	return nil
}

// object reads an object into m. Of one that is r.into only the wanted fields are kept.
func (r *jsonReader) object(depth int, m map[string]any) (any, error) {
	chosen := depth == 1 && r.want != nil
	r.i++
	if r.space() == '}' {
		r.i++
		return m, nil
	}
	for {
		if r.space() != '"' {
			return nil, r.fail("a name in quotes is expected")
		}
		key, err := r.text()
		if err != nil {
			return nil, err
		}
		if r.space() != ':' {
			return nil, r.fail("a colon is expected behind a name")
		}
		r.i++
		name, wanted := "", true
		if chosen {
			name, wanted = r.want[string(key)]
		} else {
			name = string(key)
		}
		if !wanted {
			err = r.skip(depth + 1)
		} else {
			m[name], err = r.value(depth + 1)
		}
		if err != nil {
			return nil, err
		}
		switch r.space() {
		case ',':
			r.i++
		case '}':
			r.i++
			return m, nil
		default:
			return nil, r.fail("a comma or the end of the object is expected")
		}
	}
}

func (r *jsonReader) array(depth int) (any, error) {
	r.i++
	list := []any{}
	if r.space() == ']' {
		r.i++
		return list, nil
	}
	for {
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if more, err := r.comma(); err != nil || !more {
			return list, err
		}
	}
}

// comma passes over what follows an element of an array, and reports whether there is another.
func (r *jsonReader) comma() (bool, error) {
	switch r.space() {
	case ',':
		r.i++
		return true, nil
	case ']':
		r.i++
		return false, nil
	}
	return false, r.fail("a comma or the end of the array is expected")
}

// skip passes over a value without making it.
func (r *jsonReader) skip(depth int) error {
	if depth > maxDepth {
		return r.fail("more than %d arrays and objects in each other", maxDepth)
	}
	switch r.space() {
	case '"':
		_, err := r.text()
		return err
	case '[':
		r.i++
		if r.space() == ']' {
			r.i++
			return nil
		}
		for {
			if err := r.skip(depth + 1); err != nil {
				return err
			}
			if more, err := r.comma(); err != nil || !more {
				return err
			}
		}
	case '{':
		return r.skipObject(depth)
	default:
		_, err := r.value(depth) // makes nothing that costs
		return err
	}
}

func (r *jsonReader) skipObject(depth int) error {
	r.i++
	if r.space() == '}' {
		r.i++
		return nil
	}
	for {
		if r.space() != '"' {
			return r.fail("a name in quotes is expected")
		}
		if _, err := r.text(); err != nil {
			return err
		}
		if r.space() != ':' {
			return r.fail("a colon is expected behind a name")
		}
		r.i++
		if err := r.skip(depth + 1); err != nil {
			return err
		}
		switch r.space() {
		case ',':
			r.i++
		case '}':
			r.i++
			return nil
		default:
			return r.fail("a comma or the end of the object is expected")
		}
	}
}
