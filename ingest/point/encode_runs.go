package point

import "encoding/binary"

// EncodeRuns appends the batch of the points of some runs of b to dst, the runs in the order
// given, with a mark, which is zero or has a key. All runs in order, of a payload of which nothing
// was left out, are copied as they are written there.
func (b *Batch) EncodeRuns(dst []byte, runs []int, m Mark) []byte {
	if b.whole && inOrder(runs, len(b.Runs)) {
		return append(appendHead(dst, m), b.text[b.marked:]...)
	}
	if b.enc == nil {
		b.enc = new(encoder)
	}
	e := b.enc
	e.begin(len(b.symbols))
	for _, i := range runs {
		r := &b.Runs[i]
		e.add(r.Metric, r.Type, b.labels[2*r.label:2*(int(r.label)+r.Labels())], uint32(r.N))
		e.times = append(e.times, b.Time[r.First:r.First+r.N]...)
		if r.Type != Set {
			e.vals = append(e.vals, b.Value[r.First:r.First+r.N]...)
		}
	}
	dst = e.append(dst, m, b.Symbol)
	if e.sets {
		dst = b.appendMembers(dst, runs)
	}
	return dst
}

// inOrder reports whether runs are 0, 1, 2 and so on up to n.
func inOrder(runs []int, n int) bool {
	if len(runs) != n {
		return false
	}
	for i, r := range runs {
		if i != r {
			return false
		}
	}
	return true
}

// appendMembers appends the members of the points of runs.
func (b *Batch) appendMembers(dst []byte, runs []int) []byte {
	for _, i := range runs {
		if r := &b.Runs[i]; r.Type == Set {
			for _, s := range b.member[r.First : r.First+r.N] {
				dst = binary.AppendUvarint(dst, uint64(s.end-s.start))
			}
		}
	}
	for _, i := range runs {
		if r := &b.Runs[i]; r.Type == Set {
			for _, s := range b.member[r.First : r.First+r.N] {
				dst = append(dst, b.text[s.start:s.end]...)
			}
		}
	}
	return dst
}
