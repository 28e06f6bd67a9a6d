package window

import (
	"cmp"
	"slices"

	"freshet/ingest/point"
)

// A level is windows of one length: some take points, the others are cells.
type level struct {
	width  int64
	most   int // windows that take points at the same time
	chunks Chunks
	open   []*openWindow // by rising start
	spare  *openWindow
}

// at returns the window that takes points of a time, and nil when that is older than all
// open ones and there are enough of them: the point becomes a cell of its own, which
// merges like any other. When a new window pushes the oldest one out it is given to seal.
func (l *level) at(start int64, seal func(*openWindow)) *openWindow {
	for i := len(l.open) - 1; i >= 0; i-- {
		if l.open[i].start == start {
			return l.open[i]
		}
	}
	if len(l.open) == l.most {
		if start < l.open[0].start {
			return nil
		}
		seal(l.open[0])
		l.spare = l.open[0]
		l.open = slices.Delete(l.open, 0, 1)
	}
	w := l.spare
	l.spare = nil
	if w == nil {
		w = &openWindow{}
	}
	w.begin(start)
	i, _ := slices.BinarySearchFunc(l.open, start, func(w *openWindow, s int64) int { return cmp.Compare(w.start, s) })
	l.open = slices.Insert(l.open, i, w)
	return w
}

// cell makes a row a cell of its own.
func (l *level) cell(start int64, row *Row, bins []BinRun, members []Member) {
	if row.Count == 1 {
		var hash uint64
		if len(members) > 0 {
			hash = members[0].Hash
		}
		l.chunks.Single(row.Series, start+int64(row.FirstAt), row.First, len(members) > 0, hash)
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
	l.chunks.Full(start, row, 0, bins, distinct)
}

// seal makes cells of a window.
func (l *level) seal(w *openWindow) {
	w.each(func(r *Row, _ point.Type, bins []BinRun, members []Member) { l.cell(w.start, r, bins, members) })
}

// sealAll makes cells of all windows.
func (l *level) sealAll(seal func(*openWindow)) {
	for _, w := range l.open {
		seal(w)
	}
	l.open, l.spare = nil, nil
}

func (l *level) view() View {
	v := l.chunks.View()
	v.Open = make([]Open, len(l.open))
	for i, w := range l.open {
		v.Open[i] = w.share()
	}
	return v
}

func (l *level) bytes() int64 {
	n := l.chunks.Bytes()
	for _, w := range l.open {
		n += w.bytes()
	}
	return n
}
