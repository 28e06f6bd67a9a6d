package bench_test

import (
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/cmd/freshet/bench"
)

func TestLedgerClosesWhatIsNotUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bench.NewLedger(2)
		began := time.Now().UnixMilli() // a whole minute
		time.Sleep(5 * time.Second)
		ms := l.Begin(0)
		time.Sleep(30 * time.Second)
		if got := l.Closed(10_000); got != began {
			t.Errorf("with a post of 5 s under way closed until %d s, want 0", (got-began)/1000)
		}
		other := l.Begin(1)
		l.End(0, ms, bench.TallyOf(3, 10))
		if got := l.Closed(10_000); got != began+30_000 {
			t.Errorf("with a post of 35 s under way closed until %d s, want 30", (got-began)/1000)
		}
		l.End(1, other, bench.TallyOf(4, 20))
		time.Sleep(30 * time.Second)
		if got := l.Closed(60_000); got != began+60_000 {
			t.Errorf("with nothing under way closed until %d s, want 60", (got-began)/1000)
		}
		for _, c := range []struct {
			from, to, step int64
			points         int64
			sum            float64
		}{{0, 60_000, 60_000, 7, 30}, {0, 30_000, 10_000, 3, 10}, {30_000, 60_000, 10_000, 4, 20}, {40_000, 60_000, 10_000, 0, 0}} {
			var points int64
			var sum float64
			for at, tally := range l.Between(began+c.from, began+c.to, c.step) {
				if (at-began)%c.step != 0 {
					t.Errorf("a step begins at %d ms", at-began)
				}
				n, s := tally.Points()
				points, sum = points+n, sum+s
			}
			if points != c.points || sum != c.sum {
				t.Errorf("from %d to %d ms: got %d points with %v, want %d with %v", c.from, c.to, points, sum, c.points, c.sum)
			}
		}
	})
}

func TestLedgerOfNothingGivesTheTime(t *testing.T) {
	var l *bench.Ledger
	before := time.Now().UnixMilli()
	ms := l.Begin(0)
	l.End(0, ms, bench.TallyOf(1, 1))
	if ms < before {
		t.Errorf("got %d, want %d or later", ms, before)
	}
}

func TestCompare(t *testing.T) {
	want := map[int64]bench.Tally{60_000: bench.TallyOf(2, 5), 120_000: bench.TallyOf(3, 6)}
	for name, c := range map[string]struct {
		counts, sums map[int64]float64
		want         string
	}{
		"equal":         {map[int64]float64{60_000: 2, 120_000: 3, 180_000: 0}, map[int64]float64{60_000: 5, 120_000: 6}, ""},
		"too few":       {map[int64]float64{60_000: 2, 120_000: 2}, map[int64]float64{60_000: 5, 120_000: 6}, "00:02:00: 2 points"},
		"missing":       {map[int64]float64{120_000: 3}, map[int64]float64{120_000: 6}, "00:01:00: 0 points"},
		"another sum":   {map[int64]float64{60_000: 2, 120_000: 3}, map[int64]float64{60_000: 5.5, 120_000: 6}, "00:01:00: 2 points"},
		"none expected": {map[int64]float64{60_000: 2, 120_000: 3, 180_000: 1}, map[int64]float64{60_000: 5, 120_000: 6}, "00:03:00: 1 points, none"},
	} {
		got := bench.Compare(want, c.counts, c.sums)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestRise(t *testing.T) {
	for name, c := range map[string]struct {
		xs, ys []float64
		want   float64
	}{
		"nothing":         {nil, nil, 0},
		"one":             {[]float64{1}, []float64{5}, 0},
		"flat":            {[]float64{0, 10, 20}, []float64{7, 7, 7}, 0},
		"from 5 to 15":    {[]float64{0, 10, 20}, []float64{5, 10, 15}, 1},
		"falls":           {[]float64{0, 10, 20}, []float64{15, 10, 5}, -1},
		"at one moment":   {[]float64{3, 3}, []float64{1, 2}, 0},
		"zeros":           {[]float64{0, 1}, []float64{0, 0}, 0},
		"there and back":  {[]float64{0, 10, 20}, []float64{5, 20, 5}, 0},
		"uneven distance": {[]float64{0, 30, 40}, []float64{10, 40, 50}, 1.2},
	} {
		if got := bench.Rise(c.xs, c.ys); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
