package window

import "math"

// A Histogram counts observations by bin in flat arrays: adding is O(1), and it is
// what many sketches are added up in. It grows to the span of bins that it meets. The
// zero Histogram is empty.
type Histogram struct {
	positive, negative side
	zero               uint64
}

type side struct {
	base   Bin // bin of counts[0]
	counts []uint64
}

// Add counts n observations in bin b.
func (h *Histogram) Add(b Bin, n uint64) {
	switch {
	case b > 0:
		h.positive.add(b, n)
	case b < 0:
		h.negative.add(-b, n)
	default:
		h.zero += n
	}
}

func (s *side) add(b Bin, n uint64) {
	if i := int(b - s.base); i >= 0 && i < len(s.counts) {
		s.counts[i] += n
		return
	}
	s.grow(b)
	s.counts[b-s.base] += n
}

// grow makes room for bin b and some neighbours.
func (s *side) grow(b Bin) {
	if len(s.counts) == 0 {
		s.base, s.counts = b-16, make([]uint64, 48)
		return
	}
	first, end := min(s.base, b-16), max(s.base+Bin(len(s.counts)), b+32)
	counts := make([]uint64, end-first)
	copy(counts[s.base-first:], s.counts)
	s.base, s.counts = first, counts
}

// Merge adds the observations of o, which is unchanged.
func (h *Histogram) Merge(o *Histogram) {
	h.zero += o.zero
	h.positive.merge(&o.positive)
	h.negative.merge(&o.negative)
}

func (s *side) merge(o *side) {
	for i, n := range o.counts {
		if n > 0 {
			s.add(o.base+Bin(i), n)
		}
	}
}

// Count returns the number of observations.
func (h *Histogram) Count() uint64 { return h.zero + h.positive.count() + h.negative.count() }

func (s *side) count() uint64 {
	var n uint64
	for _, c := range s.counts {
		n += c
	}
	return n
}

// Quantile is Sketch.Quantile.
func (h *Histogram) Quantile(q float64) float64 {
	negative, n := h.negative.count(), h.Count()
	if n == 0 {
		return math.NaN()
	}
	rank := q * float64(n-1)
	var seen uint64
	if rank < float64(negative) {
		for i := len(h.negative.counts) - 1; i >= 0; i-- {
			if seen += h.negative.counts[i]; float64(seen) > rank {
				return -(h.negative.base + Bin(i)).Value()
			}
		}
	}
	if seen = negative + h.zero; float64(seen) > rank {
		return 0
	}
	for i, c := range h.positive.counts {
		if seen += c; float64(seen) > rank {
			return (h.positive.base + Bin(i)).Value()
		}
	}
	return math.NaN() // not reached: rank < n
}

// Bytes returns about how much memory the counts take.
func (h *Histogram) Bytes() int64 {
	return int64(8 * (len(h.positive.counts) + len(h.negative.counts)))
}
