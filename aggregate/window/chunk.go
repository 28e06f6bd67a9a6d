package window

// chunkCells is how many cells a chunk holds before the next one is begun. It bounds
// what a growing slice copies and what a query reads beyond its span of time.
const chunkCells = 4096

// offsetBias is where the first time of a chunk lies in the range of its 32-bit
// offsets, so that earlier times fit as well: 24 days to either side.
const offsetBias = 1 << 31

// A Row summarises the points of one series in one window, sketch and members aside.
// It fills one cache line.
type Row struct {
	Series          uint32 // index of the series in its metric
	Count           uint32
	FirstAt, LastAt uint32 // milliseconds after the window's start
	Sum, Min, Max   float64
	First, Last     float64
	Resets          float64 // see State.Resets
}

// State returns the row as a State without sketch and members.
func (r *Row) State(start int64) State {
	return State{
		Count: uint64(r.Count), Sum: r.Sum, Min: r.Min, Max: r.Max, First: r.First, Last: r.Last,
		FirstTime: start + int64(r.FirstAt), LastTime: start + int64(r.LastAt), Resets: r.Resets,
	}
}

// Singles are windows that hold one point each, as columns of equal length: 16 bytes a
// cell, 24 for a set.
type Singles struct {
	Base        int64 // epoch ms of offset 0
	First, Last int64 // least and greatest time of the cells, epoch ms
	Offset      []uint32
	Series      []uint32
	Value       []float64
	Hash        []uint64 // members of sets; nil in a metric without any
}

// Time returns the time of cell i in epoch milliseconds.
func (s *Singles) Time(i int) int64 { return s.Base + int64(s.Offset[i]) }

func (s *Singles) fits(at int64) bool {
	return len(s.Offset) < chunkCells && at >= s.Base && at-s.Base < 2*offsetBias
}

// A BinRun is a bin with a count below 2^32; greater counts take several runs.
type BinRun struct {
	Bin   Bin
	Count uint32
}

