package aggregate

import (
	"freshet/aggregate/window"
)

// mayHold reports whether any series of a range counts. Where it is dear to know it says yes.
func (c *cells) mayHold(least, greatest uint32) bool {
	if int(least) >= len(c.groupOf) {
		return false
	}
	of := c.groupOf[least:min(int(greatest)+1, len(c.groupOf))]
	if len(of) > maxLook {
		return true
	}
	for _, g := range of {
		if g >= 0 {
			return true
		}
	}
	return false
}

// maxLook is how many series mayHold looks at.
const maxLook = 4096

// lateSingles counts points that came after their window was final.
func (c *cells) lateSingles(s *window.Singles) {
	for i, series := range s.Series {
		if at := s.Time(i); c.group(series) >= 0 && c.inside(at) {
			c.countLate(c.index(at), 1)
		}
	}
}

// lateFulls is lateSingles for windows of several points.
func (c *cells) lateFulls(f *window.Fulls) {
	for i, n := range f.Late {
		if at := f.Start(i); n > 0 && c.group(f.Series[i]) >= 0 && c.inside(at) {
			c.countLate(c.index(at), uint64(n))
		}
	}
}

func (c *cells) countLate(step int, n uint64) {
	if n == 0 {
		return
	}
	if c.late == nil {
		c.late = make([]uint64, c.steps)
	}
	c.late[step] += n
}

// A stepper finds the step of cells that come in runs of one start.
type stepper struct {
	cells *cells
	base  int64
	last  uint32
	step  int // of last, -1 outside of the span
}

func (c *cells) stepper(base int64) stepper { return stepper{cells: c, base: base, step: -2} }

// at returns the step of the cell at an offset, or -1.
func (s *stepper) at(offset uint32) int {
	if offset == s.last && s.step != -2 {
		return s.step
	}
	s.last, s.step = offset, -1
	if at := s.base + int64(offset); s.cells.inside(at) {
		s.step = s.cells.index(at)
	}
	return s.step
}

// group returns the group of a series, or -1.
func (c *cells) group(series uint32) int {
	if int(series) >= len(c.groupOf) {
		return -1
	}
	return int(c.groupOf[series])
}

func (s *scalars) fulls(c *window.Fulls) {
	column := pick(s.kind, c.Sum, c.Min, c.Max, c.LastValue)
	steps := s.stepper(c.Base)
	for i, series := range c.Series {
		g := s.group(series)
		if g < 0 {
			continue
		}
		step := steps.at(c.Offset[i])
		if step < 0 {
			continue
		}
		s.put(g*s.steps+step, uint64(c.Count[i]), column[i], c.Base+int64(c.Offset[i])+int64(c.LastAt[i]))
	}
}

func (s *scalars) singles(c *window.Singles) {
	steps := s.stepper(c.Base)
	for i, series := range c.Series {
		g := s.group(series)
		if g < 0 {
			continue
		}
		if step := steps.at(c.Offset[i]); step >= 0 {
			s.put(g*s.steps+step, 1, c.Value[i], c.Time(i))
		}
	}
}

func (s *scalars) open(o *window.Open) {
	step := s.index(o.Start)
	for k := range o.Rows.Pages() {
		s.rows(o.Rows.Page(k), o.Start, step)
	}
}

func (s *scalars) rows(rows []window.Row, start int64, step int) {
	for i := range rows {
		r := &rows[i]
		g := s.group(r.Series)
		if g < 0 {
			continue
		}
		s.put(g*s.steps+step, uint64(r.Count), pick(s.kind, r.Sum, r.Min, r.Max, r.Last), start+int64(r.LastAt))
	}
}

// pick returns what a kind is made of: a sum, unless it asks for an extreme or the last.
func pick[T any](kind aggKind, sum, least, greatest, last T) T {
	switch kind {
	case aggMin:
		return least
	case aggMax:
		return greatest
	case aggLast:
		return last
	}
	return sum
}

// fill calls add with the cells of a chunk that count and the slot of their group and
// step.
func (c *cells) fill(base int64, series, offsets []uint32, add func(slot, i int)) {
	steps := c.stepper(base)
	for i, n := range series {
		if g := c.group(n); g >= 0 {
			if step := steps.at(offsets[i]); step >= 0 {
				add(g*c.steps+step, i)
			}
		}
	}
}

// row adds what the warehouse has added up.
func (s *scalars) row(slot int, r *GroupRow) {
	s.put(slot, r.Count, pick(s.kind, r.Sum, r.Min, r.Max, r.Last), r.LastTime)
}

func (s *quantiles) row(slot int, r *GroupRow) {
	for _, b := range r.Sketch.Bins() {
		s.acc[slot].Add(b.Bin, b.Count)
	}
}

func (s *distincts) row(slot int, r *GroupRow) { s.acc[slot].Merge(&r.Distinct) }

func (s *quantiles) singles(c *window.Singles) {
	s.fill(c.Base, c.Series, c.Offset, func(slot, i int) { s.acc[slot].Add(window.BinOf(c.Value[i]), 1) })
}

func (s *quantiles) fulls(c *window.Fulls) {
	s.fill(c.Base, c.Series, c.Offset, func(slot, i int) {
		for _, b := range c.BinsOf(i) {
			s.acc[slot].Add(b.Bin, uint64(b.Count))
		}
	})
}

func (s *quantiles) open(o *window.Open) {
	step := s.index(o.Start)
	for _, b := range o.Bins {
		if g := s.group(o.Rows.At(int(b.Row)).Series); g >= 0 {
			s.acc[g*s.steps+step].Add(b.Bin, uint64(b.Count))
		}
	}
}

func (s *distincts) singles(c *window.Singles) {
	if c.Hash != nil {
		s.fill(c.Base, c.Series, c.Offset, func(slot, i int) { s.acc[slot].Add(c.Hash[i]) })
	}
}

func (s *distincts) fulls(c *window.Fulls) {
	if c.Distinct != nil {
		s.fill(c.Base, c.Series, c.Offset, func(slot, i int) { s.acc[slot].Merge(&c.Distinct[i]) })
	}
}

func (s *distincts) open(o *window.Open) {
	step := s.index(o.Start)
	for _, m := range o.Members {
		if g := s.group(o.Rows.At(int(m.Row)).Series); g >= 0 {
			s.acc[g*s.steps+step].Add(m.Hash)
		}
	}
}
