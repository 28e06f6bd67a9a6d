package window

import (
	"cmp"
	"slices"

	"freshet/ingest/point"
)

// compactAt is how many bins or members an open window collects before equal ones are
// put together.
const compactAt = 1 << 15

// An openWindow is an Open while it takes points.
type openWindow struct {
	Open
	rowOf     []uint32     // row of a series, valid where Rows[rowOf[s]].Series == s
	types     []point.Type // of the rows
	compacted int          // len(Bins) or len(Members) after they were last put together
	cells     int          // of shorter windows that were merged

	copied       []Row // Rows as a view has them
	copiedPoints uint64
}

// begin makes w the empty window at start. It keeps what memory no view shares.
func (w *openWindow) begin(start int64) {
	w.Open = Open{Start: start, Rows: w.Rows[:0]}
	w.types, w.compacted, w.cells, w.copied = w.types[:0], 0, 0, nil
}

// row returns the row of a series, and false if there was none: then it is all zero but
// for its series.
func (w *openWindow) row(series uint32, typ point.Type) (i uint32, old bool) {
	if int(series) >= len(w.rowOf) {
		w.rowOf = append(w.rowOf, make([]uint32, int(series)+1-len(w.rowOf)+len(w.rowOf)/2)...)
	}
	i = w.rowOf[series]
	if int(i) < len(w.Rows) && w.Rows[i].Series == series {
		return i, true
	}
	i = uint32(len(w.Rows))
	w.rowOf[series] = i
	w.types = append(w.types, typ)
	w.Rows = append(w.Rows, Row{Series: series})
	return i, false
}

// add adds a point.
func (w *openWindow) add(series uint32, typ point.Type, at uint32, value float64, hash uint64) {
	w.points++
	i, old := w.row(series, typ)
	if r := &w.Rows[i]; old {
		r.add(typ, at, value)
	} else {
		*r = Row{
			Series: series, Count: 1, FirstAt: at, LastAt: at,
			Sum: value, Min: value, Max: value, First: value, Last: value,
		}
	}
	switch typ {
	case point.Distribution:
		w.Bins = append(w.Bins, RowBin{i, BinOf(value), 1})
		w.bound()
	case point.Set:
		w.Members = append(w.Members, Member{i, hash})
		w.bound()
	}
}

// merge adds a row of a shorter window that begins shift milliseconds after w, with its
// bins and members.
func (w *openWindow) merge(o *Row, typ point.Type, shift uint32, bins []BinRun, members []Member) {
	w.points += uint64(o.Count)
	i, old := w.row(o.Series, typ)
	if r := &w.Rows[i]; old {
		r.merge(typ, o, shift)
	} else {
		*r = *o
		r.FirstAt, r.LastAt = o.FirstAt+shift, o.LastAt+shift
	}
	for _, b := range bins {
		w.Bins = append(w.Bins, RowBin{i, b.Bin, b.Count})
	}
	for _, m := range members {
		w.Members = append(w.Members, Member{i, m.Hash})
	}
	w.bound()
}

// bound puts equal bins and members together once there are many.
func (w *openWindow) bound() {
	if n := len(w.Bins); n >= compactAt && n >= 4*w.compacted {
		w.compactBins()
	}
	if n := len(w.Members); n >= compactAt && n >= 4*w.compacted {
		w.compactMembers()
	}
}

func (b RowBin) row() uint32 { return b.Row }
func (m Member) row() uint32 { return m.Row }

// byRow returns a copy of all that is in order of row, and where each row ends in it. It
// keeps the order within a row.
func byRow[T interface{ row() uint32 }](all []T, rows int) (sorted []T, ends []uint32) {
	ends = make([]uint32, rows)
	for i := range all {
		ends[all[i].row()]++
	}
	at := uint32(0)
	for i, n := range ends {
		ends[i] = at // for now where the row begins
		at += n
	}
	sorted = make([]T, len(all))
	for i := range all {
		r := all[i].row()
		sorted[ends[r]] = all[i]
		ends[r]++
	}
	return sorted, ends
}

