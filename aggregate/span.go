package aggregate

import "sort"

// span is the steps that an evaluation fills. Step i covers from+i·step and the step
// milliseconds after it; with edges, it covers edges[i] ≤ time < edges[i+1].
type span struct {
	from, step int64
	steps      int
	edges      []int64 // steps+1 of them, never falling; nil where all steps are of one length
}

func (s *span) to() int64 {
	if s.edges != nil {
		return s.edges[s.steps]
	}
	return s.from + int64(s.steps)*s.step
}

// index returns the step of a time within the span.
func (s *span) index(at int64) int {
	if s.edges == nil {
		return int((at - s.from) / s.step)
	}
	return sort.Search(s.steps, func(i int) bool { return s.edges[i+1] > at })
}

// start returns where a step begins, for i = steps where the last ends.
func (s *span) start(i int) int64 {
	if s.edges != nil {
		return s.edges[i]
	}
	return s.from + int64(i)*s.step
}

// dividedBy reports whether all steps are made of windows of a width.
func (s *span) dividedBy(width int64) bool {
	if s.edges == nil {
		return s.from%width == 0 && s.step%width == 0
	}
	for _, at := range s.edges {
		if at%width != 0 {
			return false
		}
	}
	return true
}

// seconds returns how long a step is.
func (s *span) seconds(i int) float64 { return float64(s.start(i+1)-s.start(i)) / 1000 }

// next returns the start of the first step that does not begin before a time, or the
// time itself where that is not within the span.
func (s *span) next(at int64) int64 {
	if at <= s.from || at >= s.to() {
		return at
	}
	i := s.index(at)
	if s.start(i) < at {
		i++
	}
	return s.start(i)
}
