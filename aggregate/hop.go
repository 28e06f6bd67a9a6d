package aggregate

import "freshet/aggregate/window"

// hop makes of the panes of a group the windows of n panes each that end at pane n-1
// and at every one after it, in place, and returns them. Merge adds to into what lies
// later. Windows overlap, so they are put together from the panes' running merges from
// both sides of every nth pane: two merges a window, however long it is, and nothing is
// ever taken away.
func hop[T any](panes []T, n int, merge func(into, later *T)) []T {
	if n <= 1 {
		return panes
	}
	windows := make([]T, len(panes)-n+1)
	for block := 0; block < len(windows); block += n {
		// windows[i] is panes[i:block+n] and then panes[block+n:i+n].
		end := min(block+n, len(windows))
		var tail T
		for i := block + n - 1; i >= block; i-- {
			var head T
			merge(&head, &panes[i])
			merge(&head, &tail)
			if tail = head; i < end {
				merge(&windows[i], &tail)
			}
		}
		var rest T
		for i := block + 1; i < end; i++ {
			merge(&rest, &panes[i+n-1])
			merge(&windows[i], &rest)
		}
	}
	copy(panes, windows)
	return panes[:len(windows)]
}

// hopped returns the span of the windows of n panes that the panes of s make.
func (s span) hopped(n int) span {
	if n > 1 {
		s.from += int64(n-1) * s.step
		s.steps -= n - 1
	}
	return s
}

func (s *scalars) hop(n int) {
	type timed struct {
		scalar
		at int64
	}
	row := make([]timed, s.steps)
	into := s.hopped(n)
	for g := range len(s.acc) / s.steps {
		for i := range row {
			row[i] = timed{scalar: s.acc[g*s.steps+i]}
			if s.last != nil {
				row[i].at = s.last[g*s.steps+i]
			}
		}
		for i, w := range hop(row, n, func(a, b *timed) { s.join(&a.scalar, &a.at, &b.scalar, b.at) }) {
			s.acc[g*into.steps+i] = w.scalar
			if s.last != nil {
				s.last[g*into.steps+i] = w.at
			}
		}
	}
	s.span = into
	for i := range s.per {
		s.per[i] *= float64(n)
	}
}

// join adds b to a.
func (s *scalars) join(a *scalar, at *int64, b *scalar, bAt int64) {
	switch {
	case b.count == 0:
		return
	case a.count == 0:
		a.value, *at = b.value, bAt
	case s.kind == aggMin:
		a.value = min(a.value, b.value)
	case s.kind == aggMax:
		a.value = max(a.value, b.value)
	case s.kind == aggLast:
		if bAt >= *at {
			a.value, *at = b.value, bAt
		}
	default:
		a.value += b.value
	}
	a.count += b.count
}

func (s *quantiles) hop(n int) {
	into := s.hopped(n)
	for g := range len(s.acc) / s.steps {
		row := s.acc[g*s.steps : (g+1)*s.steps]
		copy(s.acc[g*into.steps:], hop(row, n, func(a, b *window.Histogram) { a.Merge(b) }))
	}
	s.span = into
}

func (s *distincts) hop(n int) {
	into := s.hopped(n)
	for g := range len(s.acc) / s.steps {
		row := s.acc[g*s.steps : (g+1)*s.steps]
		copy(s.acc[g*into.steps:], hop(row, n, func(a, b *window.Distinct) { a.Merge(b) }))
	}
	s.span = into
}
