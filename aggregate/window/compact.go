package window

import (
	"cmp"
	"slices"
)

// Compact merges the parts of one window of one series, given in the order of the log.
// The parts of a cumulative series are followed through time as a query follows them, so
// that the whole rose by what the parts rose by. If one of them begins before another
// ends it returns nil: what happened between their values could not be told any more,
// and a query follows such windows in finer ones.
func Compact(parts []*State, cumulative bool) *State {
	if cumulative && interleave(parts) {
		return nil
	}
	out := &State{}
	for _, p := range parts {
		out.Merge(p)
	}
	out.Resets = 0
	if cumulative {
		out.Resets = Climb(parts) - (out.Last - out.First)
	}
	return out
}

// interleave reports whether a part begins before another ends that began before.
func interleave(parts []*State) bool {
	byTime := slices.SortedStableFunc(slices.Values(parts), func(a, b *State) int { return cmp.Compare(a.FirstTime, b.FirstTime) })
	for i, p := range byTime[1:] {
		if p.FirstTime < byTime[i].LastTime {
			return true
		}
	}
	return false
}

// Climb returns by how much a cumulative series rose over some stretches of it, of which
// it changes the order: within each, and on the way from each to the next.
func Climb(parts []*State) float64 {
	slices.SortStableFunc(parts, func(a, b *State) int { return cmp.Compare(a.FirstTime, b.FirstTime) })
	var rise float64
	last := parts[0]
	for i, p := range parts {
		switch {
		case i == 0:
			rise = p.Increase()
		case p.FirstTime >= last.LastTime:
			rise += p.Increase() + p.First - last.Last + Reset(last.Last, p.First)
		case p.LastTime >= last.LastTime: // a late stretch that began before the last value
			rise += p.Last - last.Last + Reset(last.Last, p.Last)
		}
		if p.LastTime >= last.LastTime {
			last = p
		}
	}
	return rise
}
