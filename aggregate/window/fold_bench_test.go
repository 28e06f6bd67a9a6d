package window_test

import (
	"fmt"
	"testing"

	"freshet/aggregate/window"
	"freshet/ingest/point"
)

// BenchmarkAdd folds points of series that each have one point every second.
func BenchmarkAdd(b *testing.B) {
	for _, typ := range []point.Type{point.Gauge, point.Cumulative, point.Distribution, point.Set} {
		for _, series := range []int{1, 100, 10_000} {
			b.Run(fmt.Sprintf("type=%v/series=%d", typ, series), func(b *testing.B) {
				b.ReportAllocs()
				f := window.NewFold(1000)
				at, i := int64(1_700_000_000_000), 0
				for b.Loop() {
					if i == series {
						i = 0
						at += 1000
						if at%300_000 == 0 { // a load frees the windows
							f = window.NewFold(1000)
						}
					}
					f.Add(uint32(i), typ, at+int64(i%1000), float64(i%977)+0.5, uint64(i)*0x9e3779b97f4a7c15)
					i++
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mpoints/s")
			})
		}
	}
}

// BenchmarkView is what a look at a busy metric costs the folder.
func BenchmarkView(b *testing.B) {
	b.ReportAllocs()
	f := window.NewFold(1000)
	for i := range 10_000 {
		f.Add(uint32(i), point.Gauge, 1_700_000_000_000, 1, 0)
	}
	for b.Loop() {
		f.Add(1, point.Gauge, 1_700_000_000_000, 1, 0)
		f.View()
	}
}
