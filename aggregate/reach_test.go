package aggregate_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/aggregate"
	"freshet/ingest/point"
	"freshet/stream"
)

// A query that names what it wants to be counted waits for it, or says what is missing.
func TestAtLeast(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	l.send(at("temp", point.Gauge, "", 0, 1))
	q := aggregate.Query{Metric: "temp", Agg: "count", Range: "10m", Step: "10m"}
	covers := l.ask(q).Covers
	q.AtLeast = covers
	if got := l.ask(q); len(got.Covers) != 1 {
		t.Errorf("got %+v", got)
	}
	s := at("temp", point.Gauge, "", 0, 1).Series
	shard := l.stream.ShardFor(stream.HashKey{Hi: point.HashOf(s)})
	name := shard.ID().String()
	// The record after the next one.
	now, err := stream.ParseSequenceNumber(covers[name])
	if err != nil {
		t.Fatal(err)
	}
	now.Offset += 2
	q.AtLeast = map[string]string{name: now.String()}
	answers := make(chan *aggregate.Answer, 1)
	go func() { answers <- l.ask(q) }()
	time.Sleep(20 * time.Millisecond)
	l.send(at("temp", point.Gauge, "", 1, 1), at("temp", point.Gauge, "", 2, 1))
	if a := <-answers; show(a) != ":3" {
		t.Errorf("got %q, want the three points", show(a))
	}
	now.Offset += 7
	q.AtLeast = map[string]string{name: now.String()}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := l.engine.Query(ctx, q); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
	reach, err := l.engine.Reach(q.AtLeast)
	if err != nil {
		t.Fatal(err)
	}
	var lag *aggregate.LagError
	if err := l.engine.Lag(reach); !errors.As(err, &lag) || lag.Shard != shard.ID() || lag.Reached != 3 || lag.Wanted != 10 || lag.Last == "" {
		t.Errorf("got %v, want shard %s at record 3 of 10", err, name)
	}
	other := "shardId-000000000001"
	if name == other {
		other = "shardId-000000000000"
	}
	for _, c := range []struct{ shard, number, want string }{
		{"shardId-7", "1", `shard id "shardId-7": not of the form`},
		{"shardId-000000000009", now.String(), "there is no shard shardId-000000000009"},
		{name, "12", `at_least.` + name + `: sequence number "12": not one of this program`},
		{other, now.String(), "is of " + name},
	} {
		q.AtLeast = map[string]string{c.shard: c.number}
		_, err := l.engine.Query(context.Background(), q)
		var refused *aggregate.QueryError
		if !errors.As(err, &refused) || !strings.Contains(refused.Reason, c.want) {
			t.Errorf("%s: got %v, want %q", c.shard, err, c.want)
		}
	}
}

// After MaxLag the error names the shard and where it is.
func TestAtLeastGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, err := stream.Open(stream.Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		metrics, err := log.Create("metrics", 1)
		if err != nil {
			t.Fatal(err)
		}
		e, err := aggregate.New(aggregate.Options{Stream: metrics})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := e.Run(ctx); err != nil {
			t.Fatal(err)
		}
		wanted := stream.SequenceNumber{Shard: 0, Offset: 4}.String()
		began := time.Now()
		_, err = e.Query(t.Context(), aggregate.Query{Metric: "m", Agg: "sum", Range: "1m", AtLeast: map[string]string{"shardId-000000000000": wanted}})
		want := `after 10s shard shardId-000000000000 is at record 0, sequence number ""; the query wants all up to record 5`
		if err == nil || err.Error() != want || time.Since(began) != aggregate.MaxLag {
			t.Errorf("after %v: got %v, want %q", time.Since(began), err, want)
		}
	})
}
