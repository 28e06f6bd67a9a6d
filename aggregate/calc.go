package aggregate

import (
	"fmt"
	"math"
	"slices"
)

// A calc is a part of a checked expression. Its leaves are read from the data; shifts
// have become part of them.
type calc struct {
	op     string // "number", "leaf", an operator, or a function
	number float64
	steps  int // of moving_avg
	leaf   int // index in Plan.leaves
	args   []*calc
}

// reach returns how many steps before the first one the part reads.
func (n *calc) reach() int {
	most := 0
	for _, a := range n.args {
		most = max(most, a.reach())
	}
	switch n.op {
	case "moving_avg":
		return most + n.steps - 1
	case "deriv":
		return most + 1
	}
	return most
}

// whole reports whether a step's value depends on the steps before it down to the first
// of the answer.
func (n *calc) whole() bool {
	return n.op == "cumsum" || n.op == "fill" || slices.ContainsFunc(n.args, (*calc).whole)
}

// calcExpr checks an expression of the queries named, read earlier by a shift, and adds
// to the leaves what it reads.
func (p *Plan) calcExpr(n *exprNode, sources map[string]*source, by shift) (*calc, error) {
	bad := func(format string, args ...any) (*calc, error) {
		return nil, refuse("expr: at byte %d: %s", n.at, fmt.Sprintf(format, args...))
	}
	switch n.op {
	case "number":
		return &calc{op: "number", number: n.number}, nil
	case "name":
		s := sources[n.text]
		if s == nil {
			return bad("there is no query %s", n.text)
		}
		return p.leafOf(s, by)
	case "shift":
		more, err := p.shiftOf(n.args[1])
		if err != nil {
			return bad("shift by %s", err)
		}
		return p.calcExpr(n.args[0], sources, by.plus(more))
	}
	out := &calc{op: n.op}
	args := n.args
	switch n.op {
	case "moving_avg":
		steps, err := p.stepsOf(args[1])
		if err != nil {
			return bad("moving_avg over %s", err)
		}
		out.steps, args = steps, args[:1]
	case "clamp_min", "clamp_max", "fill":
		number, ok := args[1].constant()
		if !ok {
			return bad("the second argument of %s must be a number", n.op)
		}
		out.number, args = number, args[:1]
	}
	for _, a := range args {
		c, err := p.calcExpr(a, sources, by)
		if err != nil {
			return nil, err
		}
		out.args = append(out.args, c)
	}
	return out, nil
}

// constant returns the number that a part is without looking at any data.
func (n *exprNode) constant() (float64, bool) {
	switch n.op {
	case "number":
		return n.number, true
	case "neg":
		x, ok := n.args[0].constant()
		return -x, ok
	}
	return 0, false
}

// whole returns a number of steps.
func (n *exprNode) whole(limit int) (int, error) {
	x, ok := n.constant()
	if !ok || x != math.Trunc(x) || x < 1 || x > float64(limit) {
		return 0, fmt.Errorf("something that is neither a length of time such as \"5m\" nor a number of steps from 1 to %d", limit)
	}
	return int(x), nil
}

// stepsOf returns how many steps a moving average takes in.
func (p *Plan) stepsOf(n *exprNode) (int, error) {
	if n.op != "text" {
		return n.whole(maxMoving)
	}
	if p.grid.unit != noUnit {
		return 0, fmt.Errorf("%q: with steps of the calendar it takes a number of steps", n.text)
	}
	ms, err := parseDuration(n.text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q: %w", n.text, err)
	case ms%p.grid.step != 0:
		return 0, fmt.Errorf("%q: not a multiple of the step of %d ms", n.text, p.grid.step)
	case ms/p.grid.step > maxMoving:
		return 0, fmt.Errorf("%q: has %d steps; the limit is %d", n.text, ms/p.grid.step, maxMoving)
	}
	return int(ms / p.grid.step), nil
}

// shiftOf returns how much earlier something is read: a length of time or a number of
// steps.
func (p *Plan) shiftOf(n *exprNode) (shift, error) {
	if n.op == "text" {
		s, err := p.grid.parseShift(n.text, p.width())
		if err != nil {
			return shift{}, fmt.Errorf("%q: %w", n.text, err)
		}
		return s, nil
	}
	steps, err := n.whole(MaxSteps)
	if err != nil {
		return shift{}, err
	}
	switch p.grid.unit {
	case unitDay:
		return shift{days: steps}, nil
	case unitWeek:
		return shift{days: 7 * steps}, nil
	case unitMonth:
		return shift{months: steps}, nil
	}
	return shift{ms: int64(steps) * p.grid.step}, nil
}

// leafOf returns the part that reads a query's series, earlier by a shift.
func (p *Plan) leafOf(s *source, by shift) (*calc, error) {
	want := leaf{source: s, shift: by}
	i := slices.Index(p.leaves, want)
	if i < 0 {
		if len(p.leaves) == 2*MaxQueries {
			return nil, refuse("the query reads more than %d series of steps, each shift of a query counted", 2*MaxQueries)
		}
		i = len(p.leaves)
		p.leaves = append(p.leaves, want)
	}
	return &calc{op: "leaf", leaf: i}, nil
}
