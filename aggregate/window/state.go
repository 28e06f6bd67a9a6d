package window

// A State is the mergeable summary of some points of one series. The zero State
// summarises no points. Merging states gives the same result in any order and any
// grouping, floating-point rounding of Sum aside.
type State struct {
	Count               uint64
	Sum, Min, Max       float64
	First, Last         float64  // by time; ties by position in the log
	FirstTime, LastTime int64    // epoch milliseconds
	Resets              float64  // of a cumulative series: the totals it had reached when it fell, added up
	Late                uint64   // of the points, how many came after their window was final
	Sketch              Sketch   // of a distribution
	Distinct            Distinct // of a set
}

// Merge adds the points that o summarises, which come later in the log than those of s
// where times are equal. o is unchanged.
func (s *State) Merge(o *State) {
	s.MergeScalars(o)
	s.Sketch.Merge(&o.Sketch)
	s.Distinct.Merge(&o.Distinct)
}

// MergeScalars is Merge without Sketch and Distinct.
func (s *State) MergeScalars(o *State) {
	if o.Count == 0 {
		return
	}
	if s.Count == 0 {
		sketch, distinct := s.Sketch, s.Distinct
		*s = *o
		s.Sketch, s.Distinct = sketch, distinct
		return
	}
	s.Resets += o.Resets
	switch {
	case o.FirstTime >= s.LastTime:
		s.Resets += Reset(s.Last, o.First)
	case o.LastTime < s.FirstTime:
		s.Resets += Reset(o.Last, s.First)
	}
	s.Count += o.Count
	s.Late += o.Late
	s.Sum += o.Sum
	s.Min = min(s.Min, o.Min)
	s.Max = max(s.Max, o.Max)
	if o.FirstTime < s.FirstTime {
		s.First, s.FirstTime = o.First, o.FirstTime
	}
	if o.LastTime >= s.LastTime {
		s.Last, s.LastTime = o.Last, o.LastTime
	}
}

// Increase returns by how much a cumulative series rose from First to Last. Late points
// between the two change nothing, unless the series fell and rose unseen before.
func (s *State) Increase() float64 { return s.Last - s.First + s.Resets }

// Reset returns what a cumulative total lost on its way from one value to the next:
// nothing while it rises, all it had reached when it starts again.
func Reset(from, to float64) float64 {
	if to < from {
		return from
	}
	return 0
}

// Clear makes s the zero State and keeps its memory.
func (s *State) Clear() {
	sketch, distinct := s.Sketch, s.Distinct
	sketch.Reset()
	distinct.Reset()
	*s = State{Sketch: sketch, Distinct: distinct}
}