// runOf returns what belongs to a row, of what byRow returned.
func runOf[T any](sorted []T, ends []uint32, row uint32) []T {
	if len(ends) == 0 {
		return nil
	}
	from := uint32(0)
	if row > 0 {
		from = ends[row-1]
	}
	return sorted[from:ends[row]]
}

// compactBins puts the bins in order of row and bin and adds up equal ones, in a new slice,
// since views share the old one. It returns where each row ends.
func (w *openWindow) compactBins() []uint32 {
	sorted, ends := byRow(w.Bins, len(w.Rows))
	out, from := sorted[:0], uint32(0)
	for row, end := range ends {
		run := sorted[from:end]
		from = end
		if len(run) > 1 {
			slices.SortFunc(run, func(a, b RowBin) int { return int(a.Bin) - int(b.Bin) })
		}
		first := len(out)
		for _, b := range run {
			if n := len(out); n > first && out[n-1].Bin == b.Bin && out[n-1].Count <= maxCount-b.Count {
				out[n-1].Count += b.Count
				continue
			}
			out = append(out, b)
		}
		ends[row] = uint32(len(out))
	}
	w.Bins, w.compacted = out, len(out)
	return ends
}

// compactMembers is compactBins for members: equal ones stay once.
func (w *openWindow) compactMembers() []uint32 {
	sorted, ends := byRow(w.Members, len(w.Rows))
	out, from := sorted[:0], uint32(0)
	for row, end := range ends {
		run := sorted[from:end]
		from = end
		if len(run) > 1 {
			slices.SortFunc(run, func(a, b Member) int { return cmp.Compare(a.Hash, b.Hash) })
		}
		out = append(out, slices.Compact(run)...)
		ends[row] = uint32(len(out))
	}
	w.Members, w.compacted = out, len(out)
	return ends
}

// share returns the window for a view. Its rows are copied, if any has changed since the
// last copy; of the rest the view keeps what there is now, and more is only added.
func (w *openWindow) share() Open {
	if w.copied == nil || w.copiedPoints != w.points {
		w.copied, w.copiedPoints = slices.Clone(w.Rows), w.points
	}
	o := w.Open
	o.Rows = w.copied
	return o
}

// bytes returns about how much memory the window takes.
func (w *openWindow) bytes() int64 {
	return int64(64*(cap(w.Rows)+cap(w.copied)) + 4*cap(w.rowOf) + cap(w.types) + 12*cap(w.Bins) + 16*cap(w.Members))
}

// each calls visit with the rows by rising series, with their bins and members, which
// are put together.
func (w *openWindow) each(visit func(r *Row, typ point.Type, bins []BinRun, members []Member)) {
	var binEnds, memberEnds []uint32
	if len(w.Bins) > 0 {
		binEnds = w.compactBins()
	}
	if len(w.Members) > 0 {
		memberEnds = w.compactMembers()
	}
	var scratch []BinRun
	for _, i := range w.bySeries() {
		scratch = scratch[:0]
		for _, b := range runOf(w.Bins, binEnds, i) {
			scratch = append(scratch, BinRun{b.Bin, b.Count})
		}
		visit(&w.Rows[i], w.types[i], scratch, runOf(w.Members, memberEnds, i))
	}
}

// bySeries returns the indexes of the rows by rising series.
func (w *openWindow) bySeries() []uint32 {
	out := make([]uint32, 0, len(w.Rows))
	if len(w.Rows) > len(w.rowOf)/8 {
		for series, i := range w.rowOf {
			if int(i) < len(w.Rows) && w.Rows[i].Series == uint32(series) {
				out = append(out, i)
			}
		}
		return out
	}
	for i := range w.Rows {
		out = append(out, uint32(i))
	}
	slices.SortFunc(out, func(a, b uint32) int { return cmp.Compare(w.Rows[a].Series, w.Rows[b].Series) })
	return out
}
