package window

import (
	"cmp"
	"slices"
)

// A timed is a ref with the time that it is sorted by.
type timed struct {
	at int64
	ref
}

func compareTimed(a, b timed) int {
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.chunk, b.chunk), cmp.Compare(a.cell, b.cell))
}

// InOrder calls visit with the cells of a span of time, from ≤ start < to, by rising
// time of their first point. The states have no sketch and no members, and are valid
// until visit returns. It takes 24 bytes a cell while it sorts.
func InOrder(views []*View, from, to int64, visit func(series uint32, s *State)) {
	var singles []*Singles
	var fulls []*Fulls
	for _, v := range views {
		singles = append(singles, v.Singles...)
		fulls = append(fulls, v.Fulls...)
		for i := range v.Open {
			o := &v.Open[i]
			fulls = append(fulls, &Fulls{Base: o.Start, First: o.Start, Last: o.Start, Offset: make([]uint32, len(o.Rows)), Rows: o.Rows})
		}
	}
	var order []timed
	for c, s := range singles {
		if s.Last < from || s.First >= to {
			continue
		}
		for i := range s.Offset {
			if at := s.Time(i); at >= from && at < to {
				order = append(order, timed{at, ref{uint32(c), uint32(i)}})
			}
		}
	}
	for c, f := range fulls {
		if f.Last < from || f.First >= to {
			continue
		}
		for i := range f.Offset {
			if at := f.Start(i); at >= from && at < to {
				order = append(order, timed{at + int64(f.Rows[i].FirstAt), ref{uint32(len(singles) + c), uint32(i)}})
			}
		}
	}
	slices.SortFunc(order, compareTimed)
	for _, r := range order {
		if int(r.chunk) < len(singles) {
			s := singles[r.chunk]
			x := s.Value[r.cell]
			visit(s.Series[r.cell], &State{Count: 1, Sum: x, Min: x, Max: x, First: x, Last: x, FirstTime: r.at, LastTime: r.at})
			continue
		}
		f := fulls[int(r.chunk)-len(singles)]
		st := f.Rows[r.cell].State(f.Start(int(r.cell)))
		visit(f.Rows[r.cell].Series, &st)
	}
}

// sortByTime puts the cells of one bucket in order of their first point, so that the
// resets of cumulative series are seen.
func sortByTime(refs []ref, singles []*Singles, fulls []*Fulls) {
	at := func(r ref) int64 {
		if int(r.chunk) < len(singles) {
			return singles[r.chunk].Time(int(r.cell))
		}
		f := fulls[int(r.chunk)-len(singles)]
		return f.Start(int(r.cell)) + int64(f.Rows[r.cell].FirstAt)
	}
	slices.SortFunc(refs, func(a, b ref) int { return compareTimed(timed{at(a), a}, timed{at(b), b}) })
}
