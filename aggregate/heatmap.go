package aggregate

import (
	"maps"
	"slices"

	"freshet/aggregate/window"
)

// MaxBuckets is how many rows a heatmap has at most. A sketch's bins are put together by
// twos, fours and so on until they are no more.
const MaxBuckets = 64

// heatmap makes a row of each bucket that holds an observation: a bucket has its two
// bounds, and its values count the observations. Series read a period earlier have the
// same buckets.
func heatmap(read []*reading, steps int) [][]Values {
	bins := map[window.Bin]struct{}{}
	for _, r := range read {
		each(r, steps, func(_ int, b window.Bin, _ uint64) { bins[b] = struct{}{} })
	}
	width := 1
	for buckets(bins, width) > MaxBuckets {
		width *= 2
	}
	out := make([][]Values, len(read))
	for i, r := range read {
		rows := map[window.Bucket][]float64{}
		each(r, steps, func(step int, b window.Bin, n uint64) {
			k := b.Bucket(width)
			if rows[k] == nil {
				rows[k] = missing(steps)
			}
			if x := &rows[k][step]; *x == *x {
				*x += float64(n)
			} else {
				*x = float64(n)
			}
		})
		for _, k := range slices.Sorted(maps.Keys(rows)) {
			low, high := k.Bounds(width)
			out[i] = append(out[i], Values{Labels: map[string]string{}, Bucket: &[2]float64{low, high}, Values: rows[k]})
		}
	}
	return out
}

// each calls visit with the bins of all steps of a reading.
func each(r *reading, steps int, visit func(step int, b window.Bin, n uint64)) {
	acc, ok := r.acc.(*quantiles)
	if !ok {
		return // nothing has come yet
	}
	for g := range r.groups {
		for step := range steps {
			acc.acc[g*steps+step].Each(func(b window.Bin, n uint64) { visit(step, b, n) })
		}
	}
}

// buckets returns how many buckets of a width some bins lie in.
func buckets(bins map[window.Bin]struct{}, width int) int {
	in := map[window.Bucket]struct{}{}
	for b := range bins {
		in[b.Bucket(width)] = struct{}{}
	}
	return len(in)
}
