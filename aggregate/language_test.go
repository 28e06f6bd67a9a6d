package aggregate_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/ingest/point"
	"freshet/stream"
)

// A brute answers queries by looking at every point.
type brute []point.Point

// edges returns the edges of the steps of a query asked at noon.
func edges(t *testing.T, a *aggregate.Answer, q aggregate.Query) []int64 {
	t.Helper()
	out := slices.Clone(a.Times)
	last := out[len(out)-1]
	if a.StepMS > 0 {
		return append(out, last+a.StepMS)
	}
	zone, err := time.LoadLocation(q.Zone)
	if err != nil {
		t.Fatal(err)
	}
	y, m, d := time.UnixMilli(last).In(zone).Date()
	switch q.Step {
	case "day":
		d++
	case "week":
		d += 7
	case "month":
		m++
	}
	return append(out, time.Date(y, m, d, 0, 0, 0, 0, zone).UnixMilli())
}

// values returns what each group has from ≤ time < to, by its label host ("" without by).
func (b brute) values(q aggregate.Query, from, to int64) map[string]float64 {
	groups := map[string][]point.Point{}
	for _, p := range b {
		host := p.Labels.Get("host")
		if f, ok := q.Where["host"]; p.Metric != q.Metric || p.Time < from || p.Time >= to || ok && !passes(f, host) {
			continue
		}
		if len(q.By) == 0 {
			host = ""
		}
		groups[host] = append(groups[host], p)
	}
	out := map[string]float64{}
	for host, points := range groups {
		out[host] = fold(q.Agg, points, float64(to-from)/1000)
	}
	return out
}

// fold returns an aggregate of some points.
func fold(agg string, points []point.Point, seconds float64) float64 {
	var sum, last float64
	least, greatest, at := math.Inf(1), math.Inf(-1), int64(math.MinInt64)
	members := map[string]bool{}
	for _, p := range points {
		sum += p.Value
		least, greatest = min(least, p.Value), max(greatest, p.Value)
		if p.Time >= at {
			last, at = p.Value, p.Time
		}
		members[p.Member] = true
	}
	n := float64(len(points))
	switch agg {
	case "count":
		return n
	case "sum", "increase":
		return sum
	case "rate":
		return sum / seconds
	case "avg":
		return sum / n
	case "min":
		return least
	case "max":
		return greatest
	case "last":
		return last
	case "distinct":
		return float64(len(members))
	case "p50":
		slices.SortFunc(points, func(a, b point.Point) int { return int(math.Copysign(1, a.Value-b.Value)) })
		return points[int(0.5*(n-1))].Value
	}
	panic(agg)
}

// near reports whether two values are the same, a percentile within 1 %.
func near(agg string, got, want float64) bool {
	slack := 1e-9
	if agg == "p50" {
		slack = 0.01001
	}
	return got == want || got != got && want != want || math.Abs(got-want) <= slack*math.Abs(want)
}

// batch appends points, one record for each 200 of a shard.
func (l *lab) batch(points ...point.Point) {
	l.t.Helper()
	for part := range slices.Chunk(points, 400) {
		records := map[stream.ShardID]*point.Builder{}
		of := map[stream.ShardID]point.Series{}
		for _, p := range part {
			id := l.stream.ShardFor(stream.HashKey{Hi: point.HashOf(p.Series)}).ID()
			if records[id] == nil {
				records[id], of[id] = &point.Builder{}, p.Series
			}
			var v point.View
			v.Set(&p)
			records[id].Add(&v)
		}
		for id, b := range records {
			l.append(of[id], b.Encode(nil))
		}
	}
}

// worldOf returns points of a gauge, a counter, a distribution and a set over the days
// before noon, some late, at even or odd milliseconds.
func worldOf(rng *rand.Rand, n int, days float64, odd int64) []point.Point {
	var out []point.Point
	for i := range n {
		host := fmt.Sprint("h", rng.IntN(4))
		second := 600 - (1-float64(i)/float64(n))*days*86400
		switch rng.IntN(4) {
		case 0:
			out = append(out, at("gauge", point.Gauge, host, second, float64(rng.IntN(1000))/8))
		case 1:
			out = append(out, at("counter", point.Counter, host, second, float64(rng.IntN(8))))
		case 2:
			out = append(out, at("lat", point.Distribution, host, second, float64(1+rng.IntN(5000))/8))
		default:
			out = append(out, member(host, second, fmt.Sprint(rng.IntN(30))))
		}
	}
	for i := range out {
		out[i].Time += out[i].Time&1 ^ odd
		if j := i + rng.IntN(40); rng.IntN(4) == 0 && j < len(out) {
			out[i], out[j] = out[j], out[i]
		}
	}
	return out
}

// Steps of any length, windows that hop, days, weeks and months, now and a period
// earlier: from memory, from the warehouse and from both.
func TestStepsAgainstBruteForce(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	points := worldOf(rng, 1500, 100, 0)
	points = append(points, worldOf(rng, 900, 0.2, 1)...)
	dir, s := t.TempDir(), newShelf()
	l, stop := openLab(t, dir, 2, aggregate.Options{History: s})
	queries, sent := stepQueries(), 0
	for part := range slices.Chunk(points, len(points)/2) {
		l.batch(part...)
		known := brute(points[:sent+len(part)])
		sent += len(part)
		for _, q := range queries {
			checkSteps(t, l, known, q)
		}
		s.load(t, l.engine, nil)
		for _, q := range queries {
			checkSteps(t, l, known, q)
		}
	}
	stop() // and with it what is cached
	l, _ = openLab(t, dir, 2, aggregate.Options{History: s, Restored: s.restored})
	for _, q := range queries {
		checkSteps(t, l, brute(points), q)
	}
}

