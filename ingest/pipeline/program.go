package pipeline

import (
	"fmt"
	"slices"
)

// A Program is a definition, compiled. It never changes.
type Program struct {
	Definition *Definition

	want       map[string]string // the fields that expressions use; nil means all
	wantRecord bool
	wantValue  bool
	before     []let // those that the filter uses
	filter     *expression
	after      []let
	outputs    []output
}

type let struct {
	name  string
	value *expression
	uses  scope
}

// output is an Output, compiled. What was not given is nil.
type output struct {
	at     string // such as output[0]
	filter *expression
	each   *expression
	as     string

	metric, typ, value, time *expression
	clock                    *Clock
	labels                   []label
	labelsFrom               *expression

	stream      string
	record, key *expression
}

type label struct {
	name  []byte
	field string
	value *expression
}

// Compile compiles all expressions of a definition. The error is a *DefinitionError.
func Compile(d *Definition) (*Program, error) {
	p := &Program{Definition: d}
	c := &compiler{uses: scope{}}
	used := scope{} // by the filter
	if d.Filter != "" {
		p.filter = c.expr("filter", d.Filter, used)
	}
	p.before, p.after = c.lets(d.Lets, used)
	for i := range d.Output {
		p.outputs = append(p.outputs, c.output(fmt.Sprintf("output[%d]", i), &d.Output[i]))
	}
	if c.err != nil {
		return nil, c.err
	}
	p.wantRecord = c.uses[recordName] || c.uses[envName]
	p.wantValue = c.uses[valueName] || c.uses[envName] || c.whole
	if !p.wantValue {
		p.want = map[string]string{}
		for name := range c.uses {
			p.want[name] = name
		}
	}
	return p, nil
}

// A compiler compiles until the first error.
type compiler struct {
	uses  scope // by all expressions
	whole bool  // an output wants the whole event
	err   error
}

func (c *compiler) expr(field, text string, used scope) *expression {
	if c.err != nil || text == "" {
		return nil
	}
	e, err := used.compile(field, text)
	c.err = err
	for name := range used {
		c.uses[name] = true
	}
	return e
}

// operand compiles a value; a literal needs no compiling.
func (c *compiler) operand(field string, v Value) *expression {
	if v.Literal != nil {
		return &expression{fixed: true, value: v.Literal}
	}
	return c.expr(field, v.Expr, scope{})
}

// lets puts names for expressions in an order in which each uses only those before it, and
// takes apart which of them the filter needs.
func (c *compiler) lets(all []Let, used scope) (before, after []let) {
	left := make([]let, 0, len(all))
	for _, l := range all {
		uses := scope{}
		left = append(left, let{l.Name, c.expr("let."+l.Name, l.Expr, uses), uses})
	}
	for grown := true; grown; { // what the filter uses by way of others
		grown = false
		for _, l := range left {
			for name := range l.uses {
				if used[l.name] && !used[name] {
					used[name], grown = true, true
				}
			}
		}
	}
	for len(left) > 0 && c.err == nil {
		i := slices.IndexFunc(left, func(l let) bool {
			return !slices.ContainsFunc(left, func(o let) bool { return l.uses[o.name] })
		})
		if i < 0 {
			c.err = &DefinitionError{Field: "let." + left[0].name, Reason: "it is made of itself, by way of others or not"}
			break
		}
		if used[left[i].name] {
			before = append(before, left[i])
		} else {
			after = append(after, left[i])
		}
		left = slices.Delete(left, i, i+1)
	}
	return before, after
}

func (c *compiler) output(at string, o *Output) output {
	made := output{
		at: at, as: o.As, clock: &o.Clock, stream: o.Stream,
		filter: c.expr(at+".filter", o.Filter, scope{}),
		each:   c.expr(at+".each", o.Each, scope{}),
	}
	if o.Stream != "" {
		made.record = c.expr(at+".record", o.Record, scope{})
		made.key = c.expr(at+".key", o.Key, scope{})
		c.whole = c.whole || o.Record == ""
		return made
	}
	made.metric = c.operand(at+".metric", o.Metric)
	made.typ = c.operand(at+".type", o.Type)
	made.value = c.operand(at+".value", o.Value)
	made.time = c.operand(at+".ts", o.Time)
	made.labelsFrom = c.expr(at+".labels_from", o.LabelsFrom, scope{})
	for _, l := range o.Labels {
		field := "labels." + l.Name
		made.labels = append(made.labels, label{[]byte(l.Name), field, c.operand(at+"."+field, l.Value)})
	}
	return made
}
