package kinesis

import (
	"fmt"
	"hash/crc32"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxFailures bounds the failures that one answer lists.
	maxFailures = 10
	// maxPrinted bounds what a message shows of one value, in bytes.
	maxPrinted = 32 << 10
)

// failures collects what is wrong with an input.
type failures struct {
	list   []string
	strict bool // members that only some requests need are missed, too
}

// validate looks at every constraint of the model and lists what fails, in the words of
// the service. It returns nil when all hold. An absent partition key is a failure only
// beside others: whether it is one by itself depends on the stream.
func validate(s *shape, in any) *Error {
	var f failures
	v := reflect.ValueOf(in).Elem()
	f.members(s, v, "")
	if len(f.list) == 0 {
		return nil
	}
	f = failures{strict: true}
	f.members(s, v, "")
	return refuse(f.list)
}

// refuse is the error of failures, nil when there are none. It lists maxFailures.
func refuse(list []string) *Error {
	if len(list) > maxFailures {
		list = list[:maxFailures]
	}
	switch len(list) {
	case 0:
		return nil
	case 1:
		return invalid("%s", "1 validation error detected: "+list[0])
	}
	return invalid("%d validation errors detected: %s", len(list), strings.Join(list, "; "))
}

// failure says what is wrong with a member; value is as the service prints it, in quotes.
func failure(value, at, constraint string, args ...any) string {
	return fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: Member must %s", value, at, fmt.Sprintf(constraint, args...))
}

func (f *failures) full() bool { return len(f.list) >= maxFailures }

func (f *failures) null(label string) {
	if !f.full() {
		f.list = append(f.list, failure("null", label, "not be null"))
	}
}

func (f *failures) add(s *shape, v reflect.Value, label, constraint string) {
	if !f.full() {
		f.list = append(f.list, "Value '"+printed(s, v)+"' at '"+label+"' failed to satisfy constraint: "+constraint)
	}
}

// members checks a structure; path is its label and a dot, or empty.
func (f *failures) members(s *shape, v reflect.Value, path string) {
	for i := range s.members {
		m := &s.members[i]
		value := v.Field(m.field)
		if m.shape.null(value) {
			if m.required || m.expected && f.strict {
				f.null(path + m.label)
			}
			continue
		}
		if m.shape.pointer {
			value = value.Elem()
		}
		f.value(m, value, path)
		if f.full() {
			return
		}
	}
}

// null says that an input does not have a member.
func (s *shape) null(v reflect.Value) bool {
	switch s.kind {
	case kindBlob, kindList, kindMap:
		return v.IsNil()
	}
	return s.pointer && v.IsNil()
}

func (f *failures) value(m *member, v reflect.Value, path string) {
	if m.rule != nil {
		for _, constraint := range m.rule.broken(m.shape, v) {
			f.add(m.shape, v, path+m.label, constraint)
		}
	}
	switch {
	case m.shape.kind == kindStruct:
		f.members(m.shape, v, path+m.label+".")
	case m.shape.kind == kindList && m.shape.elem.kind == kindStruct:
		for i := range v.Len() {
			if f.full() {
				return
			}
			if f.sound(m.shape.elem, v.Index(i)) {
				continue
			}
			f.members(m.shape.elem, v.Index(i), fmt.Sprintf("%s%s.%d.member.", path, m.label, i+1))
		}
	}
}

// sound says, without making labels, that nothing is wrong with a structure.
func (f *failures) sound(s *shape, v reflect.Value) bool {
	for i := range s.members {
		m := &s.members[i]
		value := v.Field(m.field)
		if m.shape.null(value) {
			if m.required || m.expected && f.strict {
				return false
			}
			continue
		}
		if m.shape.pointer {
			value = value.Elem()
		}
		if m.rule != nil && len(m.rule.broken(m.shape, value)) > 0 {
			return false
		}
	}
	return true
}

