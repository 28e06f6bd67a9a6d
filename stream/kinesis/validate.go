package kinesis

import (
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// validate compares an input with what the model demands, and lists all that fails in
// the words of the service.
func validate(s *shape, in any) *Error {
	var failures []string
	validateMembers(s, reflect.ValueOf(in).Elem(), "", &failures)
	return refuse(failures)
}

// refuse is the error of an input that fails constraints, nil when it fails none.
func refuse(failures []string) *Error {
	switch len(failures) {
	case 0:
		return nil
	case 1:
		return invalid("%s", "1 validation error detected: "+failures[0])
	}
	return invalid("%s", fmt.Sprintf("%d validation errors detected: %s", len(failures), strings.Join(failures, "; ")))
}

func failure(value, at, constraint string, args ...any) string {
	return fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: Member must %s", value, at, fmt.Sprintf(constraint, args...))
}

func validateMembers(s *shape, v reflect.Value, path string, failures *[]string) {
	for i := range s.members {
		m := &s.members[i]
		f := v.Field(m.field)
		absent := m.shape.pointer && f.IsNil() || f.Kind() == reflect.Slice && f.IsNil() || f.Kind() == reflect.Map && f.IsNil()
		if absent {
			if m.required {
				*failures = append(*failures, failure("null", path+m.label, "not be null"))
			}
			continue
		}
		if m.shape.pointer {
			f = f.Elem()
		}
		validateValue(m.shape, m.rule, f, path+m.label, failures)
	}
}

func validateValue(s *shape, r *rule, v reflect.Value, at string, failures *[]string) {
	if r != nil {
		r.check(s, v, at, failures)
	}
	switch s.kind {
	case kindStruct:
		validateMembers(s, v, at+".", failures)
	case kindList:
		var each *rule
		if r != nil {
			each = r.each
		}
		for i := range v.Len() {
			item := v.Index(i)
			if s.elem.pointer {
				item = item.Elem()
			}
			validateValue(s.elem, each, item, fmt.Sprintf("%s.%d.member", at, i+1), failures)
		}
	}
}

// check compares one value with its rule.
func (r *rule) check(s *shape, v reflect.Value, at string, failures *[]string) {
	fail := func(constraint string, args ...any) {
		*failures = append(*failures, failure(show(s, v), at, constraint, args...))
	}
	what, n := "length", int64(0)
	switch s.kind {
	case kindInteger, kindLong:
		what, n = "value", v.Int()
	case kindString:
		n = int64(utf8.RuneCountInString(v.String()))
	case kindBlob, kindList, kindMap:
		n = int64(v.Len())
	}
	if r.bounded && n < r.min {
		fail("have %s greater than or equal to %d", what, r.min)
	}
	if r.max > 0 && n > r.max {
		fail("have %s less than or equal to %d", what, r.max)
	}
	if s.kind == kindMap {
		r.checkMap(v, fail)
	}
	if s.kind != kindString {
		return
	}
	if r.pattern != "" && !r.matches(v.String()) {
		fail("satisfy regular expression pattern: %s", r.pattern)
	}
	if len(r.enum) > 0 && !contains(r.enum, v.String()) {
		fail("satisfy enum value set: [%s]", strings.Join(r.enum, ", "))
	}
}

func (r *rule) checkMap(v reflect.Value, fail func(string, ...any)) {
	for key, value := range v.Interface().(map[string]string) {
		if r.each != nil && !r.each.fits(key) {
			fail("satisfy constraint: [%s]", r.each.lengths())
		}
		if r.value != nil && !r.value.fits(value) {
			fail("satisfy constraint: [%s]", r.value.lengths())
		}
	}
}

func (r *rule) fits(s string) bool {
	n := int64(utf8.RuneCountInString(s))
	return n >= r.min && n <= r.max
}

func (r *rule) lengths() string {
	return fmt.Sprintf("Member must have length less than or equal to %d, Member must have length greater than or equal to %d", r.max, r.min)
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// show writes a value as the messages of the service do, cut to a bound.
func show(s *shape, v reflect.Value) string {
	switch s.kind {
	case kindBlob:
		return fmt.Sprintf("'java.nio.HeapByteBuffer[pos=0 lim=%d cap=%d]'", v.Len(), v.Len())
	case kindList:
		if s.elem.kind != kindString {
			return fmt.Sprintf("'[%d members]'", v.Len())
		}
		return "'" + echo([]byte(strings.Join(v.Interface().([]string), ", "))) + "'"
	case kindMap:
		return fmt.Sprintf("'{%d members}'", v.Len())
	}
	return "'" + echo([]byte(fmt.Sprint(v.Interface()))) + "'"
}
