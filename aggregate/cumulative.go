package aggregate

import (
	"freshet/aggregate/window"
)

// lookBack is how far before the first step, in milliseconds, the value is looked for
// that a cumulative series rose from.
const lookBack = 5 * minute

// climbs returns the scalars of rate or increase over cumulative series: by how much
// the series of each group rose in each step, within it and on the way to it from the
// last value before. States of different series do not merge, so each series is
// followed through time on its own. Loaded windows have the length resolution, and may
// begin before the span that is looked back over.
func climbs(c cells, kind aggKind, groups int, views []*window.View, resolution int64) *scalars {
	out := newScalars(c, kind, groups)
	type place struct {
		value float64
		at    int64
		seen  bool
	}
	last := make([]place, len(c.groupOf))
	reach := c.from - lookBack
	window.InOrder(views, window.Floor(reach, resolution), c.to(), c.groupOf, func(series uint32, s *window.State) {
		if s.LastTime < reach {
			return
		}
		p := &last[series]
		rise := s.Increase()
		switch {
		case !p.seen:
		case s.FirstTime >= p.at:
			rise += s.First - p.value + window.Reset(p.value, s.First)
		case s.LastTime >= p.at: // a late stretch that began before the last value
			rise = s.Last - p.value + window.Reset(p.value, s.Last)
		default: // a late stretch that lies before it, and is part of the rise counted there
			rise = 0
		}
		if !p.seen || s.LastTime >= p.at {
			*p = place{s.Last, s.LastTime, true}
		}
		if s.FirstTime >= c.from {
			step := c.index(s.FirstTime)
			out.countLate(step, s.Late)
			a := &out.acc[int(c.groupOf[series])*c.steps+step]
			a.count += s.Count
			a.value += rise
		}
	})
	return out
}
