package aggregate_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"freshet/aggregate"
	"freshet/ingest/point"
	"freshet/stream"
)

// Enough cells that several cores share them come to what their points come to.
func TestManyCells(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	const series, seconds = 300, 300 // 90,000 cells
	type cell struct {
		group string
		step  int64
	}
	values, last := map[cell][]float64{}, map[cell]float64{}
	builders := map[stream.ShardID]*point.Builder{}
	var v point.View
	for second := range seconds {
		for i := range series {
			p := at("d", point.Distribution, fmt.Sprint("g", i%3), float64(300+second), float64((i*31+second*17)%1000)/8)
			p.Time += int64(i)
			p.Labels = append(p.Labels, point.Label{Name: "n", Value: fmt.Sprint(i)})
			c := cell{fmt.Sprint("g", i%3), p.Time - p.Time%10_000}
			values[c] = append(values[c], p.Value)
			last[c] = p.Value
			shard := l.stream.ShardFor(stream.HashKey{Hi: point.HashOf(p.Series)}).ID()
			if builders[shard] == nil {
				builders[shard] = &point.Builder{}
			}
			v.Set(&p)
			builders[shard].Add(&v)
			if builders[shard].Len() == 5000 {
				l.append(p.Series, builders[shard].Encode(nil))
				builders[shard].Reset()
			}
		}
	}
	for id, b := range builders {
		shard, _ := l.stream.Shard(id)
		first, _ := shard.Range()
		if _, err := shard.Append(t.Context(), []stream.Entry{{HashKey: first, Explicit: true, Data: b.Encode(nil)}}); err != nil {
			t.Fatal(err)
		}
	}
	for agg, want := range map[string]func(c cell) float64{
		"count": func(c cell) float64 { return float64(len(values[c])) },
		"max":   func(c cell) float64 { return slices.Max(values[c]) },
		"last":  func(c cell) float64 { return last[c] },
		"p50":   func(c cell) float64 { v := slices.Sorted(slices.Values(values[c])); return v[(len(v)-1)/2] },
	} {
		a := l.ask(aggregate.Query{Metric: "d", Agg: agg, By: []string{"host"}, From: aggregate.Time(noon - 300_000), To: aggregate.Time(noon), Step: "10s"})
		slack := 0.0
		if agg == "p50" {
			slack = 0.0100001
		}
		n := 0
		for _, s := range a.Series {
			for i, got := range s.Values {
				n++
				if want := want(cell{s.Labels["host"], a.Times[i]}); math.Abs(got-want) > slack*want {
					t.Errorf("%s of %v at %d: got %v, want %v", agg, s.Labels, a.Times[i], got, want)
				}
			}
		}
		if n != len(values) {
			t.Errorf("%s: got %d values, want %d", agg, n, len(values))
		}
	}
	// By single windows: as many in all.
	a := l.ask(aggregate.Query{Metric: "d", Agg: "count", From: aggregate.Time(noon - 300_000), To: aggregate.Time(noon), Step: "1s"})
	total := 0.0
	for _, n := range a.Series[0].Values {
		total += n
	}
	if total != series*seconds {
		t.Errorf("got %v points, want %d", total, series*seconds)
	}
}
