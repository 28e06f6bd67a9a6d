package aggregate

import (
	"math"
	"slices"
	"strings"
)

// maxMoving is how many steps a moving average takes in.
const maxMoving = 1000

// A row is one series while an expression is evaluated.
type row struct {
	key    string // of the labels: rows with equal keys belong together
	labels map[string]string
	other  bool
	values []float64 // NaN for none
}

// A table is what a part of an expression comes to: rows of equal length by rising key,
// or one number for all.
type table struct {
	rows     []row
	number   float64
	isNumber bool
}

// otherKey is the key of the rest that top folded together. It is the last.
const otherKey = "\xff"

// labelKey returns a string that only series with the same labels share.
func labelKey(labels map[string]string) string {
	names := make([]string, 0, len(labels))
	for n := range labels {
		names = append(names, n)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, n := range names {
		b.WriteString(n)
		b.WriteByte(0)
		b.WriteString(labels[n])
		b.WriteByte(0)
	}
	return b.String()
}

// An evaluation is one run of an expression over steps, the first of which are there for
// functions that look back.
type evaluation struct {
	span   span
	before int             // steps in front of the first that is asked for
	leaf   func(int) []row // the series of a leaf, which the evaluation does not change
}

// run evaluates a part.
func (e *evaluation) run(n *calc) table {
	switch n.op {
	case "number":
		return table{number: n.number, isNumber: true}
	case "leaf":
		return table{rows: e.leaf(n.leaf)}
	}
	args := make([]table, len(n.args))
	for i, a := range n.args {
		args[i] = e.run(a)
	}
	if len(args) == 2 {
		return e.binary(n.op, args[0], args[1])
	}
	if args[0].isNumber {
		out := []float64{args[0].number}
		e.each(n, out, out)
		return table{number: out[0], isNumber: true}
	}
	out := table{rows: make([]row, len(args[0].rows))}
	for i, r := range args[0].rows {
		values := make([]float64, len(r.values))
		e.each(n, values, r.values)
		r.values = values
		out.rows[i] = r
	}
	return out
}

// each fills out with what a function of one operand makes of in.
func (e *evaluation) each(n *calc, out, in []float64) {
	switch n.op {
	case "cumsum":
		sum, any := 0.0, false
		for i, x := range in {
			out[i] = math.NaN()
			if i < e.before && len(in) > 1 {
				continue
			}
			if x == x {
				sum, any = sum+x, true
			}
			if any {
				out[i] = finite(sum)
			}
		}
	case "deriv":
		for i := len(in) - 1; i > 0; i-- {
			out[i] = finite((in[i] - in[i-1]) / (float64(e.span.start(i)-e.span.start(i-1)) / 1000))
		}
		out[0] = math.NaN()
	case "moving_avg":
		for i := range in {
			out[i] = mean(in[max(0, i+1-n.steps) : i+1])
		}
	default:
		for i, x := range in {
			out[i] = finite(n.of(x))
		}
	}
}

// of returns what a function that looks at one value alone makes of it.
func (n *calc) of(x float64) float64 {
	switch n.op {
	case "neg":
		return -x
	case "abs":
		return math.Abs(x)
	case "clamp_min":
		if x < n.number {
			return n.number
		}
	case "clamp_max":
		if x > n.number {
			return n.number
		}
	case "fill":
		if x != x {
			return n.number
		}
	}
	return x
}

// mean returns the mean of the values that there are, the oldest added first, so that
// it does not depend on where an evaluation begins.
func mean(values []float64) float64 {
	sum, n := 0.0, 0
	for _, x := range values {
		if x == x {
			sum += x
			n++
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return finite(sum / float64(n))
}

// missing returns steps without values.
func missing(steps int) []float64 { return slices.Repeat([]float64{math.NaN()}, steps) }

// finite returns x, or NaN if it is no number.
func finite(x float64) float64 {
	if math.IsInf(x, 0) {
		return math.NaN()
	}
	return x
}

func operate(op string, a, b float64) float64 {
	switch op {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	case "/":
		return a / b
	default:
		return math.Mod(a, b)
	}
}

// binary joins two operands: series with equal labels, or one without labels or a
// number with all.
func (e *evaluation) binary(op string, a, b table) table {
	if a.isNumber && b.isNumber {
		return table{number: finite(operate(op, a.number, b.number)), isNumber: true}
	}
	var out table
	join := func(of row, x, y []float64) {
		of.values = make([]float64, e.span.steps)
		for i := range of.values {
			of.values[i] = finite(operate(op, x[i], y[i]))
		}
		out.rows = append(out.rows, of)
	}
	switch {
	case a.isNumber || a.forAll():
		x := e.always(&a)
		for _, r := range b.rows {
			join(r, x, r.values)
		}
	case b.isNumber || b.forAll():
		y := e.always(&b)
		for _, r := range a.rows {
			join(r, r.values, y)
		}
	default:
		for i, j := 0, 0; i < len(a.rows) && j < len(b.rows); {
			switch c := strings.Compare(a.rows[i].key, b.rows[j].key); {
			case c < 0:
				i++
			case c > 0:
				j++
			default:
				join(a.rows[i], a.rows[i].values, b.rows[j].values)
				i, j = i+1, j+1
			}
		}
	}
	return out
}

// always returns the values that go with those of any series.
func (e *evaluation) always(t *table) []float64 {
	if !t.isNumber {
		return t.rows[0].values
	}
	return slices.Repeat([]float64{t.number}, e.span.steps)
}

// forAll reports whether a table is one series without labels, which goes with any.
func (t *table) forAll() bool { return len(t.rows) == 1 && t.rows[0].key == "" }