func stepQueries() []aggregate.Query {
	var out []aggregate.Query
	for metric, aggs := range map[string]string{"gauge": "count avg min max last", "counter": "sum rate", "lat": "p50", "users": "distinct"} {
		for agg := range strings.FieldsSeq(aggs) {
			for _, c := range []aggregate.Query{
				{Range: "10m", Step: "7s"},
				{Range: "1h", Step: "10s", Window: "1m"},
				{Range: "3h", Step: "1m", Window: "13m"},
				{Range: "2h", Step: "1m", Window: "1m", Compare: "1h"},
				{Range: "2h", Step: "5m", Window: "15m", Compare: "90s"},
				{Range: "2d", Step: "1h", Window: "24h", Compare: "1w"},
				{Range: "20d", Step: "day"},
				{Range: "20d", Step: "day", Zone: "Europe/Berlin", Compare: "7d"},
				{Range: "60d", Step: "week", Zone: "Asia/Kathmandu", Compare: "week"},
				{Range: "60d", Step: "month", Zone: "America/New_York", Compare: "month"},
				{Range: "4d", Step: "1d"},
			} {
				c.Metric, c.Agg = metric, agg
				by := c
				by.By = []string{"host"}
				by.Where = map[string]aggregate.Filter{"host": {Not: []string{"h2"}}}
				out = append(out, c, by)
			}
		}
	}
	return out
}

// checkSteps compares an answer with what the points come to.
func checkSteps(t *testing.T, l *lab, known brute, q aggregate.Query) {
	t.Helper()
	a := l.ask(q)
	ends := edges(t, a, q)
	got := map[string][]float64{}
	for _, s := range a.Series {
		got[s.Labels["host"]+s.Compare] = s.Values
	}
	want := map[string][]float64{}
	for _, compare := range slices.Compact([]string{"", q.Compare}) {
		for i := range a.Times {
			from, to := covered(q, ends[i], ends[i+1], compare)
			for host, v := range known.values(q, from, to) {
				if want[host+compare] == nil {
					want[host+compare] = slices.Repeat([]float64{math.NaN()}, len(a.Times))
				}
				want[host+compare][i] = v
			}
		}
	}
	if !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))) {
		t.Fatalf("%+v: got series %v, want %v", q, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	for host, values := range want {
		for i, v := range values {
			if !near(q.Agg, got[host][i], v) {
				t.Fatalf("%+v: %q in the step of %v: got %v, want %v", q, host, time.UnixMilli(a.Times[i]), got[host][i], v)
			}
		}
	}
}

// covered returns what the value of a step covers.
func covered(q aggregate.Query, from, to int64, compare string) (int64, int64) {
	if q.Window != "" {
		from = to - millis(q.Window)
	}
	if compare == "" {
		return from, to
	}
	zone, err := time.LoadLocation(q.Zone)
	if err != nil {
		panic(err)
	}
	earlier := func(at int64) int64 {
		local := time.UnixMilli(at).In(zone)
		switch {
		case q.Step == "month": // whole months
			return local.AddDate(0, -1, 0).UnixMilli()
		case q.Step == "day" || q.Step == "week":
			return local.AddDate(0, 0, -7).UnixMilli()
		}
		return at - millis(compare)
	}
	return earlier(from), earlier(to)
}

func millis(s string) int64 {
	if s == "1w" {
		s = "168h"
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d.Milliseconds()
}

// The members of panes that are made of raw points are those of each pane alone.
func TestDistinctCountsOfPanesFromTheWarehouse(t *testing.T) {
	dir, s := t.TempDir(), newShelf()
	l, stop := openLab(t, dir, 1, aggregate.Options{History: s})
	l.send(member("a", 0, "x"), member("a", 11, "y"), member("a", 22, "z"), member("a", 33, "w"))
	s.load(t, l.engine, nil)
	stop()
	l, _ = openLab(t, dir, 1, aggregate.Options{History: s, Restored: s.restored})
	q := aggregate.Query{Metric: "users", Agg: "distinct", Range: "10m", Step: "10s", Window: "1m"}
	if got, want := show(l.ask(q)), ":1,2,3,4,4,4,3,2,1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Members are merged over steps, labels, shards, loads and memory: never added up. The
// error of an estimate lies within twice its standard error of 0.8 %.
func TestDistinctCountsOfManyMembers(t *testing.T) {
	s := newShelf()
	l, _ := openLab(t, t.TempDir(), 2, aggregate.Options{History: s})
	rng := rand.New(rand.NewPCG(23, 24))
	var points []point.Point
	for range 12_000 {
		points = append(points, member(fmt.Sprint("h", rng.IntN(3)), rng.Float64()*500, fmt.Sprint("u", rng.IntN(6000))))
	}
	l.batch(points[:8000]...)
	s.load(t, l.engine, nil)
	l.batch(points[8000:]...)
	known := brute(points)
	for _, q := range []aggregate.Query{
		{Step: "10m"}, {Step: "1m", Window: "5m"}, {Step: "10m", By: []string{"host"}},
		{Step: "10m", Where: map[string]aggregate.Filter{"host": {Not: []string{"h0"}}}},
	} {
		q.Metric, q.Agg, q.Range = "users", "distinct", "10m"
		a := l.ask(q)
		ends := edges(t, a, q)
		for i := range a.Times {
			from, to := covered(q, ends[i], ends[i+1], "")
			want := known.values(q, from, to)
			for _, s := range a.Series {
				if w := want[s.Labels["host"]]; w > 0 && math.Abs(s.Values[i]-w) > 0.016*w {
					t.Errorf("%+v: %v in step %d: got %v, want %v within 1.6 %%", q, s.Labels, i, s.Values[i], w)
				}
			}
		}
	}
}
