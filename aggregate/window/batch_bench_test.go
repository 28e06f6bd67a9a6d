package window_test

import (
	"fmt"
	"runtime"
	"testing"

	"freshet/aggregate/window"
	"freshet/ingest/point"
)

// BenchmarkFold folds decoded batches of 500 points, of 10,000 series with ten points a
// second each, as the goroutine of a shard does: one look-up for each series of a batch.
func BenchmarkFold(b *testing.B) {
	for _, typ := range []point.Type{point.Gauge, point.Cumulative, point.Distribution} {
		b.Run(fmt.Sprintf("type=%v/series=10k/record=500", typ), func(b *testing.B) {
			const minutes = 5 * 60_000 // then a load frees the windows
			batches := decoded(b, typ, 10_000, 500)
			known := map[uint64]uint32{}
			at, points := int64(1_700_000_000_000), 0
			f := window.NewFold(1000)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				for _, batch := range batches {
					for r := range batch.Runs {
						run := &batch.Runs[r]
						id, ok := known[run.Hash]
						if !ok {
							id = uint32(len(known))
							known[run.Hash] = id
						}
						for i := run.First; i < run.First+run.N; i++ {
							f.Add(id, run.Type, at, batch.Value[i], 0)
						}
					}
					points += batch.Len()
				}
				if at += 100; at%minutes == 0 {
					f = window.NewFold(1000)
				}
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(points)/b.Elapsed().Seconds()/1e6, "Mpoints/s")
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(points), "allocs/point")
		})
	}
}

// decoded returns batches with a point of each series.
func decoded(b *testing.B, typ point.Type, series, size int) []*point.Batch {
	b.Helper()
	var out []*point.Batch
	var v point.View
	for first := 0; first < series; first += size {
		var builder point.Builder
		for i := first; i < first+size; i++ {
			v.Set(&point.Point{Series: point.Series{Metric: "m", Type: typ, Labels: point.Labels{{Name: "host", Value: fmt.Sprint(i)}}},
				Time: 1_700_000_000_000, Value: float64(i%977) + 0.5})
			builder.Add(&v)
		}
		batch := new(point.Batch)
		if err := batch.Decode(builder.Encode(nil)); err != nil {
			b.Fatal(err)
		}
		out = append(out, batch)
	}
	return out
}
