package window_test

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"freshet/aggregate/window"
	"freshet/ingest/point"
)

// A sample is one point of the model.
type sample struct {
	series uint32
	at     int64
	value  float64
	hash   uint64
	late   bool
}

func typeOf(series uint32) point.Type { return point.Type(series%5) + 1 }

// samples draws points in bursts: mostly near a moving now, some late, some very late.
func samples(t *rapid.T) []sample {
	n := rapid.IntRange(0, 400).Draw(t, "n")
	most := rapid.SampledFrom([]int{2, 12}).Draw(t, "most") // of few series panes are kept
	now := int64(1_700_000_000_000)
	out := make([]sample, n)
	for i := range out {
		now += rapid.Int64Range(0, 700).Draw(t, "step")
		at := now
		switch rapid.IntRange(0, 9).Draw(t, "late") {
		case 0:
			at -= rapid.Int64Range(0, 20_000).Draw(t, "by")
		case 1:
			at -= rapid.Int64Range(0, 60*24*3600_000).Draw(t, "far")
		}
		// Late as package aggregate has it: the limit only rises.
		s := sample{series: uint32(rapid.IntRange(0, most).Draw(t, "series")), at: at, late: at < window.Floor(now-5000, 1000)}
		if typeOf(s.series) == point.Set {
			s.hash = uint64(rapid.IntRange(0, 20).Draw(t, "member")) * 0x9e3779b97f4a7c15
		} else {
			s.value = float64(rapid.IntRange(-50, 1000).Draw(t, "value")) / 4
		}
		out[i] = s
	}
	return out
}

type key struct {
	series uint32
	start  int64
}

// brute summarises samples window by window in the plainest way.
func brute(samples []sample, width int64) map[key]*window.State {
	out := map[key]*window.State{}
	for _, p := range samples {
		k := key{p.series, window.Floor(p.at, width)}
		s := out[k]
		if s == nil {
			s = &window.State{Min: math.Inf(1), Max: math.Inf(-1), FirstTime: math.MaxInt64, LastTime: math.MinInt64}
			out[k] = s
		}
		s.Count++
		if p.late {
			s.Late++
		}
		s.Sum += p.value
		s.Min, s.Max = min(s.Min, p.value), max(s.Max, p.value)
		if p.at < s.FirstTime {
			s.First, s.FirstTime = p.value, p.at
		}
		if p.at >= s.LastTime {
			s.Last, s.LastTime = p.value, p.at
		}
		switch typeOf(p.series) {
		case point.Distribution:
			s.Sketch.Add(p.value)
		case point.Set:
			s.Distinct.Add(p.hash)
		}
	}
	return out
}

func checkStates(t *rapid.T, got, want map[key]*window.State) {
	if len(got) != len(want) {
		t.Fatalf("got %d windows, want %d", len(got), len(want))
	}
	for k, w := range want {
		g := got[k]
		if g == nil {
			t.Fatalf("window %v is missing", k)
		}
		if g.Count != w.Count || g.Late != w.Late || math.Abs(g.Sum-w.Sum) > 1e-6 || g.Min != w.Min || g.Max != w.Max {
			t.Fatalf("window %v: got %+v, want %+v", k, g, w)
		}
		if g.First != w.First || g.Last != w.Last || g.FirstTime != w.FirstTime || g.LastTime != w.LastTime {
			t.Fatalf("window %v: first and last: got %+v, want %+v", k, g, w)
		}
		if !slices.Equal(g.Sketch.Bins(), w.Sketch.Bins()) {
			t.Fatalf("window %v: sketch: got %v, want %v", k, g.Sketch.Bins(), w.Sketch.Bins())
		}
		if g.Distinct.Count() != w.Distinct.Count() {
			t.Fatalf("window %v: distinct: got %d, want %d", k, g.Distinct.Count(), w.Distinct.Count())
		}
	}
}

