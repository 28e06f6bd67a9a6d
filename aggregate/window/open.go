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
	start     int64 // epoch ms
	rows      ownRows
	bins      []RowBin // see Open
	members   []Member
	points    uint64       // that were added
	rowOf     []uint32     // row of a series, valid where row rowOf[s] is of series s
	types     []point.Type // of the rows
	compacted int          // len(bins) or len(members) after they were last put together
	cells     int          // of shorter windows that were merged

	shared Open // the last view's
}

// begin makes w the empty window at start. It keeps what memory no view shares.
func (w *openWindow) begin(start int64) {
	w.rows.clear()
	*w = openWindow{start: start, rows: w.rows, rowOf: w.rowOf, types: w.types[:0]}
}

// row returns the row of a series to write, and false if there was none: then the caller
// sets all of it.
func (w *openWindow) row(series uint32, typ point.Type) (i uint32, r *Row, old bool) {
	if int(series) >= len(w.rowOf) {
		w.rowOf = append(w.rowOf, make([]uint32, int(series)+1-len(w.rowOf)+len(w.rowOf)/2)...)
	}
	i = w.rowOf[series]
	if int(i) < w.rows.n && w.rows.At(int(i)).Series == series {
		return i, w.rows.own(i), true
	}
	i, r = w.rows.append()
	w.rowOf[series] = i
	w.types = append(w.types, typ)
	return i, r, false
}

// add adds a point.
func (w *openWindow) add(series uint32, typ point.Type, at uint32, value float64, hash uint64) {
	w.points++
	i, r, old := w.row(series, typ)
	if old {
		r.add(typ, at, value)
	} else {
		*r = Row{
			Series: series, Count: 1, FirstAt: at, LastAt: at,
			Sum: value, Min: value, Max: value, First: value, Last: value,
		}
	}
	switch typ {
	case point.Distribution:
		w.bins = append(w.bins, RowBin{i, BinOf(value), 1})
		w.bound()
	case point.Set:
		w.members = append(w.members, Member{i, hash})
		w.bound()
	}
}

// merge adds a row of a shorter window that begins shift milliseconds after w, with its
// bins and members.
func (w *openWindow) merge(o *Row, typ point.Type, shift uint32, bins []BinRun, members []Member) {
	w.points += uint64(o.Count)
	i, r, old := w.row(o.Series, typ)
	if old {
		r.merge(typ, o, shift)
	} else {
		*r = *o
		r.FirstAt, r.LastAt = o.FirstAt+shift, o.LastAt+shift
	}
	for _, b := range bins {
		w.bins = append(w.bins, RowBin{i, b.Bin, b.Count})
	}
	for _, m := range members {
		w.members = append(w.members, Member{i, m.Hash})
	}
	w.bound()
}

// bound puts equal bins and members together once there are many.
func (w *openWindow) bound() {
	if n := len(w.bins); n >= compactAt && n >= 4*w.compacted {
		w.compactBins()
	}
	if n := len(w.members); n >= compactAt && n >= 4*w.compacted {
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
	sorted, ends := byRow(w.bins, w.rows.n)
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
	w.bins, w.compacted = out, len(out)
	return ends
}

// compactMembers is compactBins for members: equal ones stay once.
func (w *openWindow) compactMembers() []uint32 {
	sorted, ends := byRow(w.members, w.rows.n)
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
	w.members, w.compacted = out, len(out)
	return ends
}

// share returns the window for a view. The rows that change later are copied then; of the
// rest the view keeps what there is now, and more is only added.
func (w *openWindow) share() Open {
	if w.shared.points != w.points {
		w.shared = Open{Start: w.start, Rows: w.rows.share(), points: w.points}
	}
	w.shared.Bins, w.shared.Members = w.bins, w.members
	return w.shared
}

// bytes returns about how much memory the window takes.
func (w *openWindow) bytes() int64 {
	return w.rows.bytes() + int64(4*cap(w.rowOf)+cap(w.types)+12*cap(w.bins)+16*cap(w.members))
}

// each calls visit with the rows by rising series, with their bins and members, which
// are put together.
func (w *openWindow) each(visit func(r *Row, typ point.Type, bins []BinRun, members []Member)) {
	var binEnds, memberEnds []uint32
	if len(w.bins) > 0 {
		binEnds = w.compactBins()
	}
	if len(w.members) > 0 {
		memberEnds = w.compactMembers()
	}
	var scratch []BinRun
	for _, i := range w.bySeries() {
		scratch = scratch[:0]
		for _, b := range runOf(w.bins, binEnds, i) {
			scratch = append(scratch, BinRun{b.Bin, b.Count})
		}
		visit(w.rows.At(int(i)), w.types[i], scratch, runOf(w.members, memberEnds, i))
	}
}

// bySeries returns the indexes of the rows by rising series.
func (w *openWindow) bySeries() []uint32 {
	out := make([]uint32, 0, w.rows.n)
	if w.rows.n > len(w.rowOf)/8 {
		for series, i := range w.rowOf {
			if int(i) < w.rows.n && w.rows.At(int(i)).Series == uint32(series) {
				out = append(out, i)
			}
		}
		return out
	}
	for i := range w.rows.n {
		out = append(out, uint32(i))
	}
	slices.SortFunc(out, func(a, b uint32) int { return cmp.Compare(w.rows.At(int(a)).Series, w.rows.At(int(b)).Series) })
	return out
}
