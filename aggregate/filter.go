package aggregate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Limits of where.
const (
	MaxWhere = 32   // labels that a query filters by
	MaxRegex = 1000 // bytes of a regular expression
)

// A Filter says which values a label may have. A series without the label has the value
// "". What is nil does not matter; all the rest must hold.
type Filter struct {
	In       []string // one of these; an empty list lets nothing through
	Not      []string // none of these
	Prefix   *string  // begins with it
	Regex    *string  // all of the value matches it, in RE2's syntax
	NotRegex *string  // all of the value does not match it
}

// Is returns the filter that lets the values given through.
func Is(values ...string) Filter { return Filter{In: append([]string{}, values...)} }

// filterFields is a Filter as it is written.
type filterFields struct {
	In       *list   `json:"in,omitempty"`
	Not      *list   `json:"not,omitempty"`
	Prefix   *string `json:"prefix,omitempty"`
	Regex    *string `json:"regex,omitempty"`
	NotRegex *string `json:"not_regex,omitempty"`
}

// A list is strings of which a single one stands without brackets.
type list []string

// UnmarshalJSON takes a string or an array of strings.
func (l *list) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*l = list{""}
		return json.Unmarshal(b, &(*l)[0])
	}
	return json.Unmarshal(b, (*[]string)(l))
}

// MarshalJSON writes a single string without brackets.
func (l list) MarshalJSON() ([]byte, error) {
	if len(l) == 1 {
		return json.Marshal(l[0])
	}
	return json.Marshal([]string(l))
}

// UnmarshalJSON takes a string or an array of strings, or an object of conditions.
func (f *Filter) UnmarshalJSON(b []byte) error {
	*f = Filter{}
	if len(b) > 0 && b[0] != '{' {
		var l list
		if err := json.Unmarshal(b, &l); err != nil || l == nil {
			return fmt.Errorf("where: a label takes a string or an array of strings, or an object with in, not, prefix, regex or not_regex; got %.40s", b)
		}
		f.In = l
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var x filterFields
	if err := d.Decode(&x); err != nil {
		return fmt.Errorf("where: %s; a label's conditions are in, not, prefix, regex and not_regex", strings.TrimPrefix(err.Error(), "json: "))
	}
	if x == (filterFields{}) {
		return fmt.Errorf("where: a label's object holds none of in, not, prefix, regex and not_regex")
	}
	f.Prefix, f.Regex, f.NotRegex = x.Prefix, x.Regex, x.NotRegex
	if x.In != nil {
		f.In = append([]string{}, *x.In...)
	}
	if x.Not != nil {
		f.Not = append([]string{}, *x.Not...)
	}
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads, in the shortest form.
func (f Filter) MarshalJSON() ([]byte, error) {
	if f.only() {
		return json.Marshal(list(f.In))
	}
	x := filterFields{Prefix: f.Prefix, Regex: f.Regex, NotRegex: f.NotRegex}
	if f.In != nil {
		x.In = (*list)(&f.In)
	}
	if f.Not != nil {
		x.Not = (*list)(&f.Not)
	}
	return json.Marshal(x)
}

// only reports whether In is all that the filter asks.
func (f *Filter) only() bool {
	return f.In != nil && f.Not == nil && f.Prefix == nil && f.Regex == nil && f.NotRegex == nil
}

// A condition is a checked Filter of one label.
type condition struct {
	label    string
	filter   Filter
	regex    *regexp.Regexp
	notRegex *regexp.Regexp
}

// newCondition checks the filter of a label.
func newCondition(label string, f Filter) (condition, error) {
	c := condition{label: label, filter: f}
	var err error
	if c.regex, err = compile(label, "regex", f.Regex); err != nil {
		return c, err
	}
	c.notRegex, err = compile(label, "not_regex", f.NotRegex)
	return c, err
}

// compile returns the expression that matches whole values, nil for none.
func compile(label, field string, text *string) (*regexp.Regexp, error) {
	if text == nil {
		return nil, nil
	}
	if len(*text) > MaxRegex {
		return nil, refuse("where.%s.%s has %d bytes; the limit is %d", label, field, len(*text), MaxRegex)
	}
	if _, err := regexp.Compile(*text); err != nil { // by itself, so that no bracket of it closes the group below
		return nil, refuse("where.%s.%s %q: %s", label, field, *text, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	r, err := regexp.Compile(`\A(?:` + *text + `)\z`)
	if err != nil {
		return nil, refuse("where.%s.%s %q: %s", label, field, *text, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return r, nil
}

// match reports whether the label may have a value.
func (c *condition) match(value string) bool {
	f := &c.filter
	switch {
	case f.In != nil && !slices.Contains(f.In, value):
	case slices.Contains(f.Not, value):
	case f.Prefix != nil && !strings.HasPrefix(value, *f.Prefix):
	case c.regex != nil && !c.regex.MatchString(value):
	case c.notRegex != nil && c.notRegex.MatchString(value):
	default:
		return true
	}
	return false
}

// conditions checks where, and returns it by rising label.
func conditions(where map[string]Filter) ([]condition, error) {
	if len(where) > MaxWhere {
		return nil, refuse("where has %d labels; the limit is %d", len(where), MaxWhere)
	}
	var out []condition
	for label, f := range where {
		c, err := newCondition(label, f)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b condition) int { return strings.Compare(a.label, b.label) })
	return out, nil
}
