package window

// chunkCells is how many cells a chunk holds before the next one is begun. It bounds
// what a growing slice copies and what a query reads beyond its span of time.
const chunkCells = 4096

// offsetBias is where the first time of a chunk lies in the range of its 32-bit
// offsets, so that earlier times fit as well: 24 days to either side.
const offsetBias = 1 << 31

// A bounds says what the cells of a chunk lie between, so that a query can pass over it.
type bounds struct {
	Base            int64  // epoch ms of offset 0
	First, Last     int64  // least and greatest time of the cells, epoch ms
	Least, Greatest uint32 // series index
}

func boundsAt(at int64, series uint32) bounds {
	return bounds{Base: at - offsetBias, First: at, Last: at, Least: series, Greatest: series}
}

func (b *bounds) see(at int64, series uint32) {
	b.First, b.Last = min(b.First, at), max(b.Last, at)
	b.Least, b.Greatest = min(b.Least, series), max(b.Greatest, series)
}

// fits reports whether a cell at a time can follow n others.
func (b *bounds) fits(at int64, n int) bool {
	return n < chunkCells && at >= b.Base && at-b.Base < 2*offsetBias
}

// Singles are windows that hold one point each, as columns of equal length: 16 bytes a
// cell, 24 for a set.
type Singles struct {
	bounds
	Offset []uint32
	Series []uint32
	Value  []float64
	Hash   []uint64 // members of sets; nil in a metric without any
}

// Time returns the time of cell i in epoch milliseconds.
func (s *Singles) Time(i int) int64 { return s.Base + int64(s.Offset[i]) }

// A BinRun is a bin with a count below 2^32; greater counts take several runs.
type BinRun struct {
	Bin   Bin
	Count uint32
}

// Fulls are windows that hold several points each, as columns of equal length, so that a
// query reads those that it needs: 60 bytes a cell.
type Fulls struct {
	bounds
	Offset          []uint32 // of the window's start
	Series          []uint32
	Count           []uint32
	FirstAt, LastAt []uint32 // milliseconds after the window's start
	Sum, Min, Max   []float64
	FirstValue      []float64
	LastValue       []float64
	Resets          []float64  // see State.Resets; nil while all are 0
	Late            []uint32   // see State.Late; nil while all are 0
	BinEnd          []uint32   // the bins of cell i end here and begin where those of i-1 end; nil in a metric without distributions
	Bins            []BinRun   // of all cells
	Distinct        []Distinct // nil in a metric without sets
}

// Start returns the start of cell i in epoch milliseconds.
func (f *Fulls) Start(i int) int64 { return f.Base + int64(f.Offset[i]) }

// BinsOf returns the bins of cell i in rising order.
func (f *Fulls) BinsOf(i int) []BinRun {
	if f.BinEnd == nil {
		return nil
	}
	from := uint32(0)
	if i > 0 {
		from = f.BinEnd[i-1]
	}
	return f.Bins[from:f.BinEnd[i]]
}

// Row returns cell i without its sketch, its members and how many points were late.
func (f *Fulls) Row(i int) Row {
	r := Row{
		Series: f.Series[i], Count: f.Count[i], FirstAt: f.FirstAt[i], LastAt: f.LastAt[i],
		Sum: f.Sum[i], Min: f.Min[i], Max: f.Max[i], First: f.FirstValue[i], Last: f.LastValue[i],
	}
	if f.Resets != nil {
		r.Resets = f.Resets[i]
	}
	return r
}

// LateOf returns how many points of cell i were late.
func (f *Fulls) LateOf(i int) uint32 {
	if f.Late == nil {
		return 0
	}
	return f.Late[i]
}

func (f *Fulls) add(start int64, r *Row) {
	f.Offset = append(f.Offset, uint32(start-f.Base))
	f.Series = append(f.Series, r.Series)
	f.Count = append(f.Count, r.Count)
	f.FirstAt = append(f.FirstAt, r.FirstAt)
	f.LastAt = append(f.LastAt, r.LastAt)
	f.Sum = append(f.Sum, r.Sum)
	f.Min = append(f.Min, r.Min)
	f.Max = append(f.Max, r.Max)
	f.FirstValue = append(f.FirstValue, r.First)
	f.LastValue = append(f.LastValue, r.Last)
	switch {
	case f.Resets != nil:
		f.Resets = append(f.Resets, r.Resets)
	case r.Resets != 0:
		f.Resets = make([]float64, len(f.Offset), chunkCells)
		f.Resets[len(f.Offset)-1] = r.Resets
	}
	f.see(start, r.Series)
}

func (f *Fulls) addLate(late uint32) {
	switch n := len(f.Offset); {
	case f.Late != nil:
		f.Late = append(f.Late, late)
	case late != 0:
		f.Late = make([]uint32, n, chunkCells)
		f.Late[n-1] = late
	}
}

