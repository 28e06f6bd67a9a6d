package kinesis

import (
	"reflect"
	"strings"
)

type kind uint8

const (
	kindString kind = iota
	kindInteger
	kindLong
	kindBoolean
	kindBlob
	kindTimestamp
	kindList
	kindMap // of strings by string
	kindStruct
)

// A shape is what the codecs and the validation need to know of a Go type.
type shape struct {
	kind    kind
	typ     reflect.Type // without the pointer
	pointer bool
	elem    *shape         // of a list
	members []member       // of a structure
	byName  map[string]int // index in members
}

// A member of a structure.
type member struct {
	name     string // StreamName
	label    string // streamName, as messages call it
	field    int
	shape    *shape
	required bool
	expected bool // required by some operations only: they look themselves
	omit     bool // its zero value is absent
	rule     *rule
}

// shapeOf reads a type of the shapes_ files. It panics on one that is not: the table of
// operations is made of constants, and a test makes it.
func shapeOf(t reflect.Type) *shape {
	s := &shape{typ: t}
	if t.Kind() == reflect.Pointer {
		s.pointer, s.typ = true, t.Elem()
	}
	switch t := s.typ; {
	case t == reflect.TypeFor[Timestamp]():
		s.kind = kindTimestamp
	case t == reflect.TypeFor[[]byte]():
		s.kind = kindBlob
	case t == reflect.TypeFor[map[string]string]():
		s.kind = kindMap
	case t.Kind() == reflect.String:
		s.kind = kindString
	case t.Kind() == reflect.Int:
		s.kind = kindInteger
	case t.Kind() == reflect.Int64:
		s.kind = kindLong
	case t.Kind() == reflect.Bool:
		s.kind = kindBoolean
	case t.Kind() == reflect.Slice:
		s.kind, s.elem = kindList, shapeOf(t.Elem())
	case t.Kind() == reflect.Struct:
		s.kind = kindStruct
		s.readMembers()
	default:
		panic("kinesis: no shape for " + t.String())
	}
	return s
}

func (s *shape) readMembers() {
	s.byName = make(map[string]int, s.typ.NumField())
	for i := range s.typ.NumField() {
		f := s.typ.Field(i)
		m := member{name: f.Name, label: strings.ToLower(f.Name[:1]) + f.Name[1:], field: i, shape: shapeOf(f.Type)}
		for word := range strings.SplitSeq(f.Tag.Get("k"), ",") {
			switch word {
			case "":
			case "required":
				m.required = true
			case "expected":
				m.expected = true
			case "omit":
				m.omit = true
			default:
				m.rule = ruleOf(word)
			}
		}
		s.byName[m.name] = len(s.members)
		s.members = append(s.members, m)
	}
}
