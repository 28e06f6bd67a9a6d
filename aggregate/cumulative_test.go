package aggregate_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/ingest/point"
)

// totals returns points of cumulative series that rise, are reset now and then, pause for
// minutes and for more than a day, and of which some arrive much later.
func totals(rng *rand.Rand, n int, days float64) []point.Point {
	var out []point.Point
	value := [3]float64{}
	for i := range n {
		s := rng.IntN(3)
		value[s] += float64(rng.IntN(50))
		if rng.IntN(25) == 0 {
			value[s] = float64(rng.IntN(5))
		}
		second := 600 - (1-float64(i)/float64(n))*days*86400
		if s == 2 && i > n/3 && i < n/2 {
			continue
		}
		out = append(out, at("total", point.Cumulative, fmt.Sprint("h", s), second, value[s]))
		out[len(out)-1].Time = out[len(out)-1].Time/1000*1000 + 7 // no two in one window
	}
	for i := range out {
		if j := i + rng.IntN(n/4); rng.IntN(6) == 0 && j < len(out) {
			out[i], out[j] = out[j], out[i]
		}
	}
	return out
}

// increases returns by how much the totals of each host rose from ≤ time < to: each value
// from the one before, if that is no more than a day older.
func increases(points []point.Point, from, to int64) map[string]float64 {
	last := map[string]point.Point{}
	out := map[string]float64{}
	for _, p := range points { // by rising time
		host := p.Labels.Get("host")
		before, known := last[host]
		last[host] = p
		if p.Time < from || p.Time >= to {
			continue
		}
		rise := 0.0
		if known && p.Time-before.Time <= 24*3_600_000 {
			if rise = p.Value - before.Value; rise < 0 {
				rise = p.Value // it began anew from nothing
			}
		}
		out[host] += rise
	}
	return out
}

// Increases are right over windows of every length, late points, resets, generations,
// loads and restarts, wherever an answer begins.
func TestIncreasesAgainstBruteForce(t *testing.T) {
	for seed := range uint64(4) {
		for name, days := range map[string]float64{"hours": 0.15, "days": 9} {
			t.Run(fmt.Sprint(name, seed), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 21))
				points := totals(rng, 500, days)
				dir, s := t.TempDir(), newShelf()
				o := aggregate.Options{History: s, Lateness: time.Hour}
				l, stop := openLab(t, dir, 2, o)
				sent := 0
				check := func(when string) {
					t.Helper()
					known := slices.Clone(points[:sent])
					slices.SortStableFunc(known, func(a, b point.Point) int { return cmp.Compare(a.Time, b.Time) })
					for _, q := range []aggregate.Query{
						{Range: "10m", Step: "10s"}, {Range: "3h", Step: "1m"}, {Range: "3h", Step: "1m", Window: "10m"},
						{Range: "4h", Step: "15m", Compare: "30m"}, {Range: "6h", Step: "1h"}, {Range: "7d", Step: "6h"},
						{Range: "7d", Step: "day", Zone: "Europe/Berlin"}, {Range: "9d", Step: "1d"}, {Range: "20d", Step: "week", Zone: "Asia/Tokyo"},
					} {
						q.Metric, q.Agg, q.By = "total", "increase", []string{"host"}
						checkIncreases(t, when, l.ask(q), known, q)
					}
				}
				for part := range slices.Chunk(points, 130) {
					l.batch(part...)
					sent += len(part)
					check("in memory")
					s.load(t, l.engine, nil)
					check("loaded")
				}
				stop()
				o.Restored = s.restored
				l, _ = openLab(t, dir, 2, o)
				check("after a restart")
			})
		}
	}
}

func checkIncreases(t *testing.T, when string, a *aggregate.Answer, known []point.Point, q aggregate.Query) {
	t.Helper()
	ends := edges(t, a, q)
	for _, compare := range slices.Compact([]string{"", q.Compare}) {
		for i := range a.Times {
			from, to := covered(q, ends[i], ends[i+1], compare)
			want := increases(known, from, to)
			for _, s := range a.Series {
				if s.Compare != compare {
					continue
				}
				w, any := want[s.Labels["host"]]
				got := s.Values[i]
				if any != (got == got) || any && math.Abs(got-w) > 1e-9*math.Abs(w) {
					t.Fatalf("%s: %+v: %v in the step of %v: got %v, want %v (%v)", when, q, s.Labels, time.UnixMilli(a.Times[i]), got, w, any)
				}
			}
		}
	}
}
