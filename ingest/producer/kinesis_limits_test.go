package producer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"freshet/ingest/producer"
)

func TestKinesisRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			percent, size, n int
			least, most      time.Duration
		}{
			{100, 10, 5000, 4 * time.Second, 4200 * time.Millisecond},    // by count
			{150, 1 << 19, 12, 2600 * time.Millisecond, 3 * time.Second}, // by size, with half a MiB on credit
			{50, 1 << 19, 6, 4 * time.Second, 5500 * time.Millisecond},   // records as large as the bucket
			{-1, 1 << 19, 12, 0, 200 * time.Millisecond},
		} {
			s := newService(1)
			k := startKinesis(t, s, producer.KinesisOptions{Plain: true, RatePercent: c.percent, CollectCount: 100, BufferBytes: 1 << 30})
			began := time.Now()
			for range c.n {
				put(t, k, producer.Record{PartitionKey: "a", Data: make([]byte, c.size)}, nil)
			}
			if err := k.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if d := time.Since(began); d < c.least || d > c.most || s.stored() != c.n {
				t.Errorf("%d%%, %d × %d bytes: took %v, want %v to %v", c.percent, c.n, c.size, d, c.least, c.most)
			}
		}
	})
}

func TestKinesisBuffer(t *testing.T) {
	s := newService(1)
	k := startKinesis(t, s, producer.KinesisOptions{BufferBytes: 50_000})
	dropped := 0
	for range 200 {
		if err := k.Put(producer.Record{PartitionKey: "a", Data: make([]byte, 1000)}, nil); errors.Is(err, producer.ErrFull) {
			dropped++
		}
	}
	if got := k.Stats(); got.Bytes > 52_000 || dropped < 150 || int(got.Dropped) != dropped || got.Pending+dropped != 200 {
		t.Errorf("got %+v, want at most 52,000 bytes and %d dropped", got, dropped)
	}
	if err := k.Close(t.Context()); !errors.Is(err, producer.ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	if got := k.Stats(); got.Pending != 0 || got.Bytes != 0 {
		t.Errorf("got %+v", got)
	}
	if err := k.Put(producer.Record{PartitionKey: "a"}, nil); !errors.Is(err, producer.ErrClosed) {
		t.Errorf("after Close: got %v", err)
	}
}

func TestKinesisBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(2)
		s.delay = 10 * time.Millisecond
		k := startKinesis(t, s, producer.KinesisOptions{BufferBytes: 100_000, OnFull: producer.Block, RatePercent: -1, Requests: 3})
		runKinesis(t, k)
		for i := range 3000 {
			put(t, k, producer.Record{PartitionKey: fmt.Sprint(i), Data: make([]byte, 1000)}, nil)
		}
		if err := k.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got, _ := s.consume(); len(got) != 3000 || s.most > 3 {
			t.Errorf("got %d records, %d requests at once", len(got), s.most)
		}
	})
}

func TestKinesisCloseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, running := range []bool{true, false} {
			s := newService(1)
			s.delay = time.Hour
			k := startKinesis(t, s, producer.KinesisOptions{})
			if running {
				runKinesis(t, k)
			}
			var mu sync.Mutex
			var results []producer.Result
			for range 3 {
				put(t, k, producer.Record{PartitionKey: "a"}, func(r producer.Result) {
					mu.Lock()
					defer mu.Unlock()
					results = append(results, r)
				})
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := k.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			time.Sleep(10 * time.Second) // what is under way ends with its timeout
			mu.Lock()
			if len(results) != 3 || !errors.Is(results[0].Err, producer.ErrClosed) {
				t.Errorf("got %+v", results)
			}
			mu.Unlock()
			if got := k.Stats(); got.Dropped != 3 || got.Pending != 0 || got.Bytes != 0 {
				t.Errorf("got %+v", got)
			}
		}
	})
}

// When Run's context ends what was under way waits for a later Run.
func TestKinesisRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(1)
		s.delay = time.Second
		k := startKinesis(t, s, producer.KinesisOptions{})
		put(t, k, producer.Record{PartitionKey: "a", Data: []byte("x")}, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if err := k.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if got := k.Stats(); got.Pending != 1 || s.stored() != 0 {
			t.Errorf("got %+v", got)
		}
		if err := k.Close(t.Context()); err != nil || s.stored() != 1 {
			t.Errorf("got %v, %d records", err, s.stored())
		}
	})
}

func TestKinesisRefuses(t *testing.T) {
	k := startKinesis(t, newService(1), producer.KinesisOptions{})
	for _, c := range []struct {
		r    producer.Record
		want string
	}{
		{producer.Record{}, "PartitionKey: must have 1 to 256 characters, got 0"},
		{producer.Record{PartitionKey: strings.Repeat("ü", 257)}, "got 257"},
		{producer.Record{PartitionKey: "\xff"}, `PartitionKey: must be UTF-8, got "\xff"`},
		{producer.Record{PartitionKey: "a", Data: make([]byte, 1<<20)}, "must have at most 1048576 bytes, got 1048577"},
		{producer.Record{PartitionKey: "a", ExplicitHashKey: "-1"}, `ExplicitHashKey: must be a decimal number below 2^128, got "-1"`},
		{producer.Record{PartitionKey: "a", ExplicitHashKey: "340282366920938463463374607431768211456"}, "below 2^128"},
		{producer.Record{PartitionKey: "a", ExplicitHashKey: "007"}, "below 2^128"},
	} {
		if err := k.Put(c.r, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	put(t, k, producer.Record{PartitionKey: strings.Repeat("ü", 256), ExplicitHashKey: "340282366920938463463374607431768211455"}, nil)
	if err := k.Close(t.Context()); err != nil {
		t.Error(err)
	}
	wantKinesisStats(t, k, producer.KinesisStats{Rejected: 7, Sent: 1, Records: 1, Requests: 1})
}

func TestKinesisOptions(t *testing.T) {
	for _, c := range []struct {
		o    producer.KinesisOptions
		want string
	}{
		{producer.KinesisOptions{}, "Stream must be the name or the ARN of a stream"},
		{producer.KinesisOptions{Stream: "s", URL: "127.0.0.1:4567"}, `URL must be like http://127.0.0.1:4567, got "127.0.0.1:4567"`},
		{producer.KinesisOptions{Stream: "s", CollectCount: 501}, "CollectCount must be 0 to 500, got 501"},
		{producer.KinesisOptions{Stream: "s", AggregateBytes: -1}, "AggregateBytes must be 0 to 1048576, got -1"},
	} {
		if _, err := producer.NewKinesis(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("NewKinesis(%+v): got %v, want %q", c.o, err, c.want)
		}
	}
	if _, err := producer.NewKinesis(producer.KinesisOptions{Stream: "arn:aws:kinesis:eu-west-1:000000000000:stream/s", Region: "eu-west-1"}); err != nil {
		t.Error(err)
	}
}