// broken lists the constraints of a rule that a value does not satisfy.
func (r *rule) broken(s *shape, v reflect.Value) []string {
	switch s.kind {
	case kindInteger, kindLong:
		return r.size(nil, v.Int(), "value")
	case kindString:
		return r.text(nil, v.String())
	case kindBlob:
		return r.size(nil, int64(v.Len()), "length")
	case kindList:
		out := r.size(nil, int64(v.Len()), "length")
		if r.each != nil && slices.ContainsFunc(v.Interface().([]string), r.each.refuses) {
			out = append(out, "Member must satisfy constraint: ["+r.each.describe()+"]")
		}
		return out
	case kindMap:
		values := v.Interface().(map[string]string)
		out := r.size(nil, int64(len(values)), "length")
		for key := range values {
			if r.each.refuses(key) {
				out = append(out, "Map keys must satisfy constraint: ["+r.each.describe()+"]")
				break
			}
		}
		for _, value := range values {
			if r.value.refuses(value) {
				out = append(out, "Map value must satisfy constraint: ["+r.value.describe()+"]")
				break
			}
		}
		return out
	}
	return nil
}

func (r *rule) refuses(s string) bool { return len(r.text(nil, s)) > 0 }

// text lists the constraints that a string breaks. Those that hold cost no allocation.
func (r *rule) text(out []string, s string) []string {
	if r.enum != nil && !slices.Contains(r.enum, s) {
		out = append(out, r.set())
	}
	// A string far too long is not worth a look; its length is wrong anyway.
	if r.matches != nil && (r.max == 0 || int64(len(s)) <= 16*r.max) && !r.matches(s) {
		out = append(out, "Member must satisfy regular expression pattern: "+r.pattern)
	}
	if r.bounded {
		out = r.size(out, int64(utf8.RuneCountInString(s)), "length")
	}
	return out
}

func (r *rule) size(out []string, n int64, what string) []string {
	if !r.bounded {
		return out
	}
	if n < r.min {
		out = append(out, "Member must have "+what+" greater than or equal to "+strconv.FormatInt(r.min, 10))
	}
	if r.max > 0 && n > r.max {
		out = append(out, "Member must have "+what+" less than or equal to "+strconv.FormatInt(r.max, 10))
	}
	return out
}

func (r *rule) set() string {
	return "Member must satisfy enum value set: [" + strings.Join(r.enum, ", ") + "]"
}

// describe names every constraint of the members of a list or map.
func (r *rule) describe() string {
	if r.enum != nil {
		return r.set()
	}
	return fmt.Sprintf("Member must have length less than or equal to %d, Member must have length greater than or equal to %d", r.max, r.min)
}

// printed is a value as the service prints it, cut at maxPrinted.
func printed(s *shape, v reflect.Value) string {
	var b strings.Builder
	switch s.kind {
	case kindString:
		b.WriteString(v.String())
	case kindBlob:
		fmt.Fprintf(&b, "java.nio.HeapByteBuffer[pos=0 lim=%d cap=%[1]d]", v.Len())
	case kindList:
		b.WriteByte('[')
		for i := 0; i < v.Len() && b.Len() < maxPrinted; i++ {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(printed(s.elem, v.Index(i)))
		}
		b.WriteByte(']')
	case kindMap:
		values := v.Interface().(map[string]string)
		b.WriteByte('{')
		for i, key := range slices.Sorted(maps.Keys(values)) {
			if b.Len() >= maxPrinted {
				break
			}
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(key + "=" + values[key])
		}
		b.WriteByte('}')
	case kindStruct:
		// The service prints the hash that Java gives the object.
		fmt.Fprintf(&b, "com.amazonaws.kinesis.v20131202.%s@%x", s.typ.Name(), crc32.ChecksumIEEE(appendJSON(nil, s, v)))
	default:
		fmt.Fprint(&b, v.Interface())
	}
	return cut(b.String())
}

// cut shortens a text to maxPrinted bytes, at the start of a character.
func cut(s string) string {
	if len(s) <= maxPrinted {
		return s
	}
	end := maxPrinted
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
