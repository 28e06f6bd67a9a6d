package window

import "math"

// Each calls visit with the occupied bins in rising order.
func (h *Histogram) Each(visit func(b Bin, n uint64)) {
	for i := len(h.negative.counts) - 1; i >= 0; i-- {
		if n := h.negative.counts[i]; n > 0 {
			visit(-(h.negative.base + Bin(i)), n)
		}
	}
	if h.zero > 0 {
		visit(0, h.zero)
	}
	for i, n := range h.positive.counts {
		if n > 0 {
			visit(h.positive.base+Bin(i), n)
		}
	}
}

// A Bucket is the bin nearest to zero of a run of neighbouring bins, where the runs of a
// width begin at the same bins whatever was observed.
type Bucket Bin

// Bucket returns the run of width bins that b lies in.
func (b Bin) Bucket(width int) Bucket {
	switch {
	case b > 0:
		return Bucket(Floor(int64(b-binBias), int64(width)) + binBias)
	case b < 0:
		return -(-b).Bucket(width)
	}
	return 0
}

// Bounds returns between which values the observations of a run of width bins lie. The
// one nearer to zero is not among them; a run at zero has no width.
func (b Bucket) Bounds(width int) (low, high float64) {
	switch {
	case b > 0:
		first := float64(b - binBias)
		return math.Exp((first - 1) * logGamma), math.Exp((first + float64(width) - 1) * logGamma)
	case b < 0:
		low, high = (-b).Bounds(width)
		return -high, -low
	}
	return 0, 0
}
