package point_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"freshet/ingest/point"
)

// bodies are posts of 500 points that go round all series, as `freshet bench ingest` writes them.
func bodies(series int) [][]byte {
	var out [][]byte
	for first := 0; first < series; first += 500 {
		body := []byte{'['}
		for i := first; i < min(first+500, series); i++ {
			if i > first {
				body = append(body, ',')
			}
			body = fmt.Appendf(body, `{"metric":"http.request.duration","type":"gauge","ts":%d,"value":%d.%02d,"labels":{"host":"host-%03d","route":"/api/v1/r%02d","region":"eu-%d"}}`,
				noon+i%1000, i%97, i%89, i/20, i%20, i%3)
		}
		out = append(out, append(body, ']'))
	}
	return out
}

// BenchmarkJSON is what a post costs between its body and the payloads of its records, by number of
// series, with two shards; with a Cache that has room for a tenth of them, and without one.
func BenchmarkJSON(b *testing.B) {
	for _, c := range []struct {
		name   string
		series int
		cache  int // bytes
	}{
		{"series=10k", 10_000, 128 << 20}, {"series=100k", 100_000, 128 << 20}, {"series=1M", 1_000_000, 128 << 20},
		{"overfull=1M", 1_000_000, 16 << 20}, {"uncached=10k", 10_000, 0}, {"uncached=1M", 1_000_000, 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			posts := bodies(c.series)
			rand.Shuffle(len(posts), func(i, j int) { posts[i], posts[j] = posts[j], posts[i] })
			var s point.Scanner
			if c.cache > 0 {
				s.Use(point.NewCache(c.cache))
			}
			var v point.View
			var builder point.Builder
			var payload []byte
			var parts [2][]int
			once := func(body []byte) {
				s.Reset(body, noon)
				builder.Reset()
				for s.Next(&v) == nil {
					if err := builder.Take(&v, noon); err != nil {
						b.Fatal(err)
					}
				}
				parts[0], parts[1] = parts[0][:0], parts[1][:0]
				for i := range builder.NumSeries() {
					half := builder.Hash(i) >> 63
					parts[half] = append(parts[half], i)
				}
				payload = builder.EncodeSeries(payload[:0], parts[0])
				payload = builder.EncodeSeries(payload, parts[1])
			}
			for i := range min(len(posts), 2000) {
				once(posts[i])
			}
			b.ReportAllocs()
			i, began := 0, cpuTime()
			for b.Loop() {
				once(posts[i%len(posts)])
				i++
			}
			b.ReportMetric(float64(cpuTime()-began)/float64(b.N)/500, "cpu-ns/point")
		})
	}
}
