package aggregate_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"freshet/ingest/point"
	"freshet/stream"
)

// keyed returns the same records, each with a key of its own.
func keyed(b *testing.B, records [][]byte) [][]byte {
	b.Helper()
	var out [][]byte
	var batch point.Batch
	var v point.View
	for n, data := range records {
		if err := batch.Decode(data); err != nil {
			b.Fatal(err)
		}
		var again point.Builder
		for r := range batch.Runs {
			for i := batch.Runs[r].First; i < batch.Runs[r].First+batch.Runs[r].N; i++ {
				batch.View(r, int(i), &v)
				again.Add(&v)
			}
		}
		out = append(out, again.EncodeKeyed(nil, point.KeyOf([16]byte{1}, uint64(n))))
	}
	return out
}

// BenchmarkKeys folds what BenchmarkFold does, in records without and with keys, and with
// keys that have all been there.
func BenchmarkKeys(b *testing.B) {
	plain := fleet(point.Gauge, 10_000, noon-60_000, 100)
	marked := keyed(b, plain)
	for _, c := range []struct {
		name    string
		records [][]byte
		points  int
	}{
		{"none", plain, 500 * len(plain)}, {"new", marked, 500 * len(marked)}, {"repeated", append(marked[:len(marked):len(marked)], marked...), 500 * len(marked)},
	} {
		b.Run(fmt.Sprintf("keys=%s/record=500", c.name), func(b *testing.B) {
			metrics := opened(b)
			post(b, metrics, c.records)
			for b.Loop() {
				engine, stop := running(b, metrics)
				v, err := engine.View(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				v.Close()
				if got := engine.Stats().Points; got != uint64(c.points) {
					b.Fatalf("folded %d points, want %d", got, c.points)
				}
				stop()
			}
			b.ReportMetric(float64(b.N)*float64(500*len(c.records))/b.Elapsed().Seconds()/1e6, "Mpoints/s")
		})
	}
}

// postTogether appends records to one shard, many at a time.
func postTogether(b *testing.B, metrics *stream.Stream, records [][]byte) {
	b.Helper()
	shard := metrics.Shards()[0]
	first, _ := shard.Range()
	for some := range slices.Chunk(records, 1000) {
		var entries []stream.Entry
		for _, data := range some {
			entries = append(entries, stream.Entry{HashKey: first, Explicit: true, Data: data})
		}
		if _, err := shard.Append(context.Background(), entries); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSmallKeyedRecords folds records of a single point: what a key costs.
func BenchmarkSmallKeyedRecords(b *testing.B) {
	for _, with := range []bool{false, true} {
		b.Run(fmt.Sprintf("keys=%v", with), func(b *testing.B) {
			metrics := opened(b)
			var records [][]byte
			for n := range 40_000 {
				p := at("m", point.Gauge, fmt.Sprint(n%100), 0, float64(n))
				var v point.View
				v.Set(&p)
				var builder point.Builder
				builder.Add(&v)
				if with {
					records = append(records, builder.EncodeKeyed(nil, point.KeyOf([16]byte{1}, uint64(n))))
				} else {
					records = append(records, builder.Encode(nil))
				}
			}
			postTogether(b, metrics, records)
			b.ReportAllocs()
			for b.Loop() {
				engine, stop := running(b, metrics)
				v, err := engine.View(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				v.Close()
				stop()
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/float64(len(records)), "ns/record")
		})
	}
}