// Fulls are windows that hold several points each, as columns of equal length.
type Fulls struct {
	Base        int64 // epoch ms of offset 0
	First, Last int64 // least and greatest start of the cells, epoch ms
	Offset      []uint32
	Rows        []Row
	BinEnd      []uint32 // the bins of cell i end here and begin where those of i-1 end; nil in a metric without distributions
	Bins        []BinRun
	Distinct    []Distinct // nil in a metric without sets
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

func (f *Fulls) fits(at int64) bool {
	return len(f.Offset) < chunkCells && at >= f.Base && at-f.Base < 2*offsetBias
}

// An Open is a window that still takes points.
type Open struct {
	Start   int64 // epoch ms
	Rows    []Row
	Bins    []RowBin // of distributions, in any order
	Members []Member // of sets, in any order and maybe several times
	points  uint64   // that were added
}

// A RowBin counts observations in a bin for the row with that index.
type RowBin struct {
	Row   uint32
	Bin   Bin
	Count uint32
}

// A Member is a member of a set for the row with that index.
type Member struct {
	Row  uint32
	Hash uint64
}

// A View is what a Fold held at one moment. It never changes, so anyone may read it
// without a lock. One window may have cells in several places; they merge.
type View struct {
	Singles []*Singles
	Fulls   []*Fulls
	Open    []Open
}

// A Chunks collects cells in chunks. What a View took of it is never written again:
// columns only grow.
type Chunks struct {
	singles []*Singles // the last one grows, the others are full
	fulls   []*Fulls
	bytes   int64
}

// Bytes returns about how much memory the cells take.
func (c *Chunks) Bytes() int64 { return c.bytes }

// Single adds a window of one point. Set says whether hash is a member's.
func (c *Chunks) Single(series uint32, at int64, value float64, set bool, hash uint64) {
	n := len(c.singles)
	if n == 0 || !c.singles[n-1].fits(at) || set != (c.singles[n-1].Hash != nil) {
		c.singles = append(c.singles, &Singles{Base: at - offsetBias, First: at, Last: at})
		c.bytes += 160
		n++
	}
	s := c.singles[n-1]
	s.Offset = append(s.Offset, uint32(at-s.Base))
	s.Series = append(s.Series, series)
	s.Value = append(s.Value, value)
	c.bytes += 16
	if set {
		s.Hash = append(s.Hash, hash)
		c.bytes += 8
	}
	s.First, s.Last = min(s.First, at), max(s.Last, at)
}

// Full adds a window of several points.
func (c *Chunks) Full(start int64, row Row, bins []BinRun, distinct *Distinct) {
	n := len(c.fulls)
	if n == 0 || !c.fulls[n-1].fits(start) || (distinct != nil) != (c.fulls[n-1].Distinct != nil) || (bins != nil) != (c.fulls[n-1].BinEnd != nil) {
		c.fulls = append(c.fulls, &Fulls{Base: start - offsetBias, First: start, Last: start})
		c.bytes += 200
		n++
	}
	f := c.fulls[n-1]
	f.Offset = append(f.Offset, uint32(start-f.Base))
	f.Rows = append(f.Rows, row)
	c.bytes += 68
	if bins != nil {
		f.Bins = append(f.Bins, bins...)
		f.BinEnd = append(f.BinEnd, uint32(len(f.Bins)))
		c.bytes += int64(8*len(bins)) + 4
	}
	if distinct != nil {
		f.Distinct = append(f.Distinct, *distinct)
		c.bytes += distinct.bytes()
	}
	f.First, f.Last = min(f.First, start), max(f.Last, start)
}

// AddState adds a window given as a State. The state's sketch is copied, its members
// are shared and must not change any more.
func (c *Chunks) AddState(series uint32, start int64, s *State) {
	row := Row{
		Series: series, Count: uint32(min(s.Count, 1<<32-1)), Sum: s.Sum, Min: s.Min, Max: s.Max, First: s.First, Last: s.Last,
		FirstAt: uint32(s.FirstTime - start), LastAt: uint32(s.LastTime - start), Resets: s.Resets,
	}
	var bins []BinRun
	for _, b := range s.Sketch.bins {
		for ; b.Count > 1<<32-1; b.Count -= 1<<32 - 1 {
			bins = append(bins, BinRun{b.Bin, 1<<32 - 1})
		}
		bins = append(bins, BinRun{b.Bin, uint32(b.Count)})
	}
	var distinct *Distinct
	if !s.Distinct.Empty() {
		distinct = &s.Distinct
	}
	c.Full(start, row, bins, distinct)
}

// View returns the cells added so far.
func (c *Chunks) View() View {
	v := View{Singles: c.singles, Fulls: c.fulls}
	// The last chunks still grow: the view gets headers of its own.
	if n := len(c.singles); n > 0 {
		last := *c.singles[n-1]
		v.Singles = append(append(make([]*Singles, 0, n), c.singles[:n-1]...), &last)
	}
	if n := len(c.fulls); n > 0 {
		last := *c.fulls[n-1]
		v.Fulls = append(append(make([]*Fulls, 0, n), c.fulls[:n-1]...), &last)
	}
	return v
}

// Divide adds the cells of a sealed view to the chunks that into returns for the start
// of their span of length milliseconds; nil leaves them out. Distinct counts are shared.
func (v *View) Divide(length int64, into func(start int64) *Chunks) {
	for _, s := range v.Singles {
		for i := range s.Offset {
			at := s.Time(i)
			c := into(Floor(at, length))
			switch {
			case c == nil:
			case s.Hash != nil:
				c.Single(s.Series[i], at, s.Value[i], true, s.Hash[i])
			default:
				c.Single(s.Series[i], at, s.Value[i], false, 0)
			}
		}
	}
	for _, f := range v.Fulls {
		for i := range f.Offset {
			start := f.Start(i)
			if c := into(Floor(start, length)); c != nil {
				var d *Distinct
				if f.Distinct != nil {
					d = &f.Distinct[i]
				}
				c.Full(start, f.Rows[i], f.BinsOf(i), d)
			}
		}
	}
}
