package producer_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"testing/synctest"
	"time"

	"freshet/ingest/point"
	"freshet/ingest/producer"
)

// points reads every point on the stream, and looks that each is in the shard of its
// series.
func (s *service) points(t *testing.T) (got []point.Point) {
	t.Helper()
	records, _ := s.consume()
	for _, u := range records {
		var b point.Batch
		if err := b.Decode(u.Data); err != nil {
			t.Fatal(err)
		}
		for r := range b.Runs {
			series := b.Series(r)
			hash := new(big.Int).Lsh(new(big.Int).SetUint64(point.HashOf(series)), 64)
			if home := s.shardFor(hash); home.id != u.shard {
				t.Errorf("series %v is in %s, want %s", series, u.shard, home.id)
			}
			for i := b.Runs[r].First; i < b.Runs[r].First+b.Runs[r].N; i++ {
				got = append(got, point.Point{Series: series, Time: b.Time[i], Value: b.Value[i], Member: string(b.Member(int(i)))})
			}
		}
	}
	return got
}

func TestPointsAsRecords(t *testing.T) {
	s := newService(3)
	k := startKinesis(t, s, producer.KinesisOptions{})
	p, err := producer.New(producer.Options{Kinesis: k, BatchPoints: 40, Labels: producer.Labels{"host": "a"}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		p.Counter("c", producer.Labels{"i": fmt.Sprint(i % 10)}).Add(float64(i))
		p.Set("s", nil).Insert(fmt.Sprint(i))
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	sum, members := 0.0, 0
	last := make(map[string]float64)
	for _, pt := range s.points(t) {
		key := fmt.Sprint(pt.Metric, pt.Labels)
		if before, ok := last[key]; ok && pt.Type == point.Counter && before > pt.Value {
			t.Errorf("%s: %v comes after %v", key, pt.Value, before)
		}
		last[key] = pt.Value
		sum += pt.Value
		if pt.Type == point.Set {
			members++
		}
	}
	if sum != 4950 || members != 100 {
		t.Errorf("got a sum of %v and %d members, want 4950 and 100", sum, members)
	}
	wantStats(t, p, producer.Stats{Sent: 200})
}

// When Flush's context ends the points under way are not put a second time.
func TestPointsAreNotPutTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(1)
		s.noList = "LimitExceededException"
		k := startKinesis(t, s, producer.KinesisOptions{})
		p, err := producer.New(producer.Options{Kinesis: k})
		if err != nil {
			t.Fatal(err)
		}
		p.Gauge("g", nil).Set(1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		s.mu.Lock()
		s.noList = ""
		s.mu.Unlock()
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := s.points(t); len(got) != 1 {
			t.Errorf("got %v, want one point", got)
		}
		k.Close(t.Context())
	})
}

func TestPointsThatAreLost(t *testing.T) {
	s := newService(1)
	s.fault = func(int, int, string) string { return "AccessDeniedException" }
	k := startKinesis(t, s, producer.KinesisOptions{})
	p, err := producer.New(producer.Options{Kinesis: k})
	if err != nil {
		t.Fatal(err)
	}
	p.Gauge("g", nil).Set(1)
	p.Gauge("h", nil).Set(2)
	var api *producer.APIError
	if err := p.Close(t.Context()); !errors.As(err, &api) || api.Code != "AccessDeniedException" {
		t.Errorf("got %v", err)
	}
	wantStats(t, p, producer.Stats{Dropped: 2})
	k.Close(t.Context())
	if _, err := producer.New(producer.Options{Kinesis: k, URL: "http://a"}); err == nil {
		t.Error("URL beside Kinesis is taken")
	}
}
