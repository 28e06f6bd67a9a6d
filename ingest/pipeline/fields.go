package pipeline

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

// fields reads a table of a definition. The first thing that is wrong with a definition
// stays in *err; what is read after it does not matter.
type fields struct {
	path string // of the table, "" for the definition itself
	m    map[string]any
	read map[string]bool
	err  *error
}

func newFields(path string, m map[string]any, err *error) *fields {
	return &fields{path: path, m: m, read: map[string]bool{}, err: err}
}

// at is the full name of a field.
func (f *fields) at(name string) string {
	if f.path == "" {
		return name
	}
	if name == "" {
		return f.path
	}
	return f.path + "." + name
}

func (f *fields) fail(name, format string, args ...any) {
	if *f.err == nil {
		*f.err = &DefinitionError{Field: f.at(name), Reason: fmt.Sprintf(format, args...)}
	}
}

// A DefinitionError says what is wrong with a definition.
type DefinitionError struct {
	Field  string // such as output[1].labels.country
	Reason string
}

// Error names the field.
func (e *DefinitionError) Error() string { return e.Field + ": " + e.Reason }

func (f *fields) get(name string) (any, bool) {
	f.read[name] = true
	v, ok := f.m[name]
	return v, ok && v != nil
}

// str reads a string.
func (f *fields) str(name string) string {
	v, ok := f.get(name)
	if !ok {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		f.fail(name, "must be a string, got %s", describe(v))
	}
	return s
}

// choice reads one of some strings; the first is the default.
func (f *fields) choice(name string, allowed ...string) string {
	s := f.str(name)
	if s == "" {
		return allowed[0]
	}
	if !slices.Contains(allowed, s) {
		f.fail(name, "must be one of %s, got %.80q", strings.Join(allowed, ", "), s)
	}
	return s
}

// expr reads a string that is an expression.
func (f *fields) expr(name string) string {
	v, ok := f.get(name)
	if !ok {
		return ""
	}
	if table, ok := v.(map[string]any); ok {
		inner := newFields(f.at(name), table, f.err)
		s := inner.str("expr")
		inner.done()
		return s
	}
	s := f.str(name)
	if strings.TrimSpace(s) == "" {
		f.fail(name, "the expression is empty")
	}
	return s
}

// whole reads a whole number from 0 to most.
func (f *fields) whole(name string, most int) int {
	v, ok := f.get(name)
	if !ok {
		return 0
	}
	n, ok := plain(v).(int)
	if !ok || n < 0 || n > most {
		f.fail(name, "must be a whole number from 0 to %d, got %s", most, describe(v))
	}
	return n
}

func (f *fields) boolean(name string) bool {
	v, ok := f.get(name)
	if !ok {
		return false
	}
	b, ok := v.(bool)
	if !ok {
		f.fail(name, "must be true or false, got %s", describe(v))
	}
	return b
}

// value reads a literal or an expression. A string is an expression if expr is set, and
// else a literal; {expr = "…"} and {literal = "…"} say which.
func (f *fields) value(name string, expr bool) Value {
	v, ok := f.get(name)
	if !ok {
		return Value{}
	}
	if table, ok := v.(map[string]any); ok {
		inner := newFields(f.at(name), table, f.err)
		text := inner.str("expr")
		literal, given := inner.get("literal")
		inner.done()
		if (text != "") == given {
			f.fail(name, "a table holds either expr or literal, a string each")
			return Value{}
		}
		if text != "" {
			return Value{Expr: text}
		}
		v, expr = literal, false
	}
	switch v := plain(v).(type) {
	case string:
		if v == "" {
			f.fail(name, "is empty")
		}
		if expr {
			return Value{Expr: v}
		}
		return Value{Literal: v}
	case int, float64, bool:
		return Value{Literal: v}
	}
	f.fail(name, "must be a string, a number, true or false, or a table with expr or literal, got %s", describe(v))
	return Value{}
}

func (f *fields) strings(name string) []string {
	v, ok := f.get(name)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		f.fail(name, "must be an array of strings, got %s", describe(v))
	}
	all := make([]string, 0, len(list))
	for i, v := range list {
		s, ok := v.(string)
		if !ok {
			f.fail(fmt.Sprintf("%s[%d]", name, i), "must be a string, got %s", describe(v))
		}
		all = append(all, s)
	}
	return all
}

// table reads a table, empty if there is none.
func (f *fields) table(name string) *fields {
	v, ok := f.get(name)
	m, is := v.(map[string]any)
	if ok && !is {
		f.fail(name, "must be a table, got %s", describe(v))
	}
	return newFields(f.at(name), m, f.err)
}

// tables reads an array of tables.
func (f *fields) tables(name string) []*fields {
	v, ok := f.get(name)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		f.fail(name, "must be an array of tables, written [[%s]], got %s", name, describe(v))
	}
	var all []*fields
	for i, v := range list {
		m, ok := v.(map[string]any)
		if !ok {
			f.fail(fmt.Sprintf("%s[%d]", name, i), "must be a table, got %s", describe(v))
		}
		all = append(all, newFields(fmt.Sprintf("%s[%d]", f.at(name), i), m, f.err))
	}
	return all
}

// names returns the names in a table, in order, and counts them as read.
func (f *fields) names() []string {
	all := make([]string, 0, len(f.m))
	for name := range f.m {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// done refuses fields that nobody has read.
func (f *fields) done() {
	for _, name := range f.names() {
		if !f.read[name] {
			known := make([]string, 0, len(f.read))
			for k := range f.read {
				known = append(known, k)
			}
			slices.Sort(known)
			f.fail(name, "there is no such field; there are %s", strings.Join(known, ", "))
		}
	}
}

// plain makes a whole number an int, and any other a float64.
func plain(v any) any {
	switch n := v.(type) {
	case int64:
		return int(n)
	case float64:
		if n == math.Trunc(n) && math.Abs(n) < 1<<53 {
			return int(n)
		}
	case json.Number:
		if i, err := n.Int64(); err == nil {
			return int(i)
		}
		if x, err := n.Float64(); err == nil {
			return x
		}
		return n.String()
	}
	return v
}

// describe shows a value in an error.
func describe(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("the string %.80q", v)
	case map[string]any:
		return "a table"
	case []any:
		return "an array"
	case nil:
		return "null"
	}
	return fmt.Sprintf("%.80s", fmt.Sprint(v))
}
