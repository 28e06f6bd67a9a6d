package window

import (
	"cmp"
	"slices"

	"freshet/ingest/point"
)

// A ref is one cell: chunk counts the singles of all views first, then the fulls.
type ref struct{ chunk, cell uint32 }

// Rollup merges the cells of sealed views into windows of width milliseconds and
// yields them by rising start, and by rising series within a start. TypeOf tells the type of a series
// of the metric. The state is valid until yield returns. It takes time in proportion
// to the cells, and 8 bytes a cell.
func Rollup(views []*View, width int64, typeOf func(series uint32) point.Type, yield func(series uint32, start int64, s *State) error) error {
	var singles []*Singles
	var fulls []*Fulls
	// In the order of the log: a late point's cell follows the window it was late for.
	// ^i stands for fulls[i].
	var chunks []int
	for _, v := range views {
		for _, f := range v.Fulls {
			chunks = append(chunks, ^len(fulls))
			fulls = append(fulls, f)
		}
		for _, c := range v.Singles {
			chunks = append(chunks, len(singles))
			singles = append(singles, c)
		}
	}
	starts, ends, refs := bucket(singles, fulls, chunks, width)
	states := map[uint32]*State{}
	var free []*State
	var order []uint32
	for i, start := range starts {
		from := 0
		if i > 0 {
			from = ends[i-1]
		}
		cells := refs[from:ends[i]]
		if anyCumulative(cells, singles, fulls, typeOf) {
			sortByTime(cells, singles, fulls)
		}
		for _, r := range cells {
			series := seriesOf(r, singles, fulls)
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
			if int(r.chunk) < len(singles) {
				s.addSingle(singles[r.chunk], int(r.cell), typeOf(series))
			} else {
				s.addFull(fulls[int(r.chunk)-len(singles)], int(r.cell))
			}
		}
		slices.Sort(order)
		for _, series := range order {
			s := states[series]
			if typeOf(series) != point.Cumulative {
				s.Resets = 0
			}
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

func seriesOf(r ref, singles []*Singles, fulls []*Fulls) uint32 {
	if int(r.chunk) < len(singles) {
		return singles[r.chunk].Series[r.cell]
	}
	return fulls[int(r.chunk)-len(singles)].Rows[r.cell].Series
}

// anyCumulative reports whether any of the cells is of a cumulative series.
func anyCumulative(refs []ref, singles []*Singles, fulls []*Fulls, typeOf func(uint32) point.Type) bool {
	for _, r := range refs {
		if typeOf(seriesOf(r, singles, fulls)) == point.Cumulative {
			return true
		}
	}
	return false
}

// bucket sorts the cells by the start of their window, keeping their order within one:
// the cells of starts[i] are refs[ends[i-1]:ends[i]].
func bucket(singles []*Singles, fulls []*Fulls, chunks []int, width int64) (starts []int64, ends []int, refs []ref) {
	index := map[int64]int{}
	var counts []int
	last, lastIndex := int64(-1<<62), 0
	each := func(visit func(start int64, chunk, cell int)) {
		for _, c := range chunks {
			if c >= 0 {
				for i := range singles[c].Offset {
					visit(Floor(singles[c].Time(i), width), c, i)
				}
				continue
			}
			for i := range fulls[^c].Offset {
				visit(Floor(fulls[^c].Start(i), width), len(singles)+^c, i)
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
	each(func(start int64, chunk, cell int) {
		i := find(start)
		refs[next[i]] = ref{uint32(chunk), uint32(cell)}
		next[i]++
	})
	return sorted, ends, refs
}

func (s *State) addSingle(c *Singles, i int, typ point.Type) {
	at, v := c.Time(i), c.Value[i]
	s.MergeScalars(&State{Count: 1, Sum: v, Min: v, Max: v, First: v, Last: v, FirstTime: at, LastTime: at})
	switch typ {
	case point.Distribution:
		s.Sketch.Add(v)
	case point.Set:
		s.Distinct.Add(c.Hash[i])
	}
}

func (s *State) addFull(c *Fulls, i int) {
	o := c.Rows[i].State(c.Start(i))
	s.MergeScalars(&o)
	for _, b := range c.BinsOf(i) {
		s.Sketch.addBin(b.Bin, uint64(b.Count))
	}
	if c.Distinct != nil {
		s.Distinct.Merge(&c.Distinct[i])
	}
}
