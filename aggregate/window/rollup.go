package window

import (
	"cmp"
	"slices"

	"freshet/ingest/point"
)

// Rollup merges the cells of sealed views into windows of width milliseconds and
// yields them by rising start, and by rising series within a start. TypeOf tells the type of a series
// of the metric. The state is valid until yield returns. It takes time in proportion
// to the cells, and 8 bytes a cell.
func Rollup(views []*View, width int64, typeOf func(series uint32) point.Type, yield func(series uint32, start int64, s *State) error) error {
	parts := partsOf(views)
	starts, ends, refs := bucket(parts, width)
	states := map[uint32]*State{}
	var free []*State
	var order []uint32
	for i, start := range starts {
		from := 0
		if i > 0 {
			from = ends[i-1]
		}
		cells := refs[from:ends[i]]
		for _, r := range cells {
			series := parts[r.part].series(int(r.cell))
			s := states[series]
			if s == nil {
				if n := len(free); n > 0 {
					s, free = free[n-1], free[:n-1]
				} else {
					s = &State{}
				}
				states[series] = s
				order = append(order, series)
			}
			s.addCell(parts[r.part], int(r.cell), typeOf(series))
		}
		slices.Sort(order)
		falls := resets(cells, parts, typeOf)
		for _, series := range order {
			s := states[series]
			s.Resets = falls[series].Resets
			if err := yield(series, start, s); err != nil {
				return err
			}
			s.Clear()
			free = append(free, s)
		}
		clear(states)
		order = order[:0]
	}
	return nil
}

// resets returns the cumulative series of some cells, which it puts in order of time,
// with what they lost at resets. First and last points of equal time are not meant to be
// used: their order is that of the log.
func resets(cells []ref, parts []part, typeOf func(uint32) point.Type) map[uint32]State {
	cumulative := cells[:0]
	for _, r := range cells {
		if typeOf(parts[r.part].series(int(r.cell))) == point.Cumulative {
			cumulative = append(cumulative, r)
		}
	}
	if len(cumulative) == 0 {
		return nil
	}
	sortByTime(cumulative, parts)
	out := map[uint32]State{}
	for _, r := range cumulative {
		series := parts[r.part].series(int(r.cell))
		s, o := out[series], parts[r.part].state(int(r.cell))
		s.MergeScalars(&o)
		out[series] = s
	}
	return out
}

// bucket sorts the cells by the start of their window, keeping their order within one:
// the cells of starts[i] are refs[ends[i-1]:ends[i]].
func bucket(parts []part, width int64) (starts []int64, ends []int, refs []ref) {
	index := map[int64]int{}
	var counts []int
	last, lastIndex := int64(-1<<62), 0
	each := func(visit func(start int64, part, cell int)) {
		for n, p := range parts {
			for i := range p.len() {
				visit(Floor(p.at(i), width), n, i)
			}
		}
	}
	find := func(start int64) int {
		if start != last {
			i, ok := index[start]
			if !ok {
				i = len(starts)
				index[start] = i
				starts = append(starts, start)
				counts = append(counts, 0)
			}
			last, lastIndex = start, i
		}
		return lastIndex
	}
	total := 0
	each(func(start int64, _, _ int) { counts[find(start)]++; total++ })
	order := make([]int, len(starts))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(starts[a], starts[b]) })
	next := make([]int, len(starts))
	ends = make([]int, len(starts))
	sorted := make([]int64, len(starts))
	at := 0
	for rank, i := range order {
		next[i] = at
		at += counts[i]
		ends[rank], sorted[rank] = at, starts[i]
	}
	refs = make([]ref, total)
	each(func(start int64, part, cell int) {
		i := find(start)
		refs[next[i]] = ref{uint32(part), uint32(cell)}
		next[i]++
	})
	return sorted, ends, refs
}

// addCell merges a cell with its sketch and members.
func (s *State) addCell(p part, i int, typ point.Type) {
	o := p.state(i)
	s.MergeScalars(&o)
	if f := p.fulls; f != nil {
		for _, b := range f.BinsOf(i) {
			s.Sketch.addBin(b.Bin, uint64(b.Count))
		}
		if f.Distinct != nil {
			s.Distinct.Merge(&f.Distinct[i])
		}
		return
	}
	if p.singles == nil {
		return // open windows are not rolled up
	}
	switch typ {
	case point.Distribution:
		s.Sketch.Add(p.singles.Value[i])
	case point.Set:
		s.Distinct.Add(p.singles.Hash[i])
	}
}
