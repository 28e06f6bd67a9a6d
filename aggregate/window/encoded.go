package window

import "encoding/binary"

// MergeBinary adds the sketch that Sketch.AppendBinary wrote to data. It is what adds
// many stored sketches up: nothing is allocated while the bins are known.
func (h *Histogram) MergeBinary(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	if data[0] != sketchVersion {
		return errCorrupt
	}
	n, k := binary.Uvarint(data[1:])
	if k <= 0 || n > maxBins {
		return errCorrupt
	}
	at := 1 + k
	bin := int64(0)
	for i := range n {
		var step int64
		var count uint64
		if at+1 < len(data) && data[at] < 0x80 && data[at+1] < 0x80 { // both in one byte each
			u := uint64(data[at])
			step, count = int64(u>>1)^-int64(u&1), uint64(data[at+1])
			at += 2
		} else {
			s, k := binary.Varint(data[at:])
			if k <= 0 {
				return errCorrupt
			}
			c, m := binary.Uvarint(data[at+k:])
			if m <= 0 {
				return errCorrupt
			}
			step, count = s, c
			at += k + m
		}
		if count == 0 || i > 0 && step <= 0 || step > 4*binBias || step < -4*binBias {
			return errCorrupt
		}
		if bin += step; bin > 4*binBias || bin < -4*binBias {
			return errCorrupt
		}
		h.Add(Bin(bin), count)
	}
	if at != len(data) {
		return errCorrupt
	}
	return nil
}

// AppendTo adds the observations to a sketch.
func (h *Histogram) AppendTo(s *Sketch) {
	bins := make([]BinCount, 0, 64)
	for i := len(h.negative.counts) - 1; i >= 0; i-- {
		if n := h.negative.counts[i]; n > 0 {
			bins = append(bins, BinCount{-(h.negative.base + Bin(i)), n})
		}
	}
	if h.zero > 0 {
		bins = append(bins, BinCount{0, h.zero})
	}
	for i, n := range h.positive.counts {
		if n > 0 {
			bins = append(bins, BinCount{h.positive.base + Bin(i), n})
		}
	}
	s.MergeBins(bins)
}
