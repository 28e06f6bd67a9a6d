package window

import (
	"cmp"
	"slices"
)

// A part is a chunk of cells: one of the three is not nil.
type part struct {
	singles *Singles
	fulls   *Fulls
	open    *Open
	late    bool // singles that came after their window was final
}

// partsOf returns the chunks of views in the order of the log, as far as cells of one
// window are concerned: a late point's cell follows the window that it was late for.
func partsOf(views []*View) []part {
	var out []part
	for _, v := range views {
		for _, f := range v.Fulls {
			out = append(out, part{fulls: f})
		}
		for _, s := range v.Singles {
			out = append(out, part{singles: s})
		}
		for i := range v.Open {
			out = append(out, part{open: &v.Open[i]})
		}
		for _, s := range v.Late {
			out = append(out, part{singles: s, late: true})
		}
	}
	return out
}

// span returns the least and the greatest time that the part's cells are sorted by.
func (p part) span() (first, last int64) {
	switch {
	case p.singles != nil:
		return p.singles.First, p.singles.Last
	case p.fulls != nil:
		return p.fulls.First, p.fulls.Last
	}
	return p.open.Start, p.open.Start
}

func (p part) len() int {
	switch {
	case p.singles != nil:
		return len(p.singles.Offset)
	case p.fulls != nil:
		return len(p.fulls.Offset)
	}
	return p.open.Rows.Len()
}

// at returns the time of a single, or the start of a full window.
func (p part) at(i int) int64 {
	switch {
	case p.singles != nil:
		return p.singles.Time(i)
	case p.fulls != nil:
		return p.fulls.Start(i)
	}
	return p.open.Start
}

// first returns the time of the first point of a cell.
func (p part) first(i int) int64 {
	switch {
	case p.singles != nil:
		return p.singles.Time(i)
	case p.fulls != nil:
		return p.fulls.Start(i) + int64(p.fulls.FirstAt[i])
	}
	return p.open.Start + int64(p.open.Rows.At(i).FirstAt)
}

func (p part) series(i int) uint32 {
	switch {
	case p.singles != nil:
		return p.singles.Series[i]
	case p.fulls != nil:
		return p.fulls.Series[i]
	}
	return p.open.Rows.At(i).Series
}

// state returns a cell without its sketch and members.
func (p part) state(i int) State {
	switch {
	case p.singles != nil:
		at, x := p.singles.Time(i), p.singles.Value[i]
		s := State{Count: 1, Sum: x, Min: x, Max: x, First: x, Last: x, FirstTime: at, LastTime: at}
		if p.late {
			s.Late = 1
		}
		return s
	case p.fulls != nil:
		r := p.fulls.Row(i)
		s := r.State(p.fulls.Start(i))
		s.Late = uint64(p.fulls.LateOf(i))
		return s
	}
	return p.open.Rows.At(i).State(p.open.Start)
}

// A ref is one cell: an index in parts, and one in the part.
type ref struct{ part, cell uint32 }

// InOrder calls visit with the cells of a span of time, from ≤ start < to, of the series
// with wanted[series] ≥ 0, by rising
// time of their first point; ties by position in the log. The states have no sketch and
// no members, and are valid until visit returns. It takes 8 bytes a cell while it sorts.
func InOrder(views []*View, from, to int64, wanted []int32, visit func(series uint32, s *State)) {
	parts := partsOf(views)
	var refs []ref
	for n, p := range parts {
		if first, last := p.span(); last < from || first >= to {
			continue
		}
		for i := range p.len() {
			series := p.series(i)
			if int(series) >= len(wanted) || wanted[series] < 0 {
				continue
			}
			if at := p.at(i); at >= from && at < to {
				refs = append(refs, ref{uint32(n), uint32(i)})
			}
		}
	}
	sortByTime(refs, parts)
	for _, r := range refs {
		st := parts[r.part].state(int(r.cell))
		visit(parts[r.part].series(int(r.cell)), &st)
	}
}

// sortByTime puts cells that are in the order of the log in that of their first points,
// so that the resets of cumulative series are seen.
func sortByTime(refs []ref, parts []part) {
	slices.SortStableFunc(refs, func(a, b ref) int {
		return cmp.Compare(parts[a.part].first(int(a.cell)), parts[b.part].first(int(b.cell)))
	})
}