func rollup(t *rapid.T, views []*window.View, width int64) map[key]*window.State {
	got := map[key]*window.State{}
	last := key{start: math.MinInt64}
	err := window.Rollup(views, width, typeOf, func(series uint32, start int64, s *window.State) error {
		if start < last.start || start == last.start && series <= last.series {
			t.Fatalf("window %d of series %d came after %v", start, series, last)
		}
		last = key{series, start}
		c := &window.State{}
		c.Merge(s)
		got[last] = c
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Whatever the order of arrival, however the points are divided among folds, and
// however long the windows are: the windows hold what the points say.
func TestFoldAgainstBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := samples(t)
		parts := rapid.IntRange(1, 3).Draw(t, "folds")
		folds := make([]*window.Fold, parts)
		for i := range folds {
			folds[i] = window.NewFold(1000)
		}
		// A part is a stretch of the log, as a generation is, so that ties in time keep the log's order.
		for i, p := range all {
			fold(folds[i*parts/len(all)], p)
		}
		for _, f := range folds {
			f.Seal()
		}
		for _, width := range []int64{1000, 10_000, 60_000, 3_600_000} {
			var views []*window.View
			for _, f := range folds {
				views = append(views, f.View().At(width, 1000))
			}
			checkStates(t, rollup(t, views, width), brute(all, width))
		}
	})
}

// fold folds a sample.
func fold(f *window.Fold, p sample) {
	add := f.Add
	if p.late {
		add = f.AddLate
	}
	add(p.series, typeOf(p.series), p.at, p.value, p.hash)
}

// A view does not change, whatever is folded after it.
func TestViewIsImmutable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := samples(t)
		cut := rapid.IntRange(0, len(all)).Draw(t, "cut")
		f := window.NewFold(1000)
		for _, p := range all[:cut] {
			fold(f, p)
		}
		v := f.View()
		before := count(v)
		for _, p := range all[cut:] {
			fold(f, p)
		}
		f.Seal()
		if got := count(v); got != before || got != cut {
			t.Fatalf("the view holds %d points, then %d; %d were folded", before, got, cut)
		}
		if v.Panes != nil {
			if got := count(v.Panes); got != cut {
				t.Fatalf("the panes of the view hold %d points, want %d", got, cut)
			}
		}
		if got := count(f.View()); got != len(all) {
			t.Fatalf("the last view holds %d points, want %d", got, len(all))
		}
	})
}

// count returns how many points a view holds, sketches and members checked for agreement.
func count(v *window.View) int {
	n := 0
	for _, s := range v.Singles {
		n += len(s.Offset)
	}
	for _, s := range v.Late {
		n += len(s.Offset)
	}
	for _, f := range v.Fulls {
		for _, c := range f.Count {
			n += int(c)
		}
	}
	for _, o := range v.Open {
		for i := range o.Rows.Len() {
			n += int(o.Rows.At(i).Count)
		}
	}
	return n
}

// Changed names no window later than the first one that a new point went to.
func TestChanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := samples(t)
		f := window.NewFold(1000)
		var was *window.View
		for len(all) > 0 {
			n := rapid.IntRange(0, min(len(all), 30)).Draw(t, "burst")
			least := int64(math.MaxInt64)
			for _, p := range all[:n] {
				fold(f, p)
				least = min(least, window.Floor(p.at, 1000))
			}
			all = all[n:]
			now := f.View()
			at, changed := window.Changed(was, now)
			if n > 0 && (!changed || window.Floor(at, 1000) > least) {
				t.Fatalf("got %d %v, want at most %d", at, changed, least)
			}
			if n == 0 && changed {
				t.Fatalf("nothing was folded, but %d is said to have changed", at)
			}
			if n == 0 && len(all) > 0 {
				all = all[1:]
			}
			was = now
		}
	})
}

// A cumulative series rises by the sum of its steps, and by all of a value after a reset.
func TestIncrease(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const cumulative = 2 // a series of that type
		total, want := 0.0, 0.0
		f := window.NewFold(1000)
		at := int64(1_700_000_000_000)
		n := rapid.IntRange(1, 60).Draw(t, "n")
		for i := range n {
			at += rapid.Int64Range(1, 3000).Draw(t, "step")
			rise := float64(rapid.IntRange(0, 9).Draw(t, "rise"))
			if rapid.IntRange(0, 5).Draw(t, "reset") == 0 && i > 0 && rise < total {
				total = 0
			}
			total += rise
			if i > 0 {
				want += rise
			}
			f.Add(cumulative, point.Cumulative, at, total, 0)
		}
		f.Seal()
		for _, got := range rollup(t, []*window.View{f.View()}, 1<<40) {
			if got.Increase() != want {
				t.Fatalf("got %v, want %v", got.Increase(), want)
			}
		}
	})
}
