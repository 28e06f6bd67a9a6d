package window_test

import (
	"math"
	"slices"
	"testing"

	"github.com/DataDog/sketches-go/ddsketch"
	"pgregory.net/rapid"

	"freshet/aggregate/window"
)

func values(t *rapid.T, least float64) []float64 {
	n := rapid.IntRange(1, 300).Draw(t, "n")
	scale := math.Pow(10, float64(rapid.IntRange(-6, 6).Draw(t, "scale")))
	out := make([]float64, n)
	for i := range out {
		out[i] = rapid.Float64Range(least, 100).Draw(t, "v") * scale
		if math.Abs(out[i]) < 1e-290 { // counts as zero
			out[i] = 0
		}
	}
	return out
}

var quantiles = []float64{0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1}

// Every quantile lies within 1 % of the exact one, for sketch and histogram alike.
func TestQuantileAccuracy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vs := values(t, -1)
		var s window.Sketch
		var h window.Histogram
		for _, v := range vs {
			s.Add(v)
			h.Add(window.BinOf(v), 1)
		}
		slices.Sort(vs)
		for _, q := range quantiles {
			exact := vs[int(q*float64(len(vs)-1))]
			got := s.Quantile(q)
			if math.Abs(got-exact) > window.Accuracy*math.Abs(exact)*1.0000001 {
				t.Fatalf("q %v: got %v, want %v within 1 %%", q, got, exact)
			}
			if other := h.Quantile(q); other != got {
				t.Fatalf("q %v: histogram %v, sketch %v", q, other, got)
			}
		}
	})
}

// The bins are those of the DDSketch library with the logarithmic mapping.
func TestSketchAgainstLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		theirs, err := ddsketch.LogUnboundedDenseDDSketch(window.Accuracy)
		if err != nil {
			t.Fatal(err)
		}
		var ours window.Sketch
		for _, v := range values(t, 0) { // the library rounds ranks of negative values the other way
			ours.Add(v)
			if err := theirs.Add(v); err != nil {
				t.Fatal(err)
			}
		}
		for _, q := range quantiles {
			want, err := theirs.GetValueAtQuantile(q)
			if err != nil {
				t.Fatal(err)
			}
			// A value on the edge of two bins may fall to either side.
			if got := ours.Quantile(q); math.Abs(got-want) > 0.0202*math.Abs(want)+1e-300 {
				t.Fatalf("q %v: got %v, the library says %v", q, got, want)
			}
		}
	})
}

// Merging in any grouping gives the sketch of all values, and so does writing and reading.
func TestSketchMergeAndCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vs := values(t, -1)
		var all, merged, read window.Sketch
		parts := make([]window.Sketch, 3)
		for i, v := range vs {
			all.Add(v)
			parts[(i*7)%3].Add(v)
		}
		for i := range parts {
			merged.Merge(&parts[i])
			if err := read.MergeBinary(parts[i].AppendBinary(nil)); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(all.Bins(), merged.Bins()) || !slices.Equal(all.Bins(), read.Bins()) {
			t.Fatalf("all %v, merged %v, read %v", all.Bins(), merged.Bins(), read.Bins())
		}
	})
}

func TestSketchIsBounded(t *testing.T) {
	var s window.Sketch
	for i := range 40_000 {
		s.Add(math.Exp(float64(i%30_000-15_000) / 25))
	}
	if got := len(s.Bins()); got > 4096 {
		t.Fatalf("got %d bins, want at most 4096", got)
	}
	if got := s.Count(); got != 40_000 {
		t.Fatalf("got %d observations, want 40000", got)
	}
	exact := math.Exp(float64(29_999-15_000) / 25)
	if got := s.Quantile(1); math.Abs(got-exact) > 0.01*exact {
		t.Fatalf("the greatest value: got %v, want %v", got, exact)
	}
}

func TestDistinct(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 3000).Draw(t, "n")
		var all, merged, read window.Distinct
		parts := make([]window.Distinct, 3)
		for i := range n {
			h := uint64(i%2000+1) * 0x9e3779b97f4a7c15
			h ^= h >> 29
			h *= 0xbf58476d1ce4e5b9
			all.Add(h)
			parts[i%3].Add(h)
		}
		for i := range parts {
			merged.Merge(&parts[i])
			if err := read.MergeBinary(parts[i].AppendBinary(nil)); err != nil {
				t.Fatal(err)
			}
		}
		want := float64(min(n, 2000))
		for name, d := range map[string]*window.Distinct{"all": &all, "merged": &merged, "read": &read} {
			got := float64(d.Count())
			if want <= 256 && got != want || math.Abs(got-want) > 0.04*want {
				t.Fatalf("%s: got %v, want %v", name, got, want)
			}
		}
	})
}

func FuzzSketchMergeBinary(f *testing.F) {
	var s window.Sketch
	s.Add(1)
	s.Add(-3)
	f.Add(s.AppendBinary(nil))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		var a, b window.Sketch
		if a.MergeBinary(data) != nil {
			return
		}
		if err := b.MergeBinary(a.AppendBinary(nil)); err != nil || !slices.Equal(a.Bins(), b.Bins()) {
			t.Fatalf("read %v, then %v: %v", a.Bins(), b.Bins(), err)
		}
	})
}

func FuzzDistinctMergeBinary(f *testing.F) {
	var d window.Distinct
	d.Add(7)
	f.Add(d.AppendBinary(nil))
	f.Add([]byte{2, 1, 14, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var d window.Distinct
		_ = d.MergeBinary(data)
		d.Count()
	})
}
