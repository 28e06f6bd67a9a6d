package point_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"freshet/ingest/point"
)

// hostPoints is what an agent sends in one batch: six samples, 10 s apart, of 60 series of
// one machine, of which a third are long fractions, a third totals and a third integers.
func hostPoints() []point.Point {
	r := rand.New(rand.NewPCG(1, 1))
	var out []point.Point
	for sample := range 6 {
		for s := range 60 {
			p := point.Point{Time: noon + int64(sample)*10_000 + 3}
			p.Labels = labels("device", fmt.Sprint("dev", s/6), "direction", "read", "host", "web-17")
			switch s % 3 {
			case 0:
				p.Metric, p.Type, p.Value = "host.cpu.usage", point.Gauge, 100*r.Float64()
			case 1:
				p.Metric, p.Type, p.Value = "host.disk.io", point.Cumulative, float64(8_000_000_000+sample*40_960+s)
			case 2:
				p.Metric, p.Type, p.Value = "host.memory.bytes", point.Gauge, float64(4096*r.IntN(1<<20))
			}
			out = append(out, p)
		}
	}
	return out
}

// benchPoints is what `freshet bench` posts: n points, each of another series, values with
// one decimal.
func benchPoints(n int) []point.Point {
	r := rand.New(rand.NewPCG(1, 1))
	var out []point.Point
	for s := range n {
		out = append(out, point.Point{
			Series: point.Series{Metric: "http.request.duration", Type: point.Distribution,
				Labels: labels("host", fmt.Sprint("host-", s%100), "region", "eu-1", "route", fmt.Sprint("/r/", s/100))},
			Time:  noon + int64(r.IntN(1000)),
			Value: float64(r.IntN(5000)) / 10,
		})
	}
	return out
}

func benchBatches() map[string][]point.Point {
	return map[string][]point.Point{"host": hostPoints(), "series=500": benchPoints(500)}
}

func views(in []point.Point) []point.View {
	out := make([]point.View, len(in))
	for i := range in {
		out[i].Set(&in[i])
	}
	return out
}

func perPoint(b *testing.B, points int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(points), "ns/point")
}

func BenchmarkBuild(b *testing.B) {
	batches := benchBatches()
	for _, name := range slices.Sorted(maps.Keys(batches)) {
		b.Run(name, func(b *testing.B) {
			vs := views(batches[name])
			var builder point.Builder
			b.ReportAllocs()
			for b.Loop() {
				builder.Reset()
				for i := range vs {
					builder.Add(&vs[i])
				}
			}
			perPoint(b, len(vs))
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	batches := benchBatches()
	for _, name := range slices.Sorted(maps.Keys(batches)) {
		b.Run(name, func(b *testing.B) {
			vs := views(batches[name])
			var builder point.Builder
			for i := range vs {
				builder.Add(&vs[i])
			}
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				buf = builder.Encode(buf[:0])
			}
			perPoint(b, len(vs))
			b.ReportMetric(float64(len(buf))/float64(len(vs)), "B/point")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	batches := benchBatches()
	for _, name := range slices.Sorted(maps.Keys(batches)) {
		b.Run(name, func(b *testing.B) {
			payload := encode(batches[name])
			var batch point.Batch
			b.ReportAllocs()
			for b.Loop() {
				if err := batch.Decode(payload); err != nil {
					b.Fatal(err)
				}
			}
			perPoint(b, batch.Len())
		})
	}
}
