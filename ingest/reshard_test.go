package ingest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"freshet/ingest"
	"freshet/ingest/point"
	"freshet/stream"
)

// TestPostsDuringReshards posts a counter for each of many series while shards are split
// and merged: every point is there once, and those of a series are in order when parents
// are read before their children.
func TestPostsDuringReshards(t *testing.T) {
	log, err := stream.Open(stream.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- log.Run(ctx) }()
	defer func() { cancel(); <-ran; log.Close() }()
	s, err := log.Create("metrics", 2)
	if err != nil {
		t.Fatal(err)
	}
	in, err := ingest.New(ingest.Options{Stream: s})
	if err != nil {
		t.Fatal(err)
	}
	const posts, series = 400, 20
	done := make(chan error, 1)
	go func() {
		for n := range posts {
			post := in.NewPost()
			for i := range series {
				v := point.View{}
				v.Set(&point.Point{Series: point.Series{Metric: "m", Type: point.Gauge, Labels: point.Labels{{Name: "i", Value: fmt.Sprint(i)}}}, Time: post.Now(), Value: float64(n)})
				post.Add(i, &v)
			}
			result, err := post.Commit(ctx)
			if err == nil && result.Accepted != series {
				err = fmt.Errorf("post %d: %+v", n, result)
			}
			post.Free()
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	rng := rand.New(rand.NewPCG(1, 2))
	reshards := 0
	for running := true; running; reshards++ {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		default:
			open := s.OpenShards()
			if i := rng.IntN(len(open)); i > 0 && len(open) > 3 {
				_, err = s.Merge(ctx, open[i-1].ID(), open[i].ID())
			} else {
				first, last := open[i].Range()
				_, err = s.Split(ctx, open[i].ID(), stream.HashKey{Hi: first.Hi + (last.Hi-first.Hi)/2 + 1})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	next := map[string]float64{}
	for _, shard := range s.Shards() {
		checkOrder(t, shard, next)
	}
	for i := range series {
		if got := next[fmt.Sprint(i)]; got != posts {
			t.Errorf("series %d: got %v points, want %d", i, got, posts)
		}
	}
	if reshards < 5 {
		t.Errorf("only %d reshards", reshards)
	}
}

// checkOrder wants the points of each series to go on where they ended before.
func checkOrder(t *testing.T, shard *stream.Shard, next map[string]float64) {
	t.Helper()
	r := shard.Reader(shard.Horizon())
	defer r.Close()
	var b point.Batch
	for r.Offset() < shard.Durable() {
		records, err := r.Next(context.Background(), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range records {
			if err := b.DecodeRecord(rec.Data, rec.Arrived); err != nil {
				t.Fatal(err)
			}
			for i := range b.Runs {
				of := b.Series(i)
				if !shard.Holds(stream.HashKey{Hi: point.HashOf(of)}) {
					t.Fatalf("%s holds series %v, which is not its own", shard, of)
				}
				for j := b.Runs[i].First; j < b.Runs[i].First+b.Runs[i].N; j++ {
					name := of.Labels[0].Value
					if b.Value[j] != next[name] {
						t.Fatalf("series %s in %s: got %v, want %v", name, shard, b.Value[j], next[name])
					}
					next[name]++
				}
			}
		}
	}
}
