package aggregate

import (
	"math"

	"freshet/aggregate/window"
)

// An accumulator adds cells up by group and step. Cells outside the span, and those of
// series without a group, are left out. Chunks come in the order of the log within a
// series.
type accumulator interface {
	fulls(c *window.Fulls)
	singles(c *window.Singles)
	open(o *window.Open)
	// row adds to a slot what the warehouse has added up: sketches and distinct counts
	// only if the accumulator wants them.
	row(slot int, r *GroupRow)
	wants() (sketch, distinct bool)
	// absorb adds another accumulator for the same query, of chunks that come later.
	absorb(later accumulator)
	// bounds returns what the accumulator leaves out, and what was late.
	bounds() *cells
	// value returns what a group has in a step, NaN for nothing.
	value(group, step int) float64
	// merge adds one group to another.
	merge(into, from int)
	// total returns what a group comes to over all steps, for ranking.
	total(group int) float64
	// hop makes of the steps the windows of n of them each that end with step n-1 and
	// with every one after it.
	hop(n int)
}

// cells is the part that accumulators share: where a cell goes.
type cells struct {
	span
	groupOf []int32
	kept    int64    // steps that begin before it have expired
	late    []uint64 // by step, how many points came after their window was final; nil for none
}

func (c *cells) bounds() *cells { return c }

func (c *cells) wants() (sketch, distinct bool) { return false, false }

// absorbLate adds the late points of another part.
func (c *cells) absorbLate(o *cells) {
	for step, n := range o.late {
		c.countLate(step, n)
	}
}

func (c *cells) outside(first, last int64) bool { return last < max(c.from, c.kept) || first >= c.to() }

func (c *cells) inside(at int64) bool { return at >= max(c.from, c.kept) && at < c.to() }

// scalar is one number and how many points it stands for.
type scalar struct {
	count uint64
	value float64
}

// scalars accumulates count, sum, avg, min, max and last.
type scalars struct {
	cells
	kind aggKind
	per  []float64 // of a rate: the seconds of each step; else nil
	acc  []scalar
	last []int64 // of last: the time of the value
}

func newScalars(c cells, kind aggKind, groups int) *scalars {
	s := &scalars{cells: c, kind: kind, acc: make([]scalar, groups*c.steps)}
	if kind == aggRate {
		s.perSecond()
	}
	if kind == aggLast {
		s.last = make([]int64, len(s.acc))
	}
	return s
}

// put adds count points to a slot. Value is of what the kind asks for: their sum, the
// least, the greatest or the last of them, which is of the time at.
func (s *scalars) put(slot int, count uint64, value float64, at int64) {
	a := &s.acc[slot]
	switch s.kind {
	case aggMin:
		if a.count == 0 || value < a.value {
			a.value = value
		}
	case aggMax:
		if a.count == 0 || value > a.value {
			a.value = value
		}
	case aggLast:
		if a.count == 0 || at >= s.last[slot] {
			a.value, s.last[slot] = value, at
		}
	default:
		a.value += value
	}
	a.count += count
}

// perSecond makes the values those of a second.
func (s *scalars) perSecond() {
	s.per = make([]float64, s.steps)
	for i := range s.per {
		s.per[i] = s.seconds(i)
	}
}

func (s *scalars) value(g, step int) float64 {
	v := s.result(s.acc[g*s.steps+step])
	if s.per != nil {
		v /= s.per[step]
	}
	return v
}

func (s *scalars) result(a scalar) float64 {
	switch {
	case a.count == 0:
		return math.NaN()
	case s.kind == aggCount:
		return float64(a.count)
	case s.kind == aggAvg:
		return a.value / float64(a.count)
	}
	return a.value
}

func (s *scalars) merge(into, from int) {
	for i := range s.steps {
		b := s.acc[from*s.steps+i]
		if b.count == 0 {
			continue
		}
		n := into*s.steps + i
		at := int64(0)
		if s.last != nil {
			at = s.last[from*s.steps+i]
		}
		s.put(n, b.count, b.value, at)
	}
}

func (s *scalars) absorb(later accumulator) {
	o := later.(*scalars)
	for slot, b := range o.acc {
		if b.count == 0 {
			continue
		}
		at := int64(0)
		if o.last != nil {
			at = o.last[slot]
		}
		s.put(slot, b.count, b.value, at)
	}
	s.absorbLate(&o.cells)
}

func (s *scalars) total(g int) float64 {
	var all scalar
	var at int64
	for i, a := range s.acc[g*s.steps : (g+1)*s.steps] {
		if a.count == 0 {
			continue
		}
		switch {
		case s.kind == aggMin && all.count > 0:
			all.value = min(all.value, a.value)
		case s.kind == aggMax && all.count > 0:
			all.value = max(all.value, a.value)
		case s.kind == aggLast:
			if t := s.last[g*s.steps+i]; t >= at {
				all.value, at = a.value, t
			}
		case s.kind == aggMin || s.kind == aggMax:
			all.value = a.value
		default:
			all.value += a.value
		}
		all.count += a.count
	}
	return s.result(all)
}

// quantiles accumulates the sketches of distributions.
type quantiles struct {
	cells
	q   float64
	acc []window.Histogram
}

func newQuantiles(c cells, q float64, groups int) *quantiles {
	return &quantiles{cells: c, q: q, acc: make([]window.Histogram, groups*c.steps)}
}

func (s *quantiles) wants() (sketch, distinct bool) { return true, false }

func (s *quantiles) absorb(later accumulator) {
	o := later.(*quantiles)
	for slot := range o.acc {
		s.acc[slot].Merge(&o.acc[slot])
	}
	s.absorbLate(&o.cells)
}

func (s *quantiles) value(g, step int) float64 { return s.acc[g*s.steps+step].Quantile(s.q) }

func (s *quantiles) merge(into, from int) {
	for i := range s.steps {
		s.acc[into*s.steps+i].Merge(&s.acc[from*s.steps+i])
	}
}

func (s *quantiles) total(g int) float64 {
	var all window.Histogram
	for i := range s.steps {
		all.Merge(&s.acc[g*s.steps+i])
	}
	return all.Quantile(s.q)
}

// distincts accumulates the members of sets.
type distincts struct {
	cells
	acc []window.Distinct
}

func newDistincts(c cells, groups int) *distincts {
	return &distincts{cells: c, acc: make([]window.Distinct, groups*c.steps)}
}

func (s *distincts) wants() (sketch, distinct bool) { return false, true }

func (s *distincts) absorb(later accumulator) {
	o := later.(*distincts)
	for slot := range o.acc {
		s.acc[slot].Merge(&o.acc[slot])
	}
	s.absorbLate(&o.cells)
}

func (s *distincts) value(g, step int) float64 {
	d := &s.acc[g*s.steps+step]
	if d.Empty() {
		return math.NaN()
	}
	return float64(d.Count())
}

func (s *distincts) merge(into, from int) {
	for i := range s.steps {
		s.acc[into*s.steps+i].Merge(&s.acc[from*s.steps+i])
	}
}

func (s *distincts) total(g int) float64 {
	var all window.Distinct
	for i := range s.steps {
		all.Merge(&s.acc[g*s.steps+i])
	}
	return float64(all.Count())
}
