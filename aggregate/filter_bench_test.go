package aggregate_test

import (
	"context"
	"fmt"
	"testing"

	"freshet/aggregate"
	"freshet/ingest/point"
	"freshet/stream"
)

// BenchmarkFilter plans and evaluates queries over a million series none of which has points
// in the range: what it costs to find those that match.
func BenchmarkFilter(b *testing.B) {
	const n = 1_000_000
	log, err := stream.Open(stream.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	metrics, err := log.Create("metrics", 1)
	if err != nil {
		b.Fatal(err)
	}
	known := make([]aggregate.Series, n)
	for i := range known {
		known[i] = aggregate.Series{ID: aggregate.SeriesID(i + 1), Series: point.Series{Metric: "m", Labels: point.Labels{
			{Name: "host", Value: fmt.Sprint("host-", i%1000)}, {Name: "user", Value: fmt.Sprint("user-", i)}, {Name: "zone", Value: fmt.Sprint(i % 3)},
		}}}
	}
	engine, err := aggregate.New(aggregate.Options{Stream: metrics, MaxSeries: n, Restored: aggregate.Restored{Series: known}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- log.Run(ctx) }()
	go func() { done <- engine.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		<-done
		<-done
		log.Close()
	})
	pattern, prefix := "user-12345.", "user-12345"
	for _, c := range []struct {
		name  string
		where map[string]aggregate.Filter
		by    []string
	}{
		{"user=one", map[string]aggregate.Filter{"user": aggregate.Is("user-7")}, nil},
		{"host=one", map[string]aggregate.Filter{"host": aggregate.Is("host-7")}, nil},
		{"host=one/zone=one", map[string]aggregate.Filter{"host": aggregate.Is("host-7"), "zone": aggregate.Is("1")}, []string{"zone"}},
		{"user=prefix", map[string]aggregate.Filter{"user": {Prefix: &prefix}}, nil},
		{"user=regex", map[string]aggregate.Filter{"user": {Regex: &pattern}}, nil},
		{"zone=not", map[string]aggregate.Filter{"zone": {Not: []string{"1"}}}, nil},
		{"all/by=host", nil, []string{"host"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			q := aggregate.Query{Metric: "m", Agg: "sum", Range: "1m", Step: "1m", Where: c.where, By: c.by}
			for b.Loop() {
				if _, err := engine.Query(ctx, q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
