package point_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"freshet/ingest/point"
)

// Runs that are copied are what adding their points one by one is.
func TestAddRun(t *testing.T) {
	var copied, added point.Builder
	var batches [2]point.Batch // used again, as in ingest
	rapid.Check(t, func(rt *rapid.T) {
		copied.Reset()
		added.Reset()
		var v point.View
		for range rapid.IntRange(1, 4).Draw(rt, "batches") {
			b := &batches[rapid.IntRange(0, 1).Draw(rt, "memory")]
			if err := b.Decode(encode(genPoints().Draw(rt, "points"))); err != nil {
				rt.Fatal(err)
			}
			for r := range b.Runs {
				run := &b.Runs[r]
				byRun := rapid.Bool().Draw(rt, "by run")
				if byRun {
					copied.AddRun(b, r)
				}
				for i := int(run.First); i < int(run.First+run.N); i++ {
					b.View(r, i, &v)
					added.Add(&v)
					if !byRun {
						copied.AddTo(copied.SeriesOf(b, r), b.Time[i], b.Value[i], b.Member(i))
					}
				}
			}
			if rapid.Bool().Draw(rt, "between") {
				p := gauge(1, "host", "a")
				v.Set(&p)
				copied.Add(&v)
				added.Add(&v)
			}
		}
		if got, want := copied.Encode(nil), added.Encode(nil); !bytes.Equal(got, want) {
			rt.Fatalf("got %v, want %v", decode(t, got), decode(t, want))
		}
	})
}

// BenchmarkRepack is what a batch costs on its way through ingest with two shards: decode, copy and
// encode.
func BenchmarkRepack(b *testing.B) {
	payload := encode(benchPoints(500))
	var batch point.Batch
	var builder point.Builder
	var parts [2][]int
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		builder.Reset()
		if err := batch.Decode(payload); err != nil {
			b.Fatal(err)
		}
		for r := range batch.Runs {
			builder.AddRun(&batch, r)
		}
		parts[0], parts[1] = parts[0][:0], parts[1][:0]
		for i := range builder.NumSeries() {
			half := builder.Hash(i) >> 63
			parts[half] = append(parts[half], i)
		}
		out = builder.EncodeSeries(out[:0], parts[0])
		out = builder.EncodeSeries(out, parts[1])
	}
	perPoint(b, batch.Len())
}
