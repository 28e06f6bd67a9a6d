package aggregate_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/ingest/point"
	"freshet/stream"
)

// running starts an engine and returns what ends it.
func running(b *testing.B, metrics *stream.Stream) (*aggregate.Engine, func()) {
	b.Helper()
	engine, err := aggregate.New(aggregate.Options{Stream: metrics, Now: func() time.Time { return time.UnixMilli(noon) }})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- engine.Run(ctx) }()
	return engine, func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}

// opened returns a stream whose log runs until the benchmark ends.
func opened(b *testing.B) *stream.Stream {
	b.Helper()
	log, err := stream.Open(stream.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	metrics, err := log.Create("metrics", 2)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
		if err := log.Close(); err != nil {
			b.Error(err)
		}
	})
	return metrics
}

// fleet returns encoded records of 500 points each: series of a type, all of them once
// every tenth of a second. The records of a series go to one shard.
func fleet(typ point.Type, series int, begin int64, rounds int) [][]byte {
	var out [][]byte
	var v point.View
	for round := range rounds {
		for first := 0; first < series; first += 500 {
			var b point.Builder
			for i := first; i < first+500; i++ {
				p := point.Point{Series: point.Series{Metric: "m", Type: typ, Labels: point.Labels{
					{Name: "group", Value: fmt.Sprint(i % 10)}, {Name: "host", Value: fmt.Sprint(i)},
				}}, Time: begin + int64(round)*100 + int64(i%100), Value: float64((i*7+round)%977) + 0.5}
				if typ == point.Set {
					p.Value, p.Member = 0, fmt.Sprint((i*7+round)%977)
				}
				v.Set(&p)
				b.Add(&v)
			}
			out = append(out, b.Encode(nil))
		}
	}
	return out
}

func post(b *testing.B, metrics *stream.Stream, records [][]byte) {
	b.Helper()
	shards := metrics.Shards()
	for i, data := range records {
		shard := shards[i%len(shards)]
		first, _ := shard.Range()
		if _, err := shard.Append(context.Background(), []stream.Entry{{HashKey: first, Explicit: true, Data: data}}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFold reads, decodes and folds a log of 1,000,000 points of 10,000 series in
// records of 500 from its beginning, as after a restart, over two shards.
func BenchmarkFold(b *testing.B) {
	for _, typ := range []point.Type{point.Gauge, point.Cumulative, point.Distribution, point.Set} {
		b.Run(fmt.Sprintf("type=%v/series=10k/record=500", typ), func(b *testing.B) {
			metrics := opened(b)
			records := fleet(typ, 10_000, noon-60_000, 100)
			post(b, metrics, records)
			points := 500 * len(records)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				engine, stop := running(b, metrics)
				v, err := engine.View(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				v.Close()
				if got := engine.Stats().Points; got != uint64(points) {
					b.Fatalf("folded %d points, want %d", got, points)
				}
				stop()
			}
			runtime.ReadMemStats(&after)
			all := float64(b.N) * float64(points)
			b.ReportMetric(all/b.Elapsed().Seconds()/1e6, "Mpoints/s")
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/all, "allocs/point")
			b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/all, "B/point")
		})
	}
}

// BenchmarkLive is what a hub does at every tick: one record of 500 points has come, and
// the last two steps of a panel over 10,000 series are evaluated again.
func BenchmarkLive(b *testing.B) {
	metrics := opened(b)
	engine, stop := running(b, metrics)
	defer stop()
	post(b, metrics, fleet(point.Gauge, 10_000, noon-60_000, 100)) // ten seconds of it
	records := fleet(point.Gauge, 10_000, noon-1000, 5)
	q := aggregate.Query{Metric: "m", Agg: "avg", By: []string{"group"}, Range: "15m", Step: "10s"}
	plan, err := engine.Plan(q)
	if err != nil {
		b.Fatal(err)
	}
	before, err := engine.View(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	for _, from := range []string{"append", "evaluate"} {
		b.Run("last=2-steps/"+from, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if from == "append" {
					post(b, metrics, records[i%len(records):][:1])
					i++
				}
				v, err := engine.View(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				if _, changed := v.ChangedSince(before, q.Metric); changed != (from == "append") {
					b.Fatalf("changed is %v", changed)
				}
				_, to := plan.Steps(v.Now())
				a, err := plan.Evaluate(context.Background(), v, to-2*plan.StepMS, to)
				if err != nil || len(a.Series) != 10 {
					b.Fatal(len(a.Series), err)
				}
				before.Close()
				before = v
			}
		})
	}
	before.Close()
}
