package window_test

import (
	"math"
	"slices"
	"testing"

	"freshet/aggregate/window"
	"pgregory.net/rapid"
)

// Adding encoded sketches to a histogram comes to what merging them comes to.
func TestHistogramOfEncodedSketches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h window.Histogram
		var want window.Sketch
		for range rapid.IntRange(0, 4).Draw(t, "sketches") {
			var s window.Sketch
			for _, x := range rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 0, 50).Draw(t, "values") {
				s.Add(math.Trunc(x))
			}
			want.Merge(&s)
			if err := h.MergeBinary(s.AppendBinary(nil)); err != nil {
				t.Fatal(err)
			}
		}
		var got window.Sketch
		h.AppendTo(&got)
		if !slices.Equal(got.Bins(), want.Bins()) {
			t.Errorf("got %v, want %v", got.Bins(), want.Bins())
		}
	})
}

// What a sketch refuses to decode, a histogram refuses as well.
func FuzzHistogramMergeBinary(f *testing.F) {
	var s window.Sketch
	for i := range 100 {
		s.Add(float64(i * i))
	}
	f.Add(s.AppendBinary(nil))
	f.Add([]byte{1, 1, 2, 0})
	f.Add([]byte{1, 200})
	f.Fuzz(func(t *testing.T, data []byte) {
		var h window.Histogram
		var s window.Sketch
		if a, b := h.MergeBinary(data), s.MergeBinary(data); (a == nil) != (b == nil) {
			t.Errorf("a histogram says %v, a sketch %v", a, b)
		}
	})
}
