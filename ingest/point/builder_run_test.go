package point_test

import (
	"bytes"
	"fmt"
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

// Parts of a batch hold together what it holds, each series in its order, whatever was left out of
// it before; and all of it is the payload as it was.
func TestEncodeRuns(t *testing.T) {
	var b point.Batch
	rapid.Check(t, func(rt *rapid.T) {
		payload := encodeMarked(genPoints().Draw(rt, "points"), rapid.SampledFrom([]point.Mark{{}, goldenMark}).Draw(rt, "mark"))
		if err := b.Decode(payload); err != nil {
			rt.Fatal(err)
		}
		whole := true
		if rapid.Bool().Draw(rt, "strip") {
			odd := uint64(rapid.IntRange(0, 1).Draw(rt, "odd"))
			b.Strip(func(hash uint64) bool { return hash&1 == odd })
			whole = false
		}
		in := points(t, &b)
		all := make([]int, len(b.Runs))
		for i := range all {
			all[i] = i
		}
		again := b.EncodeRuns(nil, all, b.Mark)
		if whole && !bytes.Equal(again, payload) {
			rt.Fatalf("got %q, want %q", again, payload)
		}
		if d := diff(decode(t, again), in); d != "" {
			rt.Fatal(d)
		}
		var parts [3][]int
		for i := range all {
			part := rapid.IntRange(0, 2).Draw(rt, "part")
			parts[part] = append(parts[part], i)
		}
		for _, runs := range parts {
			var want []point.Point
			for _, r := range runs {
				run := b.Runs[r]
				want = append(want, in[run.First:run.First+run.N]...)
			}
			if d := diff(decode(t, b.EncodeRuns([]byte("x"), runs, goldenMark)[1:]), want); d != "" {
				rt.Fatal(d)
			}
		}
	})
}

// BenchmarkRepack is what a batch costs on its way through ingest: to one shard, whose payload is
// copied, or to two.
func BenchmarkRepack(b *testing.B) {
	for shards := uint64(1); shards <= 2; shards++ {
		b.Run(fmt.Sprintf("shards=%d", shards), func(b *testing.B) {
			payload := encode(benchPoints(500))
			var batch point.Batch
			var parts [2][]int
			var out []byte
			b.ReportAllocs()
			for b.Loop() {
				if err := batch.Decode(payload); err != nil {
					b.Fatal(err)
				}
				parts[0], parts[1] = parts[0][:0], parts[1][:0]
				for r := range batch.Runs {
					half := batch.Runs[r].Hash >> 63 * (shards - 1)
					parts[half] = append(parts[half], r)
				}
				out = batch.EncodeRuns(out[:0], parts[0], point.Mark{})
				if shards > 1 {
					out = batch.EncodeRuns(out, parts[1], point.Mark{})
				}
			}
			perPoint(b, batch.Len())
		})
	}
}
