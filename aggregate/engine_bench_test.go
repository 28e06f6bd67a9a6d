package aggregate_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/ingest/point"
	"freshet/stream"
)

// BenchmarkEngine queries 15 minutes of 10,000 series, a point every 10 s, in memory.
func BenchmarkEngine(b *testing.B) {
	log, err := stream.Open(stream.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	metrics, err := log.Create("metrics", 2)
	if err != nil {
		b.Fatal(err)
	}
	now := func() time.Time { return time.UnixMilli(noon) }
	engine, err := aggregate.New(aggregate.Options{Stream: metrics, Now: now})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- log.Run(ctx) }()
	go func() { done <- engine.Run(ctx) }()
	defer func() { cancel(); <-done; <-done; log.Close() }()

	began := time.Now()
	for step := range int64(90) {
		shards := map[*stream.Shard]*point.Builder{}
		for i := range 10_000 {
			var v point.View
			v.Set(&point.Point{Series: point.Series{Metric: "m", Type: point.Gauge, Labels: point.Labels{
				{Name: "group", Value: fmt.Sprint(i % 10)}, {Name: "host", Value: fmt.Sprint(i)},
			}}, Time: noon - 900_000 + step*10_000, Value: float64(i)})
			hash := stream.HashKey{Hi: point.HashOf(point.Series{Metric: "m", Type: point.Gauge, Labels: point.Labels{
				{Name: "group", Value: fmt.Sprint(i % 10)}, {Name: "host", Value: fmt.Sprint(i)},
			}})}
			shard := metrics.ShardFor(hash)
			if shards[shard] == nil {
				shards[shard] = &point.Builder{}
			}
			shards[shard].Add(&v)
		}
		for shard, built := range shards {
			first, _ := shard.Range()
			if _, err := shard.Append(ctx, []stream.Entry{{HashKey: first, Explicit: true, Data: built.Encode(nil)}}); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Logf("900,000 points built, appended and folded in %v", time.Since(began))

	for name, q := range map[string]aggregate.Query{
		"query=15m-by-10-groups": {Metric: "m", Agg: "avg", By: []string{"group"}, Range: "15m", Step: "10s"},
		"query=15m-one-host":     {Metric: "m", Agg: "avg", Where: map[string]aggregate.Filter{"host": aggregate.Is("77")}, Range: "15m", Step: "10s"},
		"query=20s-by-10-groups": {Metric: "m", Agg: "avg", By: []string{"group"}, Range: "20s", Step: "10s"},
	} {
		plan, err := engine.Plan(q)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v, err := engine.View(ctx)
				if err != nil {
					b.Fatal(err)
				}
				from, to := plan.Steps(v.Now())
				if _, err := plan.Evaluate(ctx, v, from, to); err != nil {
					b.Fatal(err)
				}
				v.Close()
			}
		})
	}
}