// A Chunks collects cells in chunks. What a View took of it is never written again:
// columns only grow.
type Chunks struct {
	singles []*Singles // the last one grows, the others are full
	fulls   []*Fulls
	late    []*Singles // points that came after their window was final
	bytes   int64
}

// Bytes returns about how much memory the cells take.
func (c *Chunks) Bytes() int64 { return c.bytes }

// Single adds a window of one point. Set says whether hash is a member's.
func (c *Chunks) Single(series uint32, at int64, value float64, set bool, hash uint64) {
	c.singles = c.single(c.singles, series, at, value, set, hash)
}

// Late adds a point that came after its window was final.
func (c *Chunks) Late(series uint32, at int64, value float64, set bool, hash uint64) {
	c.late = c.single(c.late, series, at, value, set, hash)
}

func (c *Chunks) single(to []*Singles, series uint32, at int64, value float64, set bool, hash uint64) []*Singles {
	n := len(to)
	if n == 0 || !to[n-1].fits(at, len(to[n-1].Offset)) || set != (to[n-1].Hash != nil) {
		to = append(to, &Singles{bounds: boundsAt(at, series)})
		c.bytes += 160
		n++
	}
	s := to[n-1]
	s.Offset = append(s.Offset, uint32(at-s.Base))
	s.Series = append(s.Series, series)
	s.Value = append(s.Value, value)
	c.bytes += 16
	if set {
		s.Hash = append(s.Hash, hash)
		c.bytes += 8
	}
	s.see(at, series)
	return to
}

// Full adds a window of several points, late of which came after it was final.
func (c *Chunks) Full(start int64, row *Row, late uint32, bins []BinRun, distinct *Distinct) {
	n := len(c.fulls)
	if n == 0 || !c.fulls[n-1].fits(start, len(c.fulls[n-1].Offset)) || (distinct != nil) != (c.fulls[n-1].Distinct != nil) || (bins != nil) != (c.fulls[n-1].BinEnd != nil) {
		c.fulls = append(c.fulls, &Fulls{bounds: boundsAt(start, row.Series)})
		c.bytes += 400
		n++
	}
	f := c.fulls[n-1]
	f.add(start, row)
	f.addLate(late)
	c.bytes += 60
	if bins != nil {
		f.Bins = append(f.Bins, bins...)
		f.BinEnd = append(f.BinEnd, uint32(len(f.Bins)))
		c.bytes += int64(8*len(bins)) + 4
	}
	if distinct != nil {
		f.Distinct = append(f.Distinct, *distinct)
		c.bytes += distinct.bytes()
	}
}

// maxCount is the greatest count of a cell; a State of more points takes several.
const maxCount = 1<<32 - 1

// AddState adds a window given as a State. The state's sketch is copied, its members
// are shared and must not change any more.
func (c *Chunks) AddState(series uint32, start int64, s *State) {
	row := Row{
		Series: series, Sum: s.Sum, Min: s.Min, Max: s.Max, First: s.First, Last: s.Last,
		FirstAt: uint32(s.FirstTime - start), LastAt: uint32(s.LastTime - start), Resets: s.Resets,
	}
	var bins []BinRun
	for _, b := range s.Sketch.bins {
		for ; b.Count > maxCount; b.Count -= maxCount {
			bins = append(bins, BinRun{b.Bin, maxCount})
		}
		bins = append(bins, BinRun{b.Bin, uint32(b.Count)})
	}
	var distinct *Distinct
	if !s.Distinct.Empty() {
		distinct = &s.Distinct
	}
	count, late := s.Count, s.Late
	row.Count = uint32(min(count, maxCount))
	c.Full(start, &row, uint32(min(late, maxCount)), bins, distinct)
	row.Sum, row.Resets = 0, 0
	for count > maxCount || late > maxCount { // the rest holds nothing but the counts
		count, late = count-min(count, maxCount), late-min(late, maxCount)
		row.Count = uint32(min(count, maxCount))
		c.Full(start, &row, uint32(min(late, maxCount)), nil, nil)
	}
}

// View returns the cells added so far.
func (c *Chunks) View() View {
	v := View{Singles: heads(c.singles), Fulls: c.fulls, Late: heads(c.late)}
	if n := len(c.fulls); n > 0 {
		last := *c.fulls[n-1]
		v.Fulls = append(append(make([]*Fulls, 0, n), c.fulls[:n-1]...), &last)
	}
	return v
}

// heads returns the chunks for a view: the last one, which still grows, with a header
// of its own.
func heads(chunks []*Singles) []*Singles {
	n := len(chunks)
	if n == 0 {
		return nil
	}
	last := *chunks[n-1]
	return append(append(make([]*Singles, 0, n), chunks[:n-1]...), &last)
}
