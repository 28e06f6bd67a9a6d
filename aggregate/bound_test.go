package aggregate_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/ingest/point"
	"freshet/stream"
)

// When loads cannot go through, posts are refused before memory is full beyond its bound,
// queries go on, and nothing that was acknowledged is lost: neither then nor when the log
// holds more than memory may at a restart.
func TestMemoryIsBounded(t *testing.T) {
	dir, s := t.TempDir(), newShelf()
	o := aggregate.Options{History: s, GenerationBytes: 1 << 20, MaxBytes: 6 << 20}
	l, stop := openLab(t, dir, 1, o)
	shard := l.stream.Shards()[0]
	sent, rng := 0, rand.New(rand.NewPCG(1, 2))
	// post sends points of many windows, and returns what the log says.
	post := func() error {
		var b point.Builder
		var v point.View
		const n = 500
		for i := range n {
			p := at("temp", point.Gauge, "a", float64((sent+i)%500), rng.Float64())
			v.Set(&p)
			b.Add(&v)
		}
		_, err := shard.Append(context.Background(), []stream.Entry{{Data: b.Encode(nil)}})
		if err == nil {
			sent += n
		}
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		err := post()
		if errors.Is(err, stream.ErrOverloaded) {
			break
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("after %d points: got %v, want %v", sent, err, stream.ErrOverloaded)
		}
	}
	if x := l.engine.Stats(); !x.Throttled {
		t.Errorf("a post was refused, and %+v does not say so", x)
	}
	if got := l.count("temp"); got > float64(sent) || got == 0 {
		t.Errorf("full: got %v points, want some of %d", got, sent)
	}
	stop()

	o.MaxBytes = 1 << 20 // less than the log holds
	o.Restored = s.restored
	l, stop = openLab(t, dir, 1, o)
	defer stop()
	loads := 0
	for deadline := time.Now().Add(20 * time.Second); l.count("temp") != float64(sent); {
		if time.Now().After(deadline) {
			t.Fatalf("got %v points after %d loads, want %d", l.count("temp"), loads, sent)
		}
		if !l.engine.Stats().Throttled {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		s.load(t, l.engine, nil)
		loads++
		time.Sleep(600 * time.Millisecond) // the folder sees every half second that memory is free
	}
	if loads < 2 {
		t.Errorf("got all after %d loads: memory held more than it may", loads)
	}
	shard = l.stream.Shards()[0]
	if l.engine.Stats().Throttled {
		s.load(t, l.engine, nil)
	}
	for deadline := time.Now().Add(20 * time.Second); post() != nil; {
		if time.Now().After(deadline) {
			t.Fatal("posts are still refused")
		}
		time.Sleep(10 * time.Millisecond)
	}
}
