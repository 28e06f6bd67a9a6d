package window

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

// Accuracy of Sketch.Quantile, relative to the value.
const Accuracy = 0.01

// maxBins bounds a sketch. Observations would have to span 35 decades to reach it;
// then the bins nearest to zero are merged, so that the quantiles of the larger
// magnitudes keep their accuracy.
const maxBins = 4096

// gamma is the ratio of neighbouring bin bounds: (1 + accuracy) / (1 - accuracy).
const gamma = (1 + Accuracy) / (1 - Accuracy)

var (
	logGamma    = math.Log(gamma)
	invLogGamma = 1 / logGamma
)

// binBias makes the bin of the least positive float64 positive.
const binBias = 1 << 16

// A Bin is the position of an observation in a sketch. Bins sort as the values
// they stand for: negative values below 0, zero at 0, positive values above.
type Bin int32

// leastMagnitude is what a sketch can tell from zero.
const leastMagnitude = 1e-300

// BinOf returns the bin of v. Magnitudes below 1e-300 count as zero. NaN has no bin and
// is not passed in.
func BinOf(v float64) Bin {
	switch {
	case v >= leastMagnitude:
		return Bin(math.Ceil(math.Log(v)*invLogGamma)) + binBias
	case v <= -leastMagnitude:
		return -(Bin(math.Ceil(math.Log(-v)*invLogGamma)) + binBias)
	}
	return 0
}

// Value returns the value that stands for all observations in the bin.
func (b Bin) Value() float64 {
	switch {
	case b > 0:
		return math.Exp(float64(b-binBias)*logGamma) * 2 / (1 + gamma)
	case b < 0:
		return -(-b).Value()
	}
	return 0
}

// A BinCount is a bin with the number of observations in it.
type BinCount struct {
	Bin   Bin
	Count uint64
}

// A Sketch is a DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable
// quantile sketch with relative-error guarantees", VLDB 2019) with the logarithmic
// mapping, kept as its occupied bins in rising order. Merging two sketches adds their
// counts, so a merge is exact and its order does not matter. The zero Sketch is empty.
type Sketch struct {
	bins []BinCount
}

// Count returns the number of observations.
func (s *Sketch) Count() uint64 {
	var n uint64
	for i := range s.bins {
		n += s.bins[i].Count
	}
	return n
}

// Bins returns the occupied bins in rising order. The caller does not change them.
func (s *Sketch) Bins() []BinCount { return s.bins }

// Add counts one observation. Adding many is cheaper through MergeBins.
func (s *Sketch) Add(v float64) { s.addBin(BinOf(v), 1) }

func (s *Sketch) addBin(b Bin, n uint64) {
	i, found := slices.BinarySearchFunc(s.bins, b, func(c BinCount, b Bin) int { return int(c.Bin) - int(b) })
	if found {
		s.bins[i].Count += n
		return
	}
	s.bins = slices.Insert(s.bins, i, BinCount{b, n})
	s.bound()
}

// Merge adds the observations of o, which is unchanged.
func (s *Sketch) Merge(o *Sketch) { s.MergeBins(o.bins) }

// MergeBins adds counts given in rising order of bins, none twice.
func (s *Sketch) MergeBins(o []BinCount) {
	if len(o) == 0 {
		return
	}
	a := s.bins
	// Most merges meet bins that are there already: count the new ones first.
	fresh, i := 0, 0
	for j := range o {
		for i < len(a) && a[i].Bin < o[j].Bin {
			i++
		}
		if i == len(a) || a[i].Bin != o[j].Bin {
			fresh++
		}
	}
	n := len(a)
	s.bins = slices.Grow(a, fresh)[:n+fresh]
	// Merge from the back, in place.
	for i, j, k := n-1, len(o)-1, n+fresh-1; j >= 0; k-- {
		switch {
		case i >= 0 && s.bins[i].Bin > o[j].Bin:
			s.bins[k] = s.bins[i]
			i--
		case i >= 0 && s.bins[i].Bin == o[j].Bin:
			s.bins[k] = BinCount{o[j].Bin, s.bins[i].Count + o[j].Count}
			i--
			j--
		default:
			s.bins[k] = o[j]
			j--
		}
	}
	s.bound()
}

// bound merges the bins nearest to zero until the sketch is within maxBins.
func (s *Sketch) bound() {
	for len(s.bins) > maxBins {
		i, _ := slices.BinarySearchFunc(s.bins, 0, func(c BinCount, b Bin) int { return int(c.Bin) - int(b) })
		// The bins around i are the smallest magnitudes; fold the nearest into its outer neighbour.
		switch {
		case i >= len(s.bins) || (i > 0 && -s.bins[i-1].Bin < s.bins[i].Bin):
			s.bins[i-2].Count += s.bins[i-1].Count
			s.bins = slices.Delete(s.bins, i-1, i)
		default:
			s.bins[i+1].Count += s.bins[i].Count
			s.bins = slices.Delete(s.bins, i, i+1)
		}
	}
}

// Quantile returns the value at q, 0 ≤ q ≤ 1, within Accuracy of the observation of
// rank q·(count-1), or NaN if there is no observation.
func (s *Sketch) Quantile(q float64) float64 {
	n := s.Count()
	if n == 0 {
		return math.NaN()
	}
	rank := q * float64(n-1)
	var seen uint64
	for i := range s.bins {
		seen += s.bins[i].Count
		if float64(seen) > rank {
			return s.bins[i].Bin.Value()
		}
	}
	return s.bins[len(s.bins)-1].Bin.Value()
}

// Reset empties the sketch and keeps its memory.
func (s *Sketch) Reset() { s.bins = s.bins[:0] }

const sketchVersion = 1

// errCorrupt reports bytes that no AppendBinary wrote.
var errCorrupt = errors.New("window: damaged sketch")

// AppendBinary appends the sketch as a version byte, the number of bins, and for each
// bin the step from the bin before it (zigzag) and its count, all as varints. An empty
// sketch is no bytes at all.
func (s *Sketch) AppendBinary(dst []byte) []byte {
	if len(s.bins) == 0 {
		return dst
	}
	dst = append(dst, sketchVersion)
	dst = binary.AppendUvarint(dst, uint64(len(s.bins)))
	prev := Bin(0)
	for _, b := range s.bins {
		dst = binary.AppendVarint(dst, int64(b.Bin-prev))
		dst = binary.AppendUvarint(dst, b.Count)
		prev = b.Bin
	}
	return dst
}

// MergeBinary adds the sketch that AppendBinary wrote to data.
func (s *Sketch) MergeBinary(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	if data[0] != sketchVersion {
		return errCorrupt
	}
	n, k := binary.Uvarint(data[1:])
	data = data[1+max(k, 0):]
	if k <= 0 || n > maxBins || n > uint64(len(data)/2) {
		return errCorrupt
	}
	bins := make([]BinCount, 0, n)
	prev := int64(0)
	for i := range n {
		step, k := binary.Varint(data)
		if k <= 0 || (i > 0 && step <= 0) || step > 4*binBias || step < -4*binBias {
			return errCorrupt
		}
		count, m := binary.Uvarint(data[k:])
		if m <= 0 || count == 0 {
			return errCorrupt
		}
		prev += step
		if prev > 4*binBias || prev < -4*binBias {
			return errCorrupt
		}
		bins = append(bins, BinCount{Bin(prev), count})
		data = data[k+m:]
	}
	if len(data) != 0 {
		return errCorrupt
	}
	s.MergeBins(bins)
	return nil
}
