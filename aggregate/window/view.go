package window

// A View is what a Fold held at one moment. It never changes, so anyone may read it
// without a lock. One window may have cells in several places; they merge. In the order
// of the log, as far as cells of one window are concerned: Fulls, Singles, Open, Late.
type View struct {
	Singles []*Singles
	Fulls   []*Fulls
	Open    []Open
	Late    []*Singles // points that came after their window was final

	// Panes holds the same points in windows of PaneWidth(width), as far as they are
	// sealed, nil where that would save nothing.
	Panes *View

	// Strays counts the points of Singles and Late that came when their window took no
	// more. Between the cells of Panes their order in time is lost.
	Strays int
}

// An Open is a window that still takes points.
type Open struct {
	Start   int64 // epoch ms
	Rows    Rows
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

// PaneWidth returns the length in milliseconds of the windows that those of a width are
// put together to: ten seconds, or a minute, and 0 for windows that are longer.
func PaneWidth(width int64) int64 {
	for _, pane := range []int64{10_000, 60_000} {
		if width < pane && pane%width == 0 {
			return pane
		}
	}
	return 0
}

// At returns the view with the fewest cells of which windows of a resolution can be
// made: v or its panes. Width is that of v's windows.
func (v *View) At(resolution, width int64) *View {
	if pane := PaneWidth(width); v.Panes != nil && pane > 0 && resolution%pane == 0 {
		return v.Panes
	}
	return v
}

// Changed returns the least start of a window, or time of a single cell, that differs between two
// views of the same Fold, the first of them older or nil, and false if they are equal.
// Windows that were sealed in between are named although their points are the same.
func Changed(was, now *View) (int64, bool) {
	if was == now {
		return 0, false
	}
	if was == nil {
		was = &View{}
	}
	var least int64
	found := false
	see := func(at int64) {
		if !found || at < least {
			least, found = at, true
		}
	}
	addedSingles(was.Singles, now.Singles, see)
	addedSingles(was.Late, now.Late, see)
	for c := max(0, len(was.Fulls)-1); c < len(now.Fulls); c++ {
		f, from := now.Fulls[c], 0
		if c < len(was.Fulls) {
			from = len(was.Fulls[c].Offset)
		}
		for i := from; i < len(f.Offset); i++ {
			see(f.Start(i))
		}
	}
	for i := range now.Open {
		o := &now.Open[i]
		if p := was.openAt(o.Start); p == nil || !p.same(o) {
			see(o.Start)
		}
	}
	return least, found
}

// addedSingles calls see with the times of the cells that now has and was has not.
func addedSingles(was, now []*Singles, see func(at int64)) {
	for c := max(0, len(was)-1); c < len(now); c++ {
		s, from := now[c], 0
		if c < len(was) {
			from = len(was[c].Offset)
		}
		for i := from; i < len(s.Offset); i++ {
			see(s.Time(i))
		}
	}
}

func (v *View) openAt(start int64) *Open {
	for i := range v.Open {
		if v.Open[i].Start == start {
			return &v.Open[i]
		}
	}
	return nil
}

// same reports whether two states of an open window hold the same points: every point
// that is added raises a count.
func (o *Open) same(p *Open) bool { return o.points == p.points }

// Divide adds the cells of a sealed view to the chunks that into returns for the start
// of their span of length milliseconds; nil leaves them out. Distinct counts are shared.
func (v *View) Divide(length int64, into func(start int64) *Chunks) {
	divide := func(s *Singles, add func(c *Chunks, series uint32, at int64, value float64, set bool, hash uint64)) {
		for i := range s.Offset {
			at := s.Time(i)
			c := into(Floor(at, length))
			switch {
			case c == nil:
			case s.Hash != nil:
				add(c, s.Series[i], at, s.Value[i], true, s.Hash[i])
			default:
				add(c, s.Series[i], at, s.Value[i], false, 0)
			}
		}
	}
	for _, s := range v.Singles {
		divide(s, (*Chunks).Single)
	}
	for _, f := range v.Fulls {
		for i := range f.Offset {
			start := f.Start(i)
			if c := into(Floor(start, length)); c != nil {
				var d *Distinct
				if f.Distinct != nil {
					d = &f.Distinct[i]
				}
				r := f.Row(i)
				c.Full(start, &r, f.LateOf(i), f.BinsOf(i), d)
			}
		}
	}
	for _, s := range v.Late {
		divide(s, (*Chunks).Late)
	}
}
