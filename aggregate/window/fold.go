package window

import (
	"cmp"
	"slices"

	"freshet/ingest/point"
)

// maxOpen is how many windows of a metric take points at the same time. A point of
// an older window becomes a cell of its own, which merges like any other.
const maxOpen = 4

// compactAt is how many bins or members an open window collects before equal ones are
// put together.
const compactAt = 1 << 15

// A Fold turns the points of one metric into windows. It belongs to one goroutine;
// others read the Views that it gives out.
type Fold struct {
	width  int64
	chunks Chunks
	open   []*openWindow // by rising start
	spare  *openWindow
	view   *View // of the present state, or nil
}

type openWindow struct {
	Open
	rowOf     []uint32 // row of a series, valid where Rows[rowOf[s]].Series == s
	compacted int      // len(Bins) or len(Members) after they were last put together
}

// NewFold returns a Fold with windows of width milliseconds.
func NewFold(width int64) *Fold { return &Fold{width: width} }

// Floor returns the start of the window of a width that holds the time at.
func Floor(at, width int64) int64 {
	if r := at % width; r >= 0 {
		return at - r
	} else {
		return at - r - width
	}
}

// Add folds one point of the series with that index in the metric. Hash stands for
// the member of a set. It allocates nothing but room for new cells.
func (f *Fold) Add(series uint32, typ point.Type, at int64, value float64, hash uint64) {
	f.view = nil
	start := Floor(at, f.width)
	w := f.find(start)
	if w == nil {
		if w = f.begin(start); w == nil {
			f.chunks.Single(series, at, value, typ == point.Set, hash)
			return
		}
	}
	w.add(series, typ, uint32(at-start), value, hash)
}

func (f *Fold) find(start int64) *openWindow {
	for i := len(f.open) - 1; i >= 0; i-- {
		if f.open[i].Start == start {
			return f.open[i]
		}
	}
	return nil
}

// begin opens the window at start, or returns nil when it is older than all open ones
// and there are enough of them.
func (f *Fold) begin(start int64) *openWindow {
	if len(f.open) == maxOpen {
		if start < f.open[0].Start {
			return nil
		}
		f.seal(f.open[0])
		f.spare = f.open[0]
		f.open = slices.Delete(f.open, 0, 1)
	}
	w := f.spare
	f.spare = nil
	if w == nil {
		w = &openWindow{}
	}
	// What a view may still share is left to it.
	w.Open = Open{Start: start, Rows: w.Rows[:0]}
	w.compacted = 0
	i, _ := slices.BinarySearchFunc(f.open, start, func(w *openWindow, s int64) int { return cmp.Compare(w.Start, s) })
	f.open = slices.Insert(f.open, i, w)
	return w
}

func (w *openWindow) add(series uint32, typ point.Type, at uint32, value float64, hash uint64) {
	w.points++
	if int(series) >= len(w.rowOf) {
		w.rowOf = append(w.rowOf, make([]uint32, int(series)+1-len(w.rowOf)+len(w.rowOf)/2)...)
	}
	i := w.rowOf[series]
	if int(i) >= len(w.Rows) || w.Rows[i].Series != series {
		i = uint32(len(w.Rows))
		w.rowOf[series] = i
		w.Rows = append(w.Rows, Row{
			Series: series, Count: 1, FirstAt: at, LastAt: at,
			Sum: value, Min: value, Max: value, First: value, Last: value,
		})
	} else {
		w.Rows[i].add(typ, at, value)
	}
	switch typ {
	case point.Distribution:
		w.Bins = append(w.Bins, RowBin{i, BinOf(value), 1})
		if len(w.Bins) >= compactAt && len(w.Bins) >= 4*w.compacted {
			w.compactBins()
		}
	case point.Set:
		w.Members = append(w.Members, Member{i, hash})
		if len(w.Members) >= compactAt && len(w.Members) >= 4*w.compacted {
			w.compactMembers()
		}
	}
}

