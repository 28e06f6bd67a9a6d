package window

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
	for c := max(0, len(was.Singles)-1); c < len(now.Singles); c++ {
		s, from := now.Singles[c], 0
		if c < len(was.Singles) {
			from = len(was.Singles[c].Offset)
		}
		for i := from; i < len(s.Offset); i++ {
			see(s.Time(i))
		}
	}
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
