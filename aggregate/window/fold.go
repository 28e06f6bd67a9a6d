package window

import (
	"freshet/ingest/point"
)

// How many windows of a metric take points at the same time, of the base width and of
// panes.
const (
	maxOpen  = 4
	maxPanes = 2
)

// paneSaves is how many cells a pane has to put together to one for panes to be kept.
const paneSaves = 3

// A Fold turns the points of one metric into windows, and these into panes, longer
// windows that most queries are made of. It belongs to one goroutine; others read the
// Views that it gives out.
type Fold struct {
	base   level
	panes  *level // nil where there are none
	sealed int    // panes that were sealed
	strays int
	view   *View // of the present state, or nil
}

// NewFold returns a Fold with windows of width milliseconds.
func NewFold(width int64) *Fold {
	f := &Fold{base: level{width: width, most: maxOpen}}
	if pane := PaneWidth(width); pane > 0 {
		f.panes = &level{width: pane, most: maxPanes}
	}
	return f
}

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
	start := Floor(at, f.base.width)
	if w := f.base.at(start, f.seal); w != nil {
		w.add(series, typ, uint32(at-start), value, hash)
		return
	}
	f.strays++
	f.base.chunks.Single(series, at, value, typ == point.Set, hash)
	if f.panes != nil {
		f.panes.chunks.Single(series, at, value, typ == point.Set, hash)
	}
}

// AddLate folds a point that came after its window was final.
func (f *Fold) AddLate(series uint32, typ point.Type, at int64, value float64, hash uint64) {
	f.view = nil
	f.strays++
	f.base.chunks.Late(series, at, value, typ == point.Set, hash)
}

// seal moves the rows of a window into the chunks and into the pane that it lies in.
func (f *Fold) seal(w *openWindow) {
	if f.panes == nil {
		f.base.seal(w)
		return
	}
	start := Floor(w.start, f.panes.width)
	pane := f.panes.at(start, f.sealPane)
	shift := uint32(w.start - start)
	w.each(func(r *Row, typ point.Type, bins []BinRun, members []Member) {
		f.base.cell(w.start, r, bins, members)
		switch {
		case f.panes == nil: // given up on the way
		case pane == nil:
			f.panes.cell(w.start, r, bins, members)
		default:
			pane.merge(r, typ, shift, bins, members)
			pane.cells++
		}
	})
}

// sealPane makes cells of a pane. If the second one, which is the first that is whole,
// shows that series have few windows in a pane, the fold goes on without.
func (f *Fold) sealPane(w *openWindow) {
	if f.sealed++; f.sealed == 2 && w.cells < paneSaves*w.rows.n {
		f.panes = nil
		return
	}
	f.panes.seal(w)
}

// Seal closes every open window. Points may still follow.
func (f *Fold) Seal() {
	f.base.sealAll(f.seal)
	if f.panes != nil {
		f.panes.sealAll(f.panes.seal)
	}
	f.view = nil
}

// Bytes returns about how much memory the windows take.
func (f *Fold) Bytes() int64 {
	n := f.base.bytes()
	if f.panes != nil {
		n += f.panes.bytes()
	}
	return n
}

// View returns the present state. The rows of open windows are copied, as far as they
// have changed since the view before; all else is shared with the fold, which only adds to it.
func (f *Fold) View() *View {
	if f.view != nil {
		return f.view
	}
	v := f.base.view()
	v.Strays = f.strays
	if f.panes != nil {
		p := f.panes.view()
		p.Open = append(p.Open, v.Open...) // what is not sealed
		p.Late, p.Strays = v.Late, v.Strays
		v.Panes = &p
	}
	f.view = &v
	return f.view
}