func (r *Row) add(typ point.Type, at uint32, value float64) {
	r.Count++
	r.Sum += value
	r.Min = min(r.Min, value)
	r.Max = max(r.Max, value)
	switch {
	case at >= r.LastAt:
		if typ == point.Cumulative {
			r.Resets += Reset(r.Last, value)
		}
		r.Last, r.LastAt = value, at
	case at < r.FirstAt:
		if typ == point.Cumulative {
			r.Resets += Reset(value, r.First)
		}
		r.First, r.FirstAt = value, at
	}
}

func compareRowBins(a, b RowBin) int {
	return cmp.Or(cmp.Compare(a.Row, b.Row), cmp.Compare(a.Bin, b.Bin))
}

func compareMembers(a, b Member) int {
	return cmp.Or(cmp.Compare(a.Row, b.Row), cmp.Compare(a.Hash, b.Hash))
}

// compactBins sorts the bins by row and bin and adds up equal ones, in a new slice,
// since views share the old one.
func (w *openWindow) compactBins() {
	sorted := slices.Clone(w.Bins)
	slices.SortFunc(sorted, compareRowBins)
	out := sorted[:0]
	for _, b := range sorted {
		if n := len(out); n > 0 && out[n-1].Row == b.Row && out[n-1].Bin == b.Bin && out[n-1].Count <= 1<<32-1-b.Count {
			out[n-1].Count += b.Count
			continue
		}
		out = append(out, b)
	}
	w.Bins, w.compacted = out, len(out)
}

func (w *openWindow) compactMembers() {
	sorted := slices.Clone(w.Members)
	slices.SortFunc(sorted, compareMembers)
	w.Members = slices.Compact(sorted)
	w.compacted = len(w.Members)
}

// seal moves the window's rows into the chunks.
func (f *Fold) seal(w *openWindow) {
	if len(w.Bins) > 0 {
		w.compactBins()
	}
	if len(w.Members) > 0 {
		w.compactMembers()
	}
	bins, members := w.Bins, w.Members
	var scratch []BinRun
	for i := range w.Rows {
		row := &w.Rows[i]
		scratch = scratch[:0]
		for len(bins) > 0 && bins[0].Row == uint32(i) {
			scratch = append(scratch, BinRun{bins[0].Bin, bins[0].Count})
			bins = bins[1:]
		}
		n := 0
		for n < len(members) && members[n].Row == uint32(i) {
			n++
		}
		f.sealRow(w.Start, row, scratch, members[:n])
		members = members[n:]
	}
}

func (f *Fold) sealRow(start int64, row *Row, bins []BinRun, members []Member) {
	if row.Count == 1 {
		var hash uint64
		if len(members) > 0 {
			hash = members[0].Hash
		}
		f.chunks.Single(row.Series, start+int64(row.FirstAt), row.First, len(members) > 0, hash)
		return
	}
	if len(bins) == 0 {
		bins = nil
	}
	var distinct *Distinct
	if len(members) > 0 {
		distinct = &Distinct{hashes: make([]uint64, 0, min(len(members), exactMembers))}
		for _, m := range members {
			distinct.Add(m.Hash)
		}
	}
	f.chunks.Full(start, *row, bins, distinct)
}

// Seal closes every open window. Points may still follow.
func (f *Fold) Seal() {
	for _, w := range f.open {
		f.seal(w)
	}
	f.open, f.spare, f.view = nil, nil, nil
}

// Bytes returns about how much memory the windows take.
func (f *Fold) Bytes() int64 {
	n := f.chunks.Bytes()
	for _, w := range f.open {
		n += int64(64*cap(w.Rows) + 4*cap(w.rowOf) + 12*cap(w.Bins) + 16*cap(w.Members))
	}
	return n
}

// View returns the present state. The rows of open windows are copied, all else is
// shared with the fold, which only adds to it.
func (f *Fold) View() *View {
	if f.view != nil {
		return f.view
	}
	v := f.chunks.View()
	v.Open = make([]Open, len(f.open))
	for i, w := range f.open {
		v.Open[i] = w.Open
		v.Open[i].Rows = slices.Clone(w.Rows)
	}
	f.view = &v
	return f.view
}
